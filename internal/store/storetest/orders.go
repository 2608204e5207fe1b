package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

const day = 24 * time.Hour

// newOrder is an order as a caller makes it: it expires in a day.
func (r *rig) newOrder(account, id string) book.Order {
	return book.Order{
		ID: id, Account: account, Product: "pack10", Quantity: 2, ReturnTo: "https://app.test/done?a=1&b=<é>",
		Email: "ann@example.com", State: book.OrderOpen, ExpiresAt: r.now().Add(day),
		Terms: map[string]entitlement.Terms{
			"pdt_1": {Credits: math.MaxInt64, CreditsExpire: time.Hour},
			"pdt_2": {Plan: "pro", Lasts: math.MaxInt64},
		},
	}
}

// create makes an order that must be new.
func (r *rig) create(account, id string, key book.Key) book.Order {
	r.Helper()
	o, how, err := r.CreateOrder(r.ctx(), r.newOrder(account, id), key)
	if err != nil || how != book.Created || o.ID != id {
		r.Fatalf("create order %q: %q, %q, %v", id, o.ID, how, err)
	}
	return o
}

// open stores a session for an order.
func (r *rig) open(o book.Order, key book.Key) {
	r.Helper()
	if err := r.OpenOrder(r.ctx(), o, key); err != nil {
		r.Fatalf("open order %q: %v", o.ID, err)
	}
}

func withSession(o book.Order, session string) book.Order {
	o.SessionID, o.CheckoutURL = session, "https://checkout.test/"+session
	return o
}

func (r *rig) createOpened(account, id string) book.Order {
	r.Helper()
	o := withSession(r.create(account, id, book.Key{}), "cks_"+id)
	r.open(o, book.Key{})
	return o
}

func (r *rig) drop(o book.Order, key book.Key) {
	r.Helper()
	if err := r.DropOrder(r.ctx(), o, key); err != nil {
		r.Fatalf("drop order %q: %v", o.ID, err)
	}
}

// openOrders are the ids that OpenOrders returns.
func (r *rig) openOrders(account string) []string {
	r.Helper()
	orders, err := r.Orders(r.ctx(), account, store.OpenOrders)
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
		got, how, err := r.CreateOrder(r.ctx(), o, book.Key{})
		if err != nil || how != book.Created {
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
		if _, _, err := r.CreateOrder(r.ctx(), o, book.Key{}); err != nil {
			r.Fatal(err)
		}
		same(r, "state", r.order("acc", "ord_1").State, book.OrderOpen)
	}},
	{"a repeat with the same id is answered like the first", func(r *rig) {
		first := r.create("acc", "ord_1", book.Key{})
		r.clock.Move(time.Minute)
		again := r.newOrder("acc", "ord_1")
		again.Quantity = 99
		o, how, err := r.CreateOrder(r.ctx(), again, book.Key{})
		if err != nil || how != book.Created {
			r.Fatal(how, err)
		}
		same(r, "order", o, first)
	}},
	{"another account's order is not there", func(r *rig) {
		r.create("acc", "ord_1", book.Key{})
		r.missing("acc2", "ord_1")
		same(r, "open orders", r.openOrders("acc2"), []string{})
		o := r.create("acc2", "ord_1", book.Key{})
		r.drop(o, book.Key{})
		same(r, "account", r.order("acc", "ord_1").Account, "acc")
	}},
	{"an unknown order", func(r *rig) { r.missing("acc", "ord_1") }},
	{"no more than so many open at once", tooMany},
	{"one too many changes nothing", func(r *rig) {
		for i := range book.MaxOpenOrders {
			r.create("acc", fmt.Sprint("ord_", i), book.Key{})
		}
		k := anyKey
		if _, _, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "more"), k); !errors.Is(err, store.ErrTooManyOrders) {
			r.Fatal(err)
		}
		r.missing("acc", "more")
		r.drop(r.order("acc", "ord_7"), book.Key{})
		r.create("acc", "other", k) // neither the order nor the key is in the way
	}},
	{"a repeat is not one more", func(r *rig) {
		for i := range book.MaxOpenOrders {
			r.create("acc", fmt.Sprint("ord_", i), book.Key{Hash: fmt.Sprint("k", i), Fingerprint: "f", Lease: time.Minute, Keep: day})
		}
		r.create("acc", "ord_3", book.Key{Hash: "k3", Fingerprint: "f", Lease: time.Minute, Keep: day})
		_, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "x"), book.Key{Hash: "k4", Fingerprint: "f"})
		if err != nil || how != book.Running {
			r.Fatal(how, err)
		}
	}},
	{"unpaid orders are kept 30 days after their expiry", func(r *rig) {
		r.create("acc", "ord_1", book.Key{})
		r.createOpened("acc", "ord_2")
		r.clock.Move(day + 30*day - time.Millisecond)
		r.create("acc", "later", book.Key{})
		r.order("acc", "ord_1")
		same(r, "session", r.order("acc", "ord_2").SessionID, "cks_ord_2")
		same(r, "open orders", r.openOrders("acc"), []string{})
	}},
}

