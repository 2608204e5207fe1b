package gateway_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
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
			team, _ := w.Options.Catalog.Named("team")
			for _, way := range gateway.Ways(team, true, []gateway.Held{held}) {
				if way.Action == gateway.ActionChange {
					t.Error("the change is offered")
				}
			}
			w.has("alice", 0, false)
		})
	}
}

// TestChangeToWhatIsPaid: a change to what the account has just paid for in a checkout is
// refused, also if the webhooks of that subscription, or all of that checkout, are late.
func TestChangeToWhatIsPaid(t *testing.T) {
	for name, late := range map[string]bool{"all webhooks are late": true, "the subscription's webhooks are late": false} {
		t.Run(name, func(t *testing.T) {
			o := new(outage)
			w := newWorld(t, openBolt(t), settings{
				products: plansForSale, hold: true, glance: time.Millisecond,
				between: func(sim http.Handler) http.Handler { o.dodo = sim; return o },
			})
			w.buy("alice", "pro")
			w.deliverAll()
			w.buyOrder("alice", "team")
			if !late {
				o.on.Store(true) // so that nothing but the payment is known
				w.deliver(w.event("payment.succeeded"))
				o.on.Store(false)
			}
			paid := w.paid()
			wish := gateway.PlanChange{From: gateway.Which{Product: "pro"}, Product: "team"}
			if _, err := w.ChangePlan(t.Context(), who("alice"), wish); !errors.Is(err, gateway.ErrSubscribed) {
				t.Errorf("change: %v", err)
			}
			if _, err := w.PreviewChange(t.Context(), who("alice"), wish); !errors.Is(err, gateway.ErrSubscribed) {
				t.Errorf("preview: %v", err)
			}
			if n := w.paid() - paid; n != 0 {
				t.Errorf("%d charges", n)
			}
		})
	}
}

// TestOfferedChangeIsMade: a change that is offered, on the page or in a refusal, is not
// refused because of another subscription.
func TestOfferedChangeIsMade(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{products: plansForSale})
	pro, _ := w.Options.Catalog.Named("pro")
	weekly, _ := w.Options.Catalog.Named("weekly")
	held := func(id string, p config.Product) gateway.Held {
		return gateway.Held{ID: id, Product: p, Status: entitlement.SubscriptionActive}
	}
	for name, tt := range map[string]struct {
		held []gateway.Held
		want []gateway.Action
	}{
		"one in the way":               {[]gateway.Held{held("sub_1", weekly)}, []gateway.Action{gateway.ActionChange}},
		"the same and another, by age": {[]gateway.Held{held("sub_1", pro), held("sub_2", weekly)}, nil},
		"another and the same, by age": {[]gateway.Held{held("sub_2", weekly), held("sub_1", pro)}, nil},
	} {
		var got []gateway.Action
		for _, way := range gateway.Ways(pro, true, tt.held) {
			got = append(got, way.Action)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestSecondCreditsWithoutPrices: a subscription that gives credits only is not sold twice,
// also by a gateway that has not read the prices yet and does not know it from a pack.
func TestSecondCreditsWithoutPrices(t *testing.T) {
	products := append([]config.Product{{Name: "monthly", ID: "pdt_monthly", Credits: 100}}, plansForSale[0])
	w := newWorld(t, openBolt(t), settings{products: products, hold: true})
	w.buy("alice", "monthly")
	w.deliverAll()
	if _, err := w.Checkout(t.Context(), who("alice"), wish("monthly")); !errors.Is(err, gateway.ErrSubscribed) {
		t.Errorf("the second one: %v", err)
	}
	w.order("alice", "pack10")
	w.order("alice", "pack10")
}

// TestUndoBesideAnother: a subscription that ends does not go on after all, if the customer
// has bought the same plan again meanwhile and would pay twice. Repeats are not refused.
func TestUndoBesideAnother(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{products: plansForSale, hold: true})
	w.buy("alice", "pro")
	w.deliverAll()
	first := gateway.Which{ID: w.subscription("alice").ID}
	for _, undo := range []bool{true, false, true, true, false} {
		_, err := w.Cancel(t.Context(), who("alice"), first, undo)
		must(t, err)
	}
	w.buy("alice", "weekly") // its webhooks are late
	for _, when := range []string{"before its webhooks", "after"} {
		_, err := w.Cancel(t.Context(), who("alice"), first, true)
		if refused, ok := errors.AsType[*gateway.SubscriptionsError](err); !ok || !errors.Is(err, gateway.ErrSubscribed) || len(refused.Held)+len(refused.Unfulfilled) == 0 {
			t.Errorf("%s: %v", when, err)
		}
		w.deliverAll()
	}
	second := gateway.Which{Product: "weekly"}
	_, err := w.Cancel(t.Context(), who("alice"), second, false)
	must(t, err)
	_, err = w.Cancel(t.Context(), who("alice"), first, true)
	must(t, err)
}
