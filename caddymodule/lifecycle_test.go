package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// validate is `caddy validate`.
func (b *bench) validate(text string) error {
	b.t.Helper()
	adapted, err := adapt(b.fill(text))
	if err != nil {
		return err
	}
	var cfg caddy.Config
	if err := json.Unmarshal(adapted, &cfg); err != nil {
		return err
	}
	return caddy.Validate(&cfg)
}

func (b *bench) file() string { return filepath.Join(b.Dir, "dodogate.db") }

// Fifty reloads under load: every answer is right, one handle is open all the
// time, and nothing is left behind. Connections that Caddy itself gives up before
// it reads a request (as it does without us, a few in each reload) do not count.
func TestReload(t *testing.T) {
	b := newBench(t)
	b.client.Transport = &http.Transport{DisableKeepAlives: true}
	const site = usualGateway + "\n\trespond \"{http.request.header.X-Entitlement-Credits} for {http.dodo.account}\""
	b.mustLoad(caddyfile(usualDodo, site))
	b.do("GET", "/app", "", "X-Test-User", "alice")
	goroutines, files := settle(t)

	var (
		stop   atomic.Bool
		served atomic.Int64
		lost   atomic.Int64
		wg     sync.WaitGroup
	)
	for i := range 4 {
		wg.Go(func() {
			for !stop.Load() {
				user := fmt.Sprintf("user%d-%d", i, served.Load()%50)
				a, err := b.try("GET", "/app", user)
				if err != nil {
					lost.Add(1)
					continue
				}
				if a.status != http.StatusOK || a.body != "3 for "+user {
					t.Errorf("request of %s failed: %d %s", user, a.status, a.body)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := range 50 {
		for enough := served.Load() + 8; served.Load() < enough && !t.Failed(); {
			runtime.Gosched()
		}
		b.mustLoad(caddyfile(usualDodo, site+fmt.Sprintf("\n\theader X-Config %d", i)))
		if n := caddymodule.OpenStores(); n != 1 {
			t.Fatalf("%d handles after reload %d", n, i)
		}
	}
	stop.Store(true)
	wg.Wait()
	t.Logf("during 50 reloads %d requests were served, %d connections lost", served.Load(), lost.Load())
	if users := caddymodule.StoreUsers(b.file()); users != 1 {
		t.Errorf("%d configs hold the store, want 1", users)
	}
	eventually(t, "goroutines and files go back to what they were", func() string {
		g, f := settle(t)
		if g > goroutines+5 || f > files+5 {
			return fmt.Sprintf("%d goroutines (%d before), %d files (%d before)", g, goroutines, f, files)
		}
		return ""
	})
}

// try is do for goroutines.
func (b *bench) try(method, path, user string) (answer, error) {
	req, err := http.NewRequest(method, "http://127.0.0.1:"+b.Port+path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Test-User", user)
	resp, err := b.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func settle(t *testing.T) (goroutines, files int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("counts open files in /proc")
	}
	return runtime.NumGoroutine(), len(open)
}

func eventually(t *testing.T, what string, wrong func() string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		problem := wrong()
		if problem == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", what, problem)
		}
	}
}

// canOpen reports whether nobody has the file open.
func canOpen(t *testing.T, path string) bool {
	t.Helper()
	s, err := boltstore.Open(path, boltstore.Options{LockTimeout: 10 * time.Millisecond})
	if err != nil {
		return false
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return true
}

// A config with another file closes the first, and a config without us both.
func TestStoreIsClosed(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	if canOpen(t, b.file()) {
		t.Fatal("the file is not open")
	}
	other := strings.Replace(usualDodo, "dodogate.db", "other.db", 1)
	b.mustLoad(caddyfile(other, usualProxy))
	if !canOpen(t, b.file()) {
		t.Error("the first file is still open")
	}
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
	b.mustLoad(caddyfile("", "respond ok"))
	if n := caddymodule.OpenStores(); n != 0 || !canOpen(t, b.file()) || !canOpen(t, filepath.Join(b.Dir, "other.db")) {
		t.Errorf("%d handles are left", n)
	}
}

// Different spellings of one path are one file.
func TestStoreFileSpellings(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "{{Dir}}/", "{{Dir}}/./x/../", 1), usualProxy))
	if users := caddymodule.StoreUsers(b.file()); users != 1 {
		t.Errorf("%d configs hold the store, want 1", users)
	}
}

// A config that is refused leaves the one that runs, and its store, alone.
func TestRefusedReload(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	broken := strings.Replace(usualDodo, "test_api_key", "{env.DODOGATE_TEST_UNSET}", 1)
	if err := b.load(caddyfile(broken, usualProxy)); err == nil {
		t.Fatal("an unset api_key was accepted")
	}
	if err := b.load(caddyfile(usualDodo, usualGateway+"\n\tdodo_gateway relative {\n\t}")); err == nil {
		t.Fatal("a relative base path was accepted")
	}
	if users := caddymodule.StoreUsers(b.file()); users != 1 {
		t.Errorf("%d configs hold the store, want 1", users)
	}
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
}

// `caddy validate` beside a running server, in this and in another process.
func TestValidateBesideAServer(t *testing.T) {
	b := newBench(t)
	config := caddyfile(usualDodo, usualProxy)
	if err := b.validate(config); err != nil {
		t.Errorf("with nothing running: %v", err)
	}
	if _, err := os.Stat(b.file()); err == nil {
		t.Error("validate made the file")
	}
	holder, err := boltstore.Open(b.file(), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.validate(config); err != nil {
		t.Errorf("with another holder of the lock: %v", err)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	b.mustLoad(config)
	if err := b.validate(config); err != nil {
		t.Errorf("in the server's own process: %v", err)
	}
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
}

// A store that cannot be used is refused when the config is loaded, by name. Validating
// says so if that can be seen without opening the file, which a server may have locked.
func TestStoreRefusedAtStart(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
		isSeen  bool // by validate
	}{
		"locked": {func(t *testing.T, path string) {
			holder, err := boltstore.Open(path, boltstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = holder.Close() })
		}, "holds the file", false},
		"not a bolt file": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("garbage ", 4096)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "damaged", false},
		"a directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "it is not a regular file", true},
		"below a file": {func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Dir(path), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a directory", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			tt.prepare(t, b.file())
			config := caddyfile(usualDodo, usualProxy)
			err := b.validate(config)
			if !tt.isSeen && err != nil {
				t.Errorf("validate needs the store: %v", err)
			}
			if tt.isSeen && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("validate says %v", err)
			}
			err = b.load(config)
			for _, want := range []string{"store bolt", b.file(), tt.want} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("refused by %q, which does not say %q", err, want)
				}
			}
			if n := caddymodule.OpenStores(); n != 0 {
				t.Errorf("%d handles are left", n)
			}
		})
	}
}

