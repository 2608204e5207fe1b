package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// redrives runs one redrive and wants its counts.
func (w *world) redrives(tried, applied int) gateway.Redriven {
	w.t.Helper()
	done, err := w.Redrive(w.t.Context())
	must(w.t, err)
	if done.Tried != tried || done.Applied != applied {
		w.t.Errorf("tried %d, applied %d; want %d, %d", done.Tried, done.Applied, tried, applied)
	}
	return done
}

// waits wants an event to be parked for a reason; "" when it is to be applied to
// alice.
func (w *world) waits(id, reason string) {
	w.t.Helper()
	e, err := w.store.Event(w.t.Context(), id)
	must(w.t, err)
	state, account := book.EventParked, e.Account
	if reason == "" {
		state, account = book.EventApplied, "alice"
	}
	if e.State != state || e.Reason != reason || e.Account != account {
		w.t.Errorf("event %s is %s for %q, account %q; want %s for %q", id, e.State, e.Reason, e.Account, state, reason)
	}
}

func (w *world) stays(done gateway.Redriven, want map[string]int) {
	w.t.Helper()
	if !maps.Equal(done.Parked, want) || (done.Parked == nil) != (want == nil) {
		w.t.Errorf("parked stay %v, want %v", done.Parked, want)
	}
}

var grown = append([]config.Product{{Name: "unlisted", ID: "pdt_unlisted", Credits: 4}}, products...)

// unlisted is a purchase by alice of what the catalog does not have, two pieces.
// It returns the event that tells of it.
func (w *world) unlisted() string {
	w.t.Helper()
	session, err := w.Provider.CreateCheckout(w.t.Context(), &dodo.Checkout{
		ProductID: "pdt_unlisted", Quantity: 2, ReturnURL: "http://localhost:8080/",
		Metadata: w.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "unlisted"),
	})
	must(w.t, err)
	_, err = w.sim.Pay(session.ID, goodCard)
	must(w.t, err)
	return w.event("payment.succeeded")
}

// TestRedriveUnknownProduct: once the catalog has it, it is applied, once, though
// nobody sends it again.
func TestRedriveUnknownProduct(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		w.stays(w.redrives(0, 0), map[string]int{})
		event := w.unlisted()
		w.deliver(event)
		for range 2 {
			w.stays(w.redrives(1, 0), map[string]int{gateway.ReasonUnknownProduct: 1})
			w.waits(event, gateway.ReasonUnknownProduct)
			w.has("alice", 0, false)
		}
		old := w.gate
		w.gate = w.newGateway(settings{products: grown})
		w.stays(w.redrives(1, 1), map[string]int{})
		w.waits(event, "")
		w.has("alice", 8, true)
		w.entries("alice", 8)
		w.redrives(0, 0)
		w.deliver(event)
		w.gate = old // it does not take back what it does not know
		w.deliver(event)
		w.redrives(0, 0)
		w.entries("alice", 8)
	})
}

// TestRedriveUnknownType: what another version parked, and this one does not know, waits
// for nothing.
func TestRedriveUnknownType(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		body := `{"type":"payment.settled","timestamp":"2026-11-21T12:00:00Z","business_id":"bus_1","data":{"payment_id":"pay_1","status":"succeeded"}}`
		record, err := w.store.Record(t.Context(), book.Event{ID: "msg_1", Type: "payment.settled", Body: []byte(body)})
		must(t, err)
		record.State, record.Reason, record.Object = book.EventParked, gateway.ReasonUnknownAccount, "payment:pay_1"
		must(t, w.store.Settle(t.Context(), record, book.Retention{Keep: 90 * day}))
		w.stays(w.redrives(1, 1), map[string]int{})
		record, err = w.store.Event(t.Context(), "msg_1")
		must(t, err)
		if record.State != book.EventIgnored || record.Reason != "" {
			t.Errorf("it is %s for %q", record.State, record.Reason)
		}
	})
}

