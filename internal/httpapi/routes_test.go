package httpapi_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// A route knows one method, and says which.
func TestMethods(t *testing.T) {
	s := newSite(t, nil)
	routes := map[string]string{
		"/payments/checkout": "POST", "/payments/confirm": "POST", "/payments/webhook": "POST", "/payments/webhook/": "POST",
		"/payments/status": "GET, HEAD", "/payments/products": "GET, HEAD", "/payments/return": "GET, HEAD",
		"/payments/history": "GET, HEAD",
	}
	for target, allow := range routes {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW"} {
			if strings.Contains(", "+allow+",", ", "+method+",") {
				continue
			}
			t.Run(method+" "+target, func(t *testing.T) {
				s := s.in(t)
				s.untouched(func() {
					a := s.call(method, target, "").by(alice).do()
					a.problem(405, "method_not_allowed")
					if got := a.Header().Get("Allow"); got != allow {
						t.Errorf("Allow %q, want %q", got, allow)
					}
				})
			})
		}
		if strings.HasPrefix(allow, "GET") {
			if a := s.call("HEAD", target, "").by(alice).do(); a.Code != 200 {
				t.Errorf("HEAD %s: %d", target, a.Code)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	s := newSite(t, func(set *setting) { set.signup = 3 })
	s.untouched(func() { s.get("/payments/status").do().problem(401, "unauthenticated") })

	a := s.get("/payments/status").by(alice).do()
	want := map[string]any{
		"account": alice, "credits": json.Number("3"), "owed": json.Number("0"), "has_paid": false, "plan": "none", "plans": []any{}, "plan_status": "none",
		"plan_expires_at": nil, "payment_date": nil, "features": []any{}, "pending": []any{},
	}
	if got := a.json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("status %v, want %v", got, want)
	}
	if got := a.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}

	order, session := s.order(alice, `{"product":"pro"}`)
	now := s.clock.Now()
	want["pending"] = []any{map[string]any{
		"order_id": order, "product": "pro", "quantity": json.Number("1"), "state": "open",
		"checkout_url": "https://checkout.dodo.example/session/" + session,
		"created_at":   now.Format(time.RFC3339), "expires_at": now.Add(24 * time.Hour).Format(time.RFC3339),
	}}
	if got := s.get("/payments/status").by(alice).do().json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("status %v, want %v", got, want)
	}

	s.clock.pass(time.Minute)
	paid := s.clock.Now()
	s.pay(session, dodosim.CardVisa)
	want = map[string]any{
		"account": alice, "credits": json.Number("503"), "owed": json.Number("0"), "has_paid": true, "plan": "pro", "plans": []any{"pro"}, "plan_status": "active",
		"plan_expires_at": paid.Add(30 * 24 * time.Hour).Format(time.RFC3339), "payment_date": paid.Format(time.RFC3339), "features": []any{}, "pending": []any{},
	}
	if got := s.get("/payments/status").by(alice).do().json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("status %v, want %v", got, want)
	}
	if got := s.get("/payments/status").by(bob).do().json(200)["has_paid"]; got != false {
		t.Error("bob has paid, too")
	}
}

func TestStatusWithoutStore(t *testing.T) {
	s := newSite(t, nil)
	must(t, s.store.Close())
	s.get("/payments/status").by(alice).do().problem(503, "store_unavailable")
	page := s.get("/payments/status").by(alice).asBrowser().do().page(503)
	if !strings.Contains(page, `<a class="button" href="">Try again</a>`) {
		t.Error(page)
	}
	if log := s.log.String(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "route=/status code=store_unavailable") {
		t.Errorf("log: %s", log)
	}
}

