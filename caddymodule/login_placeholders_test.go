package caddymodule_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/caddymodule"
)

func TestAccountIDs(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	for name, tt := range map[string]struct{ id, header string }{
		"plain":                    {"alice", "alice"},
		"of a login provider":      {"auth0|5f7c8ec7c33c6c004bbafe82", "auth0|5f7c8ec7c33c6c004bbafe82"},
		"an e-mail address":        {"a.b+c@example.com", "a.b+c@example.com"},
		"braces":                   {"a{b}c", "a{b}c"},
		"a placeholder of Caddy's": {"{env.PATH}", "{env.PATH}"},
		"a file":                   {"{file./etc/passwd}", "{file./etc/passwd}"},
		"template":                 {"{{env `PATH`}}", "{{env%20`PATH`}}"},
		"a space":                  {"a b", "a%20b"},
		"a percent sign":           {"a%20b", "a%2520b"},
		"a tab":                    {"a\tb", "a%09b"},
		"unicode":                  {"zoë", "zo%C3%AB"},
		"not utf-8":                {"a\xffb", "a%FFb"},
		"256 bytes":                {strings.Repeat("x", 256), strings.Repeat("x", 256)},
	} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			d := b.seen(b.do("GET", "/app", "", "X-Test-User", tt.id))
			assertEntitlement(t, d, newcomer(tt.header))
			if back, err := url.PathUnescape(d.Header.Get("X-Entitlement-User")); back != tt.id {
				t.Errorf("decodes to %q, %v", back, err)
			}
		})
	}
}

func TestAccountIDTooLong(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	for _, path := range []string{"/app", "/payments/status"} {
		a := b.do("GET", path, "", "X-Test-User", strings.Repeat("x", 257))
		if a.status != http.StatusInternalServerError || a.header.Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(a.body, `"account_invalid"`) {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
}

// A login that gives control characters cannot forge a second header.
func TestAccountIDWithNewline(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	vars uid "eve
X-Entitlement-Has-Paid: true"
	dodo_gateway {
		account {vars.uid}
	}
	reverse_proxy {{Upstream}}`))
	assertEntitlement(t, b.seen(b.do("GET", "/app", "")), newcomer("eve%0AX-Entitlement-Has-Paid:%20true"))
}

// Nobody is logged in: that must be nobody, not an account with the name of a
// placeholder. And nobody is nobody even when the store is away.
func TestAnonymous(t *testing.T) {
	for name, site := range map[string]string{
		"no login at all": `
	dodo_gateway {
		account {http.auth.user.id}
	}`,
		"a header that is not there": usualGateway,
		"a variable that is not set": `
	dodo_gateway {
		account {vars.nobody}
	}`,
		"half of the id": `
	dodo_gateway {
		account {http.request.host}:{http.auth.user.id}
	}`,
		"a header that holds the placeholder's name": `
	route {
		request_header X-Test-User {http.auth.user.id}
		dodo_gateway {
			account {http.request.header.X-Test-User}
		}
	}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(usualDodo, site+"\n\treverse_proxy {{Upstream}}"))
			caddymodule.BreakStores()
			assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Entitlement-User", "alice")), anonymous)
			if a := b.do("GET", "/payments/status", ""); a.status != http.StatusUnauthorized {
				t.Errorf("status route: %d %s", a.status, a.body)
			}
		})
	}
}

func TestBasicAuth(t *testing.T) {
	b := newBench(t)
	// The hash is of "secret", at the lowest cost.
	b.mustLoad(caddyfile(usualDodo, `
	basic_auth {
		alice $2a$04$ruQbIl8vnhMcV5ar88NZZemwlmIkjQDG8J37iTcFSlWYwKLLkUNnS
	}
	dodo_webhook
	dodo_gateway {
		account {http.auth.user.id}
	}
	reverse_proxy {{Upstream}}`))
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+b.Port+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", "secret")
	assertEntitlement(t, b.seen(b.send(req)), newcomer("alice"))

	for _, tt := range []struct {
		method, path, code string
		status             int
	}{
		{"POST", "/payments/webhook", "webhook_signature_invalid", 401},
		{"POST", "/payments/webhook/", "webhook_signature_invalid", 401},
		{"GET", "/payments/webhook", "", 401},
		{"POST", "/payments/checkout", "", 401},
	} {
		a := b.do(tt.method, tt.path, "{}")
		if a.status != tt.status || !strings.Contains(a.body, tt.code) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, a.status, a.body)
		}
		if login := a.header.Get("WWW-Authenticate") != ""; login == (tt.code != "") {
			t.Errorf("%s %s asks for a login: %v", tt.method, tt.path, login)
		}
	}
}

// With forward_auth the identity is a header, which a client could send itself.
func TestForwardAuth(t *testing.T) {
	b := newBench(t)
	auth := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if _, name, ok := r.BasicAuth(); ok {
			w.Header().Set("Remote-User", name)
		}
	})
	b.mustLoad(caddyfile(usualDodo, `
	forward_auth `+auth+` {
		uri /verify
		copy_headers Remote-User
	}
	dodo_gateway {
		account {http.request.header.Remote-User}
	}
	reverse_proxy {{Upstream}}`))
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "Remote-User", "alice")), anonymous)
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+b.Port+"/app", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("", "bob")
	req.Header.Set("Remote-User", "alice")
	assertEntitlement(t, b.seen(b.send(req)), newcomer("bob"))
}