func TestDefaultStoreFile(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "store          bolt {{Dir}}/dodogate.db", "", 1), usualProxy))
	info, err := os.Stat(filepath.Join(caddy.AppDataDir(), "dodogate", "dodogate.db"))
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode is %o", mode)
	}
}

// The old config's requests outlive it. One that is being answered when a reload
// brings another store must still find its own.
func TestOldRequestsKeepTheirStore(t *testing.T) {
	b := newBench(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	b.Dodo = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-goOn
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"session_id":"cks_1","checkout_url":"https://checkout.example/cks_1"}`)
	})
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	got := make(chan answer, 1)
	go func() {
		req, _ := http.NewRequest(http.MethodPost, "http://127.0.0.1:"+b.Port+"/payments/checkout", strings.NewReader(`{"product":"pack10"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Test-User", "alice")
		resp, err := b.client.Do(req)
		if err != nil {
			got <- answer{body: err.Error()}
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		got <- answer{resp.StatusCode, resp.Header, string(body)}
	}()
	<-asked // the order is stored, its session is not
	reloaded := make(chan error, 1)
	adapted, err := adapt(b.fill(caddyfile(strings.Replace(usualDodo, "dodogate.db", "other.db", 1), usualProxy)))
	if err != nil {
		t.Fatal(err)
	}
	go func() { reloaded <- caddy.Load(adapted, true) }()
	eventually(t, "the new config serves", func() string {
		if caddymodule.StoreUsers(filepath.Join(b.Dir, "other.db")) == 0 {
			return "it does not"
		}
		return ""
	})
	time.Sleep(200 * time.Millisecond) // let the old config be cleaned up
	close(goOn)
	if a := <-got; a.status != http.StatusCreated {
		t.Errorf("checkout of the old config: %d %s", a.status, a.body)
	}
	if err := <-reloaded; err != nil {
		t.Error(err)
	}
	eventually(t, "the old file is closed", func() string {
		if !canOpen(t, b.file()) {
			return "it is open"
		}
		return ""
	})
}

// Streams go on when a config brings another store, and nobody waits for them. They
// are charged in their own store, which is closed behind the last of them, unless a
// config has taken it back by then.
func TestStreamsKeepTheirStore(t *testing.T) {
	b := newBench(t)
	began, end := make(chan struct{}, 1), make(chan struct{})
	b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Charge-Credits")
		_, _ = io.WriteString(w, "part")
		_ = http.NewResponseController(w).Flush()
		began <- struct{}{}
		<-end
		w.Header().Set("X-Charge-Credits", "3")
	}), "http://")
	config := caddyfile(rich(usualDodo), usualGateway+"\n\tdodo_charge 1 {\n\t\tmax 10\n\t}\n\treverse_proxy {{Upstream}}")
	other := strings.Replace(config, "dodogate.db", "other.db", 1)
	stream := func() (finish func()) {
		t.Helper()
		resp, err := b.client.Do(b.request("GET", "/", "alice"))
		if err != nil {
			t.Fatal(err)
		}
		<-began
		return func() {
			end <- struct{}{}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(text) != "part" || resp.Trailer.Get("X-Credits-Charged") != "3" {
				t.Errorf("%q %v %v", text, err, resp.Trailer)
			}
		}
	}
	b.mustLoad(config)
	finish := stream()
	b.mustLoad(other)
	b.leaves("alice", 100) // there
	b.mustLoad(config)     // its file is open
	b.leaves("alice", 90)
	finish()
	b.leaves("alice", 97)
	b.spends("alice", 1, 3)

	finish = stream()
	b.mustLoad(other)
	if canOpen(t, b.file()) {
		t.Error("the file of a stream was closed")
	}
	finish()
	eventually(t, "the file is closed behind the stream", func() string {
		if !canOpen(t, b.file()) {
			return "it is open"
		}
		return ""
	})
	b.mustLoad(config)
	b.leaves("alice", 94)
	b.spends("alice", 2, 6)
}
