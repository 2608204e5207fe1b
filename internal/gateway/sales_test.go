package gateway_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// sells wants the sales of some days to be so: product, payments, total and refunded.
func (w *world) sells(days int, want ...gateway.ProductSales) gateway.SalesReport {
	w.t.Helper()
	s, err := w.Sales(w.t.Context(), days)
	must(w.t, err)
	if len(s.Products) != len(want) {
		w.t.Fatalf("sales are %+v, want %+v", s.Products, want)
	}
	for i := range want {
		if s.Products[i] != want[i] {
			w.t.Errorf("sales %d are %+v, want %+v", i, s.Products[i], want[i])
		}
	}
	return s
}

func sold(product string, payments, refunds, total, refunded int64) gateway.ProductSales {
	return gateway.ProductSales{
		Product: product, Currency: "USD", Payments: payments, Refunds: refunds, Quantity: payments,
		Amount: gateway.Amount{Total: total, Refunded: refunded},
	}
}

// TestSales: each payment counts once, under its product and on its day, however often Dodo reports it;
// what is refunded is taken from it.
func TestSales(t *testing.T) {
	clock := newTimer()
	each(t, settings{products: products, hold: true, clock: clock.Now}, func(t *testing.T, w *world) {
		w.sells(7)
		first := w.buy("alice", "pack10")
		w.deliverAll()
		w.buy("bob", "pack10")
		w.deliverAll()
		w.deliverAll()
		w.buy("alice", "pro30")
		w.deliverAll()
		w.sells(7, sold("pro30", 1, 0, 1900, 0), sold("pack10", 2, 0, 1000, 0))
		_, err := w.sim.Refund(first, 200)
		must(t, err)
		w.deliverAll()
		s := w.sells(1, sold("pro30", 1, 0, 1900, 0), sold("pack10", 2, 1, 1000, 200))
		if got, want := gateway.SalesVerdict(s, 1), "Today, pro30 made most: 19.00 USD with 1 payment."; got != want {
			t.Errorf("the verdict is %q, want %q", got, want)
		}
		if day := s.Days[0]; len(s.Days) != 1 || day.Payments != 3 || day.Money["USD"].Net() != 2700 {
			t.Errorf("today is %+v", s.Days)
		}
	})
}

// TestRefundsByDay: a refund counts on its own day. A dispute that is lost counts on the day of its
// payment, and takes no more than what refunds have left.
func TestRefundsByDay(t *testing.T) {
	clock := newTimer()
	each(t, settings{products: products, hold: true, clock: clock.Now}, func(t *testing.T, w *world) {
		payment := w.buy("alice", "pack10")
		w.deliverAll()
		clock.Move(10 * 24 * time.Hour)
		w.sim.Advance(0)
		_, err := w.sim.Refund(payment, 200)
		must(t, err)
		w.deliverAll()
		w.deliverAll()
		s := w.sells(7, sold("pack10", 0, 1, 0, 200))
		if got, want := gateway.SalesVerdict(s, 7), "Nothing was sold in the last 7 days."; got != want {
			t.Errorf("the verdict is %q, want %q", got, want)
		}
		if today := s.Days[6]; today.Refunds != 1 || today.Payments != 0 || today.Money["USD"].Net() != -200 {
			t.Errorf("today is %+v", today)
		}
		w.sells(20, sold("pack10", 1, 1, 500, 200))
		dispute, err := w.sim.OpenDispute(payment)
		must(t, err)
		w.deliverAll()
		w.sells(20, sold("pack10", 1, 1, 500, 200))
		must(t, w.sim.DecideDispute(dispute, "dispute_lost"))
		w.deliverAll()
		w.sells(7, sold("pack10", 0, 1, 0, 200))
		w.sells(20, sold("pack10", 1, 1, 500, 500))
	})
}

// TestSalesOfSubscription: every charge counts under the product that is subscribed to.
func TestSalesOfSubscription(t *testing.T) {
	clock := newTimer()
	each(t, settings{products: plansForSale, hold: true, clock: clock.Now}, func(t *testing.T, w *world) {
		w.buy("alice", "pro")
		w.deliverAll()
		clock.Move(32 * 24 * time.Hour)
		w.sim.Advance(0)
		w.deliverAll()
		s := w.sells(40, sold("pro", 2, 0, 1800, 0))
		var days []int64
		for _, d := range s.Days {
			if d.Payments > 0 {
				days = append(days, d.Payments, d.Money["USD"].Total)
			}
		}
		if !slices.Equal(days, []int64{1, 900, 1, 900}) {
			t.Errorf("the days with sales have %d", days)
		}
		w.sells(20, sold("pro", 1, 0, 900, 0))
	})
}

// TestCreditsByDay: credits that are sold and spent are counted when the gateway closes, and not
// twice.
func TestCreditsByDay(t *testing.T) {
	each(t, settings{products: products, hold: true}, func(t *testing.T, w *world) {
		payment := w.buy("alice", "pack10")
		w.deliverAll()
		charge, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "alice", Credits: 3, TTL: time.Minute})
		must(t, err)
		_, err = charge.End(t.Context(), 2, nil)
		must(t, err)
		_, err = w.sim.Refund(payment, 250)
		must(t, err)
		w.deliverAll()
		options := w.Options
		for range 2 {
			w.Close()
			w.gate = newGate(t, options)
			s, err := w.Sales(t.Context(), 1)
			must(t, err)
			if d := s.Days[0]; d.CreditsSold != 5 || d.CreditsSpent != 2 {
				t.Errorf("the day has %d credits sold and %d spent, want 5 and 2", d.CreditsSold, d.CreditsSpent)
			}
		}
	})
}

// TestCreditsAfterClose: a request that outlives its config still counts.
func TestCreditsAfterClose(t *testing.T) {
	each(t, settings{products: products, hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.deliverAll()
		charge, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "alice", Credits: 3, TTL: time.Minute})
		must(t, err)
		options := w.Options
		w.Close()
		_, err = charge.End(t.Context(), 3, nil)
		must(t, err)
		w.gate = newGate(t, options)
		s, err := w.Sales(t.Context(), 1)
		must(t, err)
		if d := s.Days[0]; d.CreditsSold != 10 || d.CreditsSpent != 3 {
			t.Errorf("the day has %d credits sold and %d spent, want 10 and 3", d.CreditsSold, d.CreditsSpent)
		}
	})
}

// TestSalesSpan: the number of days is bounded.
func TestSalesSpan(t *testing.T) {
	each(t, settings{products: products}, func(t *testing.T, w *world) {
		for _, days := range []int{-1, 0, gateway.MaxSalesDays + 1} {
			if _, err := w.Sales(t.Context(), days); !errors.Is(err, gateway.ErrSales) {
				t.Errorf("%d days: %v", days, err)
			}
		}
	})
}

// TestSalesNeverHoldUpAPayment: a payment gives what it gives also if its cart is too long to be
// counted among the sales.
func TestSalesNeverHoldUpAPayment(t *testing.T) {
	var cart []any
	for i := range 60 {
		cart = append(cart, map[string]any{"product_id": fmt.Sprintf("pdt_of_a_very_long_name_%d", i), "quantity": 1})
	}
	cart = append(cart, map[string]any{"product_id": "pdt_both", "quantity": 1})
	s := tell(t, "bolt", "")
	s.deliverAs("msg_1", "payment.succeeded", s.payment("pdt_both", "product_cart", cart))
	if a, err := s.store.Account(t.Context(), "alice"); err != nil || a.Ledger.Available(s.Clock()) == 0 {
		t.Errorf("the payment gave nothing: %+v, %v", a.Ledger, err)
	}
}
