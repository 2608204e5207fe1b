package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

const (
	expressCheckout = "/api/payments/create-checkout"
	expressWebhook  = "/api/payments/webhook"
	fastAPIStatus   = "/payment/status"
	fastAPICheckout = "/payment/create-checkout-session"
	fastAPISuccess  = "/payment/success"
	fastAPIWebhook  = "/payment/webhook/"
)

// monthly is what the FastAPI integration sells.
var monthly = config.Product{Name: "monthly", ID: "pdt_monthly", Plan: "monthly", Lasts: config.Duration(30 * 24 * time.Hour)}

func newCompatSite(t *testing.T, style config.CompatStyle, change func(*setting)) *site {
	t.Helper()
	return newSite(t, func(set *setting) {
		set.compat = &config.Compat{Style: style}
		set.signup = 3
		set.webhook = expressWebhook
		if style == config.FastAPI {
			set.signup, set.webhook = 0, fastAPIWebhook
			set.products = append([]config.Product{monthly}, set.products...)
			set.sold = append(set.sold, dodosim.Product{ID: "pdt_monthly", Name: "Monthly", Price: 1900, Currency: "USD"})
		}
		if change != nil {
			change(set)
		}
	})
}

// exactly fails the test unless the answer is this JSON and no more.
func (a answer) exactly(status int, want string) {
	a.t.Helper()
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		a.t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(a.Body.Bytes(), &got); err != nil || a.Code != status || !reflect.DeepEqual(got, wanted) {
		a.t.Errorf("%d %s, want %d %s", a.Code, a.Body, status, want)
	}
	if kind := a.Header().Get("Content-Type"); kind != "application/json" {
		a.t.Errorf("Content-Type %q", kind)
	}
	if kept := a.Header().Get("Cache-Control"); kept != "no-store" {
		a.t.Errorf("Cache-Control %q", kept)
	}
}

// sessionOf is the session behind the address of a checkout.
func (s *site) sessionOf(a answer, member string) string {
	s.t.Helper()
	m := a.json(http.StatusOK)
	address, _ := m[member].(string)
	session, found := strings.CutPrefix(address, "https://checkout.dodo.example/session/")
	if !found {
		s.t.Fatalf("%s: %v", member, m)
	}
	return session
}

// to sends a call to another address.
func (c call) to(path string) call {
	c.URL.Path = path
	return c
}

// saying sends it with another body.
func (c call) saying(body string) call {
	c.Body, c.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return c
}

// late is a webhook whose time is long past.
func (c call) late() call {
	c.Header.Set("Webhook-Timestamp", strconv.FormatInt(c.site.clock.Now().Add(-time.Hour).Unix(), 10))
	return c
}

func (s *site) creditsOf(account string) string {
	s.t.Helper()
	return fmt.Sprint(s.get("/payments/status").by(account).do().json(200)["credits"])
}

