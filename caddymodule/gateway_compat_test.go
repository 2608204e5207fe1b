package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

// oldApp is an app that still has its old payment code, which gives away whatever it is
// asked for. At the path who it answers with the user's id.
func oldApp(t *testing.T, who string) (address string, reached func() []string) {
	t.Helper()
	seen := make(chan string, 1000)
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == who {
			if user, _, ok := r.BasicAuth(); ok {
				w.Header().Set("X-User-Id", user)
			}
			return
		}
		seen <- r.Method + " " + r.URL.Path
		_ = json.NewEncoder(w).Encode(dump{r.Proto, r.URL.Path, r.Header, r.Trailer, ""})
	})
	return strings.TrimPrefix(app, "http://"), func() (paths []string) {
		for {
			select {
			case path := <-seen:
				paths = append(paths, path)
			default:
				return paths
			}
		}
	}
}

// oldShop sells what both integrations sold, and sends its webhooks to where they had them.
func oldShop(b *bench, webhook string) *dodosim.Simulator {
	b.t.Helper()
	sim, api := simtest.Serve(b.t, dodosim.Options{
		APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + webhook, WebhookSecret: webhookSecret,
		Products: []dodosim.Product{
			{ID: "pdt_old", Name: "What it sold", Price: 1900, Currency: "USD"},
			{ID: "pdt_cheap", Name: "Something else", Price: 1, Currency: "USD"},
		},
	})
	b.Dodo = api
	return sim
}

// runOld runs an example with its old app.
func runOld(t *testing.T, name, webhook, who, address string) (b *bench, sim *dodosim.Simulator, reached func() []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/examples/" + name + ".Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	app, reached := oldApp(t, who)
	b = newBench(t)
	sim = oldShop(b, webhook)
	t.Setenv("DODO_PRODUCT_ID", "pdt_old")
	t.Setenv("ENV", "development")
	b.shipped(string(text), address, app)
	return b, sim, reached
}

var sessionInURL = regexp.MustCompile(`"(?:checkoutUrl|checkout_url)":"[^"]*/session/(cks_[A-Za-z0-9_-]+)"`)

// paysFor pays what an answer leads to, and waits for the webhooks. It returns where the
// customer's browser goes then.
func (b *bench) paysFor(sim *dodosim.Simulator, a answer, card string) (payment, back string) {
	b.t.Helper()
	session := sessionInURL.FindStringSubmatch(a.body)
	if session == nil || a.status != http.StatusOK {
		b.t.Fatalf("no checkout: %d %s", a.status, a.body)
	}
	attempt, err := sim.Pay(session[1], card)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := sim.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return attempt.PaymentID, strings.TrimPrefix(attempt.RedirectURL, "http://127.0.0.1:"+b.Port)
}

func asJSON(user string) []string { return append(as(user), "Content-Type", "application/json") }

// is fails the test unless the answer is this.
func (a answer) is(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || strings.TrimSpace(a.body) != body {
		t.Errorf("%d %s, want %d %s", a.status, a.body, status, body)
	}
}

