package storetest

import (
	"fmt"
	"sync"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// sold is a product, in whose name a pattern would not be what it looks like.
const sold = "pdt.1["

// promised are the terms that a guess expects.
var promised = map[string]entitlement.Terms{sold: {Credits: 5}}

// orderOn creates ann's order with terms.
func (r *rig) orderOn(terms map[string]entitlement.Terms) store.Order {
	r.Helper()
	o := r.newOrder("ann", "ord_1")
	o.Terms = terms
	o, _, err := r.CreateOrder(r.ctx(), o, store.Key{})
	if err != nil {
		r.Fatalf("create order: %v", err)
	}
	return o
}

// guess receives an event with the guess that it gives ann five credits for an order.
func (r *rig) guess(id string) (store.Event, store.Bound) {
	r.Helper()
	e, bound, err := r.tryGuess(id)
	if err != nil {
		r.Fatalf("receive %q: %v", id, err)
	}
	stored := r.event(id)
	same(r, "event returned", e, stored)
	same(r, "owner returned", bound.Account, r.owner(payment("pay_1")))
	return e, bound
}

func (r *rig) tryGuess(id string) (store.Event, store.Bound, error) {
	e := store.Event{ID: id, Type: "payment.succeeded", Body: []byte("body")}
	settled := e
	settled.State, settled.Object, settled.Account, settled.Deliveries = store.EventApplied, "payment:pay_1", "ann", 1
	return r.Receive(r.ctx(), e, store.Binding{Object: payment("pay_1"), Account: "ann", Order: "ord_1", Guess: func() *store.Guess {
		return &store.Guess{Terms: promised, Commit: store.Commit{
			Account: "ann", Object: payment("pay_1"), State: []byte(`{"paid":true}`), Cause: id,
			Effect: entitlement.Effect{Grants: []ledger.Target{forever("pay_1/0", 5)}},
			Order:  &store.OrderResult{ID: "ord_1", State: store.OrderPaid, PaymentID: "pay_1"},
			Settle: &store.Settlement{Event: settled, Retention: store.Retention{}},
		}}
	}})
}

// guessTests hold for stores that use guesses and for those that leave them: a guess is
// done as a whole, once and only where it is right, or not at all.
var guessTests = []test{
	{"that is right", func(r *rig) {
		o := r.orderOn(promised)
		e, bound := r.guess("msg_1")
		same(r, "order", bound.Order, &o)
		same(r, "object", bound.Object, store.Object{})
		if bound.Committed == nil {
			same(r, "state", e.State, store.EventReceived)
			same(r, "entries", len(r.entries("ann")), 0)
			return
		}
		same(r, "state", e.State, store.EventApplied)
		same(r, "account of the event", e.Account, "ann")
		same(r, "waiting", bound.Committed.Waiting, false)
		same(r, "entries returned", bound.Committed.Entries, r.entries("ann"))
		same(r, "object", r.object("ann", payment("pay_1")), store.Object{Version: 1, State: []byte(`{"paid":true}`)})
		same(r, "state of the order", r.order("ann", "ord_1").State, store.OrderPaid)
		same(r, "payment of the order", r.order("ann", "ord_1").PaymentID, "pay_1")
		for _, again := range []string{"msg_1", "msg_2"} {
			_, bound = r.guess(again)
			same(r, "committed again", bound.Committed, nil)
			same(r, "version", bound.Object.Version, 1)
		}
		same(r, "entries", len(r.entries("ann")), 1)
		r.audit("ann")
	}},
	{"while another event waits", func(r *rig) {
		r.orderOn(promised)
		r.record("msg_2", "two")
		r.settleEvent("msg_2", store.EventParked, "payment:pay_1")
		if _, bound := r.guess("msg_1"); bound.Committed != nil {
			same(r, "waiting", bound.Committed.Waiting, true)
		}
	}},
	{"that cannot be written", func(r *rig) {
		r.orderOn(promised)
		e, bound, err := r.Receive(r.ctx(), store.Event{ID: "msg_1", Body: []byte("body")}, store.Binding{
			Object: payment("pay_1"), Account: "ann", Order: "ord_1",
			Guess: func() *store.Guess { return &store.Guess{Terms: promised, Commit: store.Commit{Account: "bob"}} },
		})
		same(r, "error", err, nil)
		same(r, "committed", bound.Committed, nil)
		same(r, "event", e, r.event("msg_1"))
	}},
	wrongGuess("without an order", func(*rig) {}),
	wrongGuess("of other terms", func(r *rig) { r.orderOn(map[string]entitlement.Terms{sold: {Credits: 6}}) }),
	wrongGuess("of another product", func(r *rig) { r.orderOn(map[string]entitlement.Terms{"pdt_1[": {Credits: 5}}) }),
	wrongGuess("of more terms", func(r *rig) {
		r.orderOn(map[string]entitlement.Terms{sold: {Credits: 5}, "pdt_2": {Credits: 5}})
	}),
	wrongGuess("of terms that somebody typed", func(r *rig) {
		o := r.newOrder("ann", "ord_1")
		o.Terms, o.ReturnTo = nil, `https://app.test/?a=","terms":{"`+sold+`":{"credits":5}},"`
		if _, _, err := r.CreateOrder(r.ctx(), o, store.Key{}); err != nil {
			r.Fatal(err)
		}
	}),
	wrongGuess("of an order that is paid", func(r *rig) {
		r.orderOn(promised)
		r.settle("ann", "pay_0", store.OrderResult{ID: "ord_1", State: store.OrderPaid, PaymentID: "pay_0"})
	}),
	wrongGuess("of an object that is not new", func(r *rig) {
		r.orderOn(promised)
		r.give("ann", "pay_1", forever("a", 1))
	}),
	wrongGuess("of another account's object", func(r *rig) {
		r.orderOn(promised)
		r.claim(payment("pay_1"), "bob")
	}),
	wrongGuess("of an event that was delivered before", func(r *rig) {
		r.orderOn(promised)
		r.record("msg_1", "body")
	}),
	{"64 at once", func(r *rig) {
		r.orderOn(promised)
		var all sync.WaitGroup
		done := make(chan bool, 64)
		for i := range 64 {
			all.Go(func() {
				_, bound, err := r.tryGuess(fmt.Sprint("msg_", i))
				if err != nil {
					r.Error(err)
				}
				done <- bound.Committed != nil
			})
		}
		all.Wait()
		close(done)
		n := 0
		for committed := range done {
			if committed {
				n++
			}
		}
		same(r, "entries", len(r.entries("ann")), n)
		if n > 1 {
			r.Errorf("%d of 64 were committed", n)
		}
		r.audit("ann")
	}},
}

// wrongGuess is a guess that must not be done.
func wrongGuess(name string, before func(*rig)) test {
	return test{name, func(r *rig) {
		before(r)
		entries, object := r.entries("ann"), r.object("ann", payment("pay_1"))
		e, bound := r.guess("msg_1")
		same(r, "committed", bound.Committed, nil)
		same(r, "state", e.State, store.EventReceived)
		same(r, "entries", r.entries("ann"), entries)
		same(r, "object", r.object("ann", payment("pay_1")), object)
	}}
}