func TestExpressBuys(t *testing.T) {
	s := newCompatSite(t, config.Express, nil)
	a := s.post(expressCheckout, `{"credits":10,"userId":"abc-123"}`).by(alice).do()
	session := s.sessionOf(a, "checkoutUrl")
	if len(a.json(200)) != 1 {
		t.Errorf("more than checkoutUrl: %s", a.Body)
	}
	s.pay(session, dodosim.CardVisa) // by its webhook, at the integration's address
	if got := s.creditsOf(alice); got != "13" {
		t.Errorf("alice has %s credits", got)
	}
	if got := s.creditsOf("abc-123"); got != "3" {
		t.Errorf("the account that the browser named has %s credits", got)
	}
	// The same event again, in the same and in another delivery.
	for _, e := range s.sim.Events() {
		for _, id := range []string{e.ID, e.ID + "_again"} {
			if _, err := s.sim.DeliverAs(t.Context(), e.ID, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := s.creditsOf(alice); got != "13" {
		t.Errorf("after a replay alice has %s credits", got)
	}
}

// What a browser claims changes neither who gets the credits, nor how many, nor the price.
func TestExpressClaims(t *testing.T) {
	for name, tt := range map[string]struct {
		body, credits string
	}{
		"another user":   {`{"credits":10,"userId":"bob"}`, "13"},
		"an object":      {`{"credits":10,"userId":{"$ne":null}}`, "13"},
		"a price":        {`{"credits":10,"userId":"alice","price":1,"amount":1,"product":"secret","productId":"pdt_pro","quantity":100}`, "13"},
		"metadata":       {`{"credits":10,"metadata":{"userId":"bob","credits":"1000","dodogate_account":"bob"}}`, "13"},
		"an e-mail":      {`{"credits":10,"email":"bob@example.com","customer":{"email":"bob@example.com"}}`, "13"},
		"nothing of her": {`{"credits":10}`, "13"},
		"spaces":         {` { "userId" : null , "credits" : 10 } `, "13"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCompatSite(t, config.Express, nil)
			s.pay(s.sessionOf(s.post(expressCheckout, tt.body).by(alice).do(), "checkoutUrl"), dodosim.CardVisa)
			if got := s.creditsOf(alice); got != tt.credits {
				t.Errorf("alice has %s credits, want %s", got, tt.credits)
			}
			if got := s.creditsOf(bob); got != "3" {
				t.Errorf("bob has %s credits", got)
			}
		})
	}
}

// There is no answer without an address, and no checkout of what the catalog does not sell.
func TestExpressRefusals(t *testing.T) {
	s := newCompatSite(t, config.Express, nil)
	for name, tt := range map[string]struct {
		call   call
		status int
		code   string
	}{
		"nobody":          {s.post(expressCheckout, `{"credits":10,"userId":"alice"}`), 401, "unauthenticated"},
		"too many":        {s.post(expressCheckout, `{"credits":1000000,"userId":"alice"}`).by(alice), 422, "unknown_product"},
		"one more":        {s.post(expressCheckout, `{"credits":11}`).by(alice), 422, "unknown_product"},
		"negative":        {s.post(expressCheckout, `{"credits":-10}`).by(alice), 422, "unknown_product"},
		"none":            {s.post(expressCheckout, `{"userId":"alice"}`).by(alice), 400, "invalid_request"},
		"zero":            {s.post(expressCheckout, `{"credits":0}`).by(alice), 400, "invalid_request"},
		"a fraction":      {s.post(expressCheckout, `{"credits":10.5}`).by(alice), 400, "invalid_request"},
		"text":            {s.post(expressCheckout, `{"credits":"ten"}`).by(alice), 400, "invalid_request"},
		"twice":           {s.post(expressCheckout, `{"credits":10,"credits":99}`).by(alice), 400, "invalid_request"},
		"a list":          {s.post(expressCheckout, `[10]`).by(alice), 400, "invalid_request"},
		"empty":           {s.post(expressCheckout, ``).by(alice), 400, "invalid_request"},
		"behind":          {s.post(expressCheckout, `{"credits":10}{}`).by(alice), 400, "invalid_request"},
		"a form":          {s.post(expressCheckout, `credits=10`).by(alice).with("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_media_type"},
		"too large":       {s.post(expressCheckout, `{"userId":"`+strings.Repeat("x", 20<<10)+`"}`).by(alice), 413, "body_too_large"},
		"another site":    {s.post(expressCheckout, `{"credits":10}`).by(alice).with("Origin", "https://evil.example").with("Sec-Fetch-Site", "cross-site"), 403, "cross_origin"},
		"early data":      {s.post(expressCheckout, `{"credits":10}`).by(alice).with("Early-Data", "1"), 425, "too_early"},
		"another method":  {s.get(expressCheckout).by(alice), 405, "method_not_allowed"},
		"unsigned":        {s.post(expressWebhook, `{"type":"payment.succeeded"}`), 401, "webhook_signature_invalid"},
		"wrongly signed":  {s.signed("evt_1", `{}`).to(expressWebhook).with("Webhook-Signature", "v1,AAAA"), 400, "webhook_malformed"},
		"of another body": {s.signed("evt_1", `{}`).to(expressWebhook).saying(`{"a":1}`), 401, "webhook_signature_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.untouched(func() {
				tt.call.site = s
				a := tt.call.do()
				m := a.json(tt.status)
				if m["code"] != tt.code || m["error"] == "" || m["error"] == nil || len(m) != 2 {
					t.Errorf("%s, want code %s", a.Body, tt.code)
				}
				if kind := a.Header().Get("Content-Type"); kind != "application/json" {
					t.Errorf("Content-Type %q", kind)
				}
			})
		})
	}
}

// While Dodo does not answer, neither do we with a checkout.
func TestExpressWithoutDodo(t *testing.T) {
	s := newCompatSite(t, config.Express, nil)
	s.sim.SetFault(dodosim.Fault{Status: 503}, 100)
	a := s.post(expressCheckout, `{"credits":10,"userId":"alice"}`).by(alice).do()
	if m := a.json(503); m["checkoutUrl"] != nil || m["error"] == nil || a.Header().Get("Retry-After") == "" {
		t.Errorf("%v %s", a.Header(), a.Body)
	}
}

