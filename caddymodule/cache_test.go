package caddymodule_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestMaxStale: Redis goes and comes back; who is known passes, and is said to be
// stale for as long.
func TestMaxStale(t *testing.T) {
	b := newBench(t)
	server := redistest.Start(t, "--appendfsync", "always")
	b.mustLoad(caddyfile(strings.Replace(onRedis("redis "+server.URL()), "signup_credits 3", "signup_credits 3\n\t\tmax_stale 1h", 1), usualProxy))
	known := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice"))
	assertEntitlement(t, known, newcomer("alice"))
	stale := newcomer("alice")
	stale["Stale"] = "true"
	server.Kill()
	eventually(t, "alice is stale", func() string { return staleness(b, "true") })
	before := b.reads("stale")
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), stale)
	if n := b.reads("stale") - before; n != 1 {
		t.Errorf("a stale view counts as %v", n)
	}
	if a := b.do("GET", "/app", "", "X-Test-User", "bob"); a.status != http.StatusServiceUnavailable {
		t.Errorf("somebody who is not known: %d", a.status)
	}
	server.Restart()
	eventually(t, "alice is not stale", func() string { return staleness(b, "false") })
}

// reads is how often accounts were looked up with a result.
func (b *bench) reads(result string) float64 {
	b.t.Helper()
	return b.metric(`dodogate_cache_requests_total{result="` + result + `"}`)
}

// refusals is how many requests were refused for want of credits.
func (b *bench) refusals() float64 {
	b.t.Helper()
	return b.metric(`dodogate_requests_refused_total{code="insufficient_credits"}`)
}

// metric is the value of a metric with its labels; 0 when there is none.
func (b *bench) metric(name string) float64 {
	b.t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.*)$`).FindStringSubmatch(b.metrics())
	if line == nil {
		return 0
	}
	n, err := strconv.ParseFloat(line[1], 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func staleness(b *bench, want string) string {
	if got := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header.Get("X-Entitlement-Stale"); got != want {
		return "Stale is " + got
	}
	return ""
}

// TestReloadsForget: a hundred configs each hear of changes, and stop when the next
// one has taken over.
func TestReloadsForget(t *testing.T) {
	b := newBench(t)
	for i := range 100 {
		b.mustLoad(caddyfile(usualDodo+"\n\tmetrics", usualProxy+fmt.Sprintf("\n\theader X-Config %d", i)))
		assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
	}
	eventually(t, "one config hears of changes", func() string {
		if text := b.metrics(); !strings.Contains(text, "\ndodogate_changes_heard 1\n") {
			return text
		}
		return ""
	})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := caddymodule.OpenStores(); n != 0 {
		t.Errorf("%d stores are open", n)
	}
}

// TestReloadDoesNotWait: who waits for a change is answered when a new config takes
// over.
func TestReloadDoesNotWait(t *testing.T) {
	b := newBench(t)
	config := caddyfile(usualDodo+"\n\tmetrics", usualGateway)
	b.mustLoad(config)
	tag := b.do("GET", "/payments/status", "", "X-Test-User", "alice").header.Get("ETag")
	before := b.reads("hit")
	answers := make(chan answer)
	go func() {
		answers <- b.do("GET", "/payments/status?wait=1m", "", "X-Test-User", "alice", "If-None-Match", tag)
	}()
	eventually(t, "it waits", func() string {
		if b.reads("hit") == before {
			return "it does not"
		}
		return ""
	})
	b.mustLoad(config + "\n# reloaded\n")
	if a := <-answers; a.status != http.StatusNotModified { // the client gives up before the minute is over
		t.Errorf("%d %s", a.status, a.body)
	}
}

// typical are the headers of a request. Every few more make the map that ours are
// put into grow once more, which costs two allocations.
var typical = [][2]string{
	{"Accept", "text/html"}, {"Accept-Encoding", "gzip"}, {"Connection", "keep-alive"}, {"Cookie", "session=1"}, {"User-Agent", "Mozilla/5.0"},
}

// serving runs requests through one dodo_gateway, as Caddy would.
func serving(t testing.TB) func(next caddyhttp.Handler) error {
	t.Helper()
	s, err := boltstore.Open(filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	g, err := caddymodule.NewServing(gateway.Options{Store: s, Clock: time.Now, SignupCredits: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	w := httptest.NewRecorder()
	return func(next caddyhttp.Handler) error {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://example.com/app", nil)
		for _, h := range typical {
			r.Header[h[0]] = []string{h[1]}
		}
		repl := caddy.NewReplacer()
		repl.Set("http.auth.user.id", "alice") // as every login of Caddy's does
		r = caddyhttp.PrepareRequest(r, repl, w, nil)
		if next == nil {
			return nil
		}
		return g.ServeHTTP(w, r, next)
	}
}

var passOn = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// TestAllocations: what dodo_gateway adds to a request whose account is
// remembered, against the same request without it: two for what is decoded of
// the remembered record, three for headers and two for the request.
func TestAllocations(t *testing.T) {
	serve := serving(t)
	_ = serve(passOn) // who is remembered from then on
	_ = serve(passOn)
	with := testing.AllocsPerRun(1000, func() { _ = serve(passOn) })
	without := testing.AllocsPerRun(1000, func() { _ = serve(nil) })
	if added := with - without; added > 7 {
		t.Errorf("%v allocations are added to a request, want at most 7", added)
	} else {
		t.Logf("%v allocations are added to a request", added)
	}
}

// TestHeadersAreTheRequestsOwn: what one handler does to a header's values is not
// seen by other headers or other requests.
func TestHeadersAreTheRequestsOwn(t *testing.T) {
	serve := serving(t)
	for range 3 {
		err := serve(caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			assertEntitlement(t, dump{Header: r.Header}, newcomer("alice"))
			for name, values := range r.Header {
				if strings.HasPrefix(name, "X-Entitlement-") {
					r.Header[name] = append(values, "appended")
					values[0] = "changed"
				}
			}
			for name, values := range r.Header {
				if strings.HasPrefix(name, "X-Entitlement-") && (len(values) != 2 || values[1] != "appended") {
					t.Errorf("%s: %q", name, values)
				}
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkServeHTTP(b *testing.B) {
	for name, next := range map[string]caddyhttp.Handler{"with": passOn, "without": nil} {
		b.Run(name, func(b *testing.B) {
			serve := serving(b)
			b.ReportAllocs()
			for b.Loop() {
				if err := serve(next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
