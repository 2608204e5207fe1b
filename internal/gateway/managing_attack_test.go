package gateway_test

import (
	"errors"
	"testing"

	"github.com/dodogate/dodogate/internal/gateway"
)

// TestChangeOfUnpaidPeriod: Dodo's price of a change counts what is left of the period, also
// if its payment was given back or is disputed. Such a subscription cannot change, or the
// money would be paid back and spent as well.
func TestChangeOfUnpaidPeriod(t *testing.T) {
	for name, take := range map[string]func(w *world, payment string) error{
		"refund":  func(w *world, payment string) error { _, err := w.sim.Refund(payment, 0); return err },
		"dispute": func(w *world, payment string) error { _, err := w.sim.OpenDispute(payment); return err },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true})
			payment := w.buy("alice", "pro")
			w.deliverAll()
			must(t, take(w, payment))
			w.deliverAll()
			for _, to := range []string{"team", "weekly"} {
				wish := gateway.PlanChange{Product: to}
				if _, err := w.PreviewChange(t.Context(), who("alice"), wish); !errors.Is(err, gateway.ErrWithheld) {
					t.Errorf("preview of %s: %v", to, err)
				}
				if _, err := w.ChangePlan(t.Context(), who("alice"), wish); !errors.Is(err, gateway.ErrWithheld) {
					t.Errorf("change to %s: %v", to, err)
				}
			}
			held := w.subscription("alice")
			if held.Product.Name != "pro" {
				t.Errorf("it is for %s now", held.Product.Name)
			}
			team, _ := w.Catalog.Named("team")
			for _, way := range gateway.Ways(team, true, []gateway.Held{held}) {
				if way.Action == gateway.ActionChange {
					t.Error("the change is offered")
				}
			}
			w.has("alice", 0, false)
		})
	}
}
