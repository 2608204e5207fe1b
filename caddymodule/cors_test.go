package caddymodule_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const appOrigin = "https://app.test"

// crossSite is a site whose API is used by pages of another origin.
func crossSite(option, rest string) string {
	return caddyfile(planDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		`+option+`
	}
	dodo_require /pro/* plan pro
	dodo_charge /generate 10
	`+rest)
}

// assertReadable wants an answer that the page of appOrigin may read, or no page.
func assertReadable(t *testing.T, what string, a answer, readable bool) {
	t.Helper()
	origin, credentials := a.header.Values("Access-Control-Allow-Origin"), a.header.Values("Access-Control-Allow-Credentials")
	if readable && (!slices.Equal(origin, []string{appOrigin}) || !slices.Equal(credentials, []string{"true"})) {
		t.Errorf("%s: %d, allowed are %q with credentials %q", what, a.status, origin, credentials)
	}
	if !readable && (len(origin) > 0 || len(credentials) > 0) {
		t.Errorf("%s: %d, allowed are %q with credentials %q", what, a.status, origin, credentials)
	}
}

// A page of a trusted origin reads every answer of ours; no other page does.
func TestCrossOriginReading(t *testing.T) {
	for _, origin := range []string{"", "null", appOrigin, "https://app.test:8443", "http://app.test", "https://x.app.test", "https://evil.test", "HTTPS://APP.TEST", "*"} {
		for _, option := range []string{"", "trusted_origins https://shop.test " + appOrigin} {
			b := newBench(t)
			shop(t, b)
			b.mustLoad(crossSite(option, "reverse_proxy {{Upstream}}"))
			readable := option != "" && origin == appOrigin
			for _, tt := range []struct {
				what, method, path, body, user string
				status                         int
			}{
				{"status", "GET", "/payments/status", "", "alice", 200},
				{"nobody's status", "GET", "/payments/status", "", "", 401},
				{"products", "GET", "/payments/products", "", "", 200},
				{"no route", "GET", "/payments/nothing", "", "alice", 404},
				{"wrong method", "GET", "/payments/checkout", "", "alice", 405},
				{"the plan is missing", "GET", "/pro/x", "", "alice", 402},
				{"nobody's plan", "GET", "/pro/x", "", "", 401},
				{"a page is refused", "GET", "/pro/x", "", "alice", 402},
				{"credits are missing", "GET", "/generate", "", "alice", 402},
				{"the account is invalid", "GET", "/free", "", strings.Repeat("a", 300), 500},
			} {
				header := []string{"Content-Type", "application/json"}
				if tt.user != "" {
					header = append(header, "X-Test-User", tt.user)
				}
				if origin != "" {
					header = append(header, "Origin", origin)
				}
				if tt.what == "a page is refused" {
					header = append(header, "Accept", "text/html")
				}
				a := b.do(tt.method, tt.path, tt.body, header...)
				if a.status != tt.status {
					t.Errorf("%s from %q: %d %s", tt.what, origin, a.status, a.body)
				}
				assertReadable(t, tt.what+" from "+origin, a, readable)
				if varies := slices.Contains(a.header.Values("Vary"), "Origin"); varies != (option != "") {
					t.Errorf("%s from %q with %q: Vary is %q", tt.what, origin, option, a.header.Values("Vary"))
				}
			}
			if a := b.do("GET", "/free", "", "Origin", appOrigin); len(a.header.Values("Access-Control-Allow-Origin")) > 0 {
				t.Errorf("an answer of the app: %v", a.header)
			}
		}
	}
}

// A page of a trusted origin buys: the browser asks first, then sends.
func TestCrossOriginCheckout(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	const buy, wants = `{"product":"pack10"}`, "content-type,idempotency-key"
	send := func(origin string) (asked, sent answer) {
		asked = b.do("OPTIONS", "/payments/checkout", "", "Origin", origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", wants)
		sent = b.do("POST", "/payments/checkout", buy, "Origin", origin, "Content-Type", "application/json", "X-Test-User", "alice")
		return asked, sent
	}
	b.mustLoad(crossSite("trusted_origins "+appOrigin, "reverse_proxy {{Upstream}}"))
	asked, sent := send(appOrigin)
	assertReadable(t, "preflight", asked, true)
	assertReadable(t, "checkout", sent, true)
	if asked.status != 204 || asked.body != "" || asked.header.Get("Access-Control-Allow-Methods") != "POST" ||
		asked.header.Get("Access-Control-Allow-Headers") != wants || asked.header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight: %d %v", asked.status, asked.header)
	}
	if sent.status != 201 || !strings.Contains(sent.header.Get("Access-Control-Expose-Headers"), "ETag") {
		t.Errorf("checkout: %d %v %s", sent.status, sent.header, sent.body)
	}
	for _, origin := range []string{"https://evil.test", "null"} {
		asked, sent := send(origin)
		assertReadable(t, "preflight from "+origin, asked, false)
		b.problem(asked, 405, "method_not_allowed")
		b.problem(sent, 403, "cross_origin")
	}
	if a := b.do("OPTIONS", "/payments/status", "", "Origin", appOrigin, "Access-Control-Request-Method", "GET"); a.header.Get("Access-Control-Allow-Methods") != "GET, HEAD" {
		t.Errorf("preflight of GET: %d %v", a.status, a.header)
	}
	// Names that no browser sends are not repeated.
	a := b.do("OPTIONS", "/payments/checkout", "", "Origin", appOrigin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "a b;c")
	if got := a.header.Values("Access-Control-Allow-Headers"); len(got) > 0 {
		t.Errorf("allowed are %q", got)
	}
	b.mustLoad(crossSite("", "reverse_proxy {{Upstream}}"))
	asked, sent = send(appOrigin)
	assertReadable(t, "preflight without trusted_origins", asked, false)
	b.problem(asked, 405, "method_not_allowed")
	b.problem(sent, 403, "cross_origin")
}

// The app answers a preflight for a gated address, if it can.
func TestPreflightOfGate(t *testing.T) {
	knows := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://other.test")
		w.WriteHeader(http.StatusNoContent)
	})
	knowsNot := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusMethodNotAllowed)
		_, _ = io.WriteString(w, "no")
	})
	for name, tt := range map[string]struct {
		app, option, origin string
		status              int
		allowed             []string
	}{
		"the app knows":              {knows, "trusted_origins " + appOrigin, appOrigin, 204, []string{"https://other.test"}},
		"the app does not":           {knowsNot, "trusted_origins " + appOrigin, appOrigin, 200, []string{appOrigin}},
		"a page of another site":     {knowsNot, "trusted_origins " + appOrigin, "https://evil.test", 405, nil},
		"a page of no site":          {knowsNot, "trusted_origins " + appOrigin, "null", 405, nil},
		"no origin is trusted":       {knowsNot, "", appOrigin, 405, nil},
		"the app knows, others ask":  {knows, "trusted_origins " + appOrigin, "https://evil.test", 204, []string{"https://other.test"}},
		"the app knows, none trusts": {knows, "", appOrigin, 204, []string{"https://other.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(crossSite(tt.option, "reverse_proxy "+tt.app))
			for _, path := range []string{"/pro/x", "/generate"} {
				a := b.do("OPTIONS", path, "", "Origin", tt.origin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-one")
				if a.status != tt.status || a.body != "" || !slices.Equal(a.header.Values("Access-Control-Allow-Origin"), tt.allowed) {
					t.Errorf("%s: %d %v %q", path, a.status, a.header, a.body)
				}
				if ours := slices.Equal(tt.allowed, []string{appOrigin}); ours && (a.header.Get("Access-Control-Allow-Methods") != "PUT" ||
					a.header.Get("Access-Control-Allow-Headers") != "x-one" || a.header.Get("Access-Control-Allow-Credentials") != "true") {
					t.Errorf("%s: %v", path, a.header)
				}
			}
		})
	}
}

// A page of a trusted origin also reads that something does not work right now, and the
// routes of compat.
func TestCrossOriginFailures(t *testing.T) {
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Cookie") {
		case "session=alice":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"alice"}`)
		case "session=broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	for _, refuse := range []string{"", " {\n\t\trefuse error\n\t}\n\thandle_errors {\n\t\trespond {err.status_code}\n\t}"} {
		b := newBench(t)
		shop(t, b)
		b.mustLoad(caddyfile(planDodo, `
	dodo_gateway {
		ask `+app+`/me {
			cookie session
		}
		compat express
		trusted_origins `+appOrigin+`
	}
	dodo_charge /generate 10
	dodo_require /pro/* plan pro`+refuse+`
	reverse_proxy {{Upstream}}`))
		for _, tt := range []struct {
			method, path, session string
			status                int
		}{
			{"GET", "/payments/status", "broken", 503},
			{"GET", "/pro/x", "broken", 503},
			{"GET", "/generate", "broken", 503},
			{"GET", "/pro/x", "alice", 402},
			{"GET", "/generate", "alice", 402},
			{"GET", "/pro/x", "nobody", 401},
			{"POST", "/api/payments/create-checkout", "nobody", 401},
			{"POST", "/api/payments/create-checkout", "broken", 503},
			{"POST", "/api/payments/create-checkout", "alice", 200},
		} {
			for _, origin := range []string{appOrigin, "https://evil.test"} {
				want := tt.status
				if tt.method == "POST" && origin != appOrigin {
					want = 403
				}
				a := b.do(tt.method, tt.path, `{"credits":10}`, "Content-Type", "application/json", "Cookie", "session="+tt.session, "Origin", origin)
				if a.status != want {
					t.Errorf("%s for %s from %s: %d %s", tt.path, tt.session, origin, a.status, a.body)
				}
				assertReadable(t, tt.path+" for "+tt.session+" from "+origin, a, origin == appOrigin)
			}
		}
		for _, path := range []string{"/api/payments/create-checkout", "/API/payments//create-checkout/"} {
			a := b.do("OPTIONS", path, "", "Origin", appOrigin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
			assertReadable(t, "preflight", a, true)
			if a.status != 204 || a.header.Get("Access-Control-Allow-Methods") != "POST" || a.header.Get("Access-Control-Allow-Headers") != "content-type" {
				t.Errorf("preflight of %s: %d %v", path, a.status, a.header)
			}
		}
	}
}