func TestProducts(t *testing.T) {
	s := newSite(t, nil)
	a := s.get("/payments/products").asBrowser().do()
	want := []any{
		map[string]any{
			"product": "pack10", "title": "Ten <credits> & more", "description": "Ten credits", "price": json.Number("999"), "currency": "USD", "interval": nil, "interval_count": nil, "trial_days": json.Number("0"),
			"credits": json.Number("10"), "credits_every": nil, "credits_expire": nil, "plan": nil, "lasts": nil,
		},
		map[string]any{ // free is not the same as unknown
			"product": "pro", "title": "Pro", "description": "", "price": json.Number("0"), "currency": "EUR", "interval": nil, "interval_count": nil, "trial_days": json.Number("0"),
			"credits": json.Number("500"), "credits_every": nil, "credits_expire": "36h0m0s", "plan": "pro", "lasts": "30d",
		},
		map[string]any{
			"product": "unsold", "title": "unsold", "description": "", "price": nil, "currency": nil, "interval": nil, "interval_count": nil, "trial_days": json.Number("0"),
			"credits": json.Number("0"), "credits_every": nil, "credits_expire": nil, "plan": "gold", "lasts": nil,
		},
	}
	if got := a.json(200)["products"].([]any)[:3]; !reflect.DeepEqual(got, want) {
		t.Errorf("products %v, want %v", got, want)
	}
	if got := a.Header().Get("Cache-Control"); got != "public, max-age=60" {
		t.Errorf("Cache-Control %q", got)
	}
	if strings.Contains(a.Body.String(), "secret") || strings.Contains(a.Body.String(), "pdt_") {
		t.Errorf("too much is told: %s", a.Body)
	}
	for range 10 {
		s.get("/payments/products").do().json(200)
	}
	if n := s.sim.Calls("GET", "/products"); n != 1 {
		t.Errorf("Dodo was asked %d times, want 1", n)
	}
}

// A catalog can be shown without Dodo and without a store.
func TestProductsAlone(t *testing.T) {
	s := newSite(t, nil)
	must(t, s.store.Close())
	s.sim.SetFault(dodosim.Fault{Status: 500}, 10)
	products := s.get("/payments/products").do().json(200)["products"].([]any)
	if first := products[0].(map[string]any); first["price"] != nil || first["currency"] != nil || first["credits"] != json.Number("10") {
		t.Errorf("%v", first)
	}
}

