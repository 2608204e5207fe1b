package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// gate is a process that charges for every request of its site.
type gate struct {
	t       *testing.T
	dir     string
	site    string // its address
	group   string // that limits its memory; "" is none
	process *exec.Cmd
	log     *os.File
	ended   chan struct{} // closed when the process has ended
}

// newGate starts a gate for whom there is no Dodo. charge are the site's directives behind
// dodo_gateway.
func newGate(t *testing.T, store string, credits int, charge string) *gate {
	t.Helper()
	return newGateAt(t, "http://127.0.0.1:1", store, credits, charge)
}

func newGateAt(t *testing.T, dodo, store string, credits int, charge string) *gate {
	t.Helper()
	return newGateIn(t, "", dodo, store, credits, charge)
}

// newGateIn starts a gate in a memory group, see [memoryGroup].
func newGateIn(t *testing.T, group, dodo, store string, credits int, charge string) *gate {
	t.Helper()
	g := &gate{t: t, dir: t.TempDir(), site: "127.0.0.1:" + freeport.Get(t), group: group}
	text := fmt.Sprintf(`{
	admin off
	auto_https off
	skip_install_trust
	dodo {
		api_key        {env.DODO_PAYMENTS_API_KEY}
		webhook_secret {env.DODO_PAYMENTS_WEBHOOK_SECRET}
		base_url       %s
		public_url     http://localhost
		store          %s
		budget         1000000
		reconcile      off
		signup_credits %d
		product pack10 {
			id      pdt_pack10
			credits 10
		}
	}
}
http://:%s {
	bind 127.0.0.1
	dodo_gateway {
		account {http.request.header.X-Test-User}
	}
	%s
}
`, dodo, strings.ReplaceAll(store, "{{Dir}}", g.dir), credits, strings.TrimPrefix(g.site, "127.0.0.1:"), charge)
	if err := os.WriteFile(g.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(g.kill)
	return g
}

func (g *gate) config() string { return filepath.Join(g.dir, "Caddyfile") }

func (g *gate) start() {
	g.t.Helper()
	g.spawn()
	g.eventually("the gate answers", g.silent)
}

// silent says what is wrong with the gate's answers, if there are any.
func (g *gate) silent() string {
	resp, err := httpclient.Default.Get("http://" + g.site + "/payments/products")
	if err != nil {
		return err.Error()
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusInternalServerError {
		return resp.Status
	}
	return ""
}

// spawn starts the process and does not wait for it.
func (g *gate) spawn() {
	g.t.Helper()
	log, err := os.CreateTemp(g.dir, "log")
	if err != nil {
		g.t.Fatal(err)
	}
	command := []string{os.Args[0], "run", "--config", g.config()}
	if g.group != "" {
		command = append([]string{"sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, g.group}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "DODOGATE_TEST_RUN_MAIN=1", "XDG_DATA_HOME="+g.dir, "XDG_CONFIG_HOME="+g.dir,
		"DODO_PAYMENTS_API_KEY="+demoKey, "DODO_PAYMENTS_WEBHOOK_SECRET="+demoSecret)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	g.process, g.log, g.ended = cmd, log, ended
}

// kill ends the process as a power cut would.
func (g *gate) kill() {
	_ = g.process.Process.Kill()
	<-g.ended
	_ = g.log.Close()
}

// terminate asks the process to end, as a service manager does.
func (g *gate) terminate() {
	g.t.Helper()
	if err := g.process.Process.Signal(syscall.SIGTERM); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gate) runs() bool {
	select {
	case <-g.ended:
		return false
	default:
		return true
	}
}

func (g *gate) said() string {
	b, err := os.ReadFile(g.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// eventually waits until wrong has nothing to say.
func (g *gate) eventually(what string, wrong func() string) {
	g.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		problem := wrong()
		if problem == "" {
			return
		}
		if time.Now().After(end) {
			g.t.Fatalf("%s: %s; the process said:\n%s", what, problem, g.said())
		}
	}
}

// crowd is a client that keeps as many connections as a busy proxy.
var crowd = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func (g *gate) request(ctx context.Context, path, user string) *http.Request {
	g.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.site+path, http.NoBody)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Host = "shop.example.com" // the same to every gate
	req.Header.Set("X-Test-User", user)
	return req
}

// get reads an answer to its end.
func (g *gate) get(path, user string) (status int, header http.Header, body string, err error) {
	resp, err := crowd.Do(g.request(context.Background(), path, user))
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(text), err
}

func (g *gate) read(path, user string, into any) {
	g.t.Helper()
	status, _, body, err := g.get(path, user)
	for end := time.Now().Add(20 * time.Second); status == http.StatusServiceUnavailable && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // the store is slow on a busy machine
		status, _, body, err = g.get(path, user)
	}
	if err != nil || status != http.StatusOK || json.Unmarshal([]byte(body), into) != nil {
		g.t.Fatalf("%s: %d %s %v; the process said:\n%s", path, status, body, err, g.said())
	}
}

func (g *gate) credits(user string) int64 {
	g.t.Helper()
	var s struct{ Credits int64 }
	g.read("/payments/status", user, &s)
	return s.Credits
}

// leaves waits until the account can spend so much: a charge ends behind its
// answer.
func (g *gate) leaves(user string, want int64) {
	g.t.Helper()
	g.eventually("credits of "+user, func() string {
		if got := g.credits(user); got != want {
			return fmt.Sprintf("%d, want %d", got, want)
		}
		return ""
	})
}

// line is an entry of the ledger.
type line struct {
	Seq, Amount, Balance int64
	Kind, Grant, Cause   string
}

// ledger reads all entries of an account that never owed anything, newest first.
func (g *gate) ledger(user string) []line {
	g.t.Helper()
	all := g.entries(user)
	for _, e := range all {
		if e.Balance < 0 {
			g.t.Fatalf("entry %+v", e)
		}
	}
	return all
}

// entries reads all entries of an account, newest first, and checks that they add up.
func (g *gate) entries(user string) []line {
	g.t.Helper()
	var all []line
	for before := ""; ; {
		var page struct {
			Entries []line
			Next    *string
		}
		g.read("/payments/history?limit=100"+before, user, &page)
		all = append(all, page.Entries...)
		if page.Next == nil {
			break
		}
		before = "&before=" + *page.Next
	}
	var sum int64
	for i := len(all) - 1; i >= 0; i-- {
		sum += all[i].Amount
		if e := all[i]; e.Balance != sum || e.Seq != int64(len(all)-i) {
			g.t.Fatalf("entry %+v, where all before add up to %d", e, sum-e.Amount)
		}
	}
	return all
}

// captures counts the entries that spent something and checks that each hold spent
// once.
func captures(t *testing.T, entries []line) (n, spent int64) {
	t.Helper()
	causes := map[string]bool{}
	for _, e := range entries {
		if e.Kind != "capture" {
			continue
		}
		if causes[e.Cause] {
			t.Errorf("%s spent twice", e.Cause)
		}
		causes[e.Cause] = true
		n++
		spent -= e.Amount
	}
	return n, spent
}

// spends waits until so many holds have spent so much.
func (g *gate) spends(user string, n, credits int64) {
	g.t.Helper()
	g.eventually("charges", func() string {
		if gotN, got := captures(g.t, g.ledger(user)); gotN != n || got != credits {
			return fmt.Sprintf("%d of %d credits, want %d of %d", gotN, got, n, credits)
		}
		return ""
	})
}
