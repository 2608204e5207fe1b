package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// signUp is a commit of so many credits for somebody who is new.
func signUp(account string, credits int64) book.Commit {
	return book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindSignup, ID: "credits"}, State: []byte(`{}`),
		Effect: entitlement.Effect{Grants: targets(forever("signup", credits))}, Cause: "signup",
	}
}

// signsUp signs up, and checks that what is returned is the account as it is then.
func (r *rig) signsUp(account string, credits int64) entitlement.Account {
	r.Helper()
	a, err := r.SignUp(r.ctx(), signUp(account, credits))
	if err != nil {
		r.Fatalf("sign up: %v", err)
	}
	now := r.account(account)
	same(r, "account returned", a, now)
	return a
}

var signUpTests = []test{
	{"once", func(r *rig) {
		a := r.signsUp("acc", 3)
		same(r, "left", left(a), map[string]int64{"signup": 3})
		same(r, "ledger", lines(r.entries("acc")), []line{{grant, "signup", 3, 3}})
		same(r, "version", r.object("acc", signUp("acc", 3).Object).Version, 1)
		same(r, "account of a repeat", r.signsUp("acc", 5), a)
		same(r, "entries", len(r.entries("acc")), 1)
		r.audit("acc")
	}},
	{"somebody else is new all the same", func(r *rig) {
		r.signsUp("acc", 3)
		same(r, "left", left(r.signsUp("acc2", 3)), map[string]int64{"signup": 3})
	}},
	{"not who has credits", func(r *rig) {
		r.give("acc", "pay_1", forever("a", 7))
		same(r, "left", left(r.signsUp("acc", 3)), map[string]int64{"a": 7})
		same(r, "version", r.object("acc", signUp("acc", 3).Object).Version, 0)
	}},
	{"nor who had some", func(r *rig) {
		r.give("acc", "pay_1", until(day, "a", 7))
		r.clock.Move(2 * day)
		r.signsUp("acc", 3)
		same(r, "version", r.object("acc", signUp("acc", 3).Object).Version, 0)
	}},
	{"who has a plan and no credits is new", func(r *rig) {
		r.commit(book.Commit{
			Account: "acc", Object: payment("pay_1"), State: []byte(`{}`), Cause: "evt_1",
			Effect: entitlement.Effect{Standing: entitlement.Standing{Paid: true, PaidAt: start}},
		})
		a := r.signsUp("acc", 3)
		same(r, "left", left(a), map[string]int64{"signup": 3})
		same(r, "standings", len(a.Standings), 1)
	}},
	{"not for who was given nothing then", func(r *rig) {
		r.signsUp("acc", 0)
		same(r, "left", left(r.signsUp("acc", 3)), map[string]int64{})
	}},
	{"out of range", func(r *rig) {
		if _, err := r.SignUp(r.ctx(), signUp("acc", ledger.Max+1)); !errors.Is(err, ledger.ErrRange) {
			r.Fatal(err)
		}
		same(r, "rev", r.account("acc").Rev, 0)
		same(r, "left", left(r.signsUp("acc", ledger.Max)), map[string]int64{"signup": ledger.Max})
	}},
	{"with what cannot be written", func(r *rig) {
		c := signUp("acc", 3)
		c.Effect.Standing = entitlement.Standing{Paid: true, PaidAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}
		if _, err := r.SignUp(r.ctx(), c); err == nil {
			r.Error("it was not refused")
		}
		same(r, "left", left(r.signsUp("acc", 3)), map[string]int64{"signup": 3})
	}},
	{"64 at once", func(r *rig) {
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				if a, err := r.SignUp(r.ctx(), signUp("acc", 3)); err != nil || a.Ledger.Seq != 1 {
					r.Errorf("%+v, %v", a, err)
				}
			})
		}
		all.Wait()
		same(r, "entries", len(r.entries("acc")), 1)
	}},
	{"while a payment comes: before it or not at all", func(r *rig) {
		for i := range 50 {
			account := fmt.Sprint("acc", i)
			var both sync.WaitGroup
			both.Go(func() {
				if _, err := r.SignUp(r.ctx(), signUp(account, 3)); err != nil {
					r.Error(err)
				}
			})
			both.Go(func() {
				c := book.Commit{Account: account, Object: payment("pay_1"), State: []byte(`{}`), Cause: "evt_1"}
				c.Effect.Grants = targets(forever("a", 7))
				if _, err := r.Commit(r.ctx(), c); err != nil {
					r.Error(err)
				}
			})
			both.Wait()
			got := lines(r.entries(account))
			if len(got) == 2 {
				same(r, "ledger of who was new", got, []line{{grant, "signup", 3, 3}, {grant, "a", 7, 10}})
			} else {
				same(r, "ledger of who was not", got, []line{{grant, "a", 7, 7}})
			}
			r.audit(account)
		}
	}},
	{"a caller that leaves", func(r *rig) {
		ctx, leave := context.WithCancel(r.ctx())
		leave()
		if _, err := r.SignUp(ctx, signUp("acc", 3)); !errors.Is(err, context.Canceled) {
			r.Errorf("it is told %v", err)
		}
		same(r, "left", left(r.signsUp("acc", 3)), map[string]int64{"signup": 3})
	}},
	{"by what is no commit", func(r *rig) {
		for name, c := range map[string]book.Commit{
			"no account":     signUp("", 3),
			"a long account": signUp(strings.Repeat("a", 257), 3),
		} {
			if _, err := r.SignUp(r.ctx(), c); err == nil || errors.Is(err, store.ErrUnavailable) {
				r.Errorf("%s: %v", name, err)
			}
		}
	}},
	{"by another version, an order and an event", func(r *rig) {
		r.create("acc", "ord_1", book.Key{})
		c := signUp("acc", 3)
		c.Version, c.Order = 7, &book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"}
		c.Settle = &book.Settlement{Event: book.Event{ID: "msg_1", State: book.EventApplied}}
		a, err := r.SignUp(r.ctx(), c)
		if err != nil {
			r.Fatal(err)
		}
		same(r, "left", left(a), map[string]int64{"signup": 3})
		same(r, "version", r.object("acc", c.Object).Version, 1)
		same(r, "order", r.order("acc", "ord_1").State, book.OrderOpen)
	}},
}
