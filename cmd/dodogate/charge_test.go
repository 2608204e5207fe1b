package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestExactlyWhatThereIs: ten thousand requests at once, for which there is half
// of the credits, over two gates on one Redis and over one on its own file.
func TestExactlyWhatThereIs(t *testing.T) {
	const requests, credits = 10_000, 5_000
	for name, open := range map[string]func(t *testing.T) []*gate{
		"redis": func(t *testing.T) []*gate {
			store := "redis " + redistest.Start(t).URL() + " {\n\t\t\ttimeout 10s\n\t\t}"
			return []*gate{newGate(t, store, credits, "dodo_charge 1\n\trespond ok"), newGate(t, store, credits, "dodo_charge 1\n\trespond ok")}
		},
		"bolt": func(t *testing.T) []*gate {
			return []*gate{newGate(t, "bolt {{Dir}}/dodogate.db", credits, "dodo_charge 1\n\trespond ok")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			gates := open(t)
			var next, passed, refused, told atomic.Int64
			var work sync.WaitGroup
			for range 48 {
				work.Go(func() {
					for i := next.Add(1); i <= requests && !t.Failed(); i = next.Add(1) {
						status, header, body, err := gates[i%int64(len(gates))].get("/", "alice")
						switch {
						case err == nil && status == http.StatusOK && body == "ok" && header.Get("X-Credits-Charged") == "1":
							passed.Add(1)
						case err == nil && status == http.StatusPaymentRequired && strings.Contains(body, `"insufficient_credits"`):
							refused.Add(1)
						default:
							t.Errorf("%d %v %s %v", status, header, body, err)
						}
						if strings.HasPrefix(header.Get("X-Credits-Remaining"), "-") {
							told.Add(1)
						}
					}
				})
			}
			work.Wait()
			if passed.Load() != credits || refused.Load() != requests-credits || told.Load() != 0 {
				t.Errorf("%d passed, %d were refused, %d were told of less than nothing", passed.Load(), refused.Load(), told.Load())
			}
			for _, g := range gates {
				g.leaves("alice", 0)
				g.spends("alice", credits, credits)
			}
		})
	}
}

// app is what is behind the gates of a test.
type app struct {
	*httptest.Server
	asked   chan string   // paths that wait
	release chan struct{} // closed when they may go on
}

