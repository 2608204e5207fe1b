package record_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// TestCheckGuess: a guess is about the event that is received and what that binds, or no
// store may make use of it.
func TestCheckGuess(t *testing.T) {
	pay := entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}
	event, binding := store.Event{ID: "msg_1"}, store.Binding{Object: pay, Account: "ann", Order: "ord_1"}
	for name, change := range map[string]func(*store.Commit){
		"":                  func(*store.Commit) {},
		"another version":   func(c *store.Commit) { c.Version = 1 },
		"another account":   func(c *store.Commit) { c.Account = "bob" },
		"another object":    func(c *store.Commit) { c.Object.ID = "pay_2" },
		"no settlement":     func(c *store.Commit) { c.Settle = nil },
		"another event":     func(c *store.Commit) { c.Settle.Event.ID = "msg_2" },
		"a later delivery":  func(c *store.Commit) { c.Settle.Event.Deliveries = 2 },
		"whatever delivery": func(c *store.Commit) { c.Settle.Event.Deliveries = 0 },
		"not settled":       func(c *store.Commit) { c.Settle.Event.State = store.EventParked },
		"no order":          func(c *store.Commit) { c.Order = nil },
		"another order":     func(c *store.Commit) { c.Order.ID = "ord_2" },
		"an order unpaid":   func(c *store.Commit) { c.Order.State = store.OrderFailed },
	} {
		c := store.Commit{
			Account: "ann", Object: pay, Order: &store.OrderResult{ID: "ord_1", State: store.OrderPaid, PaymentID: "pay_1"},
			Settle: &store.Settlement{Event: store.Event{ID: "msg_1", State: store.EventApplied, Deliveries: 1}},
		}
		change(&c)
		if _, err := record.CheckGuess(event, binding, store.Guess{Commit: c}); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