func TestFastAPIBuys(t *testing.T) {
	s := newCompatSite(t, config.FastAPI, nil)
	status := func(account string) answer { return s.get(fastAPIStatus).by(account).do() }
	const nothing = `{"has_paid":false,"payment_date":null,"subscription_plan":"none","plan_expires_at":null}`
	status(alice).exactly(200, nothing)

	a := s.post(fastAPICheckout, `{"plan":"monthly","datafast_visitor_id":"df-42"}`).by(alice).do()
	session := s.sessionOf(a, "checkout_url")
	if m := a.json(200); m["plan"] != "monthly" || m["price"] != "$19" || len(m) != 3 {
		t.Errorf("%s", a.Body)
	}
	status(alice).exactly(200, `{"has_paid":false,"payment_date":null,"subscription_plan":"pending_monthly","plan_expires_at":null}`)
	status(bob).exactly(200, nothing)

	s.clock.pass(time.Minute)
	paidAt := s.clock.Now()
	payment := s.pay(session, dodosim.CardVisa).PaymentID
	paid := fmt.Sprintf(`{"has_paid":true,"payment_date":%q,"subscription_plan":"monthly","plan_expires_at":%q}`,
		paidAt.Format(time.RFC3339), paidAt.Add(30*24*time.Hour).Format(time.RFC3339))
	status(alice).exactly(200, paid)
	status(bob).exactly(200, nothing)
	if noted, _ := s.ask("GET", "/payments/"+payment, "")["metadata"].(map[string]any); noted["datafast_visitor_id"] != "df-42" {
		t.Errorf("Dodo has noted %q", noted)
	}

	// A repeat moves nothing, whenever it comes.
	s.clock.pass(24 * time.Hour)
	for _, e := range s.sim.Events() {
		if _, err := s.sim.DeliverAs(t.Context(), e.ID, e.ID+"_again"); err != nil {
			t.Fatal(err)
		}
	}
	s.post(fastAPISuccess, `{"paymentId":"pay_forged"}`).by(alice).do().exactly(200, `{"status":"success","message":"Payment status updated"}`)
	status(alice).exactly(200, paid)

	s.clock.pass(29 * 24 * time.Hour)
	status(alice).exactly(200, fmt.Sprintf(`{"has_paid":false,"payment_date":%q,"subscription_plan":"none","plan_expires_at":%q}`,
		paidAt.Format(time.RFC3339), paidAt.Add(30*24*time.Hour).Format(time.RFC3339)))
}

// ask calls Dodo's API as its merchant, and returns the answer.
func (s *site) ask(method, path, body string) map[string]any {
	s.t.Helper()
	r, w := httptest.NewRequest(method, path, strings.NewReader(body)), httptest.NewRecorder()
	r.Header.Set("Authorization", "Bearer "+apiKey)
	r.Header.Set("Content-Type", "application/json")
	s.sim.ServeHTTP(w, r)
	var said map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return said
}

// POST /payment/success grants nothing; it only asks Dodo.
func TestFastAPISuccess(t *testing.T) {
	s := newCompatSite(t, config.FastAPI, nil)
	const pending = `{"status":"pending","message":"Payment is not confirmed yet"}`
	bodies := []string{``, `{}`, `null`, `{"paymentId":"pay_of_somebody"}`, `{"paymentId":null}`, `{"has_paid":true}`, `not JSON`, strings.Repeat("x", 1<<16)}
	for _, body := range bodies {
		s.post(fastAPISuccess, body).by(alice).do().exactly(200, pending)
	}
	bobs := s.sessionOf(s.post(fastAPICheckout, `{"plan":"monthly"}`).by(bob).do(), "checkout_url")
	s.sim.HoldWebhooks(true) // its webhook is lost
	payment := s.pay(bobs, dodosim.CardVisa).PaymentID
	s.post(fastAPISuccess, `{"paymentId":"`+payment+`"}`).by(alice).do().exactly(200, pending)
	if s.get(fastAPIStatus).by(alice).do().json(200)["has_paid"] != false {
		t.Error("alice has what bob paid for")
	}
	call := s.post(fastAPISuccess, "").by(bob)
	call.Header.Del("Content-Type")
	call.do().exactly(200, `{"status":"success","message":"Payment status updated"}`)
	if m := s.get(fastAPIStatus).by(bob).do().json(200); m["has_paid"] != true || m["subscription_plan"] != "monthly" {
		t.Errorf("bob has paid: %v", m)
	}
}

