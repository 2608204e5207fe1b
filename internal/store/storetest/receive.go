package storetest

import (
	"fmt"
	"sync"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// receive receives an event that proves that the object is ann's, bought by ord_1,
// and checks that all of it is stored.
func (r *rig) receive(id, body string, object entitlement.Ref) (book.Event, store.Bound) {
	r.Helper()
	e, bound, err := r.Receive(r.ctx(), book.Event{ID: id, Type: "payment.succeeded", Body: []byte(body), State: book.EventReceived},
		store.Binding{Object: object, Account: "ann", Order: "ord_1"})
	if err != nil {
		r.Fatalf("receive %q: %v", id, err)
	}
	same(r, "event returned", e, r.event(id))
	same(r, "owner returned", bound.Account, r.owner(object))
	same(r, "object returned", bound.Object, r.object(bound.Account, object))
	return e, bound
}

var receiveTests = []test{
	{"into an empty store", func(r *rig) {
		e, bound := r.receive("msg_1", "one", payment("pay_1"))
		same(r, "event", e, book.Event{
			ID: "msg_1", Type: "payment.succeeded", Body: []byte("one"), State: book.EventReceived, ReceivedAt: r.now(), Deliveries: 1,
		})
		same(r, "bound", bound, store.Bound{Account: "ann"})
		same(r, "entries", len(r.entries("ann")), 0)
	}},
	{"with the order and the object", func(r *rig) {
		o := r.create("ann", "ord_1", anyKey)
		_, bound := r.receive("msg_1", "one", payment("pay_1"))
		same(r, "bound", bound, store.Bound{Account: "ann", Order: &o})
		r.give("ann", "pay_1", forever("a", 1))
		e, bound := r.receive("msg_1", "two", payment("pay_1"))
		same(r, "deliveries", e.Deliveries, 2)
		same(r, "version", bound.Object.Version, 1)
		same(r, "order", bound.Order, &o)
	}},
	{"of an object that is somebody else's", func(r *rig) {
		r.create("ann", "ord_1", anyKey)
		r.create("bob", "ord_1", book.Key{})
		r.claim(payment("pay_1"), "bob")
		r.give("ann", "pay_1", forever("a", 1))
		_, bound := r.receive("msg_1", "one", payment("pay_1"))
		same(r, "bound", bound, store.Bound{Account: "bob"})
		r.give("bob", "pay_1", forever("a", 1), forever("b", 1))
		_, bound = r.receive("msg_1", "two", payment("pay_1"))
		same(r, "version", bound.Object.Version, 1)
	}},
	{"what is known of the event stays", func(r *rig) {
		r.record("msg_1", "one")
		r.settleEvent("msg_1", book.EventParked, "payment:pay_1")
		e, _ := r.receive("msg_1", "two", payment("pay_1"))
		same(r, "state", e.State, book.EventParked)
		same(r, "body", string(e.Body), "two")
		same(r, "parked", r.parked("payment:pay_1"), []string{"msg_1"})
	}},
	{"64 at once", func(r *rig) {
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				_, bound, err := r.Receive(r.ctx(), book.Event{ID: fmt.Sprint("msg_", i%4), Body: []byte("b")},
					store.Binding{Object: payment("pay_1"), Account: fmt.Sprint("acc_", i)})
				if err != nil || bound.Account != r.owner(payment("pay_1")) {
					r.Errorf("bound to %q, %v", bound.Account, err)
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