func tooMany(r *rig) {
	full := func() {
		r.Helper()
		_, _, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "more"), book.Key{})
		if !errors.Is(err, store.ErrTooManyOrders) {
			r.Fatalf("order beyond the limit: %v", err)
		}
	}
	var orders []book.Order
	for i := range book.MaxOpenOrders {
		o := r.create("acc", fmt.Sprintf("ord_%02d", i), book.Key{})
		if i%2 == 0 { // with a session or without: both are open
			o = withSession(o, o.ID)
			r.open(o, book.Key{})
		}
		orders = append(orders, o)
	}
	full()
	r.create("other", "ord_1", book.Key{})

	r.settle("acc", "pay_1", book.OrderResult{ID: orders[0].ID, State: book.OrderFailed})
	full() // a failed one may still be paid
	r.settle("acc", "pay_1", book.OrderResult{ID: orders[0].ID, State: book.OrderPaid})
	r.create("acc", "instead of the paid", book.Key{})
	full()
	r.drop(orders[1], book.Key{})
	r.create("acc", "instead of the dropped", book.Key{})
	full()
	r.clock.Move(day - time.Millisecond)
	full()
	r.clock.Move(time.Millisecond)
	for i := range book.MaxOpenOrders { // all of them have expired
		r.create("acc", fmt.Sprint("new_", i), book.Key{})
	}
	full()
}

var openTests = []test{
	{"only with a session", func(r *rig) {
		r.create("acc", "ord_1", book.Key{})
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
		r.settle("acc", "pay_3", book.OrderResult{ID: "ord_3", State: book.OrderPaid})
		r.settle("acc", "pay_2", book.OrderResult{ID: "ord_2", State: book.OrderCancelled})
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2", "ord_1"})
		r.clock.Move(23*time.Hour - time.Millisecond)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2", "ord_1"})
		r.clock.Move(time.Millisecond)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_2"})
		r.clock.Move(time.Hour)
		same(r, "open orders", r.openOrders("acc"), []string{})
	}},
	{"at most 50", func(r *rig) {
		for i := range book.MaxOpenOrders {
			r.createOpened("acc", fmt.Sprintf("old_%02d", i))
		}
		r.clock.Move(day)
		var want []string
		for i := range book.MaxOpenOrders {
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
		r.open(first, book.Key{})
		if err := r.OpenOrder(r.ctx(), second, book.Key{}); !errors.Is(err, store.ErrConflict) {
			r.Fatalf("a second session: %v", err)
		}
		same(r, "order", r.order("acc", "ord_1"), first)
	}},
	{"the session brings its expiry", func(r *rig) {
		o := withSession(r.create("acc", "ord_1", book.Key{}), "cks_1")
		o.ExpiresAt = r.now().Add(2*day + 3*time.Hour)
		r.open(o, book.Key{})
		same(r, "order", r.order("acc", "ord_1"), o)
		r.clock.Move(2 * day)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_1"})

		p := withSession(r.create("acc", "ord_2", book.Key{}), "cks_2")
		want := p
		p.ExpiresAt = time.Time{}
		r.open(p, book.Key{})
		same(r, "order opened without an expiry", r.order("acc", "ord_2"), want)
	}},
	{"a session is bound to the account, unless it is another's", func(r *rig) {
		session := func(id string) entitlement.Ref { return entitlement.Ref{Kind: entitlement.KindSession, ID: id} }
		r.createOpened("ann", "ord_1")
		same(r, "owner", r.owner(session("cks_ord_1")), "ann")
		r.claim(session("cks_2"), "bob")
		r.open(withSession(r.create("ann", "ord_2", book.Key{}), "cks_2"), book.Key{})
		same(r, "owner of a session that was bob's", r.owner(session("cks_2")), "bob")
		if err := r.OpenOrder(r.ctx(), withSession(r.order("ann", "ord_1"), "cks_3"), book.Key{}); !errors.Is(err, store.ErrConflict) {
			r.Fatal(err)
		}
		same(r, "owner of a second session", r.owner(session("cks_3")), "ann")
		if err := r.OpenOrder(r.ctx(), withSession(r.newOrder("ann", "ord_3"), "cks_4"), book.Key{}); !errors.Is(err, store.ErrNotFound) {
			r.Fatal(err)
		}
		same(r, "owner of the session of an order that is gone", r.owner(session("cks_4")), "ann")
	}},
	{"an order that is not there cannot be opened", func(r *rig) {
		o := withSession(r.newOrder("acc", "ord_1"), "cks_1")
		if err := r.OpenOrder(r.ctx(), o, book.Key{}); !errors.Is(err, store.ErrNotFound) {
			r.Fatal(err)
		}
		o = withSession(r.create("acc", "ord_2", book.Key{}), "cks_2")
		r.drop(o, book.Key{})
		r.missing("acc", "ord_2")
		if err := r.OpenOrder(r.ctx(), o, book.Key{}); !errors.Is(err, store.ErrNotFound) {
			r.Fatal(err)
		}
		r.missing("acc", "ord_2")
	}},
	{"one with a session is not dropped", func(r *rig) {
		o := r.createOpened("acc", "ord_1")
		r.drop(o, book.Key{})
		same(r, "order", r.order("acc", "ord_1"), o)
		same(r, "open orders", r.openOrders("acc"), []string{"ord_1"})
	}},
	{"dropping what is not there", func(r *rig) {
		r.drop(r.newOrder("acc", "ord_1"), book.Key{})
		o := r.create("acc", "ord_2", anyKey)
		r.drop(o, anyKey)
		r.drop(o, anyKey)
	}},
}
