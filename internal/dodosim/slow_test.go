package dodosim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// A renewal by an Indian card is processing for two days, in which the subscription stays
// active; its cycle then counts from the day when it was charged.
func TestSlowRenewal(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardIndia)
	due := shop.subscription(id).Next
	shop.news()
	shop.sim.Advance(31*day + 47*time.Hour)
	if got := shop.news(); got != "payment.processing" {
		t.Error(got)
	}
	if p := shop.payments(id)[1]; p["status"] != "processing" || shop.subscription(id).Status != "active" {
		t.Error(p)
	}
	shop.sim.Advance(time.Hour)
	if got := shop.news(); got != "payment.succeeded subscription.renewed subscription.updated" {
		t.Error(got)
	}
	if sub := shop.subscription(id); !sub.Previous.Equal(due) || !sub.Next.Equal(due.AddDate(0, 1, 0)) {
		t.Errorf("%+v", sub)
	}
	shop.flush()
}

// What is cancelled in between is paid, but does not go on.
func TestSlowRenewalOfACancelled(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardIndia)
	shop.sim.Advance(32 * day)
	shop.patch(id, `{"status":"cancelled"}`)
	shop.news()
	shop.sim.Advance(5 * day)
	if got := shop.news(); got != "payment.succeeded" {
		t.Error(got)
	}
	if sub := shop.subscription(id); sub.Status != "cancelled" {
		t.Errorf("%+v", sub)
	}
}

func TestSlowOnDemand(t *testing.T) {
	shop := magazine(t, nil)
	terms := strings.Replace(cartOf("pdt_pro"), "{", `{"subscription_data":{"on_demand":{"mandate_only":true}},`, 1)
	attempt, err := shop.sim.Pay(shop.checkout(terms), dodosim.CardIndia)
	if err != nil {
		t.Fatal(err)
	}
	path, body := "/subscriptions/"+attempt.SubscriptionID+"/charge", `{"product_price":700}`
	shop.news()
	shop.ask("POST", path, body)
	shop.refuses(refusal{"POST", path, body, 422, "PREVIOUS_PAYMENT_PENDING"})
	shop.sim.Advance(2 * day)
	shop.ask("POST", path, body)
	if got := shop.news(); got != "payment.processing payment.succeeded payment.processing" {
		t.Error(got)
	}
	shop.flush()
}

// A slow renewal can fail, by the simulator's own card, by the back door or by an option; and
// the dates of its subscription move when it is paid, or, by the other reading, at once.
func TestSlowRenewals(t *testing.T) {
	visa := func(fails bool) func(*shop, string) {
		return func(s *shop, id string) { check(s.t, s.sim.SlowCard(id, fails)) }
	}
	for name, test := range map[string]struct {
		card    string
		slow    func(*shop, string)
		change  func(*dodosim.Options)
		outcome string
	}{
		"an Indian card":           {dodosim.CardIndia, nil, nil, "succeeded"},
		"an Indian card that ends": {dodosim.CardIndiaFailsLater, nil, nil, "failed"},
		"the back door":            {dodosim.CardVisa, visa(false), nil, "succeeded"},
		"the back door, failing":   {dodosim.CardVisa, visa(true), nil, "failed"},
		"all renewals":             {dodosim.CardVisa, nil, func(o *dodosim.Options) { o.SlowRenewals = true }, "succeeded"},
		"all renewals, failing":    {dodosim.CardFailsLater, nil, func(o *dodosim.Options) { o.SlowRenewals = true }, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, movesFirst bool) {
				shop := magazine(t, func(o *dodosim.Options) {
					o.DatesMoveFirst = movesFirst
					if test.change != nil {
						test.change(o)
					}
				})
				id := shop.subscribe("pdt_pro", test.card)
				if test.slow != nil {
					test.slow(shop, id)
				}
				shop.flush()
				shop.renewsSlowly(id, movesFirst, test.outcome)
			})
		})
	}
}

