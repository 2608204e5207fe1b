package caddymodule_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/caddymodule"
)

// The base path is answered by the gateway in every spelling, and nothing else is.
func TestBasePath(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway /billing {
		account {http.request.header.X-Test-User}
	}
	reverse_proxy {{Upstream}}`))
	for _, tt := range []struct {
		path string
		want int // 0: the app answers
	}{
		{"/billing/status", 200},
		{"/Billing/STATUS", 200},
		{"/billing//status", 200},
		{"/billing/%73tatus", 200},
		{"/billing/nothing", 404},
		{"/billing", 404},
		{"/billing%2fnothing", 404},
		{"/x/..%2fbilling/nothing", 404},
		{"/index.php/billing/status", 404},
		{"//anything/billing/status", 404},
		{"/x/%c0%ae%c0%ae/billing/status", 404},
		{"/", 0},
		{"/billings", 0},
		{"/payments/status", 0},
	} {
		a := b.do("GET", tt.path, "", "X-Test-User", "alice")
		if tt.want == 0 {
			assertEntitlement(t, b.seen(a), newcomer("alice"))
		} else if a.status != tt.want || strings.Contains(a.body, `"Proto"`) {
			t.Errorf("%s: %d %s, want %d", tt.path, a.status, a.body, tt.want)
		}
	}
}

func TestStatusRoute(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	a := b.do("GET", "/payments/status", "", "X-Test-User", "alice")
	var got struct {
		Account string `json:"account"`
		Credits int64  `json:"credits"`
		Plan    string `json:"plan"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Account != "alice" || got.Credits != 3 || got.Plan != "none" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Without the store, who has an account gets 503, never somebody else's answer
// and never "has not paid"; who has none is served as ever.
func TestStoreUnavailable(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	caddymodule.BreakStores()
	a := b.do("GET", "/app", "", "X-Test-User", "alice")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" ||
		a.header.Get("Content-Type") != "application/problem+json" || !strings.Contains(a.body, `"store_unavailable"`) {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	assertEntitlement(t, b.seen(b.do("GET", "/app", "")), anonymous)
}

func TestPlaceholders(t *testing.T) {
	b := newBench(t)
	page := `{{placeholder "http.dodo.account"}} {{placeholder "http.dodo.credits"}} {{placeholder "http.dodo.plan"}}`
	if err := os.WriteFile(filepath.Join(b.Dir, "page.html"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	b.mustLoad(caddyfile(usualDodo+`
	log {
		output file {{Dir}}/caddy.log
	}`, usualGateway+`
	log
	log_append left {http.dodo.credits}
	respond /all "{http.dodo.account}|{http.dodo.credits}|{http.dodo.has_paid}|{http.dodo.plan}|{http.dodo.plan_status}|{http.dodo.plan_expires_at}|{http.dodo.features}|"
	respond /unknown "{http.dodo.password}"
	@rich expression {http.dodo.credits} == "3"
	handle /rich {
		respond @rich "is rich"
		respond "is poor"
	}
	handle /free {
		@free vars {http.dodo.plan} none
		respond @free "is free"
	}
	templates
	root {{Dir}}
	file_server`))
	for _, tt := range []struct{ path, user, want string }{
		{"/all", "alice", "alice|3|false|none|none|||"},
		{"/all", "", "|0|false|none|none|||"},
		{"/all", `<b>"&'{{env "HOME"}}\`, "%3Cb%3E%22%26%27%7B%7Benv%20%22HOME%22%7D%7D%5C|3|false|none|none|||"},
		{"/unknown", "alice", "{http.dodo.password}"}, // not ours
		{"/page.html", "alice", "alice 3 none"},
		{"/page.html", "", " 0 none"},
		{"/rich", "alice", "is rich"},
		{"/rich", "", "is poor"},
		{"/free", "alice", "is free"},
	} {
		header := []string{}
		if tt.user != "" {
			header = []string{"X-Test-User", tt.user}
		}
		if a := b.do("GET", tt.path, "", header...); a.body != tt.want {
			t.Errorf("%s for %q: %q, want %q", tt.path, tt.user, a.body, tt.want)
		}
	}
	if log, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log")); !strings.Contains(string(log), `"left":"3"`) {
		t.Errorf("the access log does not have it: %s %v", log, err)
	}
}

// Early data can be repeated by anybody on the way. A real handshake is not
// needed to see what is done about it.
func TestEarlyData(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	for _, tt := range []struct {
		method, path string
		done         bool
		want         int
	}{
		{"POST", "/payments/checkout", false, http.StatusTooEarly},
		{"POST", "/payments/confirm", false, http.StatusTooEarly},
		{"POST", "/payments/checkout", true, http.StatusUnprocessableEntity},
		{"GET", "/payments/status", false, http.StatusOK},
	} {
		r := httptest.NewRequest(tt.method, "https://127.0.0.1:"+b.Port+tt.path, strings.NewReader(`{"product":"nope"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Test-User", "alice")
		r.TLS = &tls.ConnectionState{HandshakeComplete: tt.done}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s %s, handshake complete %v: %d %s, want %d", tt.method, tt.path, tt.done, w.Code, w.Body, tt.want)
		}
	}
}
