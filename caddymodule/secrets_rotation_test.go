package caddymodule_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

const filedDodo = `
	debug
	metrics
	log {
		output file {{Dir}}/caddy.log
		level DEBUG
	}
	dodo {
		api_key        {file.{{Dir}}/key}
		base_url       {{Dodo}}
		webhook_secret {file.{{Dir}}/hooks}
		proof_secret   {file.{{Dir}}/proof}
		store          bolt {{Dir}}/dodogate.db
		product pack10 {
			id      pdt_pack10
			credits 10
		}
	}`

// What the log says of a secret that changes.
const (
	logChanged    = "a secret was changed, and the new one is in use"
	logRefused    = "a new secret is refused; the one before it stays in use"
	logUnreadable = "a secret cannot be read again; its last value stays in use"
	logRecovered  = "a secret is as it was before"
)

// swap replaces a file at once, so that nobody reads half of it.
func (b *bench) swap(name, text string) {
	b.t.Helper()
	b.write(name+".new", text)
	if err := os.Rename(filepath.Join(b.Dir, name+".new"), filepath.Join(b.Dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

// wantLogged waits for one line for each setting.
func (b *bench) wantLogged(message string, settings ...string) {
	b.t.Helper()
	eventually(b.t, message, func() string {
		said := map[any]int{}
		for _, line := range b.logged(message) {
			said[line["setting"]]++
		}
		for _, setting := range settings {
			if said[setting] != 1 {
				return fmt.Sprintf("%v, want one line for %s", said, setting)
			}
		}
		return ""
	})
}

// secretOf is a webhook secret with a mark in it.
func secretOf(name string) (secret, mark string) {
	mark = base64.StdEncoding.EncodeToString([]byte("MARK-webhook-secret-of-24-" + name))
	return "whsec_" + mark, mark
}

// askedOfDodo is what the last checkout sent.
type askedOfDodo struct {
	mu       sync.Mutex
	key      string
	metadata map[string]string
}

func (a *askedOfDodo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Metadata map[string]string `json:"metadata"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	if r.Method == http.MethodPost {
		a.mu.Lock()
		a.key, a.metadata = r.Header.Get("Authorization"), body.Metadata
		a.mu.Unlock()
	}
	w.WriteHeader(http.StatusUnprocessableEntity)
}

// checkout buys something and compares what Dodo is asked with.
func (a *askedOfDodo) checkout(b *bench, key, proof string) string {
	b.t.Helper()
	b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	a.mu.Lock()
	defer a.mu.Unlock()
	prover, err := dodo.NewProver([][]byte{[]byte(proof)})
	if err != nil {
		b.t.Fatal(err)
	}
	switch _, proven := prover.Claim(a.metadata); {
	case a.key != "Bearer "+key:
		return "the API key is not " + key
	case !proven:
		return "the proof is not by " + proof
	}
	return ""
}

// Secrets in files change while the server runs: webhook secrets side by side until the old
// one is taken out, the API key, and the key of proofs. Bad ones are refused, and what is
// logged is logged once and without a secret.
func TestSecretsRotate(t *testing.T) {
	caddymodule.HurrySecrets(t)
	b := newBench(t)
	asked := new(askedOfDodo)
	b.Dodo = newServer(t, asked.ServeHTTP)
	old, oldMark := secretOf("old")
	fresh, freshMark := secretOf("new")
	short := base64.StdEncoding.EncodeToString([]byte("MARK-short"))
	marks := []string{"MARK", oldMark, freshMark, short}
	b.swap("key", "MARK-key-old\n")
	b.swap("hooks", old+"\n")
	b.swap("proof", "MARK-proof-secret-of-24-old\n")
	b.mustLoad(caddyfile(filedDodo, usualProxy))

	var answers strings.Builder
	events := 0
	delivered := func(secret string) int {
		events++
		a := b.deliver(secret, fmt.Sprintf("evt_%d", events), `{"business_id":"bus_1","type":"payment.processing","timestamp":"2026-01-01T00:00:00Z","data":{}}`)
		fmt.Fprintln(&answers, a)
		return a.status
	}
	verifies := func(what string, want map[string]int) {
		t.Helper()
		eventually(t, what, func() string {
			for secret, status := range want {
				if got := delivered(secret); got != status {
					return fmt.Sprintf("%s: %d, want %d", secret, got, status)
				}
			}
			return ""
		})
	}
	verifies("before", map[string]int{old: 200, fresh: 401})
	if wrong := asked.checkout(b, "MARK-key-old", "MARK-proof-secret-of-24-old"); wrong != "" {
		t.Fatal(wrong)
	}

	b.swap("key", "MARK-key-new\n")
	b.swap("hooks", fresh+"\n"+old+"\n")
	b.swap("proof", "MARK-proof-secret-of-24-new\n")
	verifies("side by side", map[string]int{old: 200, fresh: 200})
	b.wantLogged(logChanged, "api_key", "webhook_secret", "proof_secret")
	if wrong := asked.checkout(b, "MARK-key-new", "MARK-proof-secret-of-24-new"); wrong != "" {
		t.Error(wrong)
	}
	b.swap("hooks", fresh)
	verifies("the old one is taken out", map[string]int{old: 401, fresh: 200})

	b.swap("key", "MARK key with spaces")
	b.swap("hooks", old+"\nwhsec_"+short)
	b.swap("proof", "MARK-short")
	b.wantLogged(logRefused, "api_key", "webhook_secret", "proof_secret")
	verifies("a bad one is refused", map[string]int{old: 401, fresh: 200})
	b.swap("key", "")
	b.swap("proof", "\n")
	if err := os.Remove(filepath.Join(b.Dir, "hooks")); err != nil {
		t.Fatal(err)
	}
	b.wantLogged(logUnreadable, "api_key", "webhook_secret", "proof_secret")
	verifies("a lost file", map[string]int{old: 401, fresh: 200})
	if wrong := asked.checkout(b, "MARK-key-new", "MARK-proof-secret-of-24-new"); wrong != "" {
		t.Error(wrong)
	}
	b.swap("key", "MARK-key-new")
	b.swap("hooks", fresh)
	b.swap("proof", "MARK-proof-secret-of-24-new")
	b.wantLogged(logRecovered, "api_key", "webhook_secret", "proof_secret")
	// By now several looks have found each trouble, and it was logged once.
	b.wantLogged(logRefused, "api_key", "webhook_secret", "proof_secret")
	b.wantLogged(logUnreadable, "api_key", "webhook_secret", "proof_secret")

	// A reload reads them, too, and the new config follows the files.
	b.mustLoad(caddyfile(strings.Replace(filedDodo, "credits 10", "credits 20", 1), usualProxy))
	b.swap("hooks", old)
	verifies("after a reload", map[string]int{old: 200, fresh: 401})

	assertUnmarked(t, "an answer", answers.String(), marks)
	assertUnmarked(t, "the metrics", b.metrics(), marks)
	assertUnmarked(t, "the config that the admin API shows", b.admin("GET", "/config/").body, marks)
	for where, path := range map[string]string{"the log": filepath.Join(b.Dir, "caddy.log"), "the saved config": caddy.ConfigAutosavePath} {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", where, len(text), err)
		}
		assertUnmarked(t, where, string(text), marks)
	}
}

// Without proof_secret the proofs follow the API key.
func TestProofsFollowTheAPIKey(t *testing.T) {
	caddymodule.HurrySecrets(t)
	b := newBench(t)
	asked := new(askedOfDodo)
	b.Dodo = newServer(t, asked.ServeHTTP)
	b.swap("key", "key-old")
	b.mustLoad(caddyfile(strings.Replace(loggedDodo, "test_api_key", "{file.{{Dir}}/key}", 1), usualProxy))
	b.swap("key", "key-new")
	b.wantLogged(logChanged, "api_key")
	eventually(t, "the API key", func() string { return asked.checkout(b, "key-new", string(dodo.DeriveKey("key-new"))) })
}

// Kubernetes changes all secrets of a folder at once: each is a link into a folder that is a
// link as well, and only that one is replaced.
func TestSecretsOfLinks(t *testing.T) {
	caddymodule.HurrySecrets(t)
	b := newBench(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) string { return filepath.Join(b.Dir, name) }
	for _, version := range []string{"first", "second"} {
		must(os.Mkdir(path(version), 0o700))
		b.write(version+"/key", "MARK-"+version)
	}
	must(os.Symlink("first", path("data")))
	must(os.Symlink("data/key", path("key")))
	b.mustLoad(caddyfile(strings.Replace(loggedDodo, "test_api_key", "{file.{{Dir}}/key}", 1), usualProxy))
	must(os.Symlink("second", path("data.new")))
	must(os.Rename(path("data.new"), path("data")))
	must(os.RemoveAll(path("first")))
	b.wantLogged(logChanged, "api_key")
}

// TestSecretsOfAPipe: a pipe cannot be read twice. That is logged once, and nothing stops.
func TestSecretsOfAPipe(t *testing.T) {
	caddymodule.HurrySecrets(t)
	b := newBench(t)
	pipe := filepath.Join(b.Dir, "key")
	fill := makePipe(t, pipe)
	fill("MARK-key")
	b.mustLoad(caddyfile(strings.Replace(loggedDodo, "test_api_key", "{file.{{Dir}}/key}", 1), usualProxy))
	b.wantLogged(logUnreadable, "api_key")
	fill("MARK-key")
	b.mustLoad(caddyfile(strings.Replace(loggedDodo, "test_api_key", "{file.{{Dir}}/key}", 1), usualProxy+"\n"))
}

// makePipe returns what writes to a pipe once somebody reads it.
func makePipe(t *testing.T, path string) (fill func(text string)) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(text string) {
		go func() {
			_ = os.WriteFile(path, []byte(text), 0o600)
		}()
	}
}

// The password of Redis changes, in a file of its own or in one with the whole url: new
// connections use it, and those that are open go on.
func TestRedisPasswordRotates(t *testing.T) {
	for name, tt := range map[string]struct {
		store string
		file  string // with the password for %s and the address for ADDR
	}{
		"a password": {"redis redis://gate@ADDR {\n\t\t\tpassword {file.{{Dir}}/redis}\n\t\t\ttimeout 5s\n\t\t}", "%s\n"},
		"a url":      {"redis {file.{{Dir}}/redis} {\n\t\t\ttimeout 5s\n\t\t}", "redis://gate:%s@ADDR\n"},
	} {
		t.Run(name, func(t *testing.T) {
			caddymodule.HurrySecrets(t)
			b := newBench(t)
			server := redistest.Start(t)
			server.MustDo("ACL", "SETUSER", "gate", "on", ">MARK-old", "allkeys", "allchannels", "+@all")
			write := func(password string) {
				b.swap("redis", strings.ReplaceAll(fmt.Sprintf(tt.file, password), "ADDR", server.Addr))
			}
			lets := func(user string) {
				t.Helper()
				eventually(t, user, func() string {
					if a := b.do("GET", "/app", "", "X-Test-User", user); a.status != http.StatusOK {
						return fmt.Sprintf("%d %s", a.status, a.body)
					}
					return ""
				})
			}
			write("MARK-old")
			config := caddyfile(strings.Replace(loggedDodo, "bolt {{Dir}}/dodogate.db", strings.ReplaceAll(tt.store, "ADDR", server.Addr), 1), usualProxy)
			b.mustLoad(config)
			lets("alice")
			const setting = "url and password of store redis"

			// From now on only connections that are open have a right to be.
			server.MustDo("ACL", "SETUSER", "gate", "resetpass", ">MARK-new")
			lets("bob")
			write("")
			b.wantLogged(map[string]string{"a password": logUnreadable, "a url": logRefused}[name], setting)
			lets("carol")
			write("MARK-new")
			b.wantLogged(logChanged, setting)
			if killed := server.MustDo("CLIENT", "KILL", "USER", "gate"); killed == "0" {
				t.Fatal("there was no connection")
			}
			lets("dave")

			b.mustLoad(strings.Replace(config, "signup_credits 3", "signup_credits 9", 1))
			if n := caddymodule.OpenStores(); n != 1 {
				t.Errorf("%d handles, want one over reloads", n)
			}
			lets("erin")
			log, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log"))
			if err != nil {
				t.Fatal(err)
			}
			assertUnmarked(t, "the log", string(log), []string{"MARK"})
		})
	}
}

// A file of a url that names another server waits for a reload.
func TestRedisURLOfAnotherServer(t *testing.T) {
	caddymodule.HurrySecrets(t)
	b := newBench(t)
	server := redistest.Start(t, "--requirepass", "MARK-old")
	b.swap("url", "redis://:MARK-old@"+server.Addr)
	b.mustLoad(caddyfile(strings.Replace(loggedDodo, "bolt {{Dir}}/dodogate.db", "redis {file.{{Dir}}/url}", 1), usualProxy))
	b.swap("url", "redis://:MARK-new@127.0.0.1:1")
	b.wantLogged(logRefused, "url and password of store redis")
	if a := b.do("GET", "/app", "", "X-Test-User", "alice"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	log, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log"))
	if err != nil {
		t.Fatal(err)
	}
	assertUnmarked(t, "the log", string(log), []string{"MARK"})
	if !strings.Contains(string(log), "reload the config to go there") {
		t.Error("the log does not say what to do")
	}
}
