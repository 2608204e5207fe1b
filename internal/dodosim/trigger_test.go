package dodosim_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// TestTriggerEverything makes each event happen in a shop that sells next to nothing, and
// again for the same account. The receiver checks signatures and bodies.
func TestTriggerEverything(t *testing.T) {
	for _, eventType := range dodosim.EventTypes() {
		t.Run(eventType, func(t *testing.T) {
			shop := open(t, func(o *dodosim.Options) { o.Products = o.Products[:1] })
			for range 2 {
				happened := shop.trigger(dodosim.Trigger{Type: eventType, Account: "ada"})
				i := slices.IndexFunc(happened, func(e dodosim.Event) bool { return e.Type == eventType })
				if i < 0 || happened[i].ObjectID == "" {
					t.Fatal(happened)
				}
			}
			shop.flush()
			if types := shop.hooks.types(t); !slices.Contains(types, eventType) {
				t.Error("received", types)
			}
		})
	}
}

func (s *shop) trigger(wish dodosim.Trigger) []dodosim.Event {
	s.t.Helper()
	happened, err := s.sim.Trigger(wish)
	if err != nil {
		s.t.Fatal(err)
	}
	return happened
}

// typesOf lists the events of a story.
func typesOf(events []dodosim.Event) string {
	var types []string
	for _, e := range events {
		types = append(types, e.Type)
	}
	return strings.Join(types, " ")
}

// TestTriggerGoesOnWithTheAccount: stories take up what the account has.
func TestTriggerGoesOnWithTheAccount(t *testing.T) {
	shop := open(t, nil)
	session := shop.checkout(`{"product_cart":[{"product_id":"pdt_book","quantity":1}],"metadata":{"login":"ada"},"customer":{"email":"ada@shop.example","name":"Ada"}}`)
	shop.checkout(`{"product_cart":[{"product_id":"pdt_book","quantity":1}],"metadata":{"login":"bob"}}`)

	paid := shop.trigger(dodosim.Trigger{Type: "payment.succeeded", Account: "ada"})
	payment := shop.payment(paid[0].ObjectID)
	if typesOf(paid) != "payment.succeeded" || payment["checkout_session_id"] != session {
		t.Errorf("%s of session %v, want %s", typesOf(paid), payment["checkout_session_id"], session)
	}
	disputed := shop.trigger(dodosim.Trigger{Type: "dispute.opened", Account: "ada"})
	won := shop.trigger(dodosim.Trigger{Type: "dispute.won", Account: "ada"})
	if typesOf(append(disputed, won...)) != "dispute.opened dispute.won" || disputed[0].ObjectID != won[0].ObjectID {
		t.Error(disputed, won)
	}
	for range 2 {
		shop.trigger(dodosim.Trigger{Type: "refund.succeeded", Account: "ada", Amount: 1000})
	}
	if refunds := shop.payment(paid[0].ObjectID)["refunds"].([]any); len(refunds) != 2 {
		t.Error(refunds)
	}
	// With no checkout that waits, the same customer buys again.
	again := shop.payment(shop.trigger(dodosim.Trigger{Type: "payment.failed", Account: "ada", Product: "pdt_pack", Quantity: 3})[0].ObjectID)
	if again["customer"].(map[string]any)["email"] != "ada@shop.example" || again["total_amount"] != 2997.0 || again["metadata"].(map[string]any)["login"] != "ada" {
		t.Error(again)
	}
	// A stranger is another one.
	stranger := shop.payment(shop.trigger(dodosim.Trigger{
		Type: "payment.succeeded", Account: "eve", Metadata: map[string]string{"team": "red"}, Email: "eve@shop.example", Name: "Eve",
	})[0].ObjectID)
	if who := stranger["customer"].(map[string]any); who["email"] != "eve@shop.example" || who["name"] != "Eve" {
		t.Error(who)
	}
	if meta, _ := json.Marshal(stranger["metadata"]); string(meta) != `{"team":"red","user_id":"eve"}` {
		t.Errorf("%s", meta)
	}
	shop.flush()
}

// TestTriggerTellsALife: one subscription goes through all that can happen to it.
func TestTriggerTellsALife(t *testing.T) {
	shop := magazine(t, nil)
	first := shop.trigger(dodosim.Trigger{Type: "subscription.active", Account: "ada", Product: "pdt_pro"})
	id := first[0].ObjectID
	for _, step := range []struct{ event, happens, status string }{
		{"subscription.renewed", "payment.succeeded subscription.renewed subscription.updated", "active"},
		{"subscription.paused", "subscription.paused subscription.updated", "paused"},
		{"subscription.unpaused", "subscription.unpaused subscription.updated", "active"},
		{"subscription.on_hold", "payment.failed subscription.on_hold subscription.updated", "on_hold"},
		{"subscription.update_payment_method", "payment.succeeded subscription.active subscription.update_payment_method subscription.updated", "active"},
		{"subscription.past_due", "payment.failed subscription.past_due subscription.updated", "past_due"},
		{"subscription.update_payment_method", "payment.succeeded subscription.active subscription.update_payment_method subscription.updated", "active"},
		{"subscription.plan_changed", "payment.succeeded subscription.plan_changed subscription.updated", "active"},
		{"subscription.updated", "subscription.updated", "active"},
		{"subscription.cancelled", "subscription.cancelled subscription.updated", "cancelled"},
	} {
		got := shop.trigger(dodosim.Trigger{Type: step.event, Subscription: id})
		var sub struct{ Status string }
		decode(t, shop.get("/subscriptions/"+id), &sub)
		if typesOf(got) != step.happens || sub.Status != step.status {
			t.Errorf("%s: %s, and it is %s", step.event, typesOf(got), sub.Status)
		}
	}
	shop.flush()
}

// TestTriggerRefuses what cannot happen, and does nothing then.
func TestTriggerRefuses(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(onePack))
	shop.news()
	for name, test := range map[string]struct {
		wish   dodosim.Trigger
		status int
	}{
		"no such event":        {dodosim.Trigger{Type: "subscription.created"}, 422},
		"no such payment":      {dodosim.Trigger{Type: "refund.succeeded", Payment: "pay_0"}, 404},
		"no such product":      {dodosim.Trigger{Type: "payment.succeeded", Product: "pdt_0"}, 404},
		"no such session":      {dodosim.Trigger{Type: "payment.succeeded", Session: "cks_0"}, 404},
		"no such subscription": {dodosim.Trigger{Type: "subscription.paused", Subscription: "sub_0"}, 404},
		"no such dispute":      {dodosim.Trigger{Type: "dispute.won", Dispute: "dp_0"}, 404},
		"not recurring":        {dodosim.Trigger{Type: "subscription.active", Product: "pdt_pack"}, 422},
		"too much":             {dodosim.Trigger{Type: "refund.succeeded", Payment: paid.PaymentID, Amount: 1000}, 400},
		"no e-mail":            {dodosim.Trigger{Type: "payment.succeeded", Email: "ada"}, 422},
		"odd metadata":         {dodosim.Trigger{Type: "payment.succeeded", Metadata: map[string]string{"a b": "c"}}, 422},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := shop.sim.Trigger(test.wish)
			refusal, ok := errors.AsType[*dodosim.Error](err)
			if !ok || refusal.Status != test.status {
				t.Error(err)
			}
			if news := shop.news(); news != "" {
				t.Error("happened:", news)
			}
		})
	}
}
