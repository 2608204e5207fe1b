package caddymodule_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// plant puts secrets with a mark in them where a config finds them.
func plant(t *testing.T, b *bench) (marks []string) {
	t.Helper()
	hook := base64.StdEncoding.EncodeToString([]byte("MARK-webhook-secret-0123456789"))
	t.Setenv("DODOGATE_TEST_KEY", "MARK-api-key")
	t.Setenv("DODOGATE_TEST_HOOK", "whsec_"+hook)
	if err := os.WriteFile(filepath.Join(b.Dir, "proof"), []byte("MARK-proof-secret-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"MARK", hook}
}

func assertUnmarked(t *testing.T, where, text string, marks []string) {
	t.Helper()
	for _, mark := range marks {
		if i := strings.Index(text, mark); i >= 0 {
			t.Errorf("a secret is in %s: …%s…", where, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

const plantedDodo = `
	debug
	metrics
	log {
		output file {{Dir}}/caddy.log
		level DEBUG
	}
	dodo {
		api_key        {env.DODOGATE_TEST_KEY}
		base_url       {{Dodo}}
		webhook_secret {env.DODOGATE_TEST_HOOK} whsec_ZG9kb2dhdGUtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OQ==
		proof_secret   {file.{{Dir}}/proof}
		store          bolt {{Dir}}/dodogate.db
		product pack10 {
			id      pdt_pack10
			credits 10
		}
	}`

// Secrets are nowhere but in memory: not in logs at DEBUG, answers, metrics, the
// config that the admin API shows, or the one that is saved.
func TestSecretsStayInMemory(t *testing.T) {
	b := newBench(t)
	marks := plant(t, b)
	status := 0
	authorized := ""
	b.Dodo = newServer(t, func(w http.ResponseWriter, r *http.Request) {
		authorized = r.Header.Get("Authorization")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"code":"NO","message":"`+authorized+`"}`)
	})
	b.mustLoad(caddyfile(plantedDodo, usualGateway+"\n\tlog\n\treverse_proxy {{Upstream}}"))
	var answers strings.Builder
	for _, status = range []int{401, 422, 302, 200} {
		a := b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
		fmt.Fprintln(&answers, a)
	}
	if authorized != "Bearer MARK-api-key" {
		t.Fatalf("the key was not used: %q", authorized)
	}
	for _, path := range []string{"/app", "/payments/status", "/payments/history", "/payments/products", "/payments/webhook"} {
		fmt.Fprintln(&answers, b.do("GET", path, "", "X-Test-User", "alice"))
		fmt.Fprintln(&answers, b.do("POST", path, "{}", "X-Test-User", "alice", "Webhook-Id", "a", "Webhook-Timestamp", "1", "Webhook-Signature", "v1,x"))
	}
	assertUnmarked(t, "an answer", answers.String(), marks)
	assertUnmarked(t, "the metrics", b.metrics(), marks)

	req, err := http.NewRequest(http.MethodGet, "http://"+b.Admin+"/config/", nil)
	if err != nil {
		t.Fatal(err)
	}
	shown := b.send(req).body
	if !strings.Contains(shown, "{env.DODOGATE_TEST_KEY}") {
		t.Errorf("the config is not shown: %s", shown)
	}
	assertUnmarked(t, "the config that the admin API shows", shown, marks)

	for where, path := range map[string]string{"the log": filepath.Join(b.Dir, "caddy.log"), "the saved config": caddy.ConfigAutosavePath} {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", where, len(text), err)
		}
		assertUnmarked(t, where, string(text), marks)
	}
}

// A config is refused for a bad secret without saying it.
func TestErrorsDoNotQuoteSecrets(t *testing.T) {
	t.Setenv("DODOGATE_TEST_SHORT", "whsec_TUFSSy1zaG9ydA==") // MARK-short
	t.Setenv("DODOGATE_TEST_EMPTY", "")
	marks := []string{"MARK", "TUFSS"}
	for name, tt := range map[string]struct{ old, new, want string }{
		"two keys":              {"test_api_key", "MARK1 MARK2", "api_key takes exactly one argument"},
		"key in braces":         {"test_api_key", "MARK{MARK}", "api_key: a placeholder"},
		"key of a placeholder":  {"test_api_key", "{env.DODOGATE_TEST_EMPTY}", "api_key: {env.DODOGATE_TEST_EMPTY} is unset or empty"},
		"key of a file":         {"test_api_key", "{file./nonexistent/key}", "api_key: {file./nonexistent/key} cannot be read or is empty"},
		"key with a space":      {"test_api_key", `"MARK key"`, "api_key"},
		"short webhook secret":  {webhookSecret, "{env.DODOGATE_TEST_SHORT}", "webhook_secret: webhook secret 1: too short"},
		"wrong webhook secret":  {webhookSecret, webhookSecret + " whsec_MARK!", "webhook_secret: webhook secret 2"},
		"empty webhook secret":  {webhookSecret, webhookSecret + ` ""`, "webhook_secret has an empty argument"},
		"unset webhook secret":  {webhookSecret, webhookSecret + " {env.DODOGATE_TEST_UNSET}", "webhook_secret 2: {env.DODOGATE_TEST_UNSET} is unset"},
		"short proof secret":    {"signup_credits 3", "proof_secret MARK", "proof_secret: proof secret 1: too short"},
		"password in base_url":  {"{{Dodo}}", "https://me:MARK@example.com", "base url"},
		"broken base_url":       {"{{Dodo}}", "https://me:MA%RK@exa mple", "base_url"},
		"key twice":             {"test_api_key", "MARK\n\t\tapi_key MARK", "api_key is given twice"},
		"block after a secret":  {webhookSecret, webhookSecret + " {\n\t\t}", ""},
		"store url":             {"bolt {{Dir}}/dodogate.db", "redis redis://:MARK@[::1", "store redis: redis URL is not"},
		"store url of another":  {"bolt {{Dir}}/dodogate.db", "redis http://:MARK@127.0.0.1", "url must begin with redis://"},
		"store password":        {"bolt {{Dir}}/dodogate.db", "redis redis://127.0.0.1:1 {\n\t\t\tpassword MARK MARK\n\t\t}", "password takes exactly one argument"},
		"store password unset":  {"bolt {{Dir}}/dodogate.db", "redis redis://127.0.0.1:1 {\n\t\t\tpassword {env.DODOGATE_TEST_UNSET}\n\t\t}", "password: {env.DODOGATE_TEST_UNSET} is unset"},
		"store that is away":    {"bolt {{Dir}}/dodogate.db", "redis redis://:MARK@127.0.0.1:1", "127.0.0.1:1"},
		"store with two places": {"bolt {{Dir}}/dodogate.db", "redis redis://:MARK@a redis://:MARK@b", "takes at most one argument"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			err := b.load(caddyfile(strings.Replace(usualDodo, tt.old, tt.new, 1), usualProxy))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q does not say %q", err, tt.want)
			}
			assertUnmarked(t, "the error", err.Error(), marks)
		})
	}
}