func TestExpressExample(t *testing.T) {
	b, sim, reached := runOld(t, "express", "/api/payments/webhook", "/api/auth/me", "app:3000")
	const checkout = "/api/payments/create-checkout"
	b.leaves("alice", 3, as("alice")...)
	b.leaves("bob", 3, as("bob")...)
	reached()

	a := b.do("POST", checkout, `{"credits":10,"userId":"bob"}`, asJSON("alice")...)
	payment, back := b.paysFor(sim, a, dodosim.CardVisa)
	b.leaves("alice", 13, as("alice")...)
	b.leaves("bob", 3, as("bob")...)
	a = b.do("GET", back+"&status=failed", "", append(as("alice"), "Accept", "text/html")...)
	if want := "http://127.0.0.1:" + b.Port + "/dashboard?payment=success"; a.status != 303 || a.header.Get("Location") != want {
		t.Errorf("who has paid lands on %d %q, want %q", a.status, a.header.Get("Location"), want)
	}

	_, back = b.paysFor(sim, b.do("POST", checkout, `{"credits":10,"userId":"alice"}`, asJSON("alice")...), dodosim.CardDeclined)
	a = b.do("GET", back+"&status=succeeded", "", append(as("alice"), "Accept", "text/html")...)
	if want := "http://127.0.0.1:" + b.Port + "/dashboard?payment=failed"; a.header.Get("Location") != want {
		t.Errorf("after a declined card one lands on %d %q, want %q", a.status, a.header.Get("Location"), want)
	}
	b.leaves("alice", 13, as("alice")...)

	for _, body := range []string{`{"credits":1000000,"userId":"alice"}`, `{"credits":11}`, `{"userId":"alice"}`} {
		if a := b.do("POST", checkout, body, asJSON("alice")...); a.status < 400 || strings.Contains(a.body, "checkoutUrl") || !strings.Contains(a.body, `"error":`) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := b.do("POST", checkout, `{"credits":10,"userId":"alice"}`, "Content-Type", "application/json"); a.status != 401 {
		t.Errorf("a visitor buys: %d %s", a.status, a.body)
	}
	b.replays(sim)
	b.leaves("alice", 13, as("alice")...)
	b.refunds(sim, payment)
	b.leaves("alice", 3, as("alice")...)
	b.keepsFrom(reached, []string{checkout, "/api/payments/webhook"})
}

// replays delivers every event again, in its own and in another delivery.
func (b *bench) replays(sim *dodosim.Simulator) {
	b.t.Helper()
	for _, e := range sim.Events() {
		for _, id := range []string{e.ID, e.ID + "_again"} {
			d, err := sim.DeliverAs(b.t.Context(), e.ID, id)
			if err != nil || d.Status != http.StatusOK {
				b.t.Errorf("a repeat of %s: %d, %v", e.Type, d.Status, err)
			}
		}
	}
}

func (b *bench) refunds(sim *dodosim.Simulator, payment string) {
	b.t.Helper()
	if _, err := sim.Refund(payment, 0); err != nil {
		b.t.Fatal(err)
	}
	if err := sim.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// keepsFrom sends requests for the routes in many spellings, of which none may reach the
// old code.
func (b *bench) keepsFrom(reached func() []string, paths []string) {
	b.t.Helper()
	reached()
	var sent []string
	for _, path := range paths {
		sent = append(sent, path, path+"/", "/"+path, strings.ToUpper(path), strings.Replace(path, "/pay", "/%70ay", 1),
			strings.Replace(path, "/pay", "/%2570ay", 1), "/x/.."+path, path+"%2f", path+"/.", path+";a=b", "/index.php"+path)
	}
	for _, path := range sent {
		for _, method := range []string{"GET", "POST", "PUT", "OPTIONS"} {
			a := b.do(method, path, "", as("mallory")...)
			if got := reached(); len(got) > 0 {
				b.t.Errorf("%s %s reaches the app as %s: %d", method, path, got, a.status)
			}
		}
	}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path"} {
		b.do("POST", "/free", "", append(as("mallory"), name, paths[0])...)
		if got := reached(); len(got) > 0 {
			b.t.Errorf("%s: %s reaches the app as %s", name, paths[0], got)
		}
	}
	if b.do("GET", "/free", "", as("mallory")...); len(reached()) != 1 {
		b.t.Error("nothing reaches the app")
	}
}

func TestFastAPIExample(t *testing.T) {
	b, sim, reached := runOld(t, "fastapi", "/payment/webhook/", "/auth/me", "app:8000")
	const (
		nothing = `{"has_paid":false,"payment_date":null,"subscription_plan":"none","plan_expires_at":null}`
		pending = `{"has_paid":false,"payment_date":null,"subscription_plan":"pending_monthly","plan_expires_at":null}`
	)
	status := func(user string) answer { return b.do("GET", "/payment/status", "", as(user)...) }
	success := func(user, body string) answer { return b.do("POST", "/payment/success", body, asJSON(user)...) }
	status("alice").is(t, 200, nothing)
	b.do("GET", "/payment/status", "").is(t, 401, `{"detail":"Not authenticated"}`)
	for _, body := range []string{``, `{}`, `{"paymentId":"pay_1"}`} {
		success("alice", body).is(t, 200, `{"status":"pending","message":"Payment is not confirmed yet"}`)
	}
	status("alice").is(t, 200, nothing)

	a := b.do("POST", "/payment/create-checkout-session", `{"plan":"monthly","datafast_visitor_id":null}`, asJSON("alice")...)
	if !strings.HasSuffix(strings.TrimSpace(a.body), `,"plan":"monthly","price":"$19"}`) {
		t.Errorf("%s", a.body)
	}
	status("alice").is(t, 200, pending)
	// Something else is paid for, by the same address.
	mallory := fmt.Sprintf(`{"product_cart":[{"product_id":"pdt_cheap","quantity":1}],"customer":{"email":%q,"name":"A"},"metadata":{"userId":"alice"}}`, "alice@example.com")
	b.buysElsewhere(sim, mallory)
	status("alice").is(t, 200, pending)

	payment, back := b.paysFor(sim, a, dodosim.CardVisa)
	success("alice", `{"paymentId":"`+payment+`"}`).is(t, 200, `{"status":"success","message":"Payment status updated"}`)
	success("mallory", `{"paymentId":"`+payment+`"}`).is(t, 200, `{"status":"pending","message":"Payment is not confirmed yet"}`)
	status("mallory").is(t, 200, nothing)
	var paid struct {
		HasPaid   bool      `json:"has_paid"`
		Date      time.Time `json:"payment_date"`
		Plan      string    `json:"subscription_plan"`
		ExpiresAt time.Time `json:"plan_expires_at"`
	}
	before := status("alice")
	if err := json.Unmarshal([]byte(before.body), &paid); err != nil || !paid.HasPaid || paid.Plan != "monthly" || paid.ExpiresAt.Sub(paid.Date) != 30*24*time.Hour {
		t.Errorf("%s, %v", before.body, err)
	}
	if a := b.do("GET", "/reports/1", "", as("alice")...); a.status != 200 {
		t.Errorf("alice gets %d", a.status)
	}
	a = b.do("GET", back, "", append(as("alice"), "Accept", "text/html")...)
	if want := "http://localhost:3000/dashboard?payment=success"; a.header.Get("Location") != want {
		t.Errorf("who has paid lands on %d %q, want %q", a.status, a.header.Get("Location"), want)
	}
	b.replays(sim)
	status("alice").is(t, 200, before.body[:len(before.body)-1])
	b.refunds(sim, payment)
	if a := status("alice"); !strings.Contains(a.body, `"has_paid":false`) || !strings.Contains(a.body, `"subscription_plan":"none"`) {
		t.Errorf("after a refund: %s", a.body)
	}
	if a := b.do("GET", "/reports/1", "", as("alice")...); a.status != 402 {
		t.Errorf("after a refund alice gets %d", a.status)
	}
	b.keepsFrom(reached, []string{"/payment/success", "/payment/status", "/payment/create-checkout-session", "/payment/webhook"})
}

// buysElsewhere pays a checkout at Dodo that no order of ours is for.
func (b *bench) buysElsewhere(sim *dodosim.Simulator, checkout string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.Dodo+"/checkouts", strings.NewReader(checkout))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer test_api_key")
	req.Header.Set("Content-Type", "application/json")
	var made struct {
		SessionID string `json:"session_id"`
	}
	if a := b.send(req); json.Unmarshal([]byte(a.body), &made) != nil || made.SessionID == "" {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	if _, err := sim.Pay(made.SessionID, dodosim.CardVisa); err != nil {
		b.t.Fatal(err)
	}
	if err := sim.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

// Webhooks are verified before anything else, at the old address and whether a login or a
// redirect stands in front of it.
func TestCompatWebhook(t *testing.T) {
	for _, tt := range []struct {
		style, address, unsigned string
		status                   int
	}{
		{"express", "/api/payments/webhook", `{"code":"webhook_signature_invalid","error":"The webhook signature does not verify."}`, 401},
		{"fastapi", "/payment/webhook/", `{"detail":"Invalid webhook signature"}`, 400},
	} {
		style, address := tt.style, tt.address
		for name, site := range map[string]string{
			"by the gateway":     "",
			"before a login":     "\n\tdodo_webhook " + address + "\n\trespond @nobody \"who are you?\" 401",
			"before a redirect":  "\n\tdodo_webhook " + address + "\n\tredir /payment/webhook/ /elsewhere\n\tredir " + address + " /elsewhere",
			"before a rewriting": "\n\tdodo_webhook " + address + "\n\trewrite * /index.html",
		} {
			t.Run(style+" "+name, func(t *testing.T) {
				b := newBench(t)
				oldShop(b, address)
				b.mustLoad(caddyfile(usualDodo, "\n\t@nobody not header X-Test-User *"+site+`
	dodo_gateway {
		account {http.request.header.X-Test-User}
		compat `+style+`
	}
	reverse_proxy {{Upstream}}`))
				body := `{"type":"payment.succeeded","business_id":"bus_1","timestamp":"2026-01-01T00:00:00Z","data":{}}`
				for _, path := range []string{strings.TrimSuffix(address, "/"), strings.TrimSuffix(address, "/") + "/"} {
					b.do("POST", path, body, "Content-Type", "application/json").is(t, tt.status, tt.unsigned)
				}
			})
		}
	}
}

// A page of another origin buys with a visitor's login only if it is trusted.
func TestCompatOrigins(t *testing.T) {
	b := newBench(t)
	oldShop(b, "/api/payments/webhook")
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "pdt_pack10", "pdt_old", 1), `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		trusted_origins https://app.test
		compat express
	}
	reverse_proxy {{Upstream}}`))
	for origin, want := range map[string]int{"https://app.test": 200, "https://evil.test": 403} {
		a := b.do("POST", "/api/payments/create-checkout", `{"credits":10}`, "Content-Type", "application/json", "X-Test-User", "alice",
			"Origin", origin, "Sec-Fetch-Site", "cross-site")
		if a.status != want {
			t.Errorf("from %s: %d %s", origin, a.status, a.body)
		}
	}
}

