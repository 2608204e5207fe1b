package caddymodule_test

import (
	"strings"
	"testing"
)

// What a site says of all its answers, in every way that Caddy knows.
var headersOfSites = map[string]string{
	"set":      "header {\n\t\tContent-Security-Policy \"default-src *\"\n\t\tCache-Control \"public, max-age=600\"\n\t\tX-Frame-Options SAMEORIGIN\n\t\tCDN-Cache-Control max-age=600\n\t\tExpires \"Thu, 01 Jan 2099 00:00:00 GMT\"\n\t}",
	"deferred": "header {\n\t\tdefer\n\t\tContent-Security-Policy \"default-src *\"\n\t\tCache-Control \"public, max-age=600\"\n\t\tX-Frame-Options SAMEORIGIN\n\t\tCDN-Cache-Control max-age=600\n\t\tExpires \"Thu, 01 Jan 2099 00:00:00 GMT\"\n\t}",
	"one by one": "header >Content-Security-Policy \"default-src *\"\n\theader >Cache-Control \"public, max-age=600\"\n\theader >X-Frame-Options SAMEORIGIN\n" +
		"\theader >CDN-Cache-Control max-age=600\n\theader >Expires \"Thu, 01 Jan 2099 00:00:00 GMT\"",
	"removed":           "header {\n\t\t-Content-Security-Policy\n\t\t-Cache-Control\n\t\t-X-Frame-Options\n\t\tdefer\n\t}",
	"added":             "header {\n\t\t+Content-Security-Policy \"default-src *\"\n\t\t+Cache-Control \"public, max-age=600\"\n\t\tdefer\n\t}",
	"by the answer":     "header {\n\t\tCache-Control \"public, max-age=600\"\n\t\tContent-Security-Policy \"default-src *\"\n\t\tmatch status 2xx 4xx\n\t}",
	"with a log":        "log\n\theader {\n\t\tContent-Security-Policy \"default-src *\"\n\t\tCache-Control \"public, max-age=600\"\n\t\tdefer\n\t}",
	"with compression":  "route {\n\t\theader {\n\t\t\tContent-Security-Policy \"default-src *\"\n\t\t\tCache-Control \"public, max-age=600\"\n\t\t\tdefer\n\t\t}\n\t\tencode {\n\t\t\tminimum_length 1\n\t\t}\n\t}",
	"replaced in texts": "header {\n\t\tCache-Control no-store \"public, max-age=600\"\n\t\tdefer\n\t}",
}

// Our answers say for themselves what their page may do, and whether they may be kept.
func TestOwnHeadersStay(t *testing.T) {
	for name, header := range headersOfSites {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(planDodo, "\n\t"+header+oursWith+"dodo_charge /generate 10\n\theader X-Site yes\n\treverse_proxy {{Upstream}}"))
			for _, tt := range []struct {
				method, path, user, accept string
				status                     int
			}{
				{"GET", "/payments/status", "alice", "", 200},
				{"GET", "/payments/status", "", "", 401},
				{"GET", "/payments/return?order=x", "", "text/html", 200},
				{"GET", "/payments/nothing", "", "text/html", 404},
				{"GET", "/pro/x", "", "", 401},
				{"GET", "/pro/x", "", "text/html", 401},
				{"GET", "/pro/x", "alice", "", 402},
				{"GET", "/pro/x", "alice", "text/html", 402},
				{"GET", "/generate", "alice", "text/html", 402},
				{"POST", "/payments/webhook", "", "", 401},
				{"GET", "/free", strings.Repeat("a", 300), "text/html", 500},
			} {
				sent := []string{"Accept-Encoding", "gzip"}
				if tt.user != "" {
					sent = append(sent, "X-Test-User", tt.user)
				}
				if tt.accept != "" {
					sent = append(sent, "Accept", tt.accept)
				}
				a := b.do(tt.method, tt.path, "", sent...)
				what := tt.method + " " + tt.path + " for " + tt.accept
				if a.status != tt.status {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
				if got := strings.Join(a.header.Values("Cache-Control"), "|"); got != "no-store" {
					t.Errorf("%s: Cache-Control is %q", what, got)
				}
				for _, field := range []string{"CDN-Cache-Control", "Expires"} {
					if got := a.header.Get(field); got != "" {
						t.Errorf("%s: %s is %q", what, field, got)
					}
				}
				policy := strings.Join(a.header.Values("Content-Security-Policy"), "|")
				if tt.accept != "" && (!strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "*") || a.header.Get("X-Frame-Options") != "DENY") {
					t.Errorf("%s: the policy is %q, frames: %q", what, policy, a.header.Get("X-Frame-Options"))
				}
				if a.header.Get("X-Site") != "yes" {
					t.Errorf("%s: other headers of the site are gone: %v", what, a.header)
				}
			}
			if a := b.do("GET", "/payments/products", ""); a.header.Get("Cache-Control") != "public, max-age=60" {
				t.Errorf("products: %v", a.header)
			}
			// The app's answers are the site's.
			if a := b.do("GET", "/free", ""); strings.HasPrefix(name, "deferred") && a.header.Get("Content-Security-Policy") != "default-src *" {
				t.Errorf("the app: %v", a.header)
			}
		})
	}
}

// A page by which intercept replaces our answer has the headers of the site.
func TestInterceptedAnswerIsTheSites(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, `
	route {
		header {
			Cache-Control "public, max-age=600"
			defer
		}
		intercept {
			@paywall status 402
			handle_response @paywall {
				respond "buy at the counter" 402
			}
		}`+usualGateway+`
		dodo_require /pro/* plan pro
		respond ok
	}`))
	a := b.do("GET", "/pro/x", "", "X-Test-User", "alice")
	if a.status != 402 || a.body != "buy at the counter" || a.header.Get("Cache-Control") != "public, max-age=600" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}
