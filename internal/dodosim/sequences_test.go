package dodosim_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// sequenced is a magazine in which subscriptions grant a feature.
func sequenced(t *testing.T, change func(*dodosim.Options)) *shop {
	return magazine(t, func(o *dodosim.Options) {
		for i := range o.Products {
			if o.Products[i].ID == "pdt_pro" {
				o.Products[i].Features = []string{"reports"}
			}
		}
		o.Products = append(o.Products,
			dodosim.Product{ID: "pdt_taste", Price: 1000, Currency: "USD", Every: monthly, TrialDays: 7, TrialPrice: 150},
			dodosim.Product{
				ID: "pdt_kit", Price: 100, Currency: "USD", LicenseKeys: true, Features: []string{"export"},
				Credits: []dodosim.ProductCredit{{Name: "Kits", Unit: "kit", Amount: "1"}},
			})
		if change != nil {
			change(o)
		}
	})
}

// TestSequences is FACTS 3.4 and 3.5: which events a scenario has, in which order they
// happen. They may arrive in any other.
func TestSequences(t *testing.T) {
	const starts = "subscription.active entitlement_grant.created entitlement_grant.delivered"
	pro := func(s *shop) string { return s.subscribe("pdt_pro", dodosim.CardVisa) }
	failing := func(s *shop) string { return s.subscribe("pdt_pro", dodosim.CardFailsLater) }
	month := func(s *shop, _ string) { s.sim.Advance(31 * day) }
	patch := func(body string) func(*shop, string) {
		return func(s *shop, id string) { s.patch(id, body) }
	}
	plan := func(fields string) func(*shop, string) {
		return func(s *shop, id string) { s.changePlan(id, `"product_id":"pdt_team","quantity":1,`+fields) }
	}
	pack := func(s *shop) string { return s.pay(s.checkout(onePack)).PaymentID }
	refund := func(amounts ...int) func(*shop, string) {
		return func(s *shop, id string) {
			for _, amount := range amounts {
				if _, err := s.sim.Refund(id, amount); err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	for name, test := range map[string]struct {
		options func(*dodosim.Options)
		before  func(*shop) string // not counted
		happens func(*shop, string)
		want    string
	}{
		"one-off, accepted": {nil, nil, func(s *shop, _ string) { s.pay(s.checkout(cartOf("pdt_kit"))) },
			"payment.succeeded credit.added entitlement_grant.created entitlement_grant.delivered license_key.created"},
		"one-off, declined": {nil, nil, func(s *shop, _ string) { s.decline(s.checkout(onePack)) }, "payment.failed"},
		"one-off, abandoned": {func(o *dodosim.Options) { o.AbandonedCheckouts = true }, nil,
			func(s *shop, _ string) { s.decline(s.checkout(onePack)); s.sim.Advance(time.Hour) },
			"payment.failed abandoned_checkout.detected"},
		"new subscription": {nil, nil, func(s *shop, _ string) { pro(s) }, starts + " payment.succeeded subscription.renewed subscription.updated"},
		"free trial": {nil, nil, func(s *shop, _ string) { s.subscribe("pdt_try", dodosim.CardVisa) },
			"subscription.active payment.succeeded subscription.updated"},
		"end of a free trial": {nil, func(s *shop) string { return s.subscribe("pdt_try", dodosim.CardVisa) }, func(s *shop, _ string) { s.sim.Advance(14 * day) },
			"payment.succeeded subscription.renewed subscription.updated"},
		"paid trial": {nil, nil, func(s *shop, _ string) { s.subscribe("pdt_taste", dodosim.CardVisa) },
			"subscription.active payment.succeeded subscription.updated"},
		"mandate fails": {nil, nil, func(s *shop, _ string) { s.subscribe("pdt_pro", dodosim.CardDeclined) }, "payment.failed subscription.failed"},
		"on demand, mandate only": {nil, nil, func(s *shop, _ string) { s.onDemand(`"mandate_only":true`) },
			starts + " payment.succeeded subscription.renewed subscription.updated"},
		"charge on demand": {nil, func(s *shop) string { return s.onDemand(`"mandate_only":true`) },
			func(s *shop, id string) { s.ask("POST", "/subscriptions/"+id+"/charge", `{"product_price":700}`) }, "payment.succeeded"},
		"renewal":       {nil, pro, month, "payment.succeeded subscription.renewed subscription.updated"},
		"renewal fails": {nil, failing, month, "payment.failed subscription.on_hold subscription.updated entitlement_grant.revoked"},
		"renewal fails, dunning": {func(o *dodosim.Options) { o.Dunning = true }, failing, month,
			"payment.failed subscription.on_hold subscription.updated entitlement_grant.revoked dunning.started"},
		"renewal fails, grace": {func(o *dodosim.Options) { o.GracePeriodDays = 3 }, failing, month,
			"payment.failed subscription.past_due subscription.updated"},
		"grace ends": {func(o *dodosim.Options) { o.GracePeriodDays = 3 }, failing, func(s *shop, _ string) { s.sim.Advance(34 * day) },
			"payment.failed subscription.past_due subscription.updated subscription.on_hold subscription.updated entitlement_grant.revoked"},
		"renewal fails again": {func(o *dodosim.Options) { o.RetryDays = 1 }, failing, func(s *shop, _ string) { s.sim.Advance(33 * day) },
			"payment.failed subscription.on_hold subscription.updated entitlement_grant.revoked payment.failed"},
		"recovery": {nil, func(s *shop) string { id := failing(s); s.sim.Advance(31 * day); return id },
			func(s *shop, id string) { s.replaceCard(id, dodosim.CardVisa) },
			"payment.succeeded subscription.active subscription.update_payment_method subscription.updated entitlement_grant.delivered"},
		"renewal by an Indian card": {nil, func(s *shop) string { return s.subscribe("pdt_pro", dodosim.CardIndia) }, func(s *shop, _ string) { s.sim.Advance(33 * day) },
			"payment.processing payment.succeeded subscription.renewed subscription.updated"},
		"plan change": {nil, pro, plan(`"proration_billing_mode":"difference_immediately"`),
			"payment.succeeded subscription.plan_changed subscription.updated entitlement_grant.revoked"},
		"plan change fails": {nil, failing, plan(`"proration_billing_mode":"difference_immediately"`), "payment.failed"},
		"plan change fails, and applies": {nil, failing, plan(`"proration_billing_mode":"difference_immediately","on_payment_failure":"apply_change"`),
			"payment.failed subscription.on_hold subscription.updated entitlement_grant.revoked"},
		"plan change, scheduled": {nil, pro, func(s *shop, id string) {
			plan(`"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"`)(s, id)
			month(s, id)
		}, "subscription.updated payment.succeeded subscription.plan_changed entitlement_grant.revoked subscription.renewed subscription.updated"},
		"cancel now":        {nil, pro, patch(`{"status":"cancelled"}`), "subscription.cancelled subscription.updated entitlement_grant.revoked"},
		"cancel at the end": {nil, pro, func(s *shop, id string) { patch(`{"cancel_at_next_billing_date":true}`)(s, id); month(s, id) }, "subscription.updated subscription.cancelled subscription.updated entitlement_grant.revoked"},
		"cancel at the end, and not": {nil, pro, func(s *shop, id string) {
			patch(`{"cancel_at_next_billing_date":true}`)(s, id)
			patch(`{"cancel_at_next_billing_date":false}`)(s, id)
		}, "subscription.updated subscription.updated"},
		"pause and resume": {nil, pro, func(s *shop, id string) { patch(`{"status":"paused"}`)(s, id); patch(`{"status":"active"}`)(s, id) },
			"subscription.paused subscription.updated entitlement_grant.revoked subscription.unpaused subscription.updated entitlement_grant.delivered"},
		"term ends": {nil, func(s *shop) string { return s.subscribe("pdt_short", dodosim.CardVisa) }, func(s *shop, _ string) { s.sim.Advance(62 * day) },
			"payment.succeeded subscription.renewed subscription.updated subscription.expired subscription.updated"},
		"full refund":         {nil, func(s *shop) string { return s.pay(s.checkout(cartOf("pdt_kit"))).PaymentID }, refund(0), "refund.succeeded entitlement_grant.revoked"},
		"partial refund":      {nil, pack, refund(100), "refund.succeeded"},
		"several refunds":     {nil, pack, refund(100, 200, 0), "refund.succeeded refund.succeeded refund.succeeded"},
		"subscription refund": {nil, func(s *shop) string { return s.payments(pro(s))[0]["payment_id"].(string) }, refund(0), "refund.succeeded"},
		"refund fails":        {nil, pack, func(s *shop, id string) { _, _ = s.sim.FailRefund(id, 0) }, "refund.failed"},
		"dispute":             {nil, pack, func(s *shop, id string) { s.decide(s.dispute(id), dodosim.DisputeChallenged, dodosim.DisputeWon) }, "dispute.opened dispute.challenged dispute.won"},
		"dispute, unanswered": {nil, pack, func(s *shop, id string) { s.dispute(id); s.sim.Advance(10 * day) }, "dispute.opened dispute.expired"},
		"dispute by RDR":      {nil, pack, func(s *shop, id string) { _, _ = s.sim.LoseByRDR(id) }, "dispute.lost"},
		"customer leaves": {func(o *dodosim.Options) { o.Dunning = true }, pro, func(s *shop, id string) { s.letIn(id).works("has ended", "cancel", "when", "now", "feedback", "") },
			"subscription.cancelled subscription.updated entitlement_grant.revoked dunning.started"},
	} {
		t.Run(name, func(t *testing.T) {
			shop := sequenced(t, test.options)
			id := ""
			if test.before != nil {
				id = test.before(shop)
			}
			shop.news()
			test.happens(shop, id)
			if got := shop.news(); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
			shop.flush()
		})
	}
}
