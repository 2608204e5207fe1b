package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestOrderOfASession: a payment whose metadata got lost is known by its checkout session. It
// gives what the order promised, and pays the order.
func TestOrderOfASession(t *testing.T) {
	s := tell(t, "bolt", "")
	s.promises(12)
	s.wants(s.send("payment.succeeded", s.bought("pdt_pack10", "metadata", nil)), gateway.Applied)
	s.sees("12 none none true")
	s.orderIs(book.OrderPaid)
}

// orderIs wants alice's order to be in a state.
func (s *story) orderIs(want book.OrderState) {
	s.t.Helper()
	o, err := s.store.Order(s.t.Context(), "alice", orderID)
	must(s.t, err)
	if o.State != want {
		s.t.Errorf("the order is %s, want %s", o.State, want)
	}
}

// TestOrderOfEndedPayments: an order says how its payment ended.
func TestOrderOfEndedPayments(t *testing.T) {
	for event, want := range map[string]book.OrderState{
		"payment.failed": book.OrderFailed, "payment.cancelled": book.OrderCancelled, "payment.processing": book.OrderOpen,
	} {
		s := tell(t, "bolt", "")
		s.promises(10)
		s.wants(s.send(event, s.bought("pdt_pack10", "status", strings.TrimPrefix(event, "payment."))), gateway.Applied)
		s.orderIs(want)
	}
}

// TestMoreThanCanBeCounted: a payment whose credits the balance has no room for is parked, and
// is applied when there is room.
func TestMoreThanCanBeCounted(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			huge := []config.Product{{Name: "huge", ID: "pdt_huge", Credits: config.MaxCredits / config.MaxQuantity}}
			s := tellOf(t, backend, settings{products: huge})
			all := []any{map[string]any{"product_id": "pdt_huge", "quantity": config.MaxQuantity}}
			pay := func(id string) gateway.Outcome {
				return s.send("payment.succeeded", s.payment("pdt_huge", "payment_id", id, "product_cart", all))
			}
			s.wants(pay("pay_1"), gateway.Applied)
			s.wants(pay("pay_2"), gateway.Parked)
			s.stays(s.redrives(2, 0), map[string]int{gateway.ReasonOutOfRange: 2}) // each event comes twice
			s.wants(s.send("refund.succeeded", refundOf("pay_1")), gateway.Applied)
			s.stays(s.redrives(2, 2), map[string]int{})
		})
	}
}

// TestChargeOfAnotherPayer: a payment counts for the account that its subscription belongs to,
// also if its proof names another one.
func TestChargeOfAnotherPayer(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			s.wants(s.send("subscription.active", s.subscription()), gateway.Applied)
			s.wants(s.send("payment.succeeded", s.charge("pay_1", "metadata", s.proof(orderID, "bob", "monthly"))), gateway.Applied)
			s.sees("500 pro active true")
			s.wants(s.send("refund.succeeded", refundOf("pay_1")), gateway.Applied)
			if now, err := s.Entitlement(t.Context(), "alice"); err != nil || now.Credits != 0 {
				t.Errorf("after the refund alice has %d credits, %v", now.Credits, err)
			}
			s.has("bob", 0, false)
		})
	}
}

// TestConfirmGoesOn: what Dodo says about an order is applied also when its customer has left
// in the meantime.
func TestConfirmGoesOn(t *testing.T) {
	asked, release := make(chan struct{}, 1), make(chan struct{})
	w := newWorld(t, openBolt(t), settings{hold: true, between: func(dodo http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/payments/") {
				asked <- struct{}{}
				<-release
			}
			dodo.ServeHTTP(w, r)
		})
	}})
	order := w.order("alice", "pack10")
	_, err := w.sim.Pay(order.SessionID, goodCard)
	must(t, err)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := w.Confirm(ctx, "alice", order.ID); left <- err }()
	<-asked
	leave()
	must(t, <-left)
	close(release)
	until(t, "the credits are there", func() bool {
		s, err := w.Entitlement(t.Context(), "alice")
		return err == nil && s.Credits == 10
	})
}

// TestReconcileFollowsDisputes: also a dispute that is known and has moved on is read again.
func TestReconcileFollowsDisputes(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		id := w.buy("alice", "pack10")
		dispute, err := w.sim.OpenDispute(id)
		must(t, err)
		w.reconcile()
		w.has("alice", 0, false)
		must(t, w.sim.DecideDispute(dispute, dodosim.DisputeWon))
		w.reconcile()
		w.has("alice", 10, true)
	})
}

// TestPendingSubscription: an order for a subscription is not paid for its customer while
// Dodo says that the subscription is pending.
func TestPendingSubscription(t *testing.T) {
	s := tell(t, "bolt", "")
	s.ordered(map[string]entitlement.Terms{"pdt_monthly": {Credits: 500, Plan: "pro"}})
	s.pays("", "product_cart", nil, "subscription_id", "sub_1", "metadata", s.proof(orderID, "alice", "monthly"))
	for _, c := range []struct {
		status string
		want   book.OrderState
	}{{"pending", book.OrderOpen}, {"active", book.OrderPaid}} {
		s.send("subscription.updated", s.subscription("status", c.status))
		o, err := s.Confirm(t.Context(), "alice", orderID)
		must(t, err)
		if o.State != c.want {
			t.Errorf("while the subscription is %s, the order is %s, want %s", c.status, o.State, c.want)
		}
	}
}

// TestKeyIsRememberedForADay: a request whose key was charged is not charged again for a day.
func TestKeyIsRememberedForADay(t *testing.T) {
	withoutWebhooks(t, settings{signupCredits: 10}, func(t *testing.T, u *silent) {
		if _, is := u.store.Store.(*boltstore.Store); !is {
			t.Skip("Redis forgets by its own clock")
		}
		_, err := u.View(t.Context(), "ann")
		must(t, err)
		ask := gateway.HoldRequest{Account: "ann", Credits: 4, TTL: time.Minute, Key: "once"}
		c, err := u.Hold(t.Context(), ask)
		must(t, err)
		_, err = c.End(t.Context(), 3, nil)
		must(t, err)
		u.move(23 * time.Hour)
		var finished *gateway.FinishedError
		if _, err := u.Hold(t.Context(), ask); !errors.As(err, &finished) || finished.Charged != 3 {
			t.Errorf("within the day: %v", err)
		}
		u.move(2 * time.Hour)
		if _, err := u.Hold(t.Context(), ask); err != nil {
			t.Errorf("after a day: %v", err)
		}
	})
}