// Without compat, or with the other one, the paths are the app's.
func TestCompatOfTheOther(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		compat express
	}
	reverse_proxy {{Upstream}}`))
	for _, path := range []string{"/payment/status", "/payment/webhook/", "/payment", "/api/payments", "/api/payments/history"} {
		if a := b.do("GET", path, "", "X-Test-User", "alice"); b.seen(a).Path != path {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// Attribution comes from placeholders of the request, and from the body for names that
// are listed.
func TestCheckoutMetadata(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "signup_credits 3", `signup_credits 3
		checkout_metadata ref {cookie.ref}
		checkout_metadata page "{http.request.host}: {http.request.header.Referer}"
		checkout_metadata utm_source`, 1), usualProxy))
	for name, tt := range map[string]struct {
		body   string
		header []string
		want   map[string]string
	}{
		"cookie":       {`{"product":"pack10"}`, []string{"Cookie", "ref=blog"}, map[string]string{"ref": "blog"}},
		"half of it":   {`{"product":"pack10"}`, nil, nil},
		"all of it":    {`{"product":"pack10"}`, []string{"Referer", "https://a.test/x"}, map[string]string{"page": "127.0.0.1: https://a.test/x"}},
		"body":         {`{"product":"pack10","metadata":{"utm_source":"news"}}`, nil, map[string]string{"utm_source": "news"}},
		"braces":       {`{"product":"pack10"}`, []string{"Cookie", "ref={env.HOME}"}, map[string]string{"ref": "{env.HOME}"}},
		"cookie first": {`{"product":"pack10","metadata":{"ref":"forged"}}`, []string{"Cookie", "ref=blog"}, map[string]string{"ref": "blog"}},
	} {
		t.Run(name, func(t *testing.T) {
			header := append([]string{"Content-Type", "application/json", "X-Test-User", "alice"}, tt.header...)
			a := b.do("POST", "/payments/checkout", tt.body, header...)
			var order struct {
				SessionID string `json:"session_id"`
			}
			if err := json.Unmarshal([]byte(a.body), &order); err != nil || a.status != 201 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			attempt, err := sim.Pay(order.SessionID, dodosim.CardVisa)
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequest(http.MethodGet, b.Dodo+"/payments/"+attempt.PaymentID, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer test_api_key")
			var payment struct {
				Metadata map[string]string `json:"metadata"`
			}
			if err := json.Unmarshal([]byte(b.send(req).body), &payment); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"ref", "page", "utm_source"} {
				if payment.Metadata[name] != tt.want[name] {
					t.Errorf("%s is %q, want %q", name, payment.Metadata[name], tt.want[name])
				}
			}
		})
	}
	b.problem(b.do("POST", "/payments/checkout", `{"product":"pack10","metadata":{"other":"x"}}`, "Content-Type", "application/json", "X-Test-User", "alice"), 400, "invalid_request")
}

// ENV of the FastAPI integration says which of Dodo's worlds it is; what it does not know
// is refused, and not live mode.
func TestEnvironmentWords(t *testing.T) {
	for word, want := range map[string]string{
		"development": "", "production": "", "test_mode": "", "live_mode": "",
		"": "ENV", "staging": "environment must be", "prod": "environment must be", "Development": "environment must be",
	} {
		t.Run(word, func(t *testing.T) {
			t.Setenv("ENV", word)
			b := newBench(t)
			err := b.load(caddyfile(strings.Replace(usualDodo, "api_key ", `environment {env.ENV} {
			development test_mode
			production live_mode
		}
		api_key `, 1), usualProxy))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}