// TestRedriveUnclear: what cannot be understood stays, and what comes after it is
// applied.
func TestRedriveUnclear(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		header, body := signed(t, "msg_unclear", `{"type":"payment.succeeded","data":null,"timestamp":"2026-11-21T12:00:00Z","business_id":"bus_1"}`)
		_, err := w.HandleEvent(t.Context(), header, body)
		must(t, err)
		before, err := w.store.Event(t.Context(), "msg_unclear")
		must(t, err)
		event := w.unlisted()
		w.deliver(event)
		w.gate = w.newGateway(settings{products: grown})
		for range 2 {
			done, err := w.Redrive(t.Context())
			must(t, err)
			w.stays(done, map[string]int{gateway.ReasonUnclear: 1})
			w.waits("msg_unclear", gateway.ReasonUnclear)
		}
		w.waits(event, "")
		after, err := w.store.Event(t.Context(), "msg_unclear")
		must(t, err)
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("it was %+v and is %+v", before, after)
		}
	})
}

// TestRedriveUnknownAccount: a customer becomes known. What then is missing is
// said anew.
func TestRedriveUnknownAccount(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			customer := map[string]any{"customer_id": "cus_1", "email": "alice@example.com"}
			s.deliverAs("msg_refund", "refund.succeeded", refundOf("pay_1", "amount", 300, "is_partial", true))
			s.set(s.now().Add(time.Second))
			s.deliverAs("msg_known", "payment.succeeded", s.payment("pdt_pack9", "customer", customer, "metadata", nil))
			s.deliverAs("msg_new", "payment.succeeded", s.payment("pdt_new", "payment_id", "pay_2", "customer", customer, "metadata", nil))
			s.stays(s.redrives(3, 0), map[string]int{gateway.ReasonUnknownAccount: 3})
			_, err := s.store.Claim(t.Context(), entitlement.Ref{Kind: entitlement.KindCustomer, ID: "cus_1"}, "alice")
			must(t, err)
			done, err := s.Redrive(t.Context())
			must(t, err)
			// The refund was tried before its payment, and then taken along by it.
			s.stays(done, map[string]int{gateway.ReasonUnknownAccount: 1, gateway.ReasonUnknownProduct: 1})
			s.waits("msg_refund", "")
			s.waits("msg_known", "")
			s.waits("msg_new", gateway.ReasonUnknownProduct)
			s.sees("6 none none true")
			s.stays(s.redrives(1, 0), map[string]int{gateway.ReasonUnknownProduct: 1})
			s.gate = s.newGateway(settings{products: append([]config.Product{{Name: "new", ID: "pdt_new", Credits: 4}}, storyProducts...), clock: s.Clock})
			s.stays(s.redrives(1, 1), map[string]int{})
			s.sees("10 none none true")
		})
	}
}

// TestRedriveMany: more than a page, and those that are received at once.
func TestRedriveMany(t *testing.T) {
	const many = 250
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			var all sync.WaitGroup
			for worker := range 10 {
				all.Go(func() {
					for i := worker; i < many; i += 10 {
						s.deliverAs(fmt.Sprint("msg_", i), "payment.succeeded", s.payment("pdt_new", "payment_id", fmt.Sprint("pay_", i)))
					}
				})
			}
			all.Wait()
			s.stays(s.redrives(many, 0), map[string]int{gateway.ReasonUnknownProduct: many})
			s.gate = s.newGateway(settings{products: append([]config.Product{{Name: "new", ID: "pdt_new", Credits: 4}}, storyProducts...), clock: s.Clock})
			s.stays(s.redrives(many, many), map[string]int{})
			s.redrives(0, 0)
			s.sees("1000 none none true")
			entries, err := s.store.Entries(t.Context(), "alice", store.Page{After: 0, Limit: 1000})
			must(t, err)
			if len(entries) != many {
				t.Errorf("%d entries", len(entries))
			}
		})
	}
}

