package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestReloadsUnderStreams: a hundred configs, each of which begins two streams
// before the next one takes over. All two hundred live on, end well and are charged
// once, whether their price came first or comes last, and nothing is left behind.
func TestReloadsUnderStreams(t *testing.T) {
	const reloads = 100
	server := redistest.Start(t)
	b := newBench(t)
	began, end := make(chan struct{}, 2*reloads), make(chan struct{})
	finish := sync.OnceFunc(func() { close(end) })
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			w.Header().Set("Trailer", "X-Charge-Credits")
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		began <- struct{}{}
		<-end
		_, _ = io.WriteString(w, "data: last\n\n")
		if r.URL.Path == "/late" {
			w.Header().Set("X-Charge-Credits", "3")
		}
	}))
	defer app.Close()
	defer finish()
	b.Upstream = strings.TrimPrefix(app.URL, "http://")
	config := func(i int) string {
		return b.fill(caddyfile(strings.Replace(onRedis("redis "+server.URL()+" {\n\t\t\ttimeout 10s\n\t\t}"), "signup_credits 3", "signup_credits 1000", 1),
			usualGateway+fmt.Sprintf("\n\theader X-Config %d\n\tdodo_charge 1 {\n\t\tmax 5\n\t}\n\treverse_proxy {{Upstream}}", i)))
	}

	// What Caddy leaves behind by itself when it has run once does not count.
	b.mustLoad(config(-1))
	b.leaves("alice", 1000)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	b.client.CloseIdleConnections()
	before := goleak.IgnoreCurrent()
	files := openFiles(t)

	b.mustLoad(config(0))
	var streams sync.WaitGroup
	broken := make(chan struct{}, 2*reloads)
	for i := range reloads {
		for path, price := range map[string]string{"/": "1", "/late": "3"} {
			streams.Go(func() {
				req, _ := http.NewRequest("GET", "http://127.0.0.1:"+b.Port+path, nil)
				req.Header.Set("X-Test-User", "alice")
				resp, err := b.roundTrip(req)
				if err != nil {
					t.Error(err)
					broken <- struct{}{}
					return
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				told := resp.Header.Get("X-Credits-Charged") + resp.Trailer.Get("X-Credits-Charged")
				if err != nil || string(text) != "data: first\n\ndata: last\n\n" || told != price || resp.Header.Get("X-Config") != fmt.Sprint(i) {
					t.Errorf("stream %d %s: %q, told of %q by config %s, %v", i, path, text, told, resp.Header.Get("X-Config"), err)
				}
			})
			select {
			case <-began:
			case <-broken:
				t.FailNow()
			}
		}
		b.reload(config(i + 1))
		if n := caddymodule.OpenStores(); n != 1 {
			t.Fatalf("%d handles after reload %d", n, i)
		}
	}
	b.spends("alice", reloads, reloads)       // by their status
	b.leaves("alice", 1000-reloads-5*reloads) // the others hold
	finish()
	streams.Wait()
	b.spends("alice", 2*reloads, (1+3)*reloads)
	b.leaves("alice", 1000-(1+3)*reloads)

	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if n := caddymodule.OpenStores(); n != 0 {
		t.Errorf("%d stores are open", n)
	}
	app.CloseClientConnections()
	b.client.CloseIdleConnections()
	// Caddy's admin API goes on when Caddy has stopped.
	admin := goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2.replaceLocalAdminServer.func2")
	eventually(t, "goroutines end", func() string {
		if err := goleak.Find(before, admin); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, "files are closed", func() string {
		if n := openFiles(t); n > files+2 {
			return fmt.Sprintf("%d are open, %d before", n, files)
		}
		return ""
	})
	eventually(t, "connections to Redis are closed", func() string {
		if list := server.MustDo("CLIENT", "LIST"); strings.Count(list, "id=") > 1 { // who asks
			return list
		}
		return ""
	})
}

// reload hands Caddy a Caddyfile by its admin API. The same config twice is loaded once.
func (b *bench) reload(text string) {
	b.t.Helper()
	req, err := http.NewRequest("POST", "http://"+b.Admin+"/load", strings.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	req.Close = true // this admin server will be replaced, and would close an idle connection at any time
	if a := b.send(req); a.status != http.StatusOK {
		b.t.Fatalf("reload: %d %s", a.status, a.body)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("counts open files in /proc")
	}
	return len(open)
}
