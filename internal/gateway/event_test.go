package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

func TestPurchase(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		w.has("alice", 0, false)
		order := w.order("alice", "pack10")
		pending, err := w.Pending(t.Context(), "alice")
		must(t, err)
		if len(pending) != 1 || pending[0].ID != order.ID {
			t.Errorf("pending %+v", pending)
		}
		_, err = w.sim.Pay(order.SessionID, goodCard)
		must(t, err)
		w.flush()
		w.has("alice", 10, true)
		w.entries("alice", 10)
		order, err = w.Order(t.Context(), "alice", order.ID)
		must(t, err)
		if order.State != book.OrderPaid || order.PaymentID == "" {
			t.Errorf("order %+v", order)
		}
		if pending, err = w.Pending(t.Context(), "alice"); err != nil || len(pending) != 0 {
			t.Errorf("still pending: %+v, %v", pending, err)
		}
		w.has("bob", 0, false)
	})
}

func TestDeclineThenSuccess(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		order := w.order("alice", "pack10")
		_, err := w.sim.Pay(order.SessionID, badCard)
		must(t, err)
		w.flush()
		w.has("alice", 0, false)
		failed, err := w.Order(t.Context(), "alice", order.ID)
		must(t, err)
		if failed.State != book.OrderFailed {
			t.Errorf("after a decline the order is %s", failed.State)
		}
		_, err = w.sim.Pay(order.SessionID, goodCard)
		must(t, err)
		w.flush()
		w.has("alice", 10, true)
		w.deliver(w.event("payment.failed")) // late: money that arrived stays
		w.has("alice", 10, true)
		paid, err := w.Order(t.Context(), "alice", order.ID)
		must(t, err)
		if paid.State != book.OrderPaid {
			t.Errorf("after the payment the order is %s", paid.State)
		}
	})
}

// TestDuplicates: one payment is one grant, however many deliveries it has, in
// parallel, under two ids, through two gateways.
func TestDuplicates(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		event := w.event("payment.succeeded")
		var deliveries sync.WaitGroup
		for i := range 100 {
			deliveries.Go(func() {
				id := event
				if i%2 == 1 {
					id = event + "_again"
				}
				if d, err := w.sim.DeliverAs(t.Context(), event, id); err != nil || !d.Acknowledged() {
					t.Errorf("delivery %d: %d, %v", i, d.Status, err)
				}
			})
		}
		deliveries.Wait()
		w.has("alice", 10, true)
		w.entries("alice", 10)
		if n := w.seen.count("payment.succeeded", gateway.Applied); n != 1 {
			t.Errorf("%d deliveries were applied", n)
		}
		if n := w.seen.count("payment.succeeded", gateway.Duplicate); n != 99 {
			t.Errorf("%d deliveries were duplicates", n)
		}
		record, err := w.store.Event(t.Context(), event)
		must(t, err)
		if record.Deliveries != 50 || record.State != book.EventApplied || record.Account != "alice" {
			t.Errorf("journal: %+v", record)
		}
	})
}

func TestRefunds(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		each(t, settings{}, func(t *testing.T, w *world) {
			payment := w.buy("alice", "pack9")
			_, err := w.sim.Refund(payment, 0)
			must(t, err)
			w.flush()
			w.has("alice", 0, false)
		})
	})
	t.Run("a third, then the rest", func(t *testing.T) {
		each(t, settings{}, func(t *testing.T, w *world) {
			payment := w.buy("alice", "pack9")
			w.flush()
			_, err := w.sim.Refund(payment, 300)
			must(t, err)
			w.flush()
			w.has("alice", 6, true)
			_, err = w.sim.Refund(payment, 0)
			must(t, err)
			w.flush()
			w.has("alice", 0, false)
			w.entries("alice", 9, -3, -6)
		})
	})
	t.Run("plan", func(t *testing.T) {
		each(t, settings{}, func(t *testing.T, w *world) {
			payment := w.buy("alice", "pro30")
			w.flush()
			if s, err := w.Entitlement(t.Context(), "alice"); err != nil || s.Plan != "pro" || !s.HasPaid {
				t.Errorf("%+v, %v", s, err)
			}
			_, err := w.sim.Refund(payment, 0)
			must(t, err)
			w.flush()
			if s, err := w.Entitlement(t.Context(), "alice"); err != nil || s.Plan != "none" || s.HasPaid {
				t.Errorf("after the refund: %+v, %v", s, err)
			}
		})
	})
}

