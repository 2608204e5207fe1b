package dodosim_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const day = 24 * time.Hour

var monthly = dodosim.Period{Count: 1, Interval: dodosim.Month}

// opening is when a magazine opens: the days to its renewals do not depend on today.
var opening = time.Date(2030, time.March, 1, 12, 0, 0, 0, time.UTC)

// magazine opens a shop that sells subscriptions, too.
func magazine(t *testing.T, change func(*dodosim.Options)) *shop {
	t.Helper()
	s := open(t, func(o *dodosim.Options) {
		o.Clock = func() time.Time { return opening }
		o.Products = append(o.Products,
			dodosim.Product{ID: "pdt_pro", Name: "Pro", Price: 2000, Currency: "USD", Every: monthly},
			dodosim.Product{ID: "pdt_team", Name: "Team", Price: 5000, Currency: "USD", Every: monthly},
			dodosim.Product{ID: "pdt_try", Name: "Try", Price: 1000, Currency: "USD", Every: monthly, TrialDays: 14},
			dodosim.Product{ID: "pdt_short", Price: 100, Currency: "USD", Every: monthly, Term: dodosim.Period{Count: 2, Interval: dodosim.Month}},
			dodosim.Product{ID: "pdt_zen", Price: 300, Currency: "JPY", Every: monthly},
		)
		if change != nil {
			change(o)
		}
	})
	s.hooks.mu.Lock()
	s.hooks.anyDay = true
	s.hooks.mu.Unlock()
	return s
}

func cartOf(product string) string {
	return `{"product_cart":[{"product_id":"` + product + `","quantity":1}],"metadata":{"order_id":"ord_1"},"return_url":"https://shop.example/back"}`
}

// subscribe buys a product and returns the subscription's id.
func (s *shop) subscribe(product, card string) string {
	s.t.Helper()
	attempt, err := s.sim.Pay(s.checkout(cartOf(product)), card)
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.HasPrefix(attempt.SubscriptionID, "sub_") {
		s.t.Fatalf("no subscription: %+v", attempt)
	}
	return attempt.SubscriptionID
}

// subscription is the part of a subscription that tests look at.
type subscription struct {
	ID        string     `json:"subscription_id"`
	Product   string     `json:"product_id"`
	Status    string     `json:"status"`
	Quantity  int        `json:"quantity"`
	Amount    int        `json:"recurring_pre_tax_amount"`
	Created   time.Time  `json:"created_at"`
	Previous  time.Time  `json:"previous_billing_date"`
	Next      time.Time  `json:"next_billing_date"`
	Expires   time.Time  `json:"expires_at"`
	EndedAt   *time.Time `json:"cancelled_at"`
	PausedAt  *time.Time `json:"paused_at"`
	Leaving   bool       `json:"cancel_at_next_billing_date"`
	Feedback  *string    `json:"cancellation_feedback"`
	Trial     int        `json:"trial_period_days"`
	Method    *string    `json:"payment_method_id"`
	Scheduled *struct {
		Product   string    `json:"product_id"`
		Effective time.Time `json:"effective_at"`
	} `json:"scheduled_change"`
	Customer struct{ Name string }
	Metadata map[string]string
	Addons   []struct {
		ID       string `json:"addon_id"`
		Quantity int    `json:"quantity"`
	}
}

// extras is what the add-ons of the test catalog cost in a cycle.
func (sub subscription) extras() int {
	sum := 0
	for _, a := range sub.Addons {
		sum += a.Quantity * map[string]int{"adn_seat": 500, "adn_support": 1000}[a.ID]
	}
	return sum
}

func (s *shop) subscription(id string) subscription {
	s.t.Helper()
	var sub subscription
	decode(s.t, s.get("/subscriptions/"+id), &sub)
	return sub
}

// patch is a PATCH of a subscription that must succeed.
func (s *shop) patch(id, body string) subscription {
	s.t.Helper()
	status, answer := s.call("PATCH", "/subscriptions/"+id, body)
	if status != http.StatusOK {
		s.t.Fatalf("PATCH %s: %d %s", body, status, answer)
	}
	var sub subscription
	decode(s.t, answer, &sub)
	return sub
}

// changePlan is a change that must be accepted.
func (s *shop) changePlan(id, fields string) {
	s.t.Helper()
	if status, answer := s.call("POST", "/subscriptions/"+id+"/change-plan", "{"+fields+"}"); status != http.StatusOK {
		s.t.Fatalf("change-plan %s: %d %s", fields, status, answer)
	}
}

func (s *shop) replaceCard(id, card string) dodosim.Attempt {
	s.t.Helper()
	attempt, err := s.sim.ReplaceCard(id, card)
	if err != nil {
		s.t.Fatal(err)
	}
	return attempt
}

