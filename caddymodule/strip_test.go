package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

// Servers that see a request before dodo_gateway do not see what the client claims,
// and those behind it see what is true.
func TestStrip(t *testing.T) {
	var claims []string
	auth := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(fold(name), "xentitlement") {
				claims = append(claims, name)
			}
		}
		w.Header().Set("Remote-User", r.Header.Get("X-Test-User"))
		if r.Header.Get("X-Test-User") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	site := `
	forward_auth ` + strings.TrimPrefix(auth, "http://") + ` {
		uri /verify
		copy_headers Remote-User
	}
	dodo_gateway {
		account {http.request.header.Remote-User}
	}
	error /broken 500
	reverse_proxy {{Upstream}}
	handle_errors {
		reverse_proxy ` + strings.TrimPrefix(auth, "http://") + `
	}`
	headers := []string{"X-Entitlement-Plan", "pro", "x-entitlement--credits", "9", "X-Entitlement-User", "bob"}
	for name, tt := range map[string]struct {
		site string
		want int // names that the server before the gateway sees
	}{
		"without": {site, 3},
		"with":    {"\n\tdodo_strip" + site, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(usualDodo, tt.site))
			claims = nil
			assertEntitlement(t, b.seen(b.do("GET", "/", "", append(headers, "X-Test-User", "alice")...)), newcomer("alice"))
			if len(claims) != tt.want {
				t.Errorf("the login's server sees %q", claims)
			}
			claims = nil
			if a := b.do("GET", "/", "", headers...); a.status != 401 || len(claims) != tt.want {
				t.Errorf("%d, the login's server sees %q", a.status, claims)
			}
		})
	}
}

// A server behind handle_errors sees the claims of a client whose login failed, but not
// behind dodo_strip.
func TestStripBeforeErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		first, inErrors string
		want            int
	}{
		"without":          {"", "", 1},
		"in the site":      {"dodo_strip", "", 0},
		"in handle_errors": {"", "dodo_strip", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(usualDodo, tt.first+`
	basic_auth {
		alice $2a$04$ruQbIl8vnhMcV5ar88NZZemwlmIkjQDG8J37iTcFSlWYwKLLkUNnS
	}
	dodo_gateway {
		account {http.auth.user.id}
	}
	handle_errors {
		`+tt.inErrors+`
		reverse_proxy {{Upstream}}
	}`))
			if got := b.seen(b.do("GET", "/", "", "X-Entitlement-Plan", "pro")).claims("X-Entitlement-Plan"); len(got) != tt.want {
				t.Errorf("the server of handle_errors sees %q", got)
			}
		})
	}
}
