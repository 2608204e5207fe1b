package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// hostile are names that must not be mixed up, with each other or with what a
// store puts around them.
var hostile = []string{
	"a", "A", "a ", " a", "a\n", "a\r\n", "a\t", "a\x00", "\x00", "\x00a", "aa", "b",
	"{", "}", "{}", "{a}", "a}", "{a", "}{", "}:account", "a}:entries", "{a}:object:payment:x",
	":", "::", "a:", ":a", "a:b", "object", "account", "entries", "orders", "s", "g", "ga", "e\x00\x00\x00\x00\x00\x00\x00\x01",
	"*", "?", "a*", "[a-z]", "\\", "a\\n", "'", `"`, "`", "$", "#", "%", "%61", "%7B", "%7b", "%%", "%d", "%s", "+", "a+b", "a b", "a%20b", "&", "=",
	"/", "..", "../a", "a/..", ".", "-", "0", "00", "-1", "1e3", "nil", "null", "false", "NaN",
	"é", "e\u0301", "а", "ａ", "ß", "ss", "\u202ea", "a\u200b", "\ufeffa", "🦤", "\ufffd",
	"\xff", "\xfe", "\xff\xff", "\xc3", "a\xff", "\xed\xa0\x80",
	"user@example.com", "User@example.com", "user+x@example.com", "auth0|123", "https://id.test/users/1?x={y}",
	strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("\x00", 256), strings.Repeat("{", 256), strings.Repeat("é", 128),
}

var nameTests = []test{
	{"accounts", func(r *rig) {
		for i, name := range hostile {
			r.commit(book.Commit{
				Account: name, Object: payment("pay_1"), State: fmt.Append(nil, i), Cause: name,
				Effect: entitlement.Effect{
					Grants:   targets(forever(name, int64(i+1))),
					Standing: entitlement.Standing{PaidAt: start, Passes: []entitlement.Pass{{Plan: fmt.Sprint("plan", i)}}},
				},
			})
			r.create(name, "ord_1", anyKey) // its key is free, for every account
		}
		for i, name := range hostile {
			a := r.account(name)
			same(r, "left", left(a), map[string]int64{name: int64(i + 1)})
			same(r, "plan", a.Standings["payment:pay_1"].Passes[0].Plan, fmt.Sprint("plan", i))
			same(r, "state", string(r.object(name, payment("pay_1")).State), fmt.Sprint(i))
			book := r.entries(name)
			same(r, "entries", len(book), 1)
			same(r, "cause", book[0].Cause, name)
			same(r, "grant", book[0].Grant, name)
			same(r, "account of the order", r.order(name, "ord_1").Account, name)
			backwards, err := r.Entries(r.ctx(), name, store.Page{Before: math.MaxInt64, Limit: 1000})
			if err != nil {
				r.Fatal(err)
			}
			same(r, "entries, newest first", backwards, book)
		}
	}},
	{"things of one account", func(r *rig) {
		for i, name := range hostile {
			r.give("acc", name, forever(name, int64(i+1)))
			if i%2 == 0 {
				r.createOpened("acc", name)
				r.settle("acc", "of "+name, book.OrderResult{ID: name, State: book.OrderPaid, PaymentID: fmt.Sprint(i)})
			}
		}
		for i, name := range hostile {
			same(r, "version", r.object("acc", payment(name)).Version, 1)
			same(r, "left", r.account("acc").Ledger.Grants.At(name).Left, int64(i+1))
			if i%2 == 0 {
				same(r, "payment", r.order("acc", name).PaymentID, fmt.Sprint(i))
			} else {
				r.missing("acc", name)
			}
		}
		r.audit("acc")
	}},
	{"keys of one account", func(r *rig) {
		for i, name := range hostile {
			if i%40 == 0 {
				r.clock.Move(2 * day) // so that the open orders are not too many
			}
			key := book.Key{Hash: name, Fingerprint: name, Lease: 300 * day, Keep: day}
			id := fmt.Sprint("ord_", i)
			r.create("acc", id, key)
			if _, how, err := r.CreateOrder(r.ctx(), r.newOrder("acc", "again"), key); err != nil || how != book.Running {
				r.Fatalf("key %q: %s, %v", name, how, err)
			}
		}
	}},
	{"owners", func(r *rig) {
		for i, name := range hostile {
			same(r, "claim", r.claim(payment(name), name), name)
			same(r, "claim as session", r.claim(entitlement.Ref{Kind: entitlement.KindSession, ID: name}, fmt.Sprint(i)), fmt.Sprint(i))
		}
		for i, name := range hostile {
			same(r, "owner", r.owner(payment(name)), name)
			same(r, "owner of the session", r.owner(entitlement.Ref{Kind: entitlement.KindSession, ID: name}), fmt.Sprint(i))
		}
	}},
	{"events", func(r *rig) {
		for _, name := range hostile {
			e := r.record(name, name)
			e.State, e.Object, e.Account, e.Reason = book.EventParked, name, name, name
			if err := r.Settle(r.ctx(), e, book.Retention{}); err != nil {
				r.Fatal(err)
			}
		}
		for _, name := range hostile {
			same(r, "parked", r.parked(name), []string{name})
			e := r.event(name)
			same(r, "event", []string{string(e.Body), e.Object, e.Account, e.Reason}, []string{name, name, name, name})
		}
		for _, limit := range []int{1, 100} {
			same(r, "all parked", r.allParked(limit), slices.Sorted(slices.Values(hostile))) // received at once
		}
	}},
	{"refused", refused},
}

