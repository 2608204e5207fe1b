package storetest

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// contextTests: a context that has ended is the caller's error, not the
// store's, and nothing is done.
var contextTests = []test{
	{"cancelled", func(r *rig) {
		ctx, cancel := context.WithCancel(r.ctx())
		cancel()
		ended(r, ctx, context.Canceled)
	}},
	{"too late", func(r *rig) {
		ctx, cancel := context.WithDeadline(r.ctx(), time.Now().Add(-time.Second))
		defer cancel()
		ended(r, ctx, context.DeadlineExceeded)
	}},
}

func ended(r *rig, ctx context.Context, want error) {
	o := r.create("acc", "ord_1", anyKey)
	e := r.record("msg_1", "one")
	for name, call := range map[string]func() error{
		"Ping":    func() error { return r.Ping(ctx) },
		"Account": func() error { _, err := r.Account(ctx, "acc"); return err },
		"Object":  func() error { _, err := r.Object(ctx, "acc", payment("a")); return err },
		"Commit": func() error {
			_, err := r.Commit(ctx, book.Commit{
				Account: "acc", Object: payment("a"), Effect: entitlement.Effect{Grants: targets(forever("a", 1))}})
			return err
		},
		"SignUp": func() error {
			_, err := r.SignUp(ctx, signUp("acc2", 1))
			return err
		},
		"Entries":       func() error { _, err := r.Entries(ctx, "acc", store.Page{After: 0, Limit: 1}); return err },
		"EntriesBefore": func() error { _, err := r.Entries(ctx, "acc", store.Page{Before: math.MaxInt64, Limit: 1}); return err },
		"Claim":         func() error { _, err := r.Claim(ctx, payment("a"), "acc"); return err },
		"Owner":         func() error { _, err := r.Owner(ctx, payment("a")); return err },
		"CreateOrder":   func() error { _, _, err := r.CreateOrder(ctx, r.newOrder("acc", "ord_2"), book.Key{}); return err },
		"OpenOrder":     func() error { return r.OpenOrder(ctx, withSession(o, "cks_1"), anyKey) },
		"DropOrder":     func() error { return r.DropOrder(ctx, o, anyKey) },
		"Order":         func() error { _, err := r.Order(ctx, "acc", "ord_1"); return err },
		"OpenOrders":    func() error { _, err := r.Orders(ctx, "acc", store.OpenOrders); return err },
		"Purchases":     func() error { _, err := r.Orders(ctx, "acc", store.Purchases); return err },
		"Record":        func() error { _, err := r.Record(ctx, book.Event{ID: "msg_1", Body: []byte("two")}); return err },
		"Receive": func() error {
			_, err := r.Receive(ctx, store.Delivery{Event: book.Event{ID: "msg_1", Body: []byte("two")}, Object: payment("a"), Account: "acc"}, nil)
			return err
		},
		"Settle": func() error {
			return r.Settle(ctx, book.Event{ID: "msg_1", State: book.EventApplied}, book.Retention{})
		},
		"Parked":       func() error { _, _, err := r.Parked(ctx, "payment:a", "", 100); return err },
		"Event":        func() error { _, err := r.Event(ctx, "msg_1"); return err },
		"ParkedEvents": func() error { _, _, err := r.Parked(ctx, "", "", 1); return err },
	} {
		if err := call(); !errors.Is(err, want) || errors.Is(err, store.ErrUnavailable) {
			r.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	same(r, "entries", len(r.entries("acc")), 0)
	same(r, "owner", r.owner(payment("a")), "")
	same(r, "order", r.order("acc", "ord_1"), o)
	same(r, "event", r.event("msg_1"), e)
	r.missing("acc", "ord_2")
}
