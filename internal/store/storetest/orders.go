package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

const day = 24 * time.Hour

// newOrder is an order as a caller makes it: it expires in a day.
func (r *rig) newOrder(account, id string) store.Order {
	return store.Order{
		ID: id, Account: account, Product: "pack10", Quantity: 2, ReturnTo: "https://app.test/done?a=1&b=<é>",
		Email: "ann@example.com", State: store.OrderOpen, ExpiresAt: r.now().Add(day),
		Terms: map[string]entitlement.Terms{
			"pdt_1": {Credits: math.MaxInt64, CreditsExpire: time.Hour},
			"pdt_2": {Plan: "pro", Lasts: math.MaxInt64},
		},
	}
}

// create makes an order that must be new.
func (r *rig) create(account, id string, key store.Key) store.Order {
	r.Helper()
	o, how, err := r.CreateOrder(r.ctx(), r.newOrder(account, id), key)
	if err != nil || how != store.Created || o.ID != id {
		r.Fatalf("create order %q: %q, %q, %v", id, o.ID, how, err)
	}
	return o
}

// open stores a session for an order.
func (r *rig) open(o store.Order, key store.Key) {
	r.Helper()
	if err := r.OpenOrder(r.ctx(), o, key); err != nil {
		r.Fatalf("open order %q: %v", o.ID, err)
	}
}

func withSession(o store.Order, session string) store.Order {
	o.SessionID, o.CheckoutURL = session, "https://checkout.test/"+session
	return o
}

func (r *rig) createOpened(account, id string) store.Order {
	r.Helper()
	o := withSession(r.create(account, id, store.Key{}), "cks_"+id)
	r.open(o, store.Key{})
	return o
}

func (r *rig) drop(o store.Order, key store.Key) {
	r.Helper()
	if err := r.DropOrder(r.ctx(), o, key); err != nil {
		r.Fatalf("drop order %q: %v", o.ID, err)
	}
}

// openOrders are the ids that OpenOrders returns.
func (r *rig) openOrders(account string) []string {
	r.Helper()
	orders, err := r.OpenOrders(r.ctx(), account)
	if err != nil {
		r.Fatalf("read open orders: %v", err)
	}
	for _, o := range orders {
		same(r, "open order "+o.ID, o, r.order(account, o.ID))
	}
	return ids(orders)
}

func (r *rig) missing(account, id string) {
	r.Helper()
	if o, err := r.Order(r.ctx(), account, id); !errors.Is(err, store.ErrNotFound) {
		r.Fatalf("order %q is %+v, %v; want none", id, o, err)
	}
}