// newApp answers at once, except for paths that begin with /wait, which answer
// nothing until they are released, and with /stream, which send a part before.
func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{asked: make(chan string, 1000), release: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams, late := strings.HasPrefix(r.URL.Path, "/stream"), strings.HasPrefix(r.URL.Path, "/stream/late")
		if late {
			w.Header().Set("Trailer", "X-Charge-Credits")
		}
		if streams {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
		}
		if streams || strings.HasPrefix(r.URL.Path, "/wait") {
			a.asked <- r.URL.Path
			select {
			case <-a.release:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = io.WriteString(w, "data: last\n\n")
		if late {
			w.Header().Set("X-Charge-Credits", "3")
		}
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) address() string { return strings.TrimPrefix(a.URL, "http://") }

// TestKilled: a gate dies with requests under way. What it had told to be charged
// and had behind it is charged, what it held comes back, and whoever goes to the
// other gate meanwhile is served.
func TestKilled(t *testing.T) {
	const charge = `dodo_charge 1 {
		hold_ttl 2s
	}
	reverse_proxy `
	for _, backend := range []string{"redis", "bolt"} {
		t.Run(backend, func(t *testing.T) {
			a := newApp(t)
			store := "bolt {{Dir}}/dodogate.db"
			if backend == "redis" {
				store = "redis " + redistest.Start(t).URL() + " {\n\t\t\ttimeout 10s\n\t\t}"
			}
			// On a file nobody else waits for the holds, so that they may be long.
			dies := newGate(t, store, 100, strings.Replace(charge, "2s", map[string]string{"redis": "2s", "bolt": "1h"}[backend], 1)+a.address())
			other := dies
			if backend == "redis" {
				other = newGate(t, store, 100, charge+a.address())
			}
			for range 10 {
				if status, header, body, err := dies.get("/", "alice"); err != nil || status != 200 || header.Get("X-Credits-Charged") != "1" {
					t.Fatal(status, header, body, err)
				}
			}
			dies.spends("alice", 10, 10)

			var clients sync.WaitGroup
			defer clients.Wait()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			for i := range 20 {
				path := []string{"/wait", "/stream"}[i%2]
				clients.Go(func() {
					resp, err := crowd.Do(dies.request(ctx, path, "alice"))
					if err != nil {
						return
					}
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if err == nil {
						t.Errorf("%s ended well", path)
					}
				})
				<-a.asked
			}
			// Ten wait for a status, ten have theirs and are paid for.
			dies.spends("alice", 20, 20)
			if got := dies.credits("alice"); got != 70 {
				t.Errorf("%d credits with ten held, want 70", got)
			}
			dies.kill()
			if backend == "bolt" {
				dies.start()
				if got := dies.credits("alice"); got != 80 {
					t.Errorf("%d credits after the restart, want 80 at once", got)
				}
			}
			for i := range 10 {
				if status, header, body, err := other.get("/", "alice"); err != nil || status != 200 || header.Get("X-Credits-Charged") != "1" {
					t.Errorf("request %d behind the crash: %d %v %s %v", i, status, header, body, err)
				}
			}
			other.leaves("alice", 70)
			other.spends("alice", 30, 30)
			if backend == "redis" {
				dies.start()
				dies.leaves("alice", 70)
			}
		})
	}
}

// TestOneKey: many requests at once with the same idempotency keys, over two gates.
// Of each key one reaches the app and is charged. Then a gate dies that has one under
// way: its key is in use until the hold is over, and then it can be tried again.
func TestOneKey(t *testing.T) {
	const keys, copies = 60, 8
	var calls sync.Map
	asked, release := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := calls.LoadOrStore(r.Header.Get("Idempotency-Key"), new(atomic.Int64))
		if n.(*atomic.Int64).Add(1) == 1 && r.Header.Get("Idempotency-Key") == "wait" {
			asked <- struct{}{}
			<-release
		}
	}))
	defer server.Close()
	defer close(release)
	store := "redis " + redistest.Start(t).URL() + " {\n\t\t\ttimeout 10s\n\t\t}"
	charge := "dodo_charge 1 {\n\t\thold_ttl 2s\n\t}\n\treverse_proxy " + strings.TrimPrefix(server.URL, "http://")
	gates := []*gate{newGate(t, store, 100, charge), newGate(t, store, 100, charge)}
	send := func(g *gate, key string) (status int, body string) {
		req := g.request(context.Background(), "/", "alice")
		req.Header.Set("Idempotency-Key", key)
		resp, err := crowd.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, err.Error()
		}
		return resp.StatusCode, string(text)
	}
	var work sync.WaitGroup
	var passed atomic.Int64
	for i := range copies {
		work.Go(func() {
			for key := range keys {
				switch status, body := send(gates[i%2], fmt.Sprint("key-", key)); {
				case status == http.StatusOK:
					passed.Add(1)
				case status != http.StatusConflict || !strings.Contains(body, "idempotency_key_"):
					t.Errorf("%d %s", status, body)
				}
			}
		})
	}
	work.Wait()
	gates[1].spends("alice", keys, keys)
	gates[1].leaves("alice", 100-keys)
	if passed.Load() != keys {
		t.Errorf("%d requests passed", passed.Load())
	}
	calls.Range(func(key, n any) bool {
		if n := n.(*atomic.Int64).Load(); n != 1 {
			t.Errorf("the app had %d requests with %s", n, key)
		}
		return true
	})

	work.Go(func() {
		if status, body := send(gates[0], "wait"); status != 0 {
			t.Errorf("from a gate that died: %d %s", status, body)
		}
	})
	<-asked
	if status, body := send(gates[1], "wait"); status != http.StatusConflict || !strings.Contains(body, `"idempotency_key_in_use"`) {
		t.Errorf("while it is under way: %d %s", status, body)
	}
	gates[0].kill()
	work.Wait()
	gates[1].eventually("the key can be used again", func() string {
		if status, body := send(gates[1], "wait"); status != http.StatusOK {
			return body
		}
		return ""
	})
	gates[1].spends("alice", keys+1, keys+1)
	gates[1].leaves("alice", 100-keys-1)
	if status, body := send(gates[1], "wait"); status != http.StatusConflict || !strings.Contains(body, `"idempotency_key_finished"`) {
		t.Errorf("once it is charged: %d %s", status, body)
	}
}

