package httpapi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/httpapi"
)

var broke = entitlement.Snapshot{Credits: 3, Plan: entitlement.NoPlan, Features: []string{"api"}}

// refused is the answer to a call that is refused.
func (c call) refused(no httpapi.Refusal) (answer, string) {
	w := httptest.NewRecorder()
	code := c.site.api.Refuse(w, c.Request, no)
	return answer{c.site.t, w}, code
}

// priced is a site whose prices were read before.
func priced(t *testing.T, change func(*setting)) *site {
	s := newSite(t, change)
	s.get("/payments/products").do().json(200)
	return s
}

// names are the offers' products with their quantities.
func names(t *testing.T, problem map[string]any) map[string]float64 {
	t.Helper()
	got := make(map[string]float64)
	for _, o := range problem["offers"].([]any) {
		o := o.(map[string]any)
		got[o["product"].(string)] = o["quantity"].(float64)
	}
	return got
}

func TestRefuse(t *testing.T) {
	s := priced(t, func(set *setting) { set.sold[0].Features = []string{"reports"} })
	for name, tt := range map[string]struct {
		needs               entitlement.Requirement
		code                string
		required, available any
		offers              map[string]float64
	}{
		"credits": {
			entitlement.Requirement{Credits: 20}, "insufficient_credits", 20.0, 3.0,
			map[string]float64{"pack10": 2, "pro": 1, "twin1": 1, "twin2": 1},
		},
		"more credits than anybody can buy": {
			entitlement.Requirement{Credits: 1 << 50}, "insufficient_credits", float64(1 << 50), 3.0, map[string]float64{},
		},
		"plan":  {entitlement.Requirement{Plans: []string{"gold", "pro"}}, "plan_required", []any{"gold", "pro"}, "none", map[string]float64{"pro": 1, "unsold": 1}},
		"plans": {entitlement.Requirement{Plans: []string{"pro"}}, "plan_required", []any{"pro"}, "none", map[string]float64{"pro": 1}},
		"feature": {
			entitlement.Requirement{Features: []string{"export", "reports"}}, "feature_required", []any{"export", "reports"}, []any{"api"},
			map[string]float64{"pack10": 1},
		},
		"feature that nothing grants": {
			entitlement.Requirement{Features: []string{"Reports"}}, "feature_required", []any{"Reports"}, []any{"api"}, map[string]float64{},
		},
		"paid": {entitlement.Requirement{Paid: true}, "payment_required", true, false, map[string]float64{"pack10": 1, "pro": 1, "unsold": 1, "twin1": 1, "twin2": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			a, code := s.in(t).get("/app").refused(httpapi.Refusal{Account: alice, Needs: tt.needs, Has: broke})
			m := a.problem(402, tt.code)
			if code != tt.code || !reflect.DeepEqual(m["required"], tt.required) || !reflect.DeepEqual(m["available"], tt.available) {
				t.Errorf("%s: %v", code, m)
			}
			if got := names(t, m); !reflect.DeepEqual(got, tt.offers) {
				t.Errorf("offers %v, want %v", got, tt.offers)
			}
			if pending := m["pending"].([]any); len(pending) != 0 {
				t.Errorf("pending %v", pending)
			}
		})
	}
}

// What is remembered of refusals is told to nobody who lacks something else, and it is
// bounded however large the catalog is.
func TestRefusalsAreRemembered(t *testing.T) {
	many := catalog()
	for i := range 300 {
		many = append(many, config.Product{Name: fmt.Sprint("p", i), ID: fmt.Sprint("pdt_p", i), Credits: 1, Description: strings.Repeat("x", 200)})
	}
	s := newSite(t, func(set *setting) { set.products = many })
	for range 2 {
		for has := range int64(100) {
			no := httpapi.Refusal{Account: alice, Needs: entitlement.Requirement{Credits: 100}, Has: entitlement.Snapshot{Credits: has}}
			a, _ := s.get("/app").refused(no)
			m := a.problem(402, "insufficient_credits")
			if m["available"] != float64(has) || names(t, m)["p1"] != float64(100-has) {
				t.Fatalf("who has %d is told %v", has, m["detail"])
			}
		}
	}
	if answers, bytes := s.api.RememberedRefusals(); answers == 0 || bytes > 2<<20 {
		t.Errorf("%d answers are remembered, %d bytes", answers, bytes)
	}
}

