package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

// ownPages answers every refusal with all that is known of it.
const ownPages = `
	handle_errors {
		header X-Own-Page yes
		header X-Seen "{http.dodo.account} {http.request.header.X-Entitlement-Credits} {http.error.message}"
		respond "{http.dodo.refusal.code}|{http.dodo.refusal.required}|{http.dodo.refusal.available}|{http.dodo.refusal.offers_json}" {http.error.status_code}
	}`

// isOwn wants the site's own page, and returns the offers in it.
func (b *bench) isOwn(a answer, status int, start string) (offers string) {
	b.t.Helper()
	offers, found := strings.CutPrefix(a.body, start+"|")
	if a.status != status || a.header.Get("X-Own-Page") != "yes" || !found || a.header.Get("Cache-Control") != "no-store" {
		b.t.Errorf("%d %v %q, want the site's own %d that begins with %q", a.status, a.header, a.body, status, start)
	}
	return offers
}

// TestRefuseError: a site answers refusals with pages of its own, and knows what was refused.
func TestRefuseError(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	b.mustLoad(caddyfile(planDodo, usualGateway+`
	dodo_require /pro/* plan pro {
		refuse error
	}
	dodo_require /paid/* paid {
		refuse error
	}
	dodo_require /reports/* feature "a, {b}" {
		refuse error
	}
	dodo_require /ours/* plan pro
	dodo_charge /compute/* 250 {
		refuse error
	}
	dodo_charge /cheap/* 1 {
		refuse error
	}
	respond "app {http.dodo.refusal.code}{http.dodo.refusal.offers_json}."`+ownPages))
	alice := []string{"X-Test-User", "alice", "Accept", "text/html"}
	for path, tt := range map[string]struct{ start, product string }{
		"/pro/x":     {"plan_required|pro|none", "pro"},
		"/paid/x":    {"payment_required|true|false", "pack10"},
		"/reports/x": {"feature_required|a%2C%20%7Bb%7D|", ""},
		"/compute/x": {"insufficient_credits|250|3", "pack10"},
	} {
		offers := b.isOwn(b.do("GET", path, "", alice...), http.StatusPaymentRequired, tt.start)
		var list []struct {
			Product string
			Request struct{ URL string }
		}
		if err := json.Unmarshal([]byte(offers), &list); err != nil {
			t.Errorf("%s: %v in %s", path, err, offers)
		} else if tt.product == "" && len(list) > 0 || tt.product != "" && (len(list) == 0 || list[0].Product != tt.product || list[0].Request.URL != "/payments/checkout") {
			t.Errorf("%s offers %s", path, offers)
		}
		b.isOwn(b.do("POST", path, "{}"), http.StatusUnauthorized, "unauthenticated||")
		if a := b.do("HEAD", path, "", alice...); a.status != http.StatusPaymentRequired || a.body != "" || a.header.Get("X-Own-Page") != "yes" {
			t.Errorf("HEAD %s: %d %v %q", path, a.status, a.header, a.body)
		}
	}
	if a := b.do("GET", "/compute/x", "", alice...); a.header.Get("X-Seen") != "alice 3 insufficient_credits" {
		t.Errorf("handle_errors sees %q", a.header.Get("X-Seen"))
	}
	b.isOwn(b.do("POST", "/cheap/x", "{}", append(alice, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")...), http.StatusForbidden, "cross_origin||")
	b.isOwn(b.do("POST", "/cheap/x", "{}", append(alice, "Early-Data", "1")...), http.StatusTooEarly, "too_early||")
	b.isOwn(b.do("GET", "/cheap/x", "", append(alice, "Idempotency-Key", "a b")...), http.StatusBadRequest, "invalid_idempotency_key||")
	// The default stays ours, and what passes or fails for another reason was not refused.
	b.problem(b.do("GET", "/ours/x", "", "X-Test-User", "alice"), http.StatusPaymentRequired, "plan_required")
	if a := b.do("GET", "/cheap/x", "", append(alice, "Idempotency-Key", "k")...); a.body != "app ." {
		t.Errorf("the app answers %q", a.body)
	}
	b.isOwn(b.do("GET", "/cheap/x", "", append(alice, "Idempotency-Key", "k")...), http.StatusConflict, "idempotency_key_finished||")
	b.leavesAgain("alice", 2)
}

// TestRefuseErrorOfRPC: a program that speaks gRPC reads no pages.
func TestRefuseErrorOfRPC(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	b.mustLoad(caddyfile(planDodo, usualGateway+"\n\tdodo_require /require/* plan pro {\n\t\trefuse error\n\t}\n\tdodo_charge 250 {\n\t\trefuse error\n\t}\n\trespond app"+ownPages))
	for path, want := range map[string]string{"/require/x": "7", "/charge/x": "8"} {
		for user, want := range map[string]string{"alice": want, "": "16"} {
			a := b.do("POST", path, "", "Content-Type", "application/grpc", "X-Test-User", user)
			if a.status != http.StatusOK || a.header.Get("Grpc-Status") != want || a.header.Get("X-Own-Page") != "" || a.body != "" {
				t.Errorf("%s by %q: %d %v %q, want grpc-status %s", path, user, a.status, a.header, a.body, want)
			}
		}
	}
}

// TestRefuseErrorBehindCharge: a charge that comes before the refusing gate is given back.
func TestRefuseErrorBehindCharge(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	b.mustLoad(caddyfile(planDodo, usualGateway+"\n\troute {\n\t\tdodo_charge 2\n\t\tdodo_require plan pro {\n\t\t\trefuse error\n\t\t}\n\t\trespond app\n\t}\n\thandle_errors {\n\t\theader X-Own-Page yes\n\t\trespond \"{http.dodo.refusal.code}|\" 200\n\t}"))
	b.isOwn(b.do("GET", "/x", "", "X-Test-User", "alice"), http.StatusOK, "plan_required")
	b.leavesAgain("alice", 3)
}

// TestRefuseErrorOffers: the titles of products are safe in scripts, attributes and
// templates, and nothing in them is a placeholder.
func TestRefuseErrorOffers(t *testing.T) {
	const title = "</script><b a='x'>&{{.Host}} {env.HOME} {http.request.host} `\" \u2028"
	b := newBench(t)
	_, b.Dodo = simtest.Serve(t, dodosim.Options{APIKey: "test_api_key", Products: []dodosim.Product{
		{ID: "pdt_pack10", Name: "Ten", Price: 500, Currency: "USD"}, {ID: "pdt_pro", Name: "Pro", Price: 1900, Currency: "USD"},
	}})
	quoted := strings.ReplaceAll(title, `"`, `\"`)
	b.mustLoad(caddyfile(strings.Replace(planDodo, `"Pro for a month"`, `"`+quoted+`"`, 1), usualGateway+`
	dodo_require plan pro {
		refuse error
	}
	respond app
	handle_errors 402 {
		templates
		header Content-Type text/html
		respond "{http.dodo.refusal.offers_json}" 402
	}`))
	a := b.do("GET", "/x", "", "X-Test-User", "alice")
	var offers []struct{ Title string }
	if err := json.Unmarshal([]byte(a.body), &offers); err != nil || len(offers) != 1 || offers[0].Title == "" {
		t.Fatalf("%v: %d %s", err, a.status, a.body)
	}
	if strings.ContainsAny(a.body, "<>&'`\u2028") || strings.Contains(a.body, "{{") || strings.Contains(a.body, "{env") {
		t.Errorf("unsafe: %s", a.body)
	}
	if offers[0].Title != title {
		t.Errorf("title %q, want %q", offers[0].Title, title)
	}
}

// TestRefuseErrorJSON sets it without a Caddyfile.
func TestRefuseErrorJSON(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct{ handler, want string }{
		"require":           {`{"handler": "dodo_require", "paid": true, "refuse": "error"}`, ""},
		"charge":            {`{"handler": "dodo_charge", "credits": 1, "refuse": "error"}`, ""},
		"require, a word":   {`{"handler": "dodo_require", "paid": true, "refuse": "page"}`, `refuse must be error, or be left out, not "page"`},
		"charge, a word":    {`{"handler": "dodo_charge", "credits": 1, "refuse": "page"}`, `refuse must be error, or be left out, not "page"`},
		"charge, a boolean": {`{"handler": "dodo_charge", "credits": 1, "refuse": true}`, "cannot unmarshal bool"},
	} {
		t.Run(name, func(t *testing.T) {
			assertRefused(t, validateJSON(t, b.fill(jsonConfig(appWith(t, "signup_credits", 3), jsonGateway+", "+tt.handler))), tt.want)
		})
	}
}

// TestRefuseErrorStoreFails: the store's failure is 503 for handle_errors, with Retry-After.
func TestRefuseErrorStoreFails(t *testing.T) {
	for _, gate := range []string{"dodo_require paid", "dodo_charge 1"} {
		t.Run(gate, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(planDodo, "route {\n"+usualGateway+"\n\ttest_break_stores\n\t"+gate+" {\n\t\trefuse error\n\t}\n\trespond app\n\t}"+ownPages))
			a := b.do("GET", "/app", "", "X-Test-User", "alice")
			b.isOwn(a, http.StatusServiceUnavailable, "store_unavailable||")
			if a.header.Get("Retry-After") == "" {
				t.Errorf("no Retry-After: %v", a.header)
			}
		})
	}
}

// TestExampleOwnRefusals: customers pass, and the others get the site's own pages.
func TestExampleOwnRefusals(t *testing.T) {
	login := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if user, _, ok := r.BasicAuth(); ok {
			w.Header().Set("X-User", user)
		}
	})
	b, sim := example(t, "own-refusals", "pdt_from_your_dashboard", "pdt_pro", "app:3000", login)
	if a := b.do("GET", "/pro/x", ""); a.status != http.StatusSeeOther || a.header.Get("Location") != "/login" {
		t.Errorf("nobody gets %d %v", a.status, a.header)
	}
	if a := b.do("GET", "/pro/x", "", "X-User", "alice"); a.status != http.StatusSeeOther {
		t.Errorf("a forged header gets %d %s", a.status, a.body)
	}
	a := b.do("GET", "/pro/x", "", as("alice")...)
	if a.status != http.StatusPaymentRequired || !strings.Contains(a.body, "part of the plan pro, and you have: none") || !strings.Contains(a.body, `id="offers">[{"`) {
		t.Errorf("alice gets %d %s", a.status, a.body)
	}
	if a := b.do("POST", "/pro/x", "", append(as("alice"), "Early-Data", "1")...); a.status != http.StatusTooEarly || !strings.Contains(a.body, "(425)") {
		t.Errorf("early data gets %d %s", a.status, a.body)
	}
	a = b.do("POST", "/payments/checkout", `{"plan":"pro"}`, append(as("alice"), "Content-Type", "application/json")...)
	var order struct {
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &order); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if _, err := sim.Pay(order.SessionID, "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	if a := b.do("GET", "/pro/x", "", as("alice")...); a.body != "Welcome" {
		t.Errorf("a customer gets %d %s", a.status, a.body)
	}
}
