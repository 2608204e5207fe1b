package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// sellsPlans puts subscriptions into the catalog, beside a pack and a pass.
func sellsPlans(set *setting) {
	month := dodosim.Period{Count: 1, Interval: dodosim.Month}
	set.returnTo = []string{public + "/app"}
	set.products = []config.Product{
		{Name: "pack10", ID: "pdt_pack10", Credits: 10},
		{Name: "basic", ID: "pdt_basic", Plan: "basic", Credits: 100},
		{Name: "pro", ID: "pdt_pro", Plan: "pro", Credits: 500},
		{Name: "yearly", ID: "pdt_yearly", Plan: "pro", Credits: 6000},
		{Name: "pass", ID: "pdt_pass", Plan: "pro", Lasts: config.Duration(24 * time.Hour)},
		{Name: "club", ID: "pdt_club", Plan: "club", AllowMultiple: true},
		{Name: "life", ID: "pdt_life", Plan: "life"},
	}
	set.sold = []dodosim.Product{
		{ID: "pdt_pack10", Name: "Pack", Price: 500, Currency: "USD"},
		{ID: "pdt_basic", Name: "Basic", Price: 900, Currency: "USD", Every: month},
		{ID: "pdt_pro", Name: "Pro", Price: 1900, Currency: "USD", Every: month, TrialDays: 0},
		{ID: "pdt_yearly", Name: "Pro by the year", Price: 19000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Year}},
		{ID: "pdt_pass", Name: "A day", Price: 100, Currency: "USD"},
		{ID: "pdt_club", Name: "Club", Price: 300, Currency: "USD", Every: month},
		{ID: "pdt_life", Name: "For life", Price: 9900, Currency: "USD"},
	}
}

// buys has an account buy a product, as somebody with an e-mail address of their own.
func (s *site) buys(account, product string) dodosim.Attempt {
	s.t.Helper()
	m := s.post("/payments/checkout", fmt.Sprintf(`{"product":%q}`, product)).
		as(gateway.Identity{Account: account, Email: account + "@example.com"}).do().json(http.StatusCreated)
	return s.pay(m["session_id"].(string), goodCard)
}

const goodCard = "4242424242424242"

// plans are what the account's next request sees.
func (s *site) plans(account string) string {
	s.t.Helper()
	now, err := s.gate.Entitlement(s.t.Context(), account)
	must(s.t, err)
	return strings.Join(now.PlanNames(), " ")
}

// TestCancelAndUndo: a customer ends a subscription with its period, goes on after all, and
// repeats change nothing; other accounts and bodies get nowhere.
func TestCancelAndUndo(t *testing.T) {
	s := newSite(t, sellsPlans)
	sub := s.buys(alice, "pro").SubscriptionID
	s.buys(bob, "basic")
	cancel := func(who, body string) call { return s.post("/payments/subscription/cancel", body).by(who) }

	for range 2 { // twice is once
		m := cancel(alice, `{}`).do().json(http.StatusOK)
		if m["subscription"] != sub || m["cancel_at_period_end"] != true || m["plan"] != "pro" || m["status"] != "active" || m["period_end"] == nil {
			t.Errorf("cancelled: %v", m)
		}
	}
	if got := s.plans(alice); got != "pro" {
		t.Errorf("until the end of the period the plans are %q", got)
	}
	for range 2 {
		if m := cancel(alice, `{"plan":"pro","undo":true}`).do().json(http.StatusOK); m["cancel_at_period_end"] != false {
			t.Errorf("undone: %v", m)
		}
	}
	cancel(alice, `{"subscription":"`+sub+`"}`).do().json(http.StatusOK)

	must(t, s.sim.Flush(t.Context()))
	s.untouched(func() {
		for body, who := range map[string]string{
			`{"subscription":"` + sub + `"}`:                   bob, // it is alice's
			`{"subscription":"sub_unknown"}`:                   alice,
			`{"plan":"basic"}`:                                 alice,
			`{"product":"pack10"}`:                             alice,
			`{"subscription":"` + sub + `","product":"basic"}`: alice,
			`{}`: "nobody",
		} {
			cancel(who, body).do().problem(http.StatusNotFound, "no_subscription")
		}
		cancel(alice, `{"undo":"yes"}`).do().problem(http.StatusBadRequest, "invalid_request")
		cancel(alice, `{"undo":1}`).do().problem(http.StatusBadRequest, "invalid_request")
		cancel(alice, `{"when":"now"}`).do().problem(http.StatusBadRequest, "invalid_request")
		s.post("/payments/subscription/cancel", `{}`).do().problem(http.StatusUnauthorized, "unauthenticated")
		cancel(alice, `{}`).with("Sec-Fetch-Site", "cross-site").do().problem(http.StatusForbidden, "cross_origin")
		if a := s.get("/payments/subscription/cancel").by(alice).do(); a.Code != http.StatusMethodNotAllowed {
			t.Errorf("GET: %d", a.Code)
		}
	})

	a := s.post("/payments/subscription/cancel", url.Values{"undo": {"true"}, "return_to": {public + "/app/plan"}}.Encode()).by(alice).asForm().do()
	if a.Code != http.StatusSeeOther || a.Header().Get("Location") != public+"/app/plan" {
		t.Errorf("form: %d to %q", a.Code, a.Header().Get("Location"))
	}
	s.post("/payments/subscription/cancel", "return_to=https://evil.example/").by(alice).asForm().with("Accept", "application/json").do()
}

