package storetest

import (
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

var anyKey = book.Key{Hash: "h", Fingerprint: "f", Lease: time.Minute, Keep: time.Hour}

// call is what a caller does with [anyKey], or with its fingerprint changed.
type call struct {
	wait  time.Duration // before it
	do    func(r *rig)
	id    string // the order that it asks for; nothing when empty
	print string // the fingerprint; that of anyKey when empty
	ended string // the id of an order that has ended
	want  book.Start
	order string // the id of the order that it gets
}

// calls runs calls of one key of one account.
func calls(list ...call) func(*rig) {
	return func(r *rig) {
		made := make(map[string]bool)
		for i, c := range list {
			r.clock.Move(c.wait)
			if c.do != nil {
				c.do(r)
			}
			if c.id == "" {
				continue
			}
			key := anyKey
			key.Ended = c.ended
			if c.print != "" {
				key.Fingerprint = c.print
			}
			o, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", c.id), key)
			if err != nil || how != c.want || o.ID != c.order {
				r.Fatalf("call %d with order %s: %s with order %q, %v; want %s with %q", i, c.id, how, o.ID, err, c.want, c.order)
			}
			if c.order != "" {
				same(r, "order", o, r.order("acc", c.order))
			}
			if made[c.order] = true; !made[c.id] {
				r.missing("acc", c.id)
			}
		}
	}
}

func opened(id string) func(*rig) {
	return func(r *rig) { r.open(withSession(r.order("acc", id), "cks_"+id), anyKey) }
}

func dropped(id string) func(*rig) {
	return func(r *rig) { r.drop(r.newOrder("acc", id), anyKey) }
}

func paid(id string) func(*rig) {
	return func(r *rig) { r.settle("acc", "pay_"+id, book.OrderResult{ID: id, State: book.OrderPaid}) }
}

// keyTests are the states of an idempotency key, and what each answers.
var keyTests = []test{
	{"running", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{id: "b", want: book.Running},
		call{wait: time.Minute - time.Millisecond, id: "b", want: book.Running},
	)},
	{"running, asked again by the same caller", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{id: "a", want: book.Created, order: "a"},
		call{wait: time.Hour, id: "a", want: book.Created, order: "a"},
		call{id: "b", want: book.Running}, // it has its lease anew
	)},
	{"lease over: resumed with the first order", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{wait: time.Minute, id: "b", want: book.Resumed, order: "a"},
		call{id: "b", want: book.Resumed, order: "a"}, // a repeat of the call that resumed
		call{id: "c", want: book.Running},
		call{wait: time.Minute, id: "c", want: book.Resumed, order: "a"},
		call{do: opened("a"), id: "d", want: book.Replayed, order: "a"},
	)},
	{"taken over from the first caller", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{wait: time.Minute, id: "b", want: book.Resumed, order: "a"},
		call{id: "a", want: book.Running},
	)},
	{"resumed long after the order expired", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{wait: 5 * day, id: "b", want: book.Resumed, order: "a"},
	)},
	{"finished: replayed", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a"), id: "b", want: book.Replayed, order: "a"},
		call{id: "a", want: book.Replayed, order: "a"},
		call{wait: time.Hour - time.Millisecond, id: "b", want: book.Replayed, order: "a"},
		call{wait: time.Millisecond, id: "b", want: book.Created, order: "b"},
	)},
	{"finished and paid: replayed as it is now", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a")},
		call{do: paid("a"), id: "b", want: book.Replayed, order: "a"},
	)},
	{"opening twice does not keep it longer", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a")},
		call{wait: time.Hour - time.Millisecond, do: opened("a")},
		call{wait: time.Millisecond, id: "b", want: book.Created, order: "b"},
	)},
	{"another fingerprint while running", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{id: "b", print: "other", want: book.Mismatched},
		call{wait: time.Hour, id: "b", print: "other", want: book.Mismatched},
		call{id: "b", want: book.Resumed, order: "a"},
	)},
	{"another fingerprint when finished", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a"), id: "b", print: "other", want: book.Mismatched, order: "a"},
		call{id: "b", want: book.Replayed, order: "a"},
		call{wait: time.Hour, id: "b", print: "other", want: book.Created, order: "b"},
	)},
	{"its order has ended: the key is free, and then leads to the next order", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a"), id: "b", want: book.Replayed, order: "a"},
		call{id: "b", ended: "a", want: book.Created, order: "b"},
		call{id: "c", want: book.Running},
		call{id: "c", ended: "a", want: book.Running}, // of two that saw it end, one makes an order
		call{do: opened("b"), id: "c", ended: "a", want: book.Replayed, order: "b"},
		call{id: "c", want: book.Replayed, order: "b"},
	)},
	{"its order has ended: the key is free for another fingerprint", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a")},
		call{id: "b", print: "other", ended: "a", want: book.Created, order: "b"},
		call{do: dropped("b"), id: "c", want: book.Created, order: "c"}, // the first order does not come back
	)},
	{"another order has ended: the key is not free", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a"), id: "b", ended: "x", want: book.Replayed, order: "a"},
		call{id: "b", print: "other", ended: "x", want: book.Mismatched, order: "a"},
	)},
	{"a key that is not finished is not free, whatever ended", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{id: "b", ended: "a", want: book.Running},
		call{id: "b", print: "other", ended: "a", want: book.Mismatched},
		call{wait: time.Minute, id: "b", ended: "a", want: book.Resumed, order: "a"},
	)},
	{"dropped: the key is free", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: dropped("a"), id: "b", print: "other", want: book.Created, order: "b"},
		call{id: "c", print: "other", want: book.Running},
	)},
	{"dropping another order does not free the key", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: dropped("b"), id: "c", want: book.Running},
	)},
	{"opening another order does not finish the key", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: func(r *rig) {
			r.open(withSession(r.create("acc", "other", book.Key{}), "cks_other"), anyKey)
		}, id: "c", want: book.Running},
		call{wait: time.Minute, id: "c", want: book.Resumed, order: "a"},
	)},
	{"dropping after it was opened does nothing", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: opened("a")},
		call{do: dropped("a"), id: "c", want: book.Replayed, order: "a"},
	)},
	{"dropped by the first, then used: a late open of the first does not finish it", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: dropped("a"), id: "b", want: book.Created, order: "b"},
		call{do: func(r *rig) {
			err := r.OpenOrder(r.ctx(), withSession(r.newOrder("acc", "a"), "cks_a"), anyKey)
			if !errors.Is(err, store.ErrNotFound) {
				r.Fatal(err)
			}
		}, id: "c", want: book.Running},
	)},
	{"paid without a session: a drop frees the key and keeps the order", calls(
		call{id: "a", want: book.Created, order: "a"},
		call{do: paid("a")},
		call{do: dropped("a"), id: "b", want: book.Created, order: "b"},
		call{do: func(r *rig) { same(r, "state", r.order("acc", "a").State, book.OrderPaid) }},
	)},
	{"no key", func(r *rig) {
		none := book.Key{Fingerprint: "f", Lease: time.Minute, Keep: time.Hour}
		for _, id := range []string{"a", "b", "c"} {
			r.open(withSession(r.create("acc", id, none), "cks_"+id), none)
		}
		same(r, "open orders", len(r.openOrders("acc")), 3)
	}},
	{"keys of an account are its own", func(r *rig) {
		r.create("acc", "a", anyKey)
		r.create("acc2", "b", anyKey)
		other := anyKey
		other.Hash = "h2"
		r.create("acc", "c", other)
	}},
	{"a key that is kept longer than its order", func(r *rig) {
		long := book.Key{Hash: "h", Fingerprint: "f", Lease: time.Minute, Keep: 90 * day}
		r.open(withSession(r.create("acc", "a", long), "cks_a"), long)
		r.clock.Move(90*day - time.Millisecond)
		r.create("acc", "other", book.Key{})
		o, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "b"), long)
		if err != nil || how != book.Replayed || o.ID != "a" {
			r.Fatal(o.ID, how, err)
		}
	}},
	{"no lease at all", func(r *rig) {
		none := book.Key{Hash: "h", Fingerprint: "f"}
		r.create("acc", "a", none)
		o, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "b"), none)
		if err != nil || how != book.Resumed || o.ID != "a" {
			r.Fatal(o.ID, how, err)
		}
		r.open(withSession(o, "cks_a"), none) // kept for no time
		r.create("acc", "c", none)
	}},
}
