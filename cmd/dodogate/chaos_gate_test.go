package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

// chaosGate is a gate with an admin API.
type chaosGate struct {
	*gate
	c     *chaos
	admin string     // its address
	mu    sync.Mutex // held by the fault that it has
	idle  int        // goroutines
}

func (c *chaos) newGate() *chaosGate {
	c.t.Helper()
	g := &chaosGate{
		gate: &gate{t: c.t, dir: c.t.TempDir(), site: "127.0.0.1:" + freeport.Get(c.t)},
		c:    c, admin: "127.0.0.1:" + freeport.Get(c.t),
	}
	if err := os.WriteFile(g.config(), g.caddyfile(), 0o600); err != nil {
		c.t.Fatal(err)
	}
	g.revive()
	c.t.Cleanup(g.kill)
	return g
}

// caddyfile is another one each time, with the same meaning.
func (g *chaosGate) caddyfile() []byte {
	return fmt.Appendf(nil, `{
	admin %s
	auto_https off
	skip_install_trust
	log {
		level WARN
	}
	dodo {
		api_key        {env.DODO_PAYMENTS_API_KEY}
		webhook_secret {env.DODO_PAYMENTS_WEBHOOK_SECRET}
		base_url       %s
		public_url     http://localhost
		store          %s
		budget         1000000
		reconcile      %s
		proration      full_immediately
		product pack {
			id      pdt_pack
			title   "Credits, version %d"
			credits %d
			allow_multiple
		}
		product pro {
			id      pdt_pro
			plan    pro
			credits %d
			credits_expire never
		}
		product team {
			id      pdt_team
			plan    team
			credits %d
			credits_expire never
		}
	}
}
http://:%s {
	bind 127.0.0.1
	dodo_gateway {
		account {http.request.header.X-Test-User}
	}
	dodo_charge /paid/* 1 {
		max      5
		hold_ttl %s
	}
	reverse_proxy %s
}
`, g.admin, g.c.dodo, strings.ReplaceAll(g.c.store, "{{Dir}}", g.dir), g.c.reconcile(), g.c.reloads.Add(1), packGives, proGives, teamGives,
		strings.TrimPrefix(g.site, "127.0.0.1:"), chaosHoldTTL, strings.TrimPrefix(g.c.app.URL, "http://"))
}

// reconcile is how often Dodo is asked by itself: never if nothing that was acknowledged may be
// lost, because that would hide it.
func (c *chaos) reconcile() string {
	if c.durable {
		return "off"
	}
	return "{\n\t\t\tbudget 240\n\t\t}"
}

// revive starts the process until it answers: without its store it ends again.
func (g *chaosGate) revive() {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		g.spawn()
		for g.runs() && time.Now().Before(end) {
			if g.silent() == "" {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		_ = g.log.Close()
	}
	g.t.Errorf("the gate does not start again; it said:\n%s", g.said())
}

// ask sends a request to the admin API.
func (g *chaosGate) ask(method, path, contentType string, body []byte) (status int, said string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.admin+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := crowd.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// goroutines counts those of the process, without those of idle connections, and lists them.
func (g *chaosGate) goroutines() (n int, list string) {
	g.t.Helper()
	status, said, err := g.ask(http.MethodGet, "/debug/pprof/goroutine?debug=1", "", nil)
	if err != nil || status != http.StatusOK {
		g.t.Fatalf("goroutines: %d %s %v", status, said, err)
	}
	for _, stack := range strings.Split(said, "\n\n") {
		_, stack, _ = strings.Cut("\n"+stack, "\n")
		if strings.HasPrefix(stack, "goroutine profile") {
			_, stack, _ = strings.Cut(stack, "\n")
		}
		var alike int
		if _, err := fmt.Sscanf(stack, "%d @", &alike); err != nil ||
			strings.Contains(stack, "net/http.(*persistConn)") || strings.Contains(stack, "net/http.(*conn).serve") {
			continue
		}
		n += alike
		list += stack + "\n\n"
	}
	return n, list
}