// TestCancelEnds: what was cancelled ends with its period, and is not there to be managed
// any more.
func TestCancelEnds(t *testing.T) {
	s := newSite(t, sellsPlans)
	s.buys(alice, "pro")
	s.post("/payments/subscription/cancel", `{}`).by(alice).do().json(http.StatusOK)
	s.clock.pass(32 * 24 * time.Hour)
	s.sim.Tick()
	must(t, s.sim.Flush(t.Context()))
	if got := s.plans(alice); got != "" {
		t.Errorf("after the period the plans are %q", got)
	}
	s.post("/payments/subscription/cancel", `{"undo":true}`).by(alice).do().problem(http.StatusNotFound, "no_subscription")
}

// TestSeveralSubscriptions: which one is meant has to be said.
func TestSeveralSubscriptions(t *testing.T) {
	s := newSite(t, sellsPlans)
	pro, club := s.buys(alice, "pro").SubscriptionID, s.buys(alice, "club").SubscriptionID
	m := s.post("/payments/subscription/cancel", `{}`).by(alice).do().problem(http.StatusConflict, "ambiguous_subscription")
	listed := fmt.Sprint(m["subscriptions"])
	if !strings.Contains(listed, pro) || !strings.Contains(listed, club) {
		t.Errorf("listed: %s", listed)
	}
	if m := s.post("/payments/subscription/cancel", `{"product":"club"}`).by(alice).do().json(http.StatusOK); m["subscription"] != club {
		t.Errorf("%v", m)
	}
	m = s.post("/payments/subscription/change", `{"product":"basic"}`).by(alice).do().problem(http.StatusConflict, "ambiguous_subscription")
	if len(m["subscriptions"].([]any)) != 2 {
		t.Errorf("%v", m)
	}
	if m := s.post("/payments/subscription/change", `{"product":"basic","from":"pro"}`).by(alice).do().json(http.StatusOK); m["state"] != "preview" {
		t.Errorf("%v", m)
	}
}