// payments reads a subscription's payments, oldest first.
func (s *shop) payments(id string) []map[string]any {
	s.t.Helper()
	var page struct{ Items []map[string]any }
	decode(s.t, s.get("/payments?page_size=100&subscription_id="+url.QueryEscape(id)), &page)
	slices.Reverse(page.Items)
	return page.Items
}

// What is sent when, by FACTS 3.4 and 3.5. Every webhook is validated as it arrives.
func TestSubscriptionSequences(t *testing.T) {
	type step struct {
		name   string
		do     func(*shop, string)
		events string
		status string
	}
	month := func(s *shop, _ string) { s.sim.Advance(31 * day) }
	later := func(by time.Duration) func(*shop, string) { return func(s *shop, _ string) { s.sim.Advance(by) } }
	patch := func(body string) func(*shop, string) { return func(s *shop, id string) { s.patch(id, body) } }
	replace := func(card string) func(*shop, string) { return func(s *shop, id string) { s.replaceCard(id, card) } }
	plan := func(fields string) func(*shop, string) { return func(s *shop, id string) { s.changePlan(id, fields) } }
	toTeam := func(rest string) func(*shop, string) { return plan(`"product_id":"pdt_team","quantity":1,` + rest) }
	const started = "subscription.active payment.succeeded subscription.renewed subscription.updated"
	const renewed = "payment.succeeded subscription.renewed subscription.updated"
	const held = "payment.failed subscription.on_hold subscription.updated"
	const recovered = "payment.succeeded subscription.active subscription.update_payment_method subscription.updated"
	const cancelled = "subscription.cancelled subscription.updated"
	grace := func(cancel bool) func(*dodosim.Options) {
		return func(o *dodosim.Options) { o.GracePeriodDays, o.CancelAfterGrace = 3, cancel }
	}
	for name, test := range map[string]struct {
		options       func(*dodosim.Options)
		product, card string
		begins        string
		steps         []step
	}{
		"renewals": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"not yet", later(31*day - time.Second), "", "active"},
			{"first", later(time.Second), renewed, "active"},
			{"two at once", later(61 * day), renewed + " " + renewed, "active"},
		}},
		"processing comes first": {func(o *dodosim.Options) { o.SendProcessing = true }, "pdt_pro", dodosim.CardVisa,
			"subscription.active payment.processing payment.succeeded subscription.renewed subscription.updated", nil},
		"declined": {nil, "pdt_pro", dodosim.CardDeclined, "payment.failed subscription.failed", []step{
			{"for ever", later(1000 * day), "", "failed"},
		}},
		"trial": {nil, "pdt_try", dodosim.CardVisa, "subscription.active payment.succeeded subscription.updated", []step{
			{"not over", later(14*day - time.Hour), "", "active"},
			{"over", later(time.Hour), renewed, "active"},
		}},
		"trial renewed at its start": {func(o *dodosim.Options) { o.RenewedAtTrialStart = true }, "pdt_try", dodosim.CardVisa, started, nil},
		"hold and recovery": {nil, "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"fails", month, held, "on_hold"},
			{"stays", month, "", "on_hold"},
			{"a bad card", replace(dodosim.CardDeclined), "payment.failed", "on_hold"},
			{"a good card", replace(dodosim.CardVisa), recovered, "active"},
			{"goes on", month, renewed, "active"},
		}},
		"grace and recovery": {grace(false), "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"fails", month, "payment.failed subscription.past_due subscription.updated", "past_due"},
			{"in time", replace(dodosim.CardVisa), recovered, "active"},
			{"no later end", later(4 * day), "", "active"},
		}},
		"grace runs out": {grace(false), "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"both", later(36 * day), "payment.failed subscription.past_due subscription.updated subscription.on_hold subscription.updated", "on_hold"},
		}},
		"grace ends in cancellation": {grace(true), "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"both", later(36 * day), "payment.failed subscription.past_due subscription.updated " + cancelled, "cancelled"},
		}},
		"cancelled now": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"cancel", patch(`{"status":"cancelled","cancel_reason":"cancelled_by_customer"}`), cancelled, "cancelled"},
			{"for ever", month, "", "cancelled"},
		}},
		"cancelled while on hold": {nil, "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"fails", month, held, "on_hold"},
			{"cancel", patch(`{"status":"cancelled"}`), cancelled, "cancelled"},
		}},
		"cancelled at the end": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"schedule", patch(`{"cancel_at_next_billing_date":true}`), "subscription.updated", "active"},
			{"the end", month, cancelled, "cancelled"},
		}},
		"cancelled at the end, announced early": {func(o *dodosim.Options) { o.EarlyCancelled = true }, "pdt_pro", dodosim.CardVisa, started, []step{
			{"schedule", patch(`{"cancel_at_next_billing_date":true}`), cancelled, "cancelled"},
			{"back", patch(`{"cancel_at_next_billing_date":false}`), "subscription.updated", "active"},
			{"again", patch(`{"cancel_at_next_billing_date":true}`), cancelled, "cancelled"},
			{"the end", month, "subscription.expired subscription.updated", "expired"},
		}},
		"cancellation taken back": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"schedule", patch(`{"cancel_at_next_billing_date":true}`), "subscription.updated", "active"},
			{"back", patch(`{"cancel_at_next_billing_date":false}`), "subscription.updated", "active"},
			{"goes on", month, renewed, "active"},
		}},
		"pause": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"pause", patch(`{"status":"paused"}`), "subscription.paused subscription.updated", "paused"},
			{"nothing", later(100 * day), "", "paused"},
			{"resume", patch(`{"status":"active"}`), "subscription.unpaused subscription.updated", "active"},
			{"not yet", later(31*day - time.Second), "", "active"},
			{"goes on", later(time.Second), renewed, "active"},
		}},
		"term": {nil, "pdt_short", dodosim.CardVisa, started, []step{
			{"second month", month, renewed, "active"},
			{"the end", month, "subscription.expired subscription.updated", "expired"},
			{"for ever", month, "", "expired"},
		}},
		"plan change": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"upgrade", toTeam(`"proration_billing_mode":"difference_immediately"`),
				"payment.succeeded subscription.plan_changed subscription.updated", "active"},
			{"downgrade", plan(`"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"difference_immediately"`),
				"subscription.plan_changed subscription.updated", "active"},
			{"unbilled", toTeam(`"proration_billing_mode":"do_not_bill"`), "subscription.plan_changed subscription.updated", "active"},
		}},
		"plan change prevented": {nil, "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"try", toTeam(`"proration_billing_mode":"full_immediately"`), "payment.failed", "active"},
		}},
		"plan change applied unpaid": {nil, "pdt_pro", dodosim.CardFailsLater, started, []step{
			{"try", toTeam(`"proration_billing_mode":"full_immediately","on_payment_failure":"apply_change"`), held, "on_hold"},
			{"pay", replace(dodosim.CardVisa), recovered, "active"},
		}},
		"plan change scheduled": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"schedule", toTeam(`"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"`), "subscription.updated", "active"},
			{"the day", month, "payment.succeeded subscription.plan_changed subscription.renewed subscription.updated", "active"},
		}},
		"new card": {nil, "pdt_pro", dodosim.CardVisa, started, []step{
			{"replace", replace(dodosim.CardFailsLater), "subscription.update_payment_method subscription.updated", "active"},
			{"declined", replace(dodosim.CardDeclined), "", "active"},
			{"fails", month, held, "on_hold"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := magazine(t, test.options)
			id := shop.subscribe(test.product, test.card)
			if got := shop.news(); got != test.begins {
				t.Errorf("begins with\n%s, wanted\n%s", got, test.begins)
			}
			for _, step := range test.steps {
				step.do(shop, id)
				if got := shop.news(); got != step.events {
					t.Errorf("%s:\ngot    %s\nwanted %s", step.name, got, step.events)
				}
				if got := shop.subscription(id).Status; got != step.status {
					t.Errorf("%s: %s, wanted %s", step.name, got, step.status)
				}
			}
			shop.flush()
			if got, wanted := len(shop.hooks.bodies()), len(shop.sim.Events()); got != wanted {
				t.Errorf("%d webhooks of %d events", got, wanted)
			}
		})
	}
}