var createTests = []test{
	{"stored as it is, its time from the store's clock", func(r *rig) {
		o := r.newOrder("acc", "ord_1")
		o.CreatedAt = r.now().Add(-5 * time.Hour) // of a caller whose clock is wrong
		o.ExpiresAt = o.ExpiresAt.Add(999 * time.Microsecond).In(time.FixedZone("east", 3600))
		got, how, err := r.CreateOrder(r.ctx(), o, store.Key{})
		if err != nil || how != store.Created {
			r.Fatal(how, err)
		}
		want := r.newOrder("acc", "ord_1")
		want.CreatedAt = r.now()
		same(r, "order returned", got, want)
		same(r, "order stored", r.order("acc", "ord_1"), want)
	}},
	{"a new order is open", func(r *rig) {
		o := r.newOrder("acc", "ord_1")
		o.State = ""
		if _, _, err := r.CreateOrder(r.ctx(), o, store.Key{}); err != nil {
			r.Fatal(err)
		}
		same(r, "state", r.order("acc", "ord_1").State, store.OrderOpen)
	}},
	{"a repeat with the same id is answered like the first", func(r *rig) {
		first := r.create("acc", "ord_1", store.Key{})
		r.clock.Move(time.Minute)
		again := r.newOrder("acc", "ord_1")
		again.Quantity = 99
		o, how, err := r.CreateOrder(r.ctx(), again, store.Key{})
		if err != nil || how != store.Created {
			r.Fatal(how, err)
		}
		same(r, "order", o, first)
	}},
	{"another account's order is not there", func(r *rig) {
		r.create("acc", "ord_1", store.Key{})
		r.missing("acc2", "ord_1")
		same(r, "open orders", r.openOrders("acc2"), []string{})
		o := r.create("acc2", "ord_1", store.Key{})
		r.drop(o, store.Key{})
		same(r, "account", r.order("acc", "ord_1").Account, "acc")
	}},
	{"an unknown order", func(r *rig) { r.missing("acc", "ord_1") }},
	{"no more than so many open at once", tooMany},
	{"one too many changes nothing", func(r *rig) {
		for i := range store.MaxOpenOrders {
			r.create("acc", fmt.Sprint("ord_", i), store.Key{})
		}
		k := anyKey
		if _, _, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "more"), k); !errors.Is(err, store.ErrTooManyOrders) {
			r.Fatal(err)
		}
		r.missing("acc", "more")
		r.drop(r.order("acc", "ord_7"), store.Key{})
		r.create("acc", "other", k) // neither the order nor the key is in the way
	}},
	{"a repeat is not one more", func(r *rig) {
		for i := range store.MaxOpenOrders {
			r.create("acc", fmt.Sprint("ord_", i), store.Key{Hash: fmt.Sprint("k", i), Fingerprint: "f", Lease: time.Minute, Keep: day})
		}
		r.create("acc", "ord_3", store.Key{Hash: "k3", Fingerprint: "f", Lease: time.Minute, Keep: day})
		_, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "x"), store.Key{Hash: "k4", Fingerprint: "f"})
		if err != nil || how != store.Running {
			r.Fatal(how, err)
		}
	}},
	{"unpaid orders are kept 30 days after their expiry", func(r *rig) {
		r.create("acc", "ord_1", store.Key{})
		r.createOpened("acc", "ord_2")
		r.clock.Move(day + 30*day - time.Millisecond)
		r.create("acc", "later", store.Key{})
		r.order("acc", "ord_1")
		same(r, "session", r.order("acc", "ord_2").SessionID, "cks_ord_2")
		same(r, "open orders", r.openOrders("acc"), []string{})
	}},
}

func tooMany(r *rig) {
	full := func() {
		r.Helper()
		_, _, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "more"), store.Key{})
		if !errors.Is(err, store.ErrTooManyOrders) {
			r.Fatalf("order beyond the limit: %v", err)
		}
	}
	var orders []store.Order
	for i := range store.MaxOpenOrders {
		o := r.create("acc", fmt.Sprintf("ord_%02d", i), store.Key{})
		if i%2 == 0 { // with a session or without: both are open
			o = withSession(o, o.ID)
			r.open(o, store.Key{})
		}
		orders = append(orders, o)
	}
	full()
	r.create("other", "ord_1", store.Key{})

	r.settle("acc", "pay_1", store.OrderResult{ID: orders[0].ID, State: store.OrderFailed})
	full() // a failed one may still be paid
	r.settle("acc", "pay_1", store.OrderResult{ID: orders[0].ID, State: store.OrderPaid})
	r.create("acc", "instead of the paid", store.Key{})
	full()
	r.drop(orders[1], store.Key{})
	r.create("acc", "instead of the dropped", store.Key{})
	full()
	r.clock.Move(day - time.Millisecond)
	full()
	r.clock.Move(time.Millisecond)
	for i := range store.MaxOpenOrders { // all of them have expired
		r.create("acc", fmt.Sprint("new_", i), store.Key{})
	}
	full()
}