// TestTerminated: a gate is asked to end while streams go through it and others
// begin. It takes its time, every stream ends well, and each is charged once.
func TestTerminated(t *testing.T) {
	const streams = 60
	a := newApp(t)
	const charge = `dodo_charge 1 {
		max 5
	}
	reverse_proxy `
	redis := redistest.Start(t, "--appendfsync", "always")
	store := "redis " + redis.URL() + " {\n\t\t\ttimeout 10s\n\t\t}"
	ends, other := newGate(t, store, 1000, charge+a.address()), newGate(t, store, 1000, charge+a.address())
	other.leaves("alice", 1000)

	var clients sync.WaitGroup
	var want atomic.Int64
	for i := range streams {
		path, price := "/stream", int64(1)
		if i%3 == 0 {
			path, price = "/stream/late", 3
		}
		clients.Go(func() {
			resp, err := crowd.Do(ends.request(t.Context(), path, "alice"))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil || string(text) != "data: first\n\ndata: last\n\n" {
				t.Errorf("%s: %q %v", path, text, err)
			}
			told := resp.Header.Get("X-Credits-Charged") + resp.Trailer.Get("X-Credits-Charged")
			if told != fmt.Sprint(price) {
				t.Errorf("%s was told of %q", path, told)
			}
			want.Add(price)
		})
	}
	for range streams {
		<-a.asked
	}
	// Load: whoever is answered is charged, whoever is not is not.
	var load sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		load.Go(func() {
			for {
				status, _, _, err := ends.get("/", "alice")
				if err != nil {
					return // it does not listen any more
				}
				if status != http.StatusOK {
					t.Errorf("under load: %d", status)
					return
				}
				answered.Add(1)
			}
		})
	}
	ends.eventually("there is load", func() string {
		if answered.Load() < 20 {
			return "there is not"
		}
		return ""
	})
	ends.terminate()
	ends.eventually("it stops listening", func() string {
		c, err := httpclient.Default.Get("http://" + ends.site + "/payments/products")
		if err == nil {
			_ = c.Body.Close()
			return "it does not"
		}
		return ""
	})
	load.Wait()
	// What the load cost is written, and only the streams that hold are left.
	other.spends("alice", answered.Load()+streams*2/3, answered.Load()+streams*2/3)
	redis.Kill()
	if !ends.runs() {
		t.Fatal("it did not wait for its streams")
	}
	close(a.release)
	clients.Wait()
	time.Sleep(500 * time.Millisecond)
	if !ends.runs() {
		t.Fatal("it did not wait for Redis")
	}
	redis.Restart()
	select {
	case <-ends.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end; it said:\n%s", ends.said())
	}
	if code := ends.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d and said:\n%s", code, ends.said())
	}
	// It is gone, so everything is settled now.
	other.eventually("the other one finds Redis", func() string {
		if status, _, body, err := other.get("/payments/status", "alice"); err != nil || status != http.StatusOK {
			return fmt.Sprint(body, err)
		}
		return ""
	})
	want.Add(answered.Load())
	n, spent := captures(t, other.ledger("alice"))
	if n != streams+answered.Load() || spent != want.Load() {
		t.Errorf("%d charges of %d credits, want %d of %d", n, spent, streams+answered.Load(), want.Load())
	}
	other.leaves("alice", 1000-want.Load()) // what it remembers may be behind the ledger for a moment
	if strings.Contains(ends.said(), `"level":"error"`) {
		t.Errorf("it said:\n%s", errorLines(ends.said()))
	}
}

func errorLines(log string) string {
	var found []string
	for s := bufio.NewScanner(strings.NewReader(log)); s.Scan(); {
		if strings.Contains(s.Text(), `"level":"error"`) {
			found = append(found, s.Text())
		}
	}
	return strings.Join(found, "\n")
}

// TestGracePeriod: streams that outlive the grace period go down with the process,
// which does not wait for them. What was charged stays so, what was held comes back.
func TestGracePeriod(t *testing.T) {
	a := newApp(t)
	store := "redis " + redistest.Start(t).URL() + " {\n\t\t\ttimeout 10s\n\t\t}"
	charge := "dodo_charge 1 {\n\t\tmax 5\n\t\thold_ttl 2s\n\t}\n\treverse_proxy " + a.address()
	ends, other := newGate(t, store, 100, charge), newGate(t, store, 100, charge)
	ends.kill()
	text, err := os.ReadFile(ends.config())
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("\tadmin off\n"), []byte("\tadmin off\n\tgrace_period 100ms\n"), 1)
	if err := os.WriteFile(ends.config(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	ends.start()
	var clients sync.WaitGroup
	for _, path := range []string{"/stream", "/stream/late", "/wait"} {
		clients.Go(func() {
			if _, _, body, err := ends.get(path, "alice"); err == nil {
				t.Errorf("%s ended well: %q", path, body)
			}
		})
		<-a.asked
	}
	ends.terminate()
	select {
	case <-ends.ended:
	case <-time.After(15 * time.Second): // less than a store waits on a reload
		t.Errorf("it does not end; it said:\n%s", ends.said())
	}
	ends.kill()
	clients.Wait()
	other.spends("alice", 1, 1)
	other.leaves("alice", 99)
}