// Any other product and the e-mail address that was typed at the checkout give no plan.
func TestFastAPIHoles(t *testing.T) {
	s := newCompatSite(t, config.FastAPI, nil)
	who := gateway.Identity{Account: alice, Email: "alice@example.com", EmailVerified: true}
	s.sessionOf(s.post(fastAPICheckout, `{"plan":"monthly"}`).as(who).do(), "checkout_url")
	for _, elsewhere := range []string{
		`{"product_cart":[{"product_id":"pdt_pack10","quantity":1}],"customer":{"email":"alice@example.com","name":"M"}}`,
		`{"product_cart":[{"product_id":"pdt_monthly","quantity":1}],"customer":{"email":"alice@example.com","name":"M"},"metadata":{"userId":"alice","dodogate_account":"alice"}}`,
	} {
		s.pay(s.ask("POST", "/checkouts", elsewhere)["session_id"].(string), dodosim.CardVisa)
	}
	if m := s.get(fastAPIStatus).as(who).do().json(200); m["has_paid"] != false || m["subscription_plan"] != "pending_monthly" {
		t.Errorf("%v", m)
	}
	if a := s.post(fastAPISuccess, "").as(who).do().json(200); a["status"] != "pending" {
		t.Errorf("%v", a)
	}
}

func TestFastAPIRefusals(t *testing.T) {
	s := newCompatSite(t, config.FastAPI, nil)
	tooLong := gateway.Identity{Account: strings.Repeat("x", gateway.MaxAccount+1)}
	for name, tt := range map[string]struct {
		call   call
		status int
		detail string
	}{
		"nobody asks":       {s.get(fastAPIStatus), 401, "Not authenticated"},
		"nobody buys":       {s.post(fastAPICheckout, `{"plan":"monthly"}`), 401, "Not authenticated"},
		"nobody is back":    {s.post(fastAPISuccess, `{"paymentId":"pay_1"}`), 401, "Not authenticated"},
		"no such user":      {s.get(fastAPIStatus).as(tooLong), 404, "User not found"},
		"another plan":      {s.post(fastAPICheckout, `{"plan":"yearly"}`).by(alice), 422, ""},
		"no plan":           {s.post(fastAPICheckout, `{"datafast_visitor_id":"x"}`).by(alice), 400, ""},
		"a number":          {s.post(fastAPICheckout, `{"plan":1}`).by(alice), 400, ""},
		"a visitor's list":  {s.post(fastAPICheckout, `{"plan":"monthly","datafast_visitor_id":["x"]}`).by(alice), 400, ""},
		"another site":      {s.post(fastAPISuccess, ``).by(alice).with("Sec-Fetch-Site", "cross-site"), 403, ""},
		"another method":    {s.post(fastAPIStatus, ``).by(alice), 405, "Method Not Allowed"},
		"success by a link": {s.get(fastAPISuccess).by(alice), 405, "Method Not Allowed"},
		"unsigned":          {s.post(fastAPIWebhook, `{"type":"payment.succeeded"}`), 400, "Invalid webhook signature"},
		"of another body":   {s.signed("evt_1", `{}`).to(fastAPIWebhook).saying(`{"a":1}`), 400, "Invalid webhook signature"},
		"too old":           {s.signed("evt_1", `{}`).to(fastAPIWebhook).late(), 400, "Invalid webhook signature"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.untouched(func() {
				tt.call.site = s
				a := tt.call.do()
				m := a.json(tt.status)
				if detail, _ := m["detail"].(string); len(m) != 1 || detail == "" || tt.detail != "" && detail != tt.detail {
					t.Errorf("%s, want detail %q", a.Body, tt.detail)
				}
			})
		})
	}
	s.sim.SetFault(dodosim.Fault{Status: 401, Body: `{"code":"UNAUTHORIZED","message":"no"}`}, 100)
	s.post(fastAPICheckout, `{"plan":"monthly","datafast_visitor_id":null}`).by(alice).do().exactly(500, `{"detail":"Dodo Payments not configured"}`)
}