// TestRefundBeforePayment: a refund waits for its payment, and the end is the
// same as in the other order.
func TestRefundBeforePayment(t *testing.T) {
	for name, c := range map[string]struct {
		amount  int
		credits int64
		paid    bool
	}{"a third": {300, 6, true}, "all": {0, 0, false}} {
		t.Run(name, func(t *testing.T) {
			each(t, settings{hold: true}, func(t *testing.T, w *world) {
				payment := w.buy("alice", "pack9")
				_, err := w.sim.Refund(payment, c.amount)
				must(t, err)
				refund := w.event("refund.succeeded")
				w.deliver(refund)
				w.has("alice", 0, false)
				record, err := w.store.Event(t.Context(), refund)
				must(t, err)
				if record.State != book.EventParked || record.Reason != gateway.ReasonUnknownAccount {
					t.Errorf("the refund is %s, %s", record.State, record.Reason)
				}
				w.deliver(w.event("payment.succeeded"))
				w.has("alice", c.credits, c.paid)
				if record, err = w.store.Event(t.Context(), refund); err != nil || record.State != book.EventApplied {
					t.Errorf("then the refund is %s, %v", record.State, err)
				}
			})
		})
	}
}

// TestRefundRacesPayment: whichever comes second sees the other.
func TestRefundRacesPayment(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		for range 20 {
			payment := w.buy("alice", "pack9")
			_, err := w.sim.Refund(payment, 0)
			must(t, err)
			paid, refunded := w.event("payment.succeeded"), w.event("refund.succeeded")
			var both sync.WaitGroup
			both.Go(func() { w.deliver(paid) })
			both.Go(func() { w.deliver(refunded) })
			both.Wait()
			w.has("alice", 0, false)
			if record, err := w.store.Event(t.Context(), refunded); err != nil || record.State != book.EventApplied {
				t.Fatalf("the refund is %s, %v", record.State, err)
			}
		}
	})
}

// interrupted is a store in which something else happens before the first event
// is parked.
type interrupted struct {
	store.Store
	by func()
}

func (s *interrupted) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	if by := s.by; by != nil && e.State == book.EventParked {
		s.by = nil
		by()
	}
	return s.Store.Settle(ctx, e, r)
}

// TestPaymentBetweenLookUpAndParking: the refund has just looked for its payment,
// in vain, when that arrives.
func TestPaymentBetweenLookUpAndParking(t *testing.T) {
	s := tell(t, "bolt", "")
	between := &interrupted{Store: s.store, by: func() { s.deliverAs("msg_paid", "payment.succeeded", s.payment("pdt_both")) }}
	s.store = store.Client{Store: between}
	s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock})
	s.deliverAs("msg_refunded", "refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
	s.sees("6 pro active true")
}

// halfway is a store that commits no subscription while it is down.
type halfway struct {
	store.Store
	down bool
}

func (s *halfway) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if _, object := kindOf(account, decide); s.down && object.Kind == entitlement.KindSubscription {
		return store.Updated{}, store.ErrUnavailable
	}
	return s.Store.Update(ctx, account, decide)
}

// TestChargeHalfway: the event of a subscription's payment is not noted as applied before it
// is folded into the subscription, too.
func TestChargeHalfway(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			half := &halfway{Store: s.store, down: true}
			s.store = store.Client{Store: half}
			s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock})
			charge := s.charge("pay_1", "metadata", s.proof(orderID, "alice", "monthly"))
			body, err := json.Marshal(map[string]any{"type": "payment.succeeded", "timestamp": s.now(), "data": charge})
			must(t, err)
			for _, want := range []book.EventState{book.EventReceived, book.EventApplied} {
				half.down = want == book.EventReceived
				header, raw := signedAt(t, "msg_1", string(body), s.now())
				if _, err := s.HandleEvent(t.Context(), header, raw); (err != nil) != half.down {
					t.Fatal(err)
				}
				if e, err := s.store.Event(t.Context(), "msg_1"); err != nil || e.State != want {
					t.Errorf("the event is %s, %v; want %s", e.State, err, want)
				}
			}
			s.send("subscription.active", s.subscription())
			s.sees("500 pro active true")
		})
	}
}

func otherProver(t *testing.T) *dodo.Prover {
	t.Helper()
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey("some other key")})
	must(t, err)
	return prover
}

// TestForeignMetadata: what a payment link's metadata says proves nothing.
func TestForeignMetadata(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		other := otherProver(t)
		client := w.Provider
		session, err := client.CreateCheckout(t.Context(), &dodo.Checkout{
			ProductID: "pdt_pack10", Quantity: 1, ReturnURL: "http://localhost:8080/",
			Metadata: other.Metadata(dodo.Claim{Site: siteID, Order: "ord_AAAAAAAAAAAAAAAAAAAAAA", Account: "mallory", Product: "pack10"}),
		})
		must(t, err)
		_, err = w.sim.Pay(session.ID, goodCard)
		must(t, err)
		w.flush()
		w.has("mallory", 0, false)
		if n := w.seen.count("payment.succeeded", gateway.Parked); n != 1 {
			t.Errorf("%d events were parked", n)
		}
	})
}

