package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// What Dodo can leave out, and what comes when nobody expects it any more.

// waysToHear are the ways by which a gateway hears of an account's payment and of what becomes
// of it later. The order is empty if there is none to confirm.
var waysToHear = map[string]func(w *world, account, order string){
	"webhooks": func(w *world, _, _ string) {
		for _, e := range w.sim.Events() {
			w.deliver(e.ID)
		}
	},
	"confirm": func(w *world, account, order string) {
		w.t.Helper()
		if order == "" {
			w.reconcile() // nobody confirms a refund
			return
		}
		o, err := w.Confirm(w.t.Context(), account, order)
		must(w.t, err)
		if o.State != book.OrderPaid {
			w.t.Errorf("the confirmed order is %s", o.State)
		}
	},
	"reconcile": func(w *world, _, _ string) { w.reconcile() },
}

// TestSparsePayments: a payment gives its credits, pays its order and is refunded in part and
// in full, also if Dodo does not say its currency or its checkout session.
func TestSparsePayments(t *testing.T) {
	for name, behavior := range map[string]dodosim.Behavior{
		"no currency": {NoCurrency: true}, "no session": {NoSessionIDs: true}, "neither": {NoCurrency: true, NoSessionIDs: true},
	} {
		for way, hear := range waysToHear {
			t.Run(name+"/"+way, func(t *testing.T) {
				each(t, settings{hold: true, behavior: behavior}, func(t *testing.T, w *world) {
					order := w.order("alice", "pack10")
					attempt, err := w.sim.Pay(order.SessionID, goodCard)
					must(t, err)
					hear(w, "alice", order.ID)
					w.has("alice", 10, true)
					if o, err := w.Order(t.Context(), "alice", order.ID); err != nil || o.State != book.OrderPaid {
						t.Errorf("the order is %s, %v", o.State, err)
					}
					_, err = w.sim.Refund(attempt.PaymentID, 250) // of 500
					must(t, err)
					hear(w, "alice", "")
					w.has("alice", 5, true)
					_, err = w.sim.Refund(attempt.PaymentID, 0)
					must(t, err)
					hear(w, "alice", "")
					hear(w, "alice", "")
					w.has("alice", 0, false)
					w.entries("alice", 10, -5, -5)
				})
			})
		}
	}
}

// TestAmountsWithoutCurrency: an amount that the catalog has in a currency is not compared
// with a payment that names none. The payment is parked, and is applied once the operator
// asks for no amount.
func TestAmountsWithoutCurrency(t *testing.T) {
	each(t, settings{hold: true, products: asking(500, 900), behavior: dodosim.Behavior{NoCurrency: true}}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.deliver(w.event("payment.succeeded"))
		w.has("alice", 0, false)
		w.stays(w.redrives(1, 0), map[string]int{gateway.ReasonUnderpaid: 1})
		w.gate = w.newGateway(settings{})
		w.stays(w.redrives(1, 1), map[string]int{})
		w.has("alice", 10, true)
	})
}

// TestChargesWithoutCurrency: a charge on demand gives credits by a rate in a currency, so
// one that names none gives nothing, and waits for the operator.
func TestChargesWithoutCurrency(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			s.onDemand("pdt_metered")
			s.wants(s.send("payment.succeeded", s.charge("pay_2", "total_amount", 500, "currency", nil)), gateway.Parked)
			s.sees("0 pro active true")
			s.wants(s.send("payment.succeeded", s.charge("pay_3", "total_amount", 500, "currency", "USD")), gateway.Applied)
			s.sees("100 pro active true")
		})
	}
}

// keepsTime reports whether the store deletes by the test's clock. Redis does by its own.
func (u *silent) keepsTime() bool {
	_, is := u.store.Store.(*boltstore.Store)
	return is
}