// TestPortal: the link is for the customer alone. Somebody who typed another customer's
// e-mail address at the checkout does not get to see that customer.
func TestPortal(t *testing.T) {
	s := newSite(t, sellsPlans)
	portal := func(who gateway.Identity) call { return s.post("/payments/portal", `{}`).as(who) }
	portal(gateway.Identity{Account: alice}).do().problem(http.StatusNotFound, "no_customer")
	s.buys(alice, "pro")
	link, _ := portal(gateway.Identity{Account: alice}).do().json(http.StatusOK)["portal_url"].(string)
	if !strings.HasPrefix(link, "https://checkout.dodo.example/portal/") {
		t.Errorf("link %q", link)
	}
	a := s.post("/payments/portal", "").by(alice).asForm().do()
	if to := a.Header().Get("Location"); a.Code != http.StatusSeeOther || !strings.HasPrefix(to, "https://checkout.dodo.example/portal/") {
		t.Errorf("form: %d to %q", a.Code, to)
	}
	s.post("/payments/portal", `{"return_to":"https://evil.example/"}`).by(alice).do().problem(http.StatusUnprocessableEntity, "return_to_not_allowed")
	s.post("/payments/portal", `{"customer_id":"cus_1"}`).by(alice).do().problem(http.StatusBadRequest, "invalid_request")
	s.post("/payments/portal", `{}`).do().problem(http.StatusUnauthorized, "unauthenticated")

	m := s.post("/payments/checkout", `{"product":"pack10"}`).as(gateway.Identity{Account: "mallory", Email: alice + "@example.com"}).do().json(http.StatusCreated)
	s.pay(m["session_id"].(string), goodCard)
	portal(gateway.Identity{Account: "mallory"}).do().problem(http.StatusConflict, "portal_not_yours")
	portal(gateway.Identity{Account: "mallory", Email: alice + "@example.com"}).do().problem(http.StatusConflict, "portal_not_yours")
	portal(gateway.Identity{Account: alice, Email: alice + "@example.com", EmailVerified: true}).do().json(http.StatusOK)
}

// TestPortalAfterRefund: who has nothing any more still was a customer.
func TestPortalAfterRefund(t *testing.T) {
	s := newSite(t, sellsPlans)
	payment := s.buys(alice, "pack10").PaymentID
	_, err := s.sim.Refund(payment, 0)
	must(t, err)
	must(t, s.sim.Flush(t.Context()))
	s.post("/payments/portal", `{}`).by(alice).do().json(http.StatusOK)
}

// TestAlreadySubscribed: a product or plan that a subscription renews is not sold again, and
// the answer says what can be done. Everything else is sold.
func TestAlreadySubscribed(t *testing.T) {
	s := newSite(t, sellsPlans)
	sub := s.buys(alice, "pro").SubscriptionID
	checkout := func(body string) call { return s.post("/payments/checkout", body).by(alice) }
	before := s.sim.Calls("POST", "/checkouts")

	m := checkout(`{"product":"pro"}`).do().problem(http.StatusConflict, "already_subscribed")
	cancel, _ := m["cancel"].(map[string]any)
	if m["portal"] == nil || m["change"] != nil || cancel["url"] != "/payments/subscription/cancel" || len(m["subscriptions"].([]any)) != 1 {
		t.Errorf("the same again: %v", m)
	}
	m = checkout(`{"product":"yearly"}`).do().problem(http.StatusConflict, "already_subscribed")
	change, _ := m["change"].(map[string]any)
	body, _ := change["body"].(map[string]any)
	if m["portal"] == nil || m["cancel"] == nil || change["url"] != "/payments/subscription/change" || body["product"] != "yearly" || body["subscription"] != sub {
		t.Errorf("its plan, by the year: %v", m)
	}
	checkout(`{"product":"pass"}`).do().problem(http.StatusConflict, "already_subscribed")
	checkout(`{"product":"yearly"}`).with("Idempotency-Key", "k").do().problem(http.StatusConflict, "already_subscribed")
	if n := s.sim.Calls("POST", "/checkouts") - before; n != 0 {
		t.Errorf("%d sessions were made", n)
	}

	for _, body := range []string{`{"product":"pack10","quantity":3}`, `{"product":"basic"}`, `{"product":"club"}`, `{"product":"life"}`} {
		checkout(body).do().json(http.StatusCreated)
	}
	s.post("/payments/checkout", `{"product":"pro"}`).by(bob).do().json(http.StatusCreated)
	if m := s.post(cancel["url"].(string), fmt.Sprintf(`{"subscription":%q}`, sub)).by(alice).do().json(http.StatusOK); m["cancel_at_period_end"] != true {
		t.Errorf("the way to cancel: %v", m)
	}
	checkout(`{"product":"pro"}`).do().json(http.StatusCreated) // it does not renew any more
}