// TestRedriveIsBounded: one redrive leaves some for the next, which goes on there
// and knows how many there are.
func TestRedriveIsBounded(t *testing.T) {
	const most, many = 2500, 2610
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		var all sync.WaitGroup
		for worker := range 30 {
			all.Go(func() {
				for i := worker; i < many; i += 30 {
					e := book.Event{ID: fmt.Sprint("msg_", i), Type: "payment.succeeded", Body: []byte("{}")}
					_, err := w.store.Record(t.Context(), e)
					e.State, e.Reason = book.EventParked, gateway.ReasonUnclear
					if err := errors.Join(err, w.store.Settle(t.Context(), e, book.Retention{})); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for range 2 {
			w.stays(w.redrives(most, 0), nil)
			w.stays(w.redrives(many-most, 0), map[string]int{gateway.ReasonUnclear: many})
		}
	})
}

// TestRedriveRacesDelivery: the same event is delivered to a gateway that knows
// the product and to one that does not, while both redrive.
func TestRedriveRacesDelivery(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		event := w.unlisted()
		w.deliver(event)
		old, grown := w.gate, w.newGateway(settings{products: grown})
		record, err := w.store.Event(t.Context(), event)
		must(t, err)
		var all sync.WaitGroup
		for _, g := range []*gate{old, grown} {
			for range 10 {
				all.Go(func() {
					if _, err := g.Redrive(t.Context()); err != nil {
						t.Error(err)
					}
				})
				all.Go(func() {
					header, body := signed(t, event, string(record.Body))
					if _, err := g.HandleEvent(t.Context(), header, body); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		w.has("alice", 8, true)
		w.entries("alice", 8)
		w.gate = grown
		done, err := w.Redrive(t.Context())
		must(t, err)
		w.stays(done, map[string]int{})
		w.waits(event, "")
		w.entries("alice", 8)
	})
}

// redelivered is a store in which something else happens before an event is noted
// as applied.
type redelivered struct {
	store.Store
	by func()
}

func (s *redelivered) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	if by := s.by; by != nil && e.State == book.EventApplied {
		s.by = nil
		by()
	}
	return s.Store.Settle(ctx, e, r)
}

// TestRedriveMeetsANewerBody: while a parked event is applied, it is delivered
// again with a body that cannot be applied yet. That one waits.
func TestRedriveMeetsANewerBody(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			catalog := func(more ...config.Product) settings {
				return settings{products: append(more, storyProducts...), clock: s.Clock}
			}
			first, second := config.Product{Name: "new", ID: "pdt_new", Credits: 4}, config.Product{Name: "newer", ID: "pdt_newer", Credits: 5}
			s.deliverAs("msg_1", "payment.succeeded", s.payment("pdt_new"))
			s.waits("msg_1", gateway.ReasonUnknownProduct)
			s.store = store.Client{Store: &redelivered{Store: s.store, by: func() {
				s.deliverAs("msg_1", "payment.succeeded", s.payment("", "product_cart", []any{
					map[string]any{"product_id": "pdt_new", "quantity": 1}, map[string]any{"product_id": "pdt_newer", "quantity": 1},
				}))
			}}}
			s.gate = s.newGateway(catalog(first))
			_, err := s.Redrive(t.Context())
			must(t, err)
			s.waits("msg_1", gateway.ReasonUnknownProduct)
			s.sees("4 none none true")
			s.gate = s.newGateway(catalog(first, second))
			s.redrives(1, 1)
			s.waits("msg_1", "")
			s.sees("9 none none true")
		})
	}
}

// failing is a store in which one payment cannot be committed.
type failing struct {
	store.Store
	payment string
}

func (s *failing) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if _, object := kindOf(account, decide); object.ID == s.payment {
		return store.Updated{}, store.ErrUnavailable
	}
	return s.Store.Update(ctx, account, decide)
}

// TestRedriveFails: one event that fails is told of, stays parked and does not
// hold up the others.
func TestRedriveFails(t *testing.T) {
	s := tell(t, "bolt", "")
	for _, id := range []string{"1", "2", "3"} {
		s.deliverAs("msg_"+id, "payment.succeeded", s.payment("pdt_new", "payment_id", "pay_"+id))
	}
	good := s.store
	s.store = store.Client{Store: &failing{Store: good, payment: "pay_2"}}
	with := settings{products: append([]config.Product{{Name: "new", ID: "pdt_new", Credits: 4}}, storyProducts...), clock: s.Clock}
	s.gate = s.newGateway(with)
	done, err := s.Redrive(t.Context())
	if !errors.Is(err, store.ErrUnavailable) || done.Tried != 3 || done.Applied != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	s.stays(done, map[string]int{gateway.ReasonUnknownProduct: 1})
	s.sees("8 none none true")
	s.waits("msg_2", gateway.ReasonUnknownProduct)
	s.store = good
	s.gate = s.newGateway(with)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Redrive(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
	s.stays(s.redrives(1, 1), map[string]int{})
	s.sees("12 none none true")
}