// TestVeryLateRefunds: what was bought is taken back however late that is heard of: after the
// payment's event is deleted from the journal, and after an order that nobody paid in time is
// forgotten.
func TestVeryLateRefunds(t *testing.T) {
	keep := config.KeepEvents{Period: config.Duration(30 * day)}
	for way, hear := range waysToHear {
		t.Run(way, func(t *testing.T) {
			// Dodo takes as long for a refund as it is asked about again.
			withoutWebhooks(t, settings{events: keep, products: products, behavior: dodosim.Behavior{RefundsTake: dodosim.Duration(13 * day)}}, func(t *testing.T, u *silent) {
				order := u.order("alice", "pack10")
				attempt, err := u.sim.Pay(order.SessionID, goodCard)
				must(t, err)
				paid := u.event("payment.succeeded")
				u.deliver(paid)
				hear(u.world, "alice", order.ID)
				u.pass(29 * day) // Dodo refunds for 30
				_, err = u.sim.Refund(attempt.PaymentID, 0)
				must(t, err)
				must(t, u.spent("alice", 4))
				u.pass(12 * day)
				if u.keepsTime() {
					u.gone(paid)
				}
				u.reconcile()
				u.has("alice", 6, true) // it is pending
				u.pass(day)
				hear(u.world, "alice", "")
				hear(u.world, "alice", "")
				u.entries("alice", 10, -4, -10)
				u.has("alice", 0, false)
				if a, err := u.store.Account(t.Context(), "alice"); err != nil || a.Ledger.Debt != 4 {
					t.Errorf("alice owes %d, %v; want 4", a.Ledger.Debt, err)
				}
			})
		})
	}
}

// TestPaymentOfAForgottenOrder: the payment's webhook comes months late, when its order is
// deleted, and the refund comes before it.
func TestPaymentOfAForgottenOrder(t *testing.T) {
	for _, refunded := range []bool{false, true} {
		withoutWebhooks(t, settings{products: products}, func(t *testing.T, u *silent) {
			order := u.order("alice", "pack10")
			attempt, err := u.sim.Pay(order.SessionID, goodCard)
			must(t, err)
			if refunded {
				u.pass(29 * day)
				_, err = u.sim.Refund(attempt.PaymentID, 0)
				must(t, err)
			}
			u.pass(60 * day)
			u.order("alice", "pack9") // a store deletes old orders when it writes another
			if o, err := u.Order(t.Context(), "alice", order.ID); u.keepsTime() && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the order is still there: %+v, %v", o, err)
			}
			want, entries := int64(10), []int64{10}
			if refunded {
				u.deliver(u.event("refund.succeeded"))
				want, entries = 0, nil
			}
			u.deliver(u.event("payment.succeeded"))
			u.has("alice", want, want > 0)
			u.entries("alice", entries...)
			u.stays(u.redrives(0, 0), map[string]int{})
		})
	}
}

// TestCutLists: whichever answer of a reconciliation breaks off, none of what it would have
// told is taken for told: this pass or the next one finds all of it.
func TestCutLists(t *testing.T) {
	sleepless := func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	cutting := 0 // how many answers are whole before those that are cut
	var sim http.Handler
	w := newWorld(t, openBolt(t), settings{hold: true, products: storyProducts, sleep: sleepless, between: func(dodo http.Handler) http.Handler {
		sim = dodo
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if cutting--; cutting < 0 {
				sim.(*dodosim.Simulator).SetFault(dodosim.Fault{Cut: true}, 1)
			}
			sim.ServeHTTP(w, r)
		})
	}})
	cutting = 1 << 20
	w.reconcile()
	for whole := 0; ; whole++ {
		account := "account_" + string(rune('a'+whole))
		pack := w.buy(account, "pack10")
		_, err := w.sim.Refund(pack, 250)
		must(t, err)
		w.buy(account, "monthly")
		cutting = whole
		_, err = w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1))
		left := cutting
		cutting = 1 << 20
		if (err == nil) != (left >= 0) {
			t.Errorf("after %d whole answers: %v", whole, err)
		}
		w.reconcile()
		w.has(account, 505, true)
		if again := w.reconcile(); again.Read != 0 || again.Unapplied != 0 {
			t.Errorf("after %d whole answers, the next pass left %+v", whole, again)
		}
		if left >= 0 {
			if whole < 5 {
				t.Errorf("a whole pass has %d answers", whole)
			}
			return
		}
	}
}