// A customer lands where the front end shows its banner, by what became of the order and
// not by what the address says.
func TestBanner(t *testing.T) {
	for name, tt := range map[string]struct {
		card   string // empty: nothing is paid
		query  string
		compat config.Compat
		to     string // empty: a page of ours
	}{
		"paid":               {card: dodosim.CardVisa, to: public + "/app?a;b&payment=success"},
		"paid, forged":       {card: dodosim.CardVisa, query: "&status=failed&cancelled=1", to: public + "/app?a;b&payment=success"},
		"declined":           {card: dodosim.CardDeclined, to: public + "/app?a;b&payment=failed"},
		"declined, forged":   {card: dodosim.CardDeclined, query: dodoAdds, to: public + "/app?a;b&payment=failed"},
		"left":               {query: "&cancelled=1", to: public + "/app?a;b&payment=cancelled"},
		"left, forged":       {query: "&cancelled=1" + dodoAdds, to: public + "/app?a;b&payment=cancelled"},
		"waits":              {query: dodoAdds},
		"other words":        {card: dodosim.CardVisa, compat: config.Compat{Parameter: "pay", Success: "ok"}, to: public + "/app?a;b&payment=was&pay=ok"},
		"waits at the front": {compat: config.Compat{Processing: "processing"}, to: public + "/app?a;b&payment=processing"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.compat.Style = config.Express
			s := newCompatSite(t, config.Express, func(set *setting) {
				set.compat = &tt.compat
				set.returnTo = []string{public + "/app?a;b&payment=was"}
			})
			order, session := s.order(alice, `{"product":"pack10"}`)
			if tt.card != "" {
				s.pay(session, tt.card)
			}
			a := s.get("/payments/return?order=" + order + tt.query).by(alice).asBrowser().do()
			if tt.to == "" {
				if a.Code != 200 || !strings.Contains(a.Body.String(), "Confirming your payment") {
					t.Errorf("%d %s", a.Code, a.Body)
				}
				return
			}
			if got := a.Header().Get("Location"); a.Code != 303 || got != tt.to || a.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d to %q, want %q", a.Code, got, tt.to)
			}
		})
	}
}

// The paths are the integration's alone, in every spelling; without it they are the app's.
func TestCompatPaths(t *testing.T) {
	plain := newSite(t, nil)
	for style, paths := range map[config.CompatStyle][]string{
		config.Express: {expressCheckout, expressWebhook},
		config.FastAPI: {fastAPIStatus, fastAPICheckout, fastAPISuccess, fastAPIWebhook},
	} {
		s := newCompatSite(t, style, nil)
		for _, path := range paths {
			path = strings.TrimSuffix(path, "/")
			if plain.api.Owns(plain.get(path).Request) {
				t.Errorf("%s is owned without compat", path)
			}
			for _, spelling := range []string{
				path, path + "/", strings.ToUpper(path), "/" + path, strings.ReplaceAll(path, "/pay", "/%70ay"), "/x/.." + path,
				path + "?a=b", path + ";x=y", strings.ReplaceAll(path[1:], "/", "%2f"), path + "//", "/index.php" + path,
			} {
				if !strings.HasPrefix(spelling, "/") {
					spelling = "/" + spelling
				}
				if !s.api.Owns(s.get(spelling).Request) {
					t.Errorf("%s reaches the app", spelling)
				}
			}
			if !s.api.Owns(s.get("/free").with("X-Original-URL", path).Request) {
				t.Errorf("%s reaches the app by a header", path)
			}
			for _, other := range []string{path + "/x", path + "s", "/app" + path, "/payment", "/api/payments", "/api/payments/history"} {
				if s.api.Owns(s.get(other).Request) {
					t.Errorf("%s is the app's", other)
				}
			}
		}
		// With and without the slash at the end they are one route.
		for _, path := range paths {
			for _, spelling := range []string{strings.TrimSuffix(path, "/"), strings.TrimSuffix(path, "/") + "/"} {
				if a := s.call("DELETE", spelling, "").by(alice).do(); a.Code != 405 {
					t.Errorf("%s: %d", spelling, a.Code)
				}
			}
		}
	}
}

func TestCompatBasePath(t *testing.T) {
	for _, tt := range []struct {
		base  string
		style config.CompatStyle
		want  string
	}{
		{"", config.Express, ""},
		{"", config.FastAPI, ""},
		{"/payment", config.Express, ""},
		{"/payment", config.FastAPI, "/payment/"},
		{"/api", config.Express, "/api/payments/"},
		{"/api/payments", config.Express, "/api/payments/"},
		{"/API/Payments", config.Express, "/api/payments/"},
		{"/api/payments/webhook", config.Express, "/api/payments/webhook"},
		{"/api/pay", config.Express, ""},
		{"", "django", "compat must be"},
	} {
		err := httpapi.CheckCompat(tt.base, &config.Compat{Style: tt.style})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s at %q: %v, want %q", tt.style, tt.base, err, tt.want)
		}
	}
}