// TestAlreadySubscribedByForm: a form that would buy a subscription twice gets a page with
// buttons, also from a client that takes anything.
func TestAlreadySubscribedByForm(t *testing.T) {
	for name, accept := range map[string][]string{"a browser": {browser}, "curl": {"*/*"}, "nothing said": nil} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, sellsPlans)
			sub := s.buys(alice, "pro").SubscriptionID
			form := s.post("/payments/checkout", "product=yearly").by(alice).asForm()
			form.Header["Accept"] = accept
			page := form.do().page(http.StatusConflict)
			for _, want := range []string{
				`action="/payments/subscription/change"`, "Change to Pro by the year", `name="product" value="yearly"`, `name="subscription" value="` + sub + `"`,
				`action="/payments/portal"`, `action="/payments/subscription/cancel"`, "You keep it until 21 December 2026",
			} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %s:\n%s", want, page)
				}
			}
			form = s.post("/payments/checkout", "product=yearly").by(alice).asForm()
			form.Header["Accept"] = []string{"application/json"}
			form.do().problem(http.StatusConflict, "already_subscribed")
		})
	}
}

// TestAlreadySubscribedForOldFronts: the front ends of the hand-written integrations get
// their own kind of error, with the requests that help.
func TestAlreadySubscribedForOldFronts(t *testing.T) {
	for style, f := range map[config.CompatStyle]struct{ path, body, sentence string }{
		config.Express: {"/api/payments/create-checkout", `{"credits":500}`, "error"},
		config.FastAPI: {"/payment/create-checkout-session", `{"plan":"pro"}`, "detail"},
	} {
		t.Run(string(style), func(t *testing.T) {
			s := newCompatSite(t, style, func(set *setting) {
				set.products = []config.Product{{Name: "pro", ID: "pdt_month", Plan: "pro", Credits: 500}}
				if style == config.Express {
					set.products[0].Plan = "" // it is found by its credits
				}
				set.sold = append(set.sold, dodosim.Product{ID: "pdt_month", Price: 1900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}})
			})
			s.get("/payments/products").do()
			s.buys(alice, "pro")
			m := s.post(f.path, f.body).by(alice).do().json(http.StatusConflict)
			if text, _ := m[f.sentence].(string); !strings.Contains(text, "subscription") {
				t.Errorf("no sentence: %v", m)
			}
			for _, way := range []string{"portal", "cancel"} {
				if to, _ := m[way].(map[string]any); to["method"] != "POST" {
					t.Errorf("no way to %s: %v", way, m)
				}
			}
		})
	}
}

// TestAlreadySubscribedIsTrue: what this gateway has not heard of, Dodo is asked about, in
// both directions.
func TestAlreadySubscribedIsTrue(t *testing.T) {
	s := newSite(t, sellsPlans)
	s.sim.HoldWebhooks(true)
	s.buys(alice, "pro") // nobody is told
	s.post("/payments/checkout", `{"product":"pro"}`).by(alice).do().problem(http.StatusConflict, "already_subscribed")
	if got := s.plans(alice); got != "pro" {
		t.Errorf("plans %q", got)
	}
	sub := s.onlySubscription(alice)
	s.dodoSays("PATCH", "/subscriptions/"+sub, `{"status":"cancelled"}`) // nobody is told
	s.post("/payments/checkout", `{"product":"pro"}`).by(alice).do().json(http.StatusCreated)
}

// TestKeyOfWhatWasBought: a repeat of a purchase is no second one.
func TestKeyOfWhatWasBought(t *testing.T) {
	s := newSite(t, sellsPlans)
	buy := func() map[string]any {
		return s.post("/payments/checkout", `{"product":"pro"}`).with("Idempotency-Key", "k").by(alice).do().json(http.StatusCreated)
	}
	first := buy()
	s.pay(first["session_id"].(string), goodCard)
	if again := buy(); again["order_id"] != first["order_id"] {
		t.Errorf("%v after %v", again, first)
	}
}

