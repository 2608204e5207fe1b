package gateway_test

import (
	"testing"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

// asking is the catalog with least amounts above or below what the simulator charges.
func asking(pack, monthly int64) []config.Product {
	return []config.Product{
		{Name: "pack10", ID: "pdt_pack10", Credits: 10, MinAmount: config.Amounts{"USD": pack}},
		{Name: "monthly", ID: "pdt_monthly", Plan: "pro", Credits: 500, MinAmount: config.Amounts{"USD": monthly}},
	}
}

// TestUnderpaid: a purchase below the catalog's least amount is parked, gives nothing
// by any way, and is applied once the operator has lowered the amount.
func TestUnderpaid(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		for product, want := range map[string]string{"pack10": "10 none none true", "monthly": "500 pro active true"} {
			t.Run(product+"/"+backend, func(t *testing.T) {
				s := tellOf(t, backend, settings{products: asking(501, 901)})
				order := s.order("alice", product)
				_, err := s.sim.Pay(order.SessionID, goodCard)
				must(t, err)
				s.flush()
				const nothing = "0 none none false"
				waits := func() {
					t.Helper()
					snap, err := s.Entitlement(t.Context(), "alice")
					must(t, err)
					if snap.Credits != 0 || snap.HasPaid || snap.Plan != "none" {
						t.Errorf("alice has %+v, want %s", snap, nothing)
					}
				}
				waits()
				_, err = s.Confirm(t.Context(), "alice", order.ID)
				must(t, err)
				_, err = s.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
				must(t, err)
				waits()
				done, err := s.Redrive(t.Context())
				must(t, err)
				if done.Applied != 0 || done.Parked[gateway.ReasonUnderpaid] == 0 || len(done.Parked) != 1 {
					t.Errorf("redriven %+v, want all of them underpaid", done)
				}
				s.gate = s.newGateway(settings{products: asking(500, 900), clock: s.Clock})
				done, err = s.Redrive(t.Context())
				must(t, err)
				if done.Applied != done.Tried || len(done.Parked) != 0 {
					t.Errorf("after the amount was lowered: %+v", done)
				}
				s.sees(want)
				s.gate = s.newGateway(settings{products: asking(5000, 9000), clock: s.Clock})
				_, err = s.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
				must(t, err)
				s.sees(want)
			})
		}
	}
}

// TestUnderpaidIsHealed: what reconcile alone has read waits for no event.
func TestUnderpaidIsHealed(t *testing.T) {
	each(t, settings{hold: true, products: asking(501, 901)}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.buy("bob", "monthly")
		for _, most := range []int64{501, 500} {
			w.gate = w.newGateway(settings{products: asking(most, 400+most)})
			for range 2 {
				_, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
				must(t, err)
			}
			w.has("alice", 10*(501-most), most == 500)
			w.has("bob", 500*(501-most), most == 500)
		}
	})
}

// TestUnderpaidAndRefunded: nothing is taken back that was not given, and nothing waits
// any longer.
func TestUnderpaidAndRefunded(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tellOf(t, backend, settings{products: asking(901, 901)})
			s.wants(s.send("payment.succeeded", s.payment("pdt_pack10")), gateway.Parked)
			s.wants(s.send("payment.succeeded", s.payment("pdt_pack10", "payment_id", "pay_2", "total_amount", 1000, "tax", 99)), gateway.Applied)
			s.sees("10 none none true")
			s.wants(s.send("refund.succeeded", refundOf("pay_1")), gateway.Applied)
			s.stays(s.redrives(2, 2), map[string]int{})
			s.sees("10 none none true")
			s.owes(0)
			e, err := s.store.Event(t.Context(), "msg_1")
			must(t, err)
			if e.State != book.EventApplied || e.Account != "alice" {
				t.Errorf("the payment's event is %+v", e)
			}
		})
	}
}
