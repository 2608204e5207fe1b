package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

var actTests = []test{
	{"an id counts once, however many send it at once", func(r *rig) {
		r.give("acc", "pay_1", forever("g", 10))
		var first atomic.Int64
		together(crowd, func(i int) {
			done, err := r.Act(r.ctx(), "acc", fmt.Sprint("act_", i%3), entitlement.Act{Kind: entitlement.ActGrant, Credits: 5, Reason: "why"})
			if err != nil {
				r.Errorf("act: %v", err)
			}
			if !done.Repeated {
				first.Add(1)
			}
		})
		same(r, "acts that did something", first.Load(), 3)
		same(r, "balance", r.account("acc").Ledger.Balance(), 25)
		r.audit("acc")
		acts, err := r.Acts(r.ctx(), "acc")
		if err != nil || len(acts) != 3 || acts[0].Reason != "why" || acts[0].After.Credits != 25 || !acts[0].At.Equal(r.now()) {
			r.Errorf("acts: %+v, %v", acts, err)
		}
	}},
	{"takes at once take no more than there is", func(r *rig) {
		r.give("acc", "pay_1", forever("g", 10))
		var taken atomic.Int64
		together(crowd, func(i int) {
			_, err := r.Act(r.ctx(), "acc", fmt.Sprint("act_", i), entitlement.Act{Kind: entitlement.ActTake, Credits: 3, Reason: "why"})
			switch {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, book.ErrAct):
				r.Errorf("take: %v", err)
			}
		})
		same(r, "takes", taken.Load(), 3)
		same(r, "balance", r.account("acc").Ledger.Balance(), 1)
		r.audit("acc")
	}},
	{"a grant that was spent is taken back", func(r *rig) {
		do := func(id string, a entitlement.Act) {
			r.Helper()
			a.Reason = "why"
			if _, err := r.Act(r.ctx(), "acc", id, a); err != nil {
				r.Fatal(err)
			}
		}
		do("a", entitlement.Act{Kind: entitlement.ActGrant, Credits: 5, Plan: "pro", ExpiresAt: r.now().Add(30 * 24 * time.Hour)})
		if passes := r.account("acc").Standings["act:a"].Passes; len(passes) != 1 || passes[0].Lasts != 30*24*time.Hour {
			r.Errorf("passes: %+v", passes)
		}
		do("b", entitlement.Act{Kind: entitlement.ActTake, Credits: 5})
		do("c", entitlement.Act{Kind: entitlement.ActUndo, Object: "a"})
		same(r, "debt", r.account("acc").Ledger.Debt, 5)
		same(r, "standings", len(r.account("acc").Standings), 0)
		do("d", entitlement.Act{Kind: entitlement.ActWaive})
		same(r, "lines", lines(r.entries("acc")), []line{
			{ledger.KindGrant, "act:a", 5, 5}, {ledger.KindTake, "act:a", -5, 0}, {back, "act:a", -5, -5}, {ledger.KindWaive, "act:d", 5, 0},
		})
		r.audit("acc")
	}},
	{"holds are listed, and released", func(r *rig) {
		if holds, err := r.Holds(r.ctx(), "acc", 10); err != nil || len(holds) != 0 {
			r.Fatalf("holds: %v, %v", holds, err)
		}
		r.give("acc", "pay_1", forever("g", 10))
		for i := range 3 {
			h := book.Hold{Account: "acc", ID: fmt.Sprint("h", i), By: "me", Amount: int64(i + 1), TTL: time.Duration(3-i) * time.Minute}
			if held, err := r.Hold(r.ctx(), h); err != nil || held.Outcome != book.HoldPlaced {
				r.Fatalf("hold: %+v, %v", held, err)
			}
		}
		holds, err := r.Holds(r.ctx(), "acc", 2)
		if err != nil || len(holds) != 2 || holds[0].ID != "h2" || holds[1].ID != "h1" || holds[0].Amount() != 3 {
			r.Fatalf("holds: %+v, %v", holds, err)
		}
		done, err := r.Act(r.ctx(), "acc", "a", entitlement.Act{Kind: entitlement.ActRelease, Object: "h2", Reason: "why"})
		if err != nil || done.Before.Held != 6 || done.After.Held != 3 || done.After.Credits != 7 {
			r.Fatalf("release: %+v, %v", done, err)
		}
		if holds, err = r.Holds(r.ctx(), "acc", 10); err != nil || len(holds) != 2 || holds[0].ID != "h1" {
			r.Fatalf("holds: %+v, %v", holds, err)
		}
		if end, err := r.End(r.ctx(), book.End{Account: "acc", ID: "h2", By: "me", Captured: 3}); err != nil || end.Captured != 0 {
			r.Errorf("the end of what was released: %+v, %v", end, err)
		}
		r.audit("acc")
	}},
	{"what is freed can be bound again, and only its own account frees it", func(r *rig) {
		ref, id := payment("pay_1"), 0
		unassign := func(account string) error {
			id++
			_, err := r.Update(r.ctx(), account, func(b *book.Book) error {
				_, err := b.ActOn(fmt.Sprint("u", id), entitlement.Act{Kind: entitlement.ActUnassign, Object: ref.String(), Reason: "why"},
					book.Reach{Free: []entitlement.Ref{ref}})
				return err
			})
			return err
		}
		owner := func(claim, want string) {
			r.Helper()
			if got, err := r.Claim(r.ctx(), ref, claim); err != nil || got != want {
				r.Fatalf("the owner is %q, %v; want %q", got, err, want)
			}
		}
		owner("ann", "ann")
		if err := unassign("bob"); err != nil {
			r.Fatal(err)
		}
		owner("", "ann")
		if err := unassign("ann"); err != nil {
			r.Fatal(err)
		}
		owner("", "")
		owner("bob", "bob")
	}},
}

// act is what an operator does by hand, with the same done to the ledger of the model.
func (m *model) act(t *rapid.T) {
	m.placed++
	id := fmt.Sprint("act", m.placed)
	a := entitlement.Act{Kind: rapid.SampledFrom([]entitlement.ActKind{entitlement.ActGrant, entitlement.ActTake, entitlement.ActWaive}).Draw(t, "act"), Reason: "why"}
	a.Credits = rapid.OneOf(rapid.Int64Range(1, 20), rapid.Int64Range(1, most)).Draw(t, "credits")
	a.Owe = a.Kind == entitlement.ActTake && rapid.Bool().Draw(t, "owe")
	b := m.ledger.Open(m.rig.now())
	var want error
	switch name := "act:" + id; a.Kind {
	case entitlement.ActTake:
		want = b.Take(name, a.Credits, a.Owe)
	case entitlement.ActWaive:
		want = b.Waive(name, a.Credits)
	default:
		want = b.Apply([]ledger.Target{{ID: name, Amount: a.Credits, CreatedAt: m.rig.now()}}, ledger.PolicyDebt, name)
	}
	_, err := m.rig.Act(m.rig.ctx(), m.name, id, a)
	if (err == nil) != (want == nil) || err != nil && !errors.Is(err, book.ErrAct) && !errors.Is(err, ledger.ErrRange) {
		t.Fatalf("%+v: %v, want %v", a, err, want)
	}
	if err == nil {
		m.wrote(b.Account(), b.Entries)
	}
}