// A subscription's payments say whose they are, not what for.
func TestSubscriptionPayments(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.patch(id, `{"metadata":{"order_id":"ord_2"}}`)
	shop.replaceCard(id, dodosim.CardVisa)
	shop.sim.Advance(31 * day)
	shop.replaceCard(id, dodosim.CardFailsLater)
	shop.sim.Advance(30 * day)
	payments := shop.payments(id)
	if len(payments) != 3 {
		t.Fatal(len(payments), "payments")
	}
	sub := shop.subscription(id)
	for i, wanted := range []struct {
		status, order string
		session       bool
	}{{"succeeded", "ord_1", true}, {"succeeded", "ord_2", false}, {"failed", "ord_2", false}} {
		payment := shop.payment(payments[i]["payment_id"].(string))
		if payment["status"] != wanted.status || payment["subscription_id"] != id || payment["product_cart"] != nil ||
			payment["total_amount"] != 2000.0 || payment["payment_method_id"] == nil || payment["is_update_payment_method"] != false ||
			payment["metadata"].(map[string]any)["order_id"] != wanted.order || (payment["checkout_session_id"] != nil) != wanted.session {
			t.Errorf("payment %d: %v", i, payment)
		}
		if (payment["error_code"] == "GENERIC_DECLINE") != (wanted.status == "failed") {
			t.Errorf("payment %d: %v", i, payment["error_code"])
		}
	}
	if shop.payment(payments[2]["payment_id"].(string))["payment_method_id"] != *sub.Method {
		t.Error("the failed payment is not by the subscription's method")
	}
	// A refund acts on the payment alone, and the product names its line.
	status, body := shop.call("POST", "/refunds", `{"payment_id":"`+payments[1]["payment_id"].(string)+`","items":[{"item_id":"pdt_pro","amount":500}]}`)
	if status != 200 || shop.subscription(id).Status != sub.Status {
		t.Errorf("%d %s", status, body)
	}
}