// TestOnePieceOfSubscription: Dodo sells one, so more are refused with a code of ours,
// whether or not prices are known yet.
func TestOnePieceOfSubscription(t *testing.T) {
	s := newSite(t, sellsPlans)
	checkout := func(body string) call { return s.post("/payments/checkout", body).by(alice) }
	checkout(`{"product":"pro","quantity":2}`).do().problem(http.StatusBadRequest, "invalid_quantity") // by Dodo
	s.get("/payments/products").do()
	s.untouched(func() {
		s.post("/payments/checkout", `{"product":"pro","quantity":2}`).by(bob).do().problem(http.StatusBadRequest, "invalid_quantity")
	})
	checkout(`{"product":"club","quantity":2}`).do().problem(http.StatusBadRequest, "invalid_quantity") // by Dodo
	checkout(`{"product":"pack10","quantity":2}`).do().json(http.StatusCreated)
}

// TestChangePlan: a preview charges nothing; the change does, once, and the next request
// sees it.
func TestChangePlan(t *testing.T) {
	s := newSite(t, sellsPlans)
	sub := s.buys(alice, "basic").SubscriptionID
	payments := s.payments()
	to := func(body string) call { return s.post("/payments/subscription/change", body).by(alice) }

	m := to(`{"product":"pro"}`).do().json(http.StatusOK)
	charge, _ := m["charge"].(map[string]any)
	if m["state"] != "preview" || fmt.Sprint(charge["amount"]) != "1000" || charge["currency"] != "USD" || fmt.Sprint(charge["next_amount"]) != "1900" {
		t.Errorf("preview: %v", m)
	}
	if s.plans(alice) != "basic" || s.payments() != payments {
		t.Error("a preview changed something")
	}
	confirm, _ := m["confirm"].(map[string]any)
	body, _ := confirm["body"].(map[string]any)
	if confirm["url"] != "/payments/subscription/change" || body["confirm"] != true || body["subscription"] != sub {
		t.Errorf("confirm: %v", confirm)
	}

	if m = to(`{"product":"pro","confirm":true}`).do().json(http.StatusOK); m["state"] != "changed" {
		t.Errorf("change: %v", m)
	}
	if got := s.plans(alice); got != "pro" {
		t.Errorf("plans %q", got)
	}
	must(t, s.sim.Flush(t.Context()))
	payments = s.payments()
	for _, again := range []string{`{"product":"pro","confirm":true}`, `{"product":"pro"}`} {
		if m = to(again).do().json(http.StatusOK); m["state"] != "unchanged" {
			t.Errorf("again: %v", m)
		}
	}
	if got := s.payments(); got != payments {
		t.Errorf("the repeat was charged: %d payments after %d", got, payments)
	}

	to(`{"product":"pack10"}`).do().problem(http.StatusUnprocessableEntity, "not_a_subscription")
	to(`{"product":"nothing"}`).do().problem(http.StatusUnprocessableEntity, "unknown_product")
	to(`{}`).do().problem(http.StatusBadRequest, "invalid_request")
	to(`{"product":"basic","quantity":2}`).do().problem(http.StatusBadRequest, "invalid_quantity")
	to(`{"product":"basic","confirm":"yes"}`).do().problem(http.StatusBadRequest, "invalid_request")
	to(`{"product":"basic","amount":1}`).do().problem(http.StatusBadRequest, "invalid_request")
	s.post("/payments/subscription/change", `{"product":"basic","subscription":"`+sub+`"}`).by(bob).do().problem(http.StatusNotFound, "no_subscription")
	s.post("/payments/subscription/change", `{"product":"basic"}`).do().problem(http.StatusUnauthorized, "unauthenticated")

	s.post("/payments/subscription/cancel", `{}`).by(alice).do().json(http.StatusOK)
	for _, confirm := range []string{"", `,"confirm":true`} {
		to(`{"product":"basic"`+confirm+`}`).do().problem(http.StatusConflict, "subscription_ending")
	}
}

