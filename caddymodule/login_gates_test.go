package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-jose/go-jose/v4"

	"github.com/dodogate/dodogate/internal/identity/identitytest"
)

// While the app cannot say who a visitor is, what needs an account is 503, and never
// answered as to an anonymous visitor. Free pages stay free.
func TestGatesWhileLoginIsDown(t *testing.T) {
	b := newBench(t)
	var broken atomic.Bool
	app := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"alice"}`)
	})
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		ask `+app+`/api/me {
			cookie sid
		}
		sign_in_url /login
	}
	dodo_charge /charged 1
	dodo_charge /own 1 {
		refuse error
	}
	dodo_require /required credits 1
	handle_errors {
		respond "own {http.dodo.refusal.code}"
	}
	handle /matched {
		@entitled dodo_entitled credits 1
		respond @entitled entitled
	}
	respond "{http.dodo.account}|{http.dodo.credits}|{http.request.header.X-Entitlement-User}|{http.request.header.X-Entitlement-Credits}"`))
	get := func(path, sid string, more ...string) answer {
		return b.do("GET", path, "", append(more, "Cookie", "sid="+sid+"; theme=dark")...)
	}
	for path, want := range map[string]string{"/": "alice|3|alice|3", "/required": "alice|3|alice|3", "/matched": "entitled"} {
		if a := get(path, "1"); a.status != 200 || a.body != want {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
	}
	broken.Store(true)
	for _, sid := range []string{"2", "3"} {
		for _, path := range []string{"/charged", "/required"} {
			b.problem(get(path, sid), 503, "login_unavailable")
			if a := get(path, sid, "Accept", "text/html"); a.status != 503 || !strings.Contains(a.body, "Sign-ins cannot be checked right now") || strings.Contains(a.body, "/login") {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
			if a := get(path, sid); a.header.Get("Retry-After") == "" {
				t.Errorf("%s: %v", path, a.header)
			}
		}
		if a := get("/own", sid); a.status != 503 || a.body != "own login_unavailable" {
			t.Errorf("a page of the site's own: %d %s", a.status, a.body)
		}
		if a := get("/matched", sid); a.status != 503 {
			t.Errorf("the matcher: %d %s", a.status, a.body)
		}
		b.problem(get("/payments/status", sid), 503, "login_unavailable")
		if a := get("/", sid); a.status != 200 || a.body != "|||0" { // placeholders are empty, not of somebody without credits
			t.Errorf("a free page: %d %s", a.status, a.body)
		}
	}
	// Visitors without a cookie stay anonymous.
	for _, header := range [][]string{nil, {"Cookie", "theme=dark"}} {
		b.problem(b.do("GET", "/required", "", header...), 401, "unauthenticated")
	}
	if p := b.problem(b.do("GET", "/charged", ""), 401, "unauthenticated"); p["sign_in_url"] != "/login" {
		t.Errorf("%v", p)
	}
	if a := b.do("GET", "/charged", "", "Accept", "text/html"); !strings.Contains(a.body, `<a class="button" href="/login">Sign in</a>`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// While a login is down the log says it once, whatever is asked.
func TestLoginOutageIsLoggedOnce(t *testing.T) {
	b := newBench(t)
	app := newServer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	b.mustLoad(caddyfile(usualDodo+"\n\tlog {\n\t\toutput file {{Dir}}/caddy.log\n\t}", `
	dodo_gateway {
		ask `+app+`/api/me
		compat fastapi
	}
	dodo_require /required paid
	dodo_charge /charged 1
	respond "free"`))
	for i := range 5 {
		for _, path := range []string{"/payments/status", "/payments/history", "/payment/status", "/required", "/charged", "/free"} {
			b.do("GET", path, "", "Cookie", fmt.Sprintf("sid=%d", i))
		}
	}
	text, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"level":"error"`) {
			told = append(told, line)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "the login cannot be asked") {
		t.Errorf("%d lines: %v", len(told), told)
	}
}

// A token that is not valid is nobody's on a matcher, and 401 at a gate; nothing in a
// body, a query or another header makes it somebody's.
func TestGatesWithBadTokens(t *testing.T) {
	b := newBench(t)
	issuer := identitytest.NewIssuer(t, jose.ES256)
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		jwt {
			jwks `+issuer.URL+`
			issuer me
			cookie token
		}
	}
	dodo_require /required credits 1
	@entitled dodo_entitled credits 1
	respond @entitled entitled
	respond "{http.dodo.credits}|{http.request.header.X-Entitlement-User}"`))
	good := issuer.Sign(map[string]any{"iss": "me", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	bad := issuer.Sign(map[string]any{"iss": "me", "sub": "alice", "exp": time.Now().Add(-time.Hour).Unix()})
	if a := b.do("GET", "/", "", "Cookie", "token="+good); a.body != "entitled" {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, header := range [][]string{
		{"Authorization", "Bearer " + bad}, {"Cookie", "token=" + bad}, {"Authorization", "Bearer " + bad, "Cookie", "token=" + good},
		{"Authorization", "Bearer " + strings.Repeat("a", 17<<10)},
	} {
		if a := b.do("POST", "/?sub=alice&account=alice&userId=alice", `{"userId":"alice","sub":"alice"}`, append(header, "X-Entitlement-User", "alice")...); a.body != "0|" {
			t.Errorf("%d %s", a.status, a.body)
		}
		b.problem(b.do("GET", "/required", "", header...), 401, "credentials_invalid")
		b.problem(b.do("POST", "/payments/checkout", `{"product":"pack10"}`, append(header, "Content-Type", "application/json")...), 401, "credentials_invalid")
	}
}

// Neither tokens nor the secret of a login are anywhere but in memory.
func TestLoginSecretsStayInMemory(t *testing.T) {
	b := newBench(t)
	marks := plant(t, b)
	const secret = "MARK-jwt-secret-0123456789abcdef012345"
	t.Setenv("DODOGATE_TEST_JWT", secret)
	b.mustLoad(caddyfile(plantedDodo, `
	log
	dodo_gateway {
		jwt {
			secret {env.DODOGATE_TEST_JWT}
			cookie token
		}
	}
	dodo_require /required paid
	reverse_proxy {{Upstream}}`))
	sign := func(end time.Duration) string {
		return identitytest.Sign(t, jose.JSONWebKey{Key: []byte(secret), Algorithm: "HS256"}, fmt.Sprintf(`{"sub":"alice","exp":%d}`, time.Now().Add(end).Unix()))
	}
	good, bad := sign(time.Hour), sign(-time.Hour)
	for _, token := range []string{good, bad} {
		marks = append(marks, token[strings.LastIndex(token, ".")+1:])
	}
	var answers strings.Builder
	for _, token := range []string{good, bad, "MARK.MARK.MARK"} {
		for _, path := range []string{"/required", "/payments/status", "/payments/return?order=ord_AAAAAAAAAAAAAAAAAAAAAA"} {
			fmt.Fprintln(&answers, b.do("GET", path, "", "Authorization", "Bearer "+token))
			fmt.Fprintln(&answers, b.do("GET", path, "", "Cookie", "token="+token))
		}
	}
	assertUnmarked(t, "an answer", answers.String(), marks)
	assertUnmarked(t, "the metrics", b.metrics(), marks)
	for where, path := range map[string]string{"the log": filepath.Join(b.Dir, "caddy.log"), "the saved config": caddy.ConfigAutosavePath} {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", where, len(text), err)
		}
		assertUnmarked(t, where, string(text), marks)
	}
}

// The same settings in JSON.
func TestLoginJSON(t *testing.T) {
	b := newBench(t)
	issuer := identitytest.NewIssuer(t, jose.EdDSA)
	config := b.fill(jsonConfig(jsonApp, `{"handler": "dodo_gateway", "jwt": {"jwks": "`+issuer.URL+`", "audiences": ["a", "b"], "leeway": "5s", "claims": {"account": ["user", "i.d"]}}}`))
	if err := validateJSON(t, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	token := issuer.Sign(map[string]any{"aud": "b", "user": map[string]any{"i.d": "alice"}, "exp": time.Now().Add(time.Hour).Unix()})
	if a := b.do("GET", "/payments/status", "", "Authorization", "Bearer "+token); a.status != 200 || !strings.Contains(a.body, `"account":"alice"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	for name, tt := range map[string]struct{ gateway, want string }{
		"none":    {`{"handler": "dodo_gateway", "jwt": {"jwks": "https://a.example", "issuers": ["a"], "algorithms": ["none"]}}`, "none is no signature"},
		"two":     {`{"handler": "dodo_gateway", "account": "{http.auth.user.id}", "ask": {"url": "http://a/me"}}`, "exclude each other"},
		"secrets": {`{"handler": "dodo_gateway", "jwt": {"secrets": ["{env.DODOGATE_TEST_UNSET}"]}}`, "jwt: secret 1: {env.DODOGATE_TEST_UNSET} is unset"},
		"leeway":  {`{"handler": "dodo_gateway", "jwt": {"jwks": "https://a.example", "issuers": ["a"], "leeway": "-1s"}}`, "leeway must be from 0"},
		"ask":     {`{"handler": "dodo_gateway", "ask": {}}`, "ask needs the app's own address"},
		"field":   {`{"handler": "dodo_gateway", "ask": {"url": "http://a/me", "fields": {"account": ["a", ""]}}}`, "has an empty name in it"},
	} {
		t.Run(name, func(t *testing.T) {
			assertRefused(t, validateJSON(t, b.fill(jsonConfig(jsonApp, tt.gateway))), tt.want)
		})
	}
}

// The logins that the README shows are options as they are.
func TestLoginsOfReadme(t *testing.T) {
	ran := 0
	for _, code := range blocksOf(t, "../README.md") {
		if option := strings.TrimSpace(code.text); code.language == "caddyfile" && strings.HasPrefix(option, "# ") && strings.HasSuffix(option, "}") {
			ran++
			if _, err := adapt("example.com {\n\tdodo_gateway {\n" + code.text + "\n\t}\n}\n"); err != nil {
				t.Error(err)
			}
		}
	}
	if ran != 2 {
		t.Errorf("it shows %d", ran)
	}
}