// refused are names that no store takes; each is an error of the caller.
func refused(r *rig) {
	for _, name := range []string{"", strings.Repeat("x", 257)} {
		var errs []error
		note := func(err error) { errs = append(errs, err) }
		_, err := r.Account(r.ctx(), name)
		note(err)
		_, err = r.Object(r.ctx(), name, payment("a"))
		note(err)
		_, err = r.Commit(r.ctx(), book.Commit{Account: name, Object: payment("a")})
		note(err)
		_, err = r.Entries(r.ctx(), name, store.Page{After: 0, Limit: 1})
		note(err)
		_, err = r.Entries(r.ctx(), name, store.Page{Before: math.MaxInt64, Limit: 1})
		note(err)
		if name != "" { // without an account, the two bind nothing
			_, err = r.Claim(r.ctx(), payment("a"), name)
			note(err)
			_, err = r.Receive(r.ctx(), store.Delivery{Event: book.Event{ID: "msg_1"}, Object: payment("a"), Account: name}, nil)
			note(err)
		}
		_, _, err = r.CreateOrder(r.ctx(), book.Order{ID: "a", Account: name}, book.Key{})
		note(err)
		_, err = r.Order(r.ctx(), name, "a")
		note(err)
		_, err = r.Orders(r.ctx(), name, store.OpenOrders)
		note(err)
		_, err = r.Orders(r.ctx(), name, store.Purchases)
		note(err)
		for i, err := range errs {
			if err == nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
				r.Errorf("account %.10q, call %d: %v", name, i, err)
			}
		}
	}
	same(r, "owner", r.owner(payment("a")), "")
	long := strings.Repeat("x", 100_000)
	if _, err := r.Claim(r.ctx(), payment(long), "acc"); err == nil {
		r.Error("claimed a name of 100,000 bytes")
	}
	if _, err := r.Commit(r.ctx(), book.Commit{Account: "acc", Object: payment(long)}); err == nil {
		r.Error("committed a name of 100,000 bytes")
	}
	if _, err := r.Record(r.ctx(), book.Event{ID: long}); err == nil {
		r.Error("recorded a name of 100,000 bytes")
	}
	if _, err := r.Receive(r.ctx(), store.Delivery{Event: book.Event{ID: "msg_1"}, Object: payment(long), Account: "acc"}, nil); err == nil {
		r.Error("received a name of 100,000 bytes")
	}
	if _, err := r.Order(r.ctx(), "acc", long); err == nil {
		r.Error("read an order with an id of 100,000 bytes")
	}
	if _, err := r.Receive(r.ctx(), store.Delivery{Object: payment("a"), Account: "acc"}, nil); err == nil {
		r.Error("received an event without an id")
	}
	if _, err := r.Event(r.ctx(), "msg_1"); !errors.Is(err, store.ErrNotFound) {
		r.Errorf("an event that was refused: %v", err)
	}
	if _, _, err := r.CreateOrder(r.ctx(), book.Order{Account: "acc"}, book.Key{}); err == nil {
		r.Error("created an order without an id")
	}
	r.give("acc", "pay_1", forever("a", 1)) // the store is none the worse
	r.audit("acc")
}