// TestChangePlanByForm: without JavaScript, a page says what the change costs, and its
// button makes it.
func TestChangePlanByForm(t *testing.T) {
	s := newSite(t, sellsPlans)
	sub := s.buys(alice, "basic").SubscriptionID
	form := func(v url.Values) answer {
		return s.post("/payments/subscription/change", v.Encode()).by(alice).asForm().do()
	}
	page := form(url.Values{"product": {"pro"}, "return_to": {public + "/app/plan"}}).page(http.StatusOK)
	for _, want := range []string{"Basic", "Pro", "10.00 USD", "19.00 USD every month", `name="confirm" value="true"`, `value="` + sub + `"`, `value="` + public + `/app/plan"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s:\n%s", want, page)
		}
	}
	if s.plans(alice) != "basic" {
		t.Error("looking changed something")
	}
	a := form(url.Values{"product": {"pro"}, "subscription": {sub}, "confirm": {"true"}, "return_to": {public + "/app/plan"}})
	if a.Code != http.StatusSeeOther || a.Header().Get("Location") != public+"/app/plan" || s.plans(alice) != "pro" {
		t.Errorf("%d to %q with %s", a.Code, a.Header().Get("Location"), s.plans(alice))
	}
}

// TestChangeIsDeclined: a customer whose card is declined keeps what was paid for.
func TestChangeIsDeclined(t *testing.T) {
	s := newSite(t, sellsPlans)
	m := s.post("/payments/checkout", `{"product":"basic"}`).by(alice).do().json(http.StatusCreated)
	s.pay(m["session_id"].(string), dodosim.CardFailsLater)
	if m := s.post("/payments/subscription/change", `{"product":"pro","confirm":true}`).by(alice).do().json(http.StatusAccepted); m["state"] != "pending" {
		t.Errorf("%v", m)
	}
	must(t, s.sim.Flush(t.Context()))
	if got := s.plans(alice); got != "basic" {
		t.Errorf("plans %q", got)
	}
	s.post("/payments/subscription/change", `{"product":"pro","confirm":true}`).by(alice).do().problem(http.StatusConflict, "change_in_progress")
	s.clock.pass(3 * time.Minute)
	s.post("/payments/subscription/change", `{"product":"pro","confirm":true}`).by(alice).do().json(http.StatusAccepted)
}

// onlySubscription is the id of the account's one subscription.
func (s *site) onlySubscription(account string) string {
	s.t.Helper()
	held, err := s.gate.Subscriptions(context.Background(), account)
	must(s.t, err)
	if len(held) != 1 {
		s.t.Fatalf("%s has %d subscriptions", account, len(held))
	}
	return held[0].ID
}

// payments is how many payments there are at Dodo.
func (s *site) payments() int {
	s.t.Helper()
	dump, err := s.sim.Dump()
	must(s.t, err)
	var all struct{ Payments []any }
	must(s.t, json.Unmarshal(dump, &all))
	return len(all.Payments)
}

// dodoSays calls Dodo's API beside the gateway.
func (s *site) dodoSays(method, path, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.sells+path, strings.NewReader(body))
	must(s.t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 20 * time.Second}
	res, err := client.Do(req)
	must(s.t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
}

// TestOffersToSubscribers: an account that has a subscription is offered its change, and a
// purchase beside it. The page's buttons and the JSON agree.
func TestOffersToSubscribers(t *testing.T) {
	s := newSite(t, sellsPlans)
	s.get("/payments/products").do()
	s.buys(alice, "basic")
	pro, credits := entitlement.Requirement{Plans: []string{"pro"}}, entitlement.Requirement{Credits: 105}
	offered := func(needs entitlement.Requirement, code string) (ways string, first map[string]any) {
		return s.offered(alice, needs, code)
	}
	page := func() string {
		a, _ := s.get("/app").asBrowser().refused(s.refusal(alice, pro))
		return a.page(http.StatusPaymentRequired)
	}
	ways, first := offered(pro, "plan_required")
	if ways != "pro change; yearly change; pass buy; pro buy; yearly buy; " {
		t.Errorf("offers: %s", ways)
	}
	request := first["request"].(map[string]any)
	body, err := json.Marshal(request["body"])
	must(t, err)
	if first["interval"] != "month" || first["interval_count"] != 1.0 || request["url"] != "/payments/subscription/change" {
		t.Errorf("offer: %v", first)
	}
	text := page()
	change, buy := strings.Index(text, "Change to Pro, 19.00 USD every month"), strings.Index(text, "A day, 1.00 USD")
	if second := strings.Count(text, "A second subscription: you keep the one that you have"); second != 2 { // pro, by the month and by the year
		t.Errorf("%d purchases are called a second subscription:\n%s", second, text)
	}
	if change < 0 || buy < change || !strings.Contains(text, `action="/payments/subscription/change"`) {
		t.Errorf("the page:\n%s", text)
	}
	if m := s.post(request["url"].(string), string(body)).by(alice).do().json(http.StatusOK); m["state"] != "preview" {
		t.Errorf("the offer's request: %v", m)
	}
	if ways, _ := offered(credits, "insufficient_credits"); ways != "pack10 buy; pro change; pro buy; yearly change; yearly buy; " {
		t.Errorf("for credits: %s", ways)
	}
	s.post("/payments/subscription/cancel", `{}`).by(alice).do().json(http.StatusOK)
	if ways, _ := offered(pro, "plan_required"); ways != "pass buy; pro buy; yearly buy; " {
		t.Errorf("while it ends: %s", ways)
	}
}

// TestOffersWhilePaused: a subscription that is stopped is led to the portal, and what it
// gave can be bought again.
func TestOffersWhilePaused(t *testing.T) {
	s := newSite(t, sellsPlans)
	s.get("/payments/products").do()
	sub := s.buys(alice, "basic").SubscriptionID
	s.clock.pass(time.Minute)
	s.dodoSays("PATCH", "/subscriptions/"+sub, `{"status":"paused"}`)
	must(t, s.sim.Flush(t.Context()))
	for plan, want := range map[string]string{"basic": "basic manage; basic buy; ", "pro": "pass buy; pro buy; yearly buy; "} {
		if ways, _ := s.offered(alice, entitlement.Requirement{Plans: []string{plan}}, "plan_required"); ways != want {
			t.Errorf("for %s: %s", plan, ways)
		}
	}
	a, _ := s.get("/app").asBrowser().refused(s.refusal(alice, entitlement.Requirement{Plans: []string{"basic"}}))
	if text := a.page(http.StatusPaymentRequired); !strings.Contains(text, `action="/payments/portal"`) || !strings.Contains(text, "Manage your subscription") {
		t.Errorf("the page:\n%s", text)
	}
	s.post("/payments/checkout", `{"product":"basic"}`).by(alice).do().json(http.StatusCreated)
}

// refusal is what a gate of the site refuses an account with.
func (s *site) refusal(account string, needs entitlement.Requirement) httpapi.Refusal {
	s.t.Helper()
	now, _, err := s.gate.ConfirmAccount(s.t.Context(), account)
	must(s.t, err)
	return httpapi.Refusal{Account: account, Needs: needs, Has: now.Snapshot}
}

// offered are the ways that a 402 offers, "product action; …", and its first offer.
func (s *site) offered(account string, needs entitlement.Requirement, code string) (ways string, first map[string]any) {
	s.t.Helper()
	a, _ := s.get("/app").refused(s.refusal(account, needs))
	for _, o := range a.problem(http.StatusPaymentRequired, code)["offers"].([]any) {
		m := o.(map[string]any)
		if first == nil {
			first = m
		}
		ways += fmt.Sprintf("%v %v; ", m["product"], m["action"])
	}
	return ways, first
}

// TestTrueOffers: intervals and trials are said, and the cheapest way stands first.
func TestTrueOffers(t *testing.T) {
	s := newSite(t, func(set *setting) {
		set.products = []config.Product{
			{Name: "small", ID: "pdt_small", Credits: 10},
			{Name: "quarter", ID: "pdt_quarter", Plan: "pro", Credits: 1000},
			{Name: "large", ID: "pdt_large", Credits: 100},
			{Name: "unsold", ID: "pdt_unsold", Credits: 100},
			{Name: "euro", ID: "pdt_euro", Credits: 100},
		}
		set.sold = []dodosim.Product{
			{ID: "pdt_small", Name: "Small", Price: 500, Currency: "USD"},
			{ID: "pdt_quarter", Name: "Quarter", Price: 6000, Currency: "USD", TrialDays: 14, Every: dodosim.Period{Count: 3, Interval: dodosim.Month}},
			{ID: "pdt_large", Name: "Large", Price: 3000, Currency: "USD"},
			{ID: "pdt_euro", Name: "Euro", Price: 1, Currency: "EUR"},
		}
	})
	list := s.get("/payments/products").do().json(http.StatusOK)["products"].([]any)
	quarter := list[1].(map[string]any)
	if quarter["interval"] != "month" || fmt.Sprint(quarter["interval_count"]) != "3" || fmt.Sprint(quarter["trial_days"]) != "14" {
		t.Errorf("product: %v", quarter)
	}
	if small := list[0].(map[string]any); small["interval"] != nil || small["interval_count"] != nil || fmt.Sprint(small["trial_days"]) != "0" {
		t.Errorf("product: %v", small)
	}
	no := httpapi.Refusal{Account: alice, Needs: entitlement.Requirement{Credits: 100}, Has: entitlement.Snapshot{}}
	a, _ := s.get("/app").refused(no)
	var order []string
	for _, o := range a.problem(http.StatusPaymentRequired, "insufficient_credits")["offers"].([]any) {
		order = append(order, o.(map[string]any)["product"].(string))
	}
	if got := strings.Join(order, " "); got != "large small quarter euro unsold" {
		t.Errorf("order: %s", got)
	}
	a, _ = s.get("/app").asBrowser().refused(no)
	if text := a.page(http.StatusPaymentRequired); !strings.Contains(text, "Quarter, 60.00 USD every 3 months, the first 14 days free") {
		t.Errorf("the page:\n%s", text)
	}
}

// TestOwed: what is owed is shown, and what is offered is enough to pay it, too.
func TestOwed(t *testing.T) {
	s := newSite(t, func(set *setting) { sellsPlans(set); set.signup = 0 })
	payment := s.buys(alice, "pack10").PaymentID
	c, err := s.gate.Hold(t.Context(), gateway.HoldRequest{Account: alice, Credits: 6, TTL: time.Minute})
	must(t, err)
	_, err = c.End(t.Context(), 6, nil)
	must(t, err)
	_, err = s.sim.Refund(payment, 0)
	must(t, err)
	must(t, s.sim.Flush(t.Context()))

	if m := s.get("/payments/status").by(alice).do().json(http.StatusOK); fmt.Sprint(m["owed"]) != "6" || fmt.Sprint(m["credits"]) != "0" {
		t.Errorf("status: %v", m)
	}
	refuse := func() map[string]any {
		now, _, err := s.gate.ConfirmAccount(t.Context(), alice)
		must(t, err)
		a, _ := s.get("/app").refused(httpapi.Refusal{Account: alice, Needs: entitlement.Requirement{Credits: 250}, Has: now.Snapshot})
		return a.problem(http.StatusPaymentRequired, "insufficient_credits")
	}
	m := refuse()
	if m["owed"] != 6.0 || m["available"] != 0.0 || !strings.Contains(m["detail"].(string), "owe 6") {
		t.Errorf("%v", m)
	}
	offer := m["offers"].([]any)[0].(map[string]any)
	if offer["quantity"] != 26.0 {
		t.Errorf("offered: %v", offer)
	}
	body, err := json.Marshal(offer["request"].(map[string]any)["body"])
	must(t, err)
	_, session := s.order(alice, string(body))
	s.pay(session, goodCard)
	now, err := s.gate.Entitlement(t.Context(), alice)
	must(t, err)
	if now.Credits != 254 || now.Debt != 0 {
		t.Errorf("after buying what was offered: %d credits, %d owed", now.Credits, now.Debt)
	}
}