func TestTrial(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_try", dodosim.CardVisa)
	sub := shop.subscription(id)
	if sub.Trial != 14 || sub.Amount != 1000 || !sub.Next.Equal(sub.Created.Add(14*day)) || !sub.Previous.Equal(sub.Created) {
		t.Errorf("%+v", sub)
	}
	shop.sim.Advance(14 * day)
	payments := shop.payments(id)
	if payments[0]["total_amount"] != 0.0 || payments[1]["total_amount"] != 1000.0 {
		t.Error(payments)
	}
	if after := shop.subscription(id); !after.Previous.Equal(sub.Next) || !after.Next.Equal(sub.Next.AddDate(0, 1, 0)) {
		t.Errorf("%+v", after)
	}
	for days, total := range map[string]float64{"0": 1000, "7": 0} {
		attempt := shop.pay(shop.checkout(strings.TrimSuffix(cartOf("pdt_try"), "}") + `,"subscription_data":{"trial_period_days":` + days + `}}`))
		if got := shop.payment(attempt.PaymentID)["total_amount"]; got != total {
			t.Errorf("a session's trial of %s days costs %v", days, got)
		}
	}
}

// A mixed cart is one payment of the subscription.
func TestMixedCart(t *testing.T) {
	shop := magazine(t, nil)
	attempt := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":2},{"product_id":"pdt_pro","quantity":3}],
		"discount_codes":["HALF"],"return_url":"https://shop.example/back"}`))
	payment := shop.payment(attempt.PaymentID)
	if payment["total_amount"] != 3999.0 || payment["product_cart"] != nil || payment["subscription_id"] != attempt.SubscriptionID {
		t.Error(payment)
	}
	sub := shop.subscription(attempt.SubscriptionID)
	if sub.Quantity != 3 || sub.Amount != 3000 {
		t.Errorf("%+v", sub)
	}
	shop.sim.Advance(31 * day)
	payments := shop.payments(attempt.SubscriptionID)
	if len(payments) != 2 || payments[1]["total_amount"] != 3000.0 {
		t.Fatal(payments)
	}
	for _, path := range []string{"/payments/" + payments[1]["payment_id"].(string), "/subscriptions/" + attempt.SubscriptionID} {
		var object struct {
			Discounts []struct {
				Code string
				Uses int `json:"times_used"`
			}
		}
		decode(t, shop.get(path), &object)
		if len(object.Discounts) != 1 || object.Discounts[0].Code != "HALF" || object.Discounts[0].Uses != 1 {
			t.Error(path, object)
		}
	}
	if items := json.RawMessage(shop.get("/subscriptions")); !strings.Contains(string(items), `"discount_cycles_remaining"`) {
		t.Errorf("%s", items)
	}
}

func TestSubscriptionRedirect(t *testing.T) {
	shop := magazine(t, nil)
	for card, status := range map[string]string{dodosim.CardVisa: "active", dodosim.CardDeclined: "failed"} {
		attempt, err := shop.sim.Pay(shop.checkout(cartOf("pdt_pro")), card)
		if err != nil {
			t.Fatal(err)
		}
		target, err := url.Parse(attempt.RedirectURL)
		if err != nil {
			t.Fatal(err)
		}
		query := target.Query()
		if query.Get("subscription_id") != attempt.SubscriptionID || query.Get("status") != status || query.Has("payment_id") {
			t.Error(attempt.RedirectURL)
		}
	}
}

// Each try makes a subscription of its own, as it makes a payment of its own.
func TestDeclinedThenSubscribed(t *testing.T) {
	shop := magazine(t, nil)
	session := shop.checkout(cartOf("pdt_pro"))
	declined, err := shop.sim.Pay(session, dodosim.CardDeclined)
	if err != nil {
		t.Fatal(err)
	}
	paid := shop.pay(session)
	if declined.SubscriptionID == paid.SubscriptionID || shop.subscription(declined.SubscriptionID).Status != "failed" {
		t.Error(declined, paid)
	}
}
