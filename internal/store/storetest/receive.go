package storetest

import (
	"errors"
	"fmt"
	"sync"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// bound is whose an object is, and what a decision found of it and of the order that bought it.
type bound struct {
	Account string
	Object  book.Object
	Order   *book.Order
}

// receive receives an event that proves that the object is ann's, bought by ord_1,
// and checks that all of it is stored.
func (r *rig) receive(id, body string, object entitlement.Ref) (book.Event, bound) {
	r.Helper()
	var found bound
	done, err := r.Receive(r.ctx(), store.Delivery{
		Event:  book.Event{ID: id, Type: "payment.succeeded", Body: []byte(body), State: book.EventReceived},
		Object: object, Account: "ann",
	}, found.look(object))
	if err != nil {
		r.Fatalf("receive %q: %v", id, err)
	}
	same(r, "event returned", done.Event, r.event(id))
	same(r, "owner returned", done.Owner, r.owner(object))
	if found.Account = done.Owner; done.Owner != "ann" {
		return done.Event, bound{Account: done.Owner}
	}
	same(r, "object found", found.Object, r.object("ann", object))
	return done.Event, found
}

// look is a decision that only reads.
func (found *bound) look(object entitlement.Ref) store.Decision {
	return func(b *book.Book) (err error) {
		if found.Object, err = b.Object(object); err == nil {
			found.Order, err = b.Order("ord_1")
		}
		return err
	}
}

// apply receives an event and commits to its object in the same step, giving a grant.
func (r *rig) apply(id string, object entitlement.Ref, grant string, amount int64) (store.Received, error) {
	return r.Receive(r.ctx(), store.Delivery{Event: book.Event{ID: id, Body: []byte("body " + id)}, Object: object, Account: "ann"},
		func(b *book.Book) error {
			known, err := b.Object(object)
			if err != nil || string(known.State) == grant {
				return err
			}
			_, err = b.Commit(book.Commit{
				Account: "ann", Object: object, Version: known.Version, State: []byte(grant), Cause: id,
				Effect: entitlement.Effect{Grants: []ledger.Target{forever(grant, amount)}},
				Settle: &book.Settlement{
					Event:     book.Event{ID: id, State: book.EventApplied, Object: object.String(), Account: "ann"},
					Retention: book.Retention{Body: []byte("less")},
				},
			})
			return err
		})
}

var receiveTests = []test{
	{"into an empty store", func(r *rig) {
		e, found := r.receive("msg_1", "one", payment("pay_1"))
		same(r, "event", e, book.Event{
			ID: "msg_1", Type: "payment.succeeded", Body: []byte("one"), State: book.EventReceived, ReceivedAt: r.now(), Deliveries: 1,
		})
		same(r, "bound", found, bound{Account: "ann"})
		same(r, "entries", len(r.entries("ann")), 0)
	}},
	{"with the order and the object", func(r *rig) {
		o := r.create("ann", "ord_1", anyKey)
		_, found := r.receive("msg_1", "one", payment("pay_1"))
		same(r, "bound", found, bound{Account: "ann", Order: &o})
		r.give("ann", "pay_1", forever("a", 1))
		e, found := r.receive("msg_1", "two", payment("pay_1"))
		same(r, "deliveries", e.Deliveries, 2)
		same(r, "version", found.Object.Version, 1)
		same(r, "order", found.Order, &o)
	}},
	{"of an object that is somebody else's", func(r *rig) {
		r.create("ann", "ord_1", anyKey)
		r.create("bob", "ord_1", book.Key{})
		r.claim(payment("pay_1"), "bob")
		r.give("ann", "pay_1", forever("a", 1))
		_, found := r.receive("msg_1", "one", payment("pay_1"))
		same(r, "bound", found, bound{Account: "bob"})
		done, err := r.apply("msg_2", payment("pay_1"), "b", 5)
		if err != nil || done.Owner != "bob" || done.Settled {
			r.Errorf("applied to %q, settled %v: %v", done.Owner, done.Settled, err)
		}
		same(r, "version", r.object("ann", payment("pay_1")).Version, 1)
		same(r, "state", r.event("msg_2").State, book.EventReceived)
	}},
	{"what is known of the event stays", func(r *rig) {
		r.record("msg_1", "one")
		r.settleEvent("msg_1", book.EventParked, "payment:pay_1")
		e, _ := r.receive("msg_1", "two", payment("pay_1"))
		same(r, "state", e.State, book.EventParked)
		same(r, "body", string(e.Body), "two")
		same(r, "parked", r.parked("payment:pay_1"), []string{"msg_1"})
	}},
	{"and applied at once", func(r *rig) {
		done, err := r.apply("msg_1", payment("pay_1"), "a", 5)
		if err != nil {
			r.Fatal(err)
		}
		same(r, "settled", done.Settled, true)
		same(r, "left", left(done.Account), map[string]int64{"a": 5})
		same(r, "event", r.event("msg_1"), book.Event{
			ID: "msg_1", Body: []byte("less"), State: book.EventApplied, Object: "payment:pay_1", Account: "ann", ReceivedAt: r.now(), Deliveries: 1,
		})
		done, err = r.apply("msg_1", payment("pay_1"), "a", 5) // again: there is nothing to commit
		if err != nil {
			r.Fatal(err)
		}
		same(r, "settled again", done.Settled, false)
		same(r, "deliveries", done.Event.Deliveries, 2)
		same(r, "entries", len(r.entries("ann")), 1)
		r.audit("ann")
	}},
	{"and applied at a later delivery", func(r *rig) {
		r.record("msg_1", "zero")
		r.create("ann", "ord_1", anyKey) // the account is remembered, and the event is not
		if _, err := r.apply("msg_1", payment("pay_1"), "a", 5); err != nil {
			r.Fatal(err)
		}
		same(r, "state", r.event("msg_1").State, book.EventApplied)
		same(r, "body", string(r.event("msg_1").Body), "less")
		same(r, "deliveries", r.event("msg_1").Deliveries, 2)
	}},
	{"and refused by the decision", func(r *rig) {
		r.create("ann", "ord_1", anyKey)
		if _, err := r.apply("msg_1", payment("pay_1"), "a", ledger.Max+1); !errors.Is(err, ledger.ErrRange) {
			r.Errorf("too much: %v", err)
		}
		same(r, "state", r.event("msg_1").State, book.EventReceived)
		same(r, "owner", r.owner(payment("pay_1")), "ann")
		same(r, "entries", len(r.entries("ann")), 0)
	}},
	{"64 applied at once", func(r *rig) {
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				if _, err := r.apply(fmt.Sprint("msg_", i%32), payment(fmt.Sprint("pay_", i%8)), fmt.Sprint("grant_", i%8), 5); err != nil {
					r.Error(err)
				}
			})
		}
		all.Wait()
		same(r, "entries", len(r.entries("ann")), 8)
		for i := range 32 {
			same(r, "deliveries", r.event(fmt.Sprint("msg_", i)).Deliveries, 2)
		}
		r.audit("ann")
	}},
	{"64 at once", func(r *rig) {
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				done, err := r.Receive(r.ctx(), store.Delivery{
					Event:  book.Event{ID: fmt.Sprint("msg_", i%4), Body: []byte("b")},
					Object: payment("pay_1"), Account: fmt.Sprint("acc_", i),
				}, nil)
				if err != nil || done.Owner != r.owner(payment("pay_1")) {
					r.Errorf("bound to %q, %v", done.Owner, err)
				}
			})
		}
		all.Wait()
		for i := range 4 {
			same(r, "deliveries", r.event(fmt.Sprint("msg_", i)).Deliveries, 16)
		}
	}},
}

// waitingTests: a commit says whether events are parked under its object.
var waitingTests = []test{
	{"none", func(r *rig) { r.waits("pay_1", 0, false) }},
	{"until it is settled", func(r *rig) {
		r.record("msg_1", "one")
		r.settleEvent("msg_1", book.EventParked, "payment:pay_1")
		r.waits("pay_1", 0, true)
		r.waits("pay_1", 1, true)
		r.settleEvent("msg_1", book.EventApplied, "payment:pay_1")
		r.waits("pay_1", 2, false)
	}},
	{"not those of another object", func(r *rig) {
		for id, object := range map[string]string{"msg_1": "payment:pay_11", "msg_2": "payment:pay_", "msg_3": "customer:pay_1", "msg_4": ""} {
			r.record(id, "body")
			r.settleEvent(id, book.EventParked, object)
		}
		r.waits("pay_1", 0, false)
		r.waits("pay_11", 0, true)
	}},
}

func (r *rig) waits(object string, version int64, want bool) {
	r.Helper()
	done, err := r.Commit(r.ctx(), book.Commit{Account: "ann", Object: payment(object), Version: version, State: []byte(`{}`)})
	if err != nil {
		r.Fatal(err)
	}
	same(r, "waiting", done.Waiting, want)
}