// The same is needed and lacked in many ways, and each is told as it is.
func TestRefusalsOfAllKinds(t *testing.T) {
	s, forgetful := priced(t, nil), priced(t, nil)
	needs := []entitlement.Requirement{
		{Paid: true}, {Plans: []string{"pro"}}, {Plans: []string{"gold"}}, {Plans: []string{"gold", "pro"}}, {Credits: 1}, {Credits: 20},
		{Features: []string{"pro"}}, {Features: []string{"gold", "pro"}}, {Features: []string{"gold pro"}}, {Features: []string{`gold" "pro`}},
	}
	has := []entitlement.Snapshot{
		{Plan: entitlement.NoPlan}, {Plan: "basic"}, {Plan: "basic", Credits: 7}, {Plan: "basic", HasPaid: true, Credits: 7},
		{Plan: "basic", Features: []string{"api"}}, {Plan: "basic", Features: []string{"api", "export"}},
	}
	for range 2 {
		for _, need := range needs {
			for _, h := range has {
				no := httpapi.Refusal{Account: alice, Needs: need, Has: h}
				got, _ := s.get("/app").refused(no)
				no.Pending = []book.Order{{State: book.OrderFailed}} // which is not named, but not remembered either
				want, _ := forgetful.get("/app").refused(no)
				if got.Body.String() != want.Body.String() {
					t.Errorf("needs %+v, has %+v: told %s, want %s", need, h, got.Body, want.Body)
				}
			}
		}
	}
}

// An offer says what it gives and what it costs, and its request buys it.
func TestOffersCanBeBought(t *testing.T) {
	s := priced(t, nil)
	a, _ := s.post("/app", "").refused(httpapi.Refusal{Account: alice, Needs: entitlement.Requirement{Credits: 20}, Has: broke})
	offer := a.problem(402, "insufficient_credits")["offers"].([]any)[0].(map[string]any)
	if offer["title"] != "Ten <credits> & more" || offer["price"] != 999.0 || offer["currency"] != "USD" || offer["credits"] != 10.0 {
		t.Errorf("%v", offer)
	}
	request := offer["request"].(map[string]any)
	body, err := json.Marshal(request["body"])
	must(t, err)
	m := s.call(request["method"].(string), request["url"].(string), string(body)).by(alice).do().json(http.StatusCreated)
	s.pay(m["session_id"].(string), "4242424242424242")
	if got := s.get("/payments/status").by(alice).do().json(200)["credits"]; got != json.Number("20") {
		t.Errorf("%v credits", got)
	}
}

// Without a price, and under another base path, there are offers all the same.
func TestOffersWithoutPrices(t *testing.T) {
	s := newSite(t, func(set *setting) { set.basePath = "/Shop/api" })
	a, _ := s.get("/app").refused(httpapi.Refusal{Account: alice, Needs: entitlement.Requirement{Plans: []string{"gold"}}, Has: broke})
	offer := a.problem(402, "plan_required")["offers"].([]any)[0].(map[string]any)
	if offer["price"] != nil || offer["currency"] != nil || offer["request"].(map[string]any)["url"] != "/Shop/api/checkout" {
		t.Errorf("%v", offer)
	}
}

func TestRefuseAnonymous(t *testing.T) {
	s := newSite(t, nil)
	s.untouched(func() {
		a, code := s.get("/app").refused(httpapi.Refusal{Needs: entitlement.Requirement{Paid: true}})
		a.problem(401, "unauthenticated")
		if code != "unauthenticated" {
			t.Error(code)
		}
	})
	a, _ := s.get("/app").asBrowser().refused(httpapi.Refusal{Needs: entitlement.Requirement{Paid: true}})
	if page := a.page(401); !strings.Contains(page, "Sign in first.") {
		t.Error(page)
	}
}

