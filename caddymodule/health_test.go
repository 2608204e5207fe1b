package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

type adminHealth struct {
	Status string
	Store  struct {
		Reachable, Writable bool
		CheckedAt           string `json:"checked_at"`
		OutageAt            string `json:"outage_at"`
		Error               string
	}
	Reconcile struct {
		Off        bool
		LastGoodAt string `json:"last_good_at"`
		LastState  string `json:"last_state"`
	}
	Webhook struct {
		LastAt string `json:"last_at"`
	}
}

// health is what the admin API says, with its status.
func (b *bench) health() (status int, h adminHealth) {
	b.t.Helper()
	a := b.admin("GET", "/dodo/health")
	if err := json.Unmarshal([]byte(a.body), &h); err != nil {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.status, h
}

// Load balancers see an outage of the store and its end, the log has one line for each, and
// the site's own route tells strangers nothing else.
func TestHealth(t *testing.T) {
	b := newBench(t)
	newSimulator(t, b, "")
	server := redistest.Start(t)
	config := caddyfile(strings.Replace(onRedis("redis "+server.URL()), "dodo {", "log {\n\t\toutput file {{Dir}}/caddy.log\n\t}\n\tmetrics\n\tdodo {", 1),
		"dodo_health\nbasic_auth /private/* {\n\talice $2a$04$ruQbIl8vnhMcV5ar88NZZemwlmIkjQDG8J37iTcFSlWYwKLLkUNnS\n}\n"+
			usualGateway+"\n\tdodo_require /pro/* credits 1\n\treverse_proxy {{Upstream}}")
	b.mustLoad(config)
	site := func(path string, status int, body string) {
		t.Helper()
		a := b.do("GET", path, "")
		if a.status != status || a.body != body || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %+v, want %d %s", path, a, status, body)
		}
	}
	const ok, unavailable = "{\"status\":\"ok\"}\n", "{\"status\":\"unavailable\"}\n"
	site("/healthz/ready", 200, ok)
	site("/healthz/live", 200, ok)
	if a := b.do("HEAD", "/healthz/ready", ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: %+v", a)
	}
	if a := b.do("POST", "/healthz/ready", ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %+v", a)
	}
	if a := b.do("GET", "/healthz/other", ""); b.seen(a).Path != "/healthz/other" {
		t.Errorf("another path: %+v", a)
	}
	b.webhook("evt_health", `{"business_id":"bus_1","type":"payout.success","timestamp":"2026-11-30T12:00:00Z","data":{}}`)
	eventually(t, "a pass has ended", func() string {
		status, h := b.health()
		if status != 200 || h.Status != "ok" || !h.Store.Reachable || !h.Store.Writable || h.Store.CheckedAt == "" || h.Store.OutageAt != "" ||
			h.Webhook.LastAt == "" || h.Reconcile.LastGoodAt == "" || h.Reconcile.LastState != "done" {
			return fmt.Sprintf("%d %+v", status, h)
		}
		return ""
	})
	gauges := func(want string) {
		t.Helper()
		text := b.metrics()
		for _, name := range []string{"store_reachable", "store_writable"} {
			if !strings.Contains(text, "\ndodogate_"+name+" "+want+"\n") {
				t.Errorf("%s is not %s", name, want)
			}
		}
		for _, name := range []string{"reconcile_success_timestamp_seconds", "webhook_timestamp_seconds"} {
			if strings.Contains(text, "\ndodogate_"+name+" 0\n") {
				t.Errorf("%s is 0", name)
			}
		}
	}
	gauges("1")

	server.Kill()
	for range 20 {
		b.problem(b.do("GET", "/pro/", "", "X-Test-User", "alice"), 503, "store_unavailable")
		b.problem(b.do("GET", "/payments/status", "", "X-Test-User", "alice"), 503, "store_unavailable")
	}
	eventually(t, "the outage is known", func() string {
		if a := b.do("GET", "/healthz/ready", ""); a.status != 503 || a.body != unavailable {
			return fmt.Sprint(a)
		}
		return ""
	})
	site("/healthz/live", 200, ok)
	if status, h := b.health(); status != 503 || h.Status != "unavailable" || h.Store.Reachable || h.Store.Writable || h.Store.OutageAt == "" || h.Store.Error == "" {
		t.Errorf("%d %+v", status, h)
	}
	gauges("0")
	b.mustLoad(strings.Replace(config, "pack10 {", "pack10 {\n\t\t\ttitle Ten", 1)) // a reload keeps what is known
	site("/healthz/ready", 503, unavailable)

	server.Restart()
	eventually(t, "the outage is over", func() string {
		if a := b.do("GET", "/healthz/ready", ""); a.status != 200 {
			return fmt.Sprint(a)
		}
		return ""
	})
	var lines []string
	for _, line := range b.logged("") {
		if line["level"] == "error" || line["msg"] == "the store is back" {
			lines = append(lines, fmt.Sprint(line["logger"], ": ", line["msg"], " refused ", line["requests_refused"]))
		}
	}
	if !slices.Equal(lines, []string{
		"dodo.stores: the store cannot be reached: until it is back, requests that need it are refused with 503, or served as max_stale and on_store_error say refused <nil>",
		"dodo.stores: the store is back refused 40",
	}) {
		t.Errorf("the log has\n%s", strings.Join(lines, "\n"))
	}
}

// A Redis that only reads, such as a replica after a fail-over, is reachable and not ready,
// wherever its password comes from.
func TestHealthOfAReplica(t *testing.T) {
	for login, password := range map[string]string{"gate:secret@": "", "gate@": " {\n\t\t\tpassword {file.{{Dir}}/password}\n\t\t}"} {
		t.Run(login, func(t *testing.T) {
			b := newBench(t)
			server := redistest.Start(t)
			server.MustDo("ACL", "SETUSER", "gate", "on", ">secret", "allkeys", "allchannels", "+@all")
			b.write("password", "secret")
			b.mustLoad(caddyfile(strings.Replace(onRedis("redis redis://"+login+server.Addr+password), "dodo {", "dodo {\n\t\treconcile off", 1), "dodo_health /probe\n"+usualGateway))
			if a := b.do("GET", "/probe/ready", ""); a.status != 200 {
				t.Fatalf("%+v", a)
			}
			server.MustDo("CONFIG", "SET", "min-replicas-to-write", "1")
			b.problem(b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "X-Test-User", "alice", "Content-Type", "application/json"), 503, "store_unavailable") // the next check comes soon
			eventually(t, "writes are refused", func() string {
				status, h := b.health()
				if status != 503 || !h.Store.Reachable || h.Store.Writable || !h.Reconcile.Off {
					return fmt.Sprintf("%d %+v", status, h)
				}
				return ""
			})
			if a := b.do("GET", "/probe/ready", ""); a.status != 503 {
				t.Errorf("%+v", a)
			}
		})
	}
}