// TestLostStore: an order's proof finds the account in an empty store.
func TestLostStore(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	w.buy("alice", "pack10")
	w.store = store.Client{Store: openBolt(t)}
	w.gate = w.newGateway(settings{})
	w.deliver(w.event("payment.succeeded"))
	w.has("alice", 10, true)
}

// TestUnknownProduct: what the catalog does not have is parked, and applied when
// it is delivered again after the product was added.
func TestUnknownProduct(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		session, err := w.Provider.CreateCheckout(t.Context(), &dodo.Checkout{
			ProductID: "pdt_unlisted", Quantity: 2, ReturnURL: "http://localhost:8080/",
			Metadata: w.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "unlisted"),
		})
		must(t, err)
		_, err = w.sim.Pay(session.ID, goodCard)
		must(t, err)
		event := w.event("payment.succeeded")
		w.deliver(event)
		w.has("alice", 0, false)
		record, err := w.store.Event(t.Context(), event)
		must(t, err)
		if record.State != book.EventParked || record.Reason != gateway.ReasonUnknownProduct {
			t.Errorf("the event is %s, %s", record.State, record.Reason)
		}
		w.gate = w.newGateway(settings{products: append([]config.Product{{Name: "unlisted", ID: "pdt_unlisted", Credits: 4}}, products...)})
		w.deliver(event)
		w.has("alice", 8, true)
		w.deliver(event)
		w.has("alice", 8, true)
	})
}

// TestCatalogChange: an order keeps what was promised when it was made.
func TestCatalogChange(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.gate = w.newGateway(settings{products: []config.Product{{Name: "pack10", ID: "pdt_pack10", Credits: 99}}})
		w.deliver(w.event("payment.succeeded"))
		w.has("alice", 10, true)
	})
}

// TestStoreDown: nothing is acknowledged that was not stored, and the retry
// applies exactly once.
func TestStoreDown(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	w.buy("alice", "pack10")
	event := w.event("payment.succeeded")
	good := w.store
	broken := openBolt(t).(interface {
		store.Store
		Close() error
	})
	must(t, broken.Close())
	w.store = store.Client{Store: broken}
	w.gate = w.newGateway(settings{})
	if d, err := w.sim.Redeliver(t.Context(), event); err != nil || d.Acknowledged() {
		t.Fatalf("answered %d, %v", d.Status, err)
	}
	if w.seen.refused != 1 {
		t.Errorf("%d refusals were reported", w.seen.refused)
	}
	if _, err := w.Entitlement(t.Context(), "alice"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("entitlement without a store: %v", err)
	}
	w.store = good
	w.gate = w.newGateway(settings{})
	w.deliver(event)
	w.deliver(event)
	w.has("alice", 10, true)
	w.entries("alice", 10)
}

func TestOtherEvents(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		for eventType, want := range map[string]gateway.Outcome{
			"credit.added":         gateway.Ignored,
			"never.heard_of":       gateway.Ignored,
			"payment.succeeded":    gateway.Parked, // data says nothing
			"subscription.renewed": gateway.Parked,
			"dispute.opened":       gateway.Parked,
		} {
			id := "msg_" + strings.ReplaceAll(eventType, ".", "_")
			header, body := signed(t, id, `{"type":"`+eventType+`","data":null,"timestamp":"2026-11-21T12:00:00Z","business_id":"bus_1"}`)
			outcome, err := w.HandleEvent(t.Context(), header, body)
			if err != nil || outcome != want {
				t.Errorf("%s: %s, %v; want %s", eventType, outcome, err, want)
			}
			record, err := w.store.Event(t.Context(), id)
			if err != nil || record.Type != eventType || string(record.Body) != string(body) {
				t.Errorf("%s in the journal: %+v, %v", eventType, record, err)
			}
		}
	})
}

func TestRefusedDeliveries(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	header, body := signed(t, "msg_forged", `{"type":"payment.succeeded"}`)
	if _, err := w.HandleEvent(t.Context(), header, append(body, ' ')); !errors.Is(err, dodo.ErrSignature) {
		t.Errorf("another body: %v", err)
	}
	header, body = signed(t, "msg_broken", `{"type":"payment.succeeded"`)
	if _, err := w.HandleEvent(t.Context(), header, body); !errors.Is(err, dodo.ErrMalformed) {
		t.Errorf("not JSON: %v", err)
	}
	for _, id := range []string{"msg_forged", "msg_broken"} {
		if _, err := w.store.Event(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s was stored: %v", id, err)
		}
	}
	if w.seen.refused != 2 {
		t.Errorf("%d refusals were reported", w.seen.refused)
	}
}