// Orders that may turn out to be paid are named; a failed attempt is not one.
func TestRefuseNamesPending(t *testing.T) {
	s := newSite(t, nil)
	orders := []book.Order{{ID: "ord_1", State: book.OrderFailed}, {ID: "ord_2", State: book.OrderOpen}, {ID: "ord_3", State: book.OrderOpen}}
	no := httpapi.Refusal{Account: alice, Needs: entitlement.Requirement{Paid: true}, Has: broke, Pending: orders}
	for range 2 {
		a, _ := s.get("/app").refused(no)
		if got := a.problem(402, "payment_required")["pending"]; !reflect.DeepEqual(got, []any{"ord_2", "ord_3"}) {
			t.Errorf("pending %v", got)
		}
		a, _ = s.get("/app").refused(httpapi.Refusal{Account: bob, Needs: no.Needs, Has: broke})
		if got := a.problem(402, "payment_required")["pending"]; !reflect.DeepEqual(got, []any{}) {
			t.Errorf("somebody else is told of %v", got)
		}
	}
	a, _ := s.get("/app").asBrowser().refused(no)
	if page := a.page(402); !strings.Contains(page, `href="/payments/return?order=ord_2"`) {
		t.Error(page)
	}
}

// A browser gets the same offers as buttons, and comes back to where it was.
func TestRefusalPage(t *testing.T) {
	s := priced(t, func(set *setting) { set.returnTo = nil })
	a, _ := s.get("/app/report?id=%22%3E").asBrowser().refused(httpapi.Refusal{
		Account: alice, Needs: entitlement.Requirement{Credits: 20}, Has: broke, Target: func(*http.Request) string { return "/app/report?id=%22%3E" },
	})
	page := a.page(402)
	checkRefusal(t, a)
	for _, want := range []string{
		"<title>Not enough credits</title>", "This needs 20 credits, and you have 3.", "Code: insufficient_credits",
		`<form method="post" action="/payments/checkout">`, `name="product" value="pack10"`, `name="quantity" value="2"`,
		`name="return_to" value="https://shop.example/app/report?id=%22%3E"`,
		">2 × Ten &lt;credits&gt; &amp; more, 19.98 USD</button>", ">pro, 0.00 EUR</button>", ">twin1</button>",
	} {
		if !strings.Contains(strings.ReplaceAll(page, "Pro,", "pro,"), want) {
			t.Errorf("there is no %s: %s", want, page)
		}
	}
	if strings.Contains(page, "secret") {
		t.Error("a hidden product is shown")
	}
	m := s.post("/payments/checkout", "product=pack10&quantity=2&return_to=https%3A%2F%2Fshop.example%2Fapp%2Freport%3Fid%3D%2522%253E").asForm().by(alice).do()
	if m.Code != http.StatusSeeOther {
		t.Errorf("the form is answered with %d %s", m.Code, m.Body)
	}
}

// The form leads only where customers may land, and never asks for a POST again.
func TestRefusalPageLandsWhereAllowed(t *testing.T) {
	for name, tt := range map[string]struct{ method, target string }{
		"elsewhere on the site": {"GET", "/admin"},
		"another host":          {"GET", "//evil.example/app"},
		"no path":               {"GET", "evil.example"},
		"dots":                  {"GET", "/app/../admin"},
		"a post":                {"POST", "/app"},
		"not said":              {"GET", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(set *setting) { set.returnTo = []string{public + "/app"} })
			a, _ := s.call(tt.method, "/", "").asBrowser().refused(httpapi.Refusal{
				Account: alice, Needs: entitlement.Requirement{Paid: true}, Has: broke, Target: func(*http.Request) string { return tt.target },
			})
			if page := a.page(402); strings.Contains(page, "return_to") || !strings.Contains(page, `value="pack10"`) {
				t.Error(page)
			}
		})
	}
}