// renewsSlowly watches one renewal.
func (s *shop) renewsSlowly(id string, movesFirst bool, outcome string) {
	t, before := s.t, s.subscription(id)
	t.Helper()
	s.news()
	s.sim.Advance(before.Next.Sub(opening) + 47*time.Hour)
	underWay := map[bool]string{false: "payment.processing", true: "payment.processing subscription.updated"}[movesFirst]
	if got := s.news(); got != underWay {
		t.Error("while it is processing:", got)
	}
	sub, p := s.subscription(id), s.payment(s.payments(id)[1]["payment_id"].(string))
	if sub.Status != "active" || sub.Previous.Equal(before.Next) != movesFirst || sub.Next.After(before.Next) != movesFirst {
		t.Errorf("while it is processing: %+v", sub)
	}
	if p["status"] != "processing" || p["error_code"] != nil || p["invoice_id"] != nil {
		t.Error("while it is processing:", p)
	}
	s.refuses(refusal{"POST", "/subscriptions/" + id + "/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately"}`, 422, "PREVIOUS_PAYMENT_PENDING"})
	s.sim.Advance(time.Hour)
	after, events := before.Next, "payment.succeeded subscription.renewed subscription.updated"
	status := "active"
	if outcome == "failed" {
		after, events, status = before.Previous, "payment.failed subscription.on_hold subscription.updated", "on_hold"
	}
	if got := s.news(); got != events {
		t.Error("after two days:", got)
	}
	sub, p = s.subscription(id), s.payment(p["payment_id"].(string))
	if sub.Status != status || !sub.Previous.Equal(after) || !sub.Next.Equal(after.AddDate(0, 1, 0)) {
		t.Errorf("after two days: %+v", sub)
	}
	if p["status"] != outcome || (p["error_code"] == nil) != (outcome == "succeeded") {
		t.Error("after two days:", p)
	}
	s.flush()
}

// A charge on demand that fails after two days counts as one that was declined.
func TestSlowOnDemandFails(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.onDemand(`"mandate_only":true`)
	check(t, shop.sim.SlowCard(id, true))
	shop.news()
	for range 10 {
		shop.ask("POST", "/subscriptions/"+id+"/charge", `{"product_price":700,"product_description":"Pictures in March"}`)
		shop.sim.Advance(2 * day)
	}
	if got := shop.news(); got != strings.TrimSpace(strings.Repeat("payment.processing payment.failed ", 10)) {
		t.Error(got)
	}
	shop.refuses(refusal{"POST", "/subscriptions/" + id + "/charge", `{"product_price":700}`, 422, "SUBSCRIPTION_PAYMENT_RETRY_LIMIT_EXCEEDED"})
	lines := shop.items("/payments/"+shop.payments(id)[1]["payment_id"].(string)+"/line-items", "description")
	if len(lines) != 1 || lines[0] != "Pictures in March" {
		t.Error(lines)
	}
	shop.flush()
}

// A card that is mended charges at once again.
func TestMendSlowCard(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardIndiaFailsLater)
	check(t, shop.sim.MendCard(id))
	shop.news()
	shop.sim.Advance(31 * day)
	if got := shop.news(); got != "payment.succeeded subscription.renewed subscription.updated" {
		t.Error(got)
	}
	if shop.sim.SlowCard("sub_none", false) == nil {
		t.Error("a card of no subscription")
	}
}

func TestLatestSubscription(t *testing.T) {
	shop := magazine(t, nil)
	older, newer := shop.subscribe("pdt_pro", dodosim.CardVisa), shop.subscribe("pdt_pro", dodosim.CardVisa)
	if got, err := shop.sim.LatestSubscription("ord_1"); err != nil || got != newer {
		t.Error(got, err)
	}
	shop.patch(newer, `{"status":"cancelled"}`)
	if got, err := shop.sim.LatestSubscription("ord_1"); err != nil || got != older {
		t.Error(got, err)
	}
	if got, err := shop.sim.LatestSubscription("ord_2"); err == nil {
		t.Error(got)
	}
}