func TestConfirm(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10","return_to":"https://docs.example/done/x"}`)
	confirm := func(account, id string) answer {
		return s.post("/payments/confirm", `{"order_id":"`+id+`"}`).by(account).do()
	}
	want := map[string]any{"order_id": order, "status": "open", "product": "pack10", "return_to": "https://docs.example/done/x"}
	if got := confirm(alice, order).json(200); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	// Whatever somebody else asks, and whatever he makes up, the answer is one.
	s.untouched(func() {
		theirs := confirm(bob, order)
		theirs.problem(404, "order_not_found")
		for _, id := range []string{"ord_AAAAAAAAAAAAAAAAAAAAAA", "ord_x", "x", "../" + order, order + "\\u0000", strings.Repeat("x", 10000)} {
			if a := confirm(alice, id); a.Body.String() != theirs.Body.String() || a.Code != theirs.Code {
				t.Errorf("%.40q: %d %s, want %s", id, a.Code, a.Body, theirs.Body)
			}
		}
	})

	// The webhook is lost; asking Dodo finds the payment, once.
	s.sim.HoldWebhooks(true)
	s.pay(session, dodosim.CardVisa)
	s.clock.pass(3 * time.Second)
	want["status"] = "paid"
	for range 3 {
		if got := confirm(alice, order).json(200); !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if got := s.get("/payments/status").by(alice).do().json(200)["credits"]; got != json.Number("10") {
		t.Errorf("credits %v, want 10", got)
	}
}

func TestConfirmFailed(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	s.pay(session, dodosim.CardDeclined)
	if got := s.post("/payments/confirm", `{"order_id":"`+order+`"}`).by(alice).do().json(200)["status"]; got != "failed" {
		t.Errorf("status %v, want failed", got)
	}
}

func TestConfirmByForm(t *testing.T) {
	s := newSite(t, nil)
	order, _ := s.order(alice, `{"product":"pack10"}`)
	a := s.post("/payments/confirm", "order_id="+order).by(alice).asForm().do()
	if to := a.Header().Get("Location"); a.Code != http.StatusSeeOther || to != "/payments/return?order="+order {
		t.Errorf("%d %q", a.Code, to)
	}
	if page := s.post("/payments/confirm", "order_id="+order).by(bob).asForm().do().page(404); !strings.Contains(page, "order_not_found") {
		t.Error(page)
	}
}

func TestConfirmRefusals(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10"}`)
	s.sim.HoldWebhooks(true)
	s.pay(session, dodosim.CardVisa)
	good := `{"order_id":"` + order + `"}`
	for _, test := range []detailedError{
		{"nobody", good, func(c call) call { return c.by("") }, 401, "unauthenticated", "Sign in"},
		{"account too long", good, func(c call) call { return c.by(strings.Repeat("x", 300)) }, 500, "account_invalid", ""},
		{"another site", good, func(c call) call { return c.with("Sec-Fetch-Site", "cross-site") }, 403, "cross_origin", ""},
		{"early data", good, func(c call) call { return c.with("Early-Data", "1") }, 425, "too_early", ""},
		{"plain text", good, func(c call) call { return c.with("Content-Type", "text/plain") }, 415, "unsupported_media_type", ""},
		{"too large", good + strings.Repeat(" ", 16<<10), nil, 413, "body_too_large", ""},
		{"nothing", `{}`, nil, 400, "invalid_request", "order_id is missing"},
		{"empty", `{"order_id":""}`, nil, 400, "invalid_request", "order_id is missing"},
		{"null", `{"order_id":null}`, nil, 400, "invalid_request", "order_id must be a string"},
		{"number", `{"order_id":1}`, nil, 400, "invalid_request", "order_id must be a string"},
		{"twice", `{"order_id":"` + order + `","order_id":"` + order + `"}`, nil, 400, "invalid_request", "more than once"},
		// The client's word that it has paid is not even listened to.
		{"payment id", `{"order_id":"` + order + `","paymentId":"pay_1"}`, nil, 400, "invalid_request", `"paymentId" is not a field`},
		{"status", `{"order_id":"` + order + `","status":"paid"}`, nil, 400, "invalid_request", `"status" is not a field`},
		{"other case", `{"Order_ID":"` + order + `"}`, nil, 400, "invalid_request", `"Order_ID" is not a field`},
		{"trailing", good + good, nil, 400, "invalid_request", "JSON object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := s.in(t)
			c := s.post("/payments/confirm", test.body).by(alice)
			if test.change != nil {
				c = test.change(c)
			}
			s.untouched(func() {
				m := c.do().problem(test.status, test.code)
				if detail, _ := m["detail"].(string); !strings.Contains(detail, test.detail) {
					t.Errorf("detail %q, want something about %q", detail, test.detail)
				}
			})
		})
	}
}

func TestConfirmWhenDodoIsDown(t *testing.T) {
	s := newSite(t, nil)
	order, _ := s.order(alice, `{"product":"pack10"}`)
	s.sim.SetFault(dodosim.Fault{Status: 500}, 10)
	s.post("/payments/confirm", `{"order_id":"`+order+`"}`).by(alice).do().problem(503, "provider_unavailable")
	s.clock.pass(time.Minute)
	s.sim.SetFault(dodosim.Fault{Status: 401, Body: `{"code":"UNAUTHORIZED"}`}, 1)
	s.post("/payments/confirm", `{"order_id":"`+order+`"}`).by(alice).do().problem(502, "provider_rejected")
	// What Dodo does not know is not paid; our order is there all the same.
	s.clock.pass(time.Minute)
	s.sim.SetFault(dodosim.Fault{Status: 404, Body: `{"code":"NOT_FOUND"}`}, 1)
	if got := s.post("/payments/confirm", `{"order_id":"`+order+`"}`).by(alice).do().json(200)["status"]; got != "open" {
		t.Errorf("status %v", got)
	}
}