// checkRefusal is checkPage for the page with forms: those may go to the checkout.
func checkRefusal(t *testing.T, a answer) {
	t.Helper()
	h := a.Header()
	policy := h.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "form-action http: https:; frame-ancestors 'none'") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	if h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" || h.Get("Vary") != "Accept" {
		t.Errorf("%v", h)
	}
	for _, never := range []string{"<script", "<img", "<link", "<iframe", " style=", "url(", "ZgotmplZ"} {
		if strings.Contains(a.Body.String(), never) {
			t.Errorf("the page has %s: %s", never, a.Body)
		}
	}
}

func TestMoney(t *testing.T) {
	for want, amount := range map[string]struct {
		minor    int64
		currency string
	}{
		"9.99 USD": {999, "USD"}, "0.05 EUR": {5, "EUR"}, "500 JPY": {500, "JPY"}, "1.005 KWD": {1005, "KWD"}, "10.00 XYZ": {1000, "XYZ"},
		"-0.50 USD": {-50, "USD"}, "-3 JPY": {-3, "JPY"}, "-1.005 KWD": {-1005, "KWD"},
	} {
		if got := httpapi.Money(amount.minor, amount.currency); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What a browser asks before it asks.
func TestIsPreflight(t *testing.T) {
	preflight := func() *http.Request {
		r := httptest.NewRequest(http.MethodOptions, "/app", nil)
		r.Header.Set("Origin", "https://other.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		return r
	}
	if !httpapi.IsPreflight(preflight()) {
		t.Error("a preflight is none")
	}
	for name, change := range map[string]func(*http.Request){
		"another method":    func(r *http.Request) { r.Method = http.MethodGet },
		"no origin":         func(r *http.Request) { r.Header.Del("Origin") },
		"no method":         func(r *http.Request) { r.Header.Del("Access-Control-Request-Method") },
		"a body":            func(r *http.Request) { r.ContentLength = 1 },
		"a body of no size": func(r *http.Request) { r.ContentLength = -1 },
		"a body in HTTP/3":  func(r *http.Request) { r.ContentLength, r.ProtoMajor = 1, 3 },
		"chunks":            func(r *http.Request) { r.TransferEncoding = []string{"chunked"} },
		"an override":       func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "POST") },
		"another override":  func(r *http.Request) { r.Header.Set("X-HTTP-Method", "POST") },
		"a third override":  func(r *http.Request) { r.Header.Set("X-Method-Override", "") },
		"an upgrade":        func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
	} {
		r := preflight()
		if change(r); httpapi.IsPreflight(r) {
			t.Errorf("%s: it is one", name)
		}
	}
	r := preflight()
	r.ContentLength, r.ProtoMajor = -1, 3 // as all of HTTP/3 that say nothing
	if !httpapi.IsPreflight(r) {
		t.Error("a preflight over HTTP/3 is none")
	}
}

// Of an app that takes every method for GET, nothing gets out.
func TestPreflightOnly(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodOptions, "/app", strings.NewReader("work"))
	p := newSite(t, nil).api.PreflightOnly(w, r)
	if body, err := io.ReadAll(r.Body); len(body) != 0 || err != nil || r.ContentLength != 0 {
		t.Errorf("the app gets %q, %v", body, err)
	}
	p.Header().Set("Access-Control-Allow-Origin", "*")
	p.Header().Set("Vary", "Origin")
	p.Header().Set("Location", "https://cdn.example/paid?signature=1")
	p.Header().Set("Set-Cookie", "paid=1")
	p.Header().Set("Content-Length", "4")
	p.WriteHeader(http.StatusEarlyHints)
	p.WriteHeader(http.StatusOK)
	n, err := io.WriteString(p, "paid")
	must(t, err)
	must(t, http.NewResponseController(p).Flush())
	p.Header().Set("Access-Control-Late", "x")
	if _, _, err := http.NewResponseController(p).Hijack(); err == nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	got := w.Result()
	want := http.Header{"Access-Control-Allow-Origin": {"*"}, "Vary": {"Origin"}, "Content-Length": {"0"}}
	if got.StatusCode != 200 || !reflect.DeepEqual(got.Header, want) || w.Body.Len() != 0 {
		t.Errorf("%d %v %q", got.StatusCode, got.Header, w.Body)
	}
}