var openTests = []test{
	{"only with a session", func(r *rig) {
		r.create("acc", "ord_1", store.Key{})
		same(r, "open orders", r.openOrders("acc"), []string{})
		r.createOpened("acc", "ord_2")
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2"})
	}},
	{"newest first", func(r *rig) {
		for _, id := range []string{"b", "z", "a", "y"} {
			r.createOpened("acc", id)
			r.clock.Move(time.Second)
		}
		same(r, "open orders", r.openOrders("acc"), []string{"y", "a", "z", "b"})
	}},
	{"until they expire or are paid", func(r *rig) {
		r.createOpened("acc", "ord_1")
		r.clock.Move(time.Hour)
		r.createOpened("acc", "ord_2")
		r.createOpened("acc", "ord_3")
		r.settle("acc", "pay_3", store.OrderResult{ID: "ord_3", State: store.OrderPaid})
		r.settle("acc", "pay_2", store.OrderResult{ID: "ord_2", State: store.OrderCancelled})
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2", "ord_1"})
		r.clock.Move(23*time.Hour - time.Millisecond)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2", "ord_1"})
		r.clock.Move(time.Millisecond)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2"})
		r.clock.Move(time.Hour)
		same(r, "open orders", r.openOrders("acc"), []string{})
	}},
	{"at most 50", func(r *rig) {
		for i := range store.MaxOpenOrders {
			r.createOpened("acc", fmt.Sprintf("old_%02d", i))
		}
		r.clock.Move(day)
		var want []string
		for i := range store.MaxOpenOrders {
			r.clock.Move(time.Second)
			id := fmt.Sprintf("new_%02d", i)
			r.createOpened("acc", id)
			want = append(want, id)
		}
		slices.Reverse(want)
		same(r, "open orders", r.openOrders("acc"), want)
	}},
	{"a session is kept", func(r *rig) {
		first := r.createOpened("acc", "ord_1")
		second := withSession(first, "cks_second")
		second.ExpiresAt = second.ExpiresAt.Add(time.Hour)
		r.open(first, store.Key{})
		if err := r.OpenOrder(r.ctx(), second, store.Key{}); !errors.Is(err, store.ErrConflict) {
			r.Fatalf("a second session: %v", err)
		}
		same(r, "order", r.order("acc", "ord_1"), first)
	}},
	{"the session brings its expiry", func(r *rig) {
		o := withSession(r.create("acc", "ord_1", store.Key{}), "cks_1")
		o.ExpiresAt = r.now().Add(2*day + 3*time.Hour)
		r.open(o, store.Key{})
		same(r, "order", r.order("acc", "ord_1"), o)
		r.clock.Move(2 * day)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_1"})

		p := withSession(r.create("acc", "ord_2", store.Key{}), "cks_2")
		want := p
		p.ExpiresAt = time.Time{}
		r.open(p, store.Key{})
		same(r, "order opened without an expiry", r.order("acc", "ord_2"), want)
	}},
	{"a session is bound to the account, unless it is another's", func(r *rig) {
		session := func(id string) entitlement.Ref { return entitlement.Ref{Kind: entitlement.KindSession, ID: id} }
		r.createOpened("ann", "ord_1")
		same(r, "owner", r.owner(session("cks_ord_1")), "ann")
		r.claim(session("cks_2"), "bob")
		r.open(withSession(r.create("ann", "ord_2", store.Key{}), "cks_2"), store.Key{})
		same(r, "owner of a session that was bob's", r.owner(session("cks_2")), "bob")
		if err := r.OpenOrder(r.ctx(), withSession(r.order("ann", "ord_1"), "cks_3"), store.Key{}); !errors.Is(err, store.ErrConflict) {
			r.Fatal(err)
		}
		same(r, "owner of a second session", r.owner(session("cks_3")), "ann")
		if err := r.OpenOrder(r.ctx(), withSession(r.newOrder("ann", "ord_3"), "cks_4"), store.Key{}); !errors.Is(err, store.ErrNotFound) {
			r.Fatal(err)
		}
		same(r, "owner of the session of an order that is gone", r.owner(session("cks_4")), "ann")
	}},
	{"an order that is not there cannot be opened", func(r *rig) {
		o := withSession(r.newOrder("acc", "ord_1"), "cks_1")
		if err := r.OpenOrder(r.ctx(), o, store.Key{}); !errors.Is(err, store.ErrNotFound) {
			r.Fatal(err)
		}
		o = withSession(r.create("acc", "ord_2", store.Key{}), "cks_2")
		r.drop(o, store.Key{})
		r.missing("acc", "ord_2")
		if err := r.OpenOrder(r.ctx(), o, store.Key{}); !errors.Is(err, store.ErrNotFound) {
			r.Fatal(err)
		}
		r.missing("acc", "ord_2")
	}},
	{"one with a session is not dropped", func(r *rig) {
		o := r.createOpened("acc", "ord_1")
		r.drop(o, store.Key{})
		same(r, "order", r.order("acc", "ord_1"), o)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_1"})
	}},
	{"dropping what is not there", func(r *rig) {
		r.drop(r.newOrder("acc", "ord_1"), store.Key{})
		o := r.create("acc", "ord_2", anyKey)
		r.drop(o, anyKey)
		r.drop(o, anyKey)
	}},
}
