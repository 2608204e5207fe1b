package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

const spent = ledger.KindCapture

// hold holds as the caller "me", for an hour.
func (r *rig) hold(id string, amount int64) book.Held {
	r.Helper()
	return r.holdAs(book.Hold{ID: id, By: "me", Amount: amount})
}

func (r *rig) holdAs(h book.Hold) book.Held {
	r.Helper()
	if h.Account == "" {
		h.Account = "acc"
	}
	if h.TTL == 0 {
		h.TTL = time.Hour
	}
	held, err := r.Hold(r.ctx(), h)
	if err != nil {
		r.Fatalf("hold %q: %v", h.ID, err)
	}
	return held
}

func (r *rig) placed(id string, amount int64) {
	r.Helper()
	same(r, "hold "+id, r.hold(id, amount).Outcome, book.HoldPlaced)
}

func (r *rig) end(id string, captured int64) book.Ended {
	r.Helper()
	return r.endAs(book.End{ID: id, By: "me", Captured: captured})
}

func (r *rig) endAs(e book.End) book.Ended {
	r.Helper()
	if e.Account == "" {
		e.Account = "acc"
	}
	done, err := r.End(r.ctx(), e)
	if err != nil {
		r.Fatalf("end %q: %v", e.ID, err)
	}
	return done
}

// spend holds and captures at once.
func (r *rig) spend(id string, amount int64) {
	r.Helper()
	r.placed(id, amount)
	same(r, "end of "+id, r.end(id, amount).Found, true)
}

func (r *rig) available() int64 {
	r.Helper()
	r.audit("acc")
	return r.account("acc").Ledger.Available(r.clock.Now())
}

// wrote are the entries after the first n.
func (r *rig) wrote(n int) []line {
	r.Helper()
	return lines(r.entries("acc")[n:])
}

// take commits the targets to what give made of an object before.
func (r *rig) take(object string, policy ledger.Policy, ts ...ledger.Target) []line {
	r.Helper()
	return lines(r.commit(book.Commit{
		Account: "acc", Object: payment(object), Version: r.object("acc", payment(object)).Version, State: []byte(`{}`),
		Effect: entitlement.Effect{Grants: ts}, Policy: policy, Cause: "evt_2",
	}))
}

var holdTests = []test{
	{"what is held cannot be held again", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		same(r, "available", r.available(), 3)
		refused := r.hold("i", 4)
		same(r, "outcome", refused.Outcome, book.HoldRefused)
		same(r, "available in the answer", refused.Account.Ledger.Available(r.clock.Now()), 3)
		r.placed("i", 3)
		same(r, "available", r.available(), 0)
		same(r, "entries", r.wrote(1), nil)
	}},
	{"a capture is entered, a release is not", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		done := r.end("h", 5)
		same(r, "found", done.Found, true)
		same(r, "available in the answer", done.Account.Ledger.Available(r.clock.Now()), 5)
		same(r, "entries", r.wrote(1), []line{{spent, "a", -5, 5}})
		same(r, "cause", r.entries("acc")[1].Cause, "h")
		r.placed("i", 5)
		r.end("i", 0)
		same(r, "entries", len(r.wrote(1)), 1)
		same(r, "available", r.available(), 5)
	}},
	{"asked for again it is the same hold, and runs on", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		r.clock.Move(40 * time.Minute)
		again := r.holdAs(book.Hold{ID: "h", By: "me", Amount: 9})
		same(r, "outcome", again.Outcome, book.HoldPlaced)
		same(r, "available", r.available(), 3)
		r.clock.Move(40 * time.Minute)
		same(r, "available", r.available(), 3)
		r.holdAs(book.Hold{ID: "h", By: "me", Amount: 7, TTL: time.Millisecond})
		r.clock.Move(time.Millisecond)
		same(r, "available", r.available(), 3)
		same(r, "found", r.end("h", 7).Found, true)
	}},
	{"a caller without a name, who has all there is, asks again", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		ask := func(id string, amount int64) book.Held { return r.holdAs(book.Hold{ID: id, Amount: amount}) }
		same(r, "first", ask("h", 10).Outcome, book.HoldPlaced)
		same(r, "again", ask("h", 10).Outcome, book.HoldPlaced)
		refused := ask("i", 1)
		same(r, "another", refused.Outcome, book.HoldRefused)
		same(r, "revision told", refused.Account.Rev, r.account("acc").Rev)
		same(r, "held until told", refused.Account.HeldUntil, r.now().Add(time.Hour))
		same(r, "nobody's", r.holdAs(book.Hold{Account: "nobody", ID: "h", Amount: 1}).Outcome, book.HoldRefused)
		same(r, "found", r.endAs(book.End{ID: "h", Captured: 4}).Found, true)
		same(r, "more than the rest", ask("i", 7).Outcome, book.HoldRefused)
		same(r, "the rest", ask("i", 6).Outcome, book.HoldPlaced)
		r.audit("acc")
	}},
	{"ends once, and says so again", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		r.end("h", 4)
		for range 2 {
			again := r.end("h", 6)
			same(r, "found", again.Found, true)
			same(r, "captured", again.Captured, 4)
		}
		same(r, "by another", r.endAs(book.End{ID: "h", By: "you", Captured: 4}), book.Ended{Account: r.end("h", 4).Account})
		r.clock.Move(book.Recently)
		same(r, "found later", r.end("h", 4).Found, false)
		same(r, "one that never was", r.end("i", 0).Found, false)
		same(r, "entries", r.wrote(1), []line{{spent, "a", -4, 6}})
		same(r, "available", r.available(), 6)
	}},
	{"nobody else ends it", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		same(r, "found", r.endAs(book.End{ID: "h", By: "you", Captured: 7}).Found, false)
		same(r, "available", r.available(), 3)
	}},
	{"runs out at the instant", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		held := r.hold("h", 7)
		same(r, "held until", held.Account.HeldUntil, r.now().Add(time.Hour))
		same(r, "held until", r.account("acc").HeldUntil, r.now().Add(time.Hour))
		r.clock.Move(time.Hour - time.Millisecond)
		same(r, "available", r.available(), 3)
		r.clock.Move(time.Millisecond)
		same(r, "available", r.available(), 10)
		same(r, "held until", r.account("acc").HeldUntil, time.Time{})
		same(r, "found", r.end("h", 7).Found, false)
		r.placed("i", 10)
		same(r, "entries", r.wrote(1), nil)
		same(r, "available", r.available(), 0)
	}},
	{"one that ran out may be placed anew under its id", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		r.clock.Move(time.Hour)
		r.placed("h", 9)
		same(r, "captured", r.end("h", 8).Captured, 8)
		same(r, "available", r.available(), 2)
	}},
	{"soonest expiry burns first, then the oldest", func(r *rig) {
		older := forever("z", 5)
		older.CreatedAt = start.Add(-2 * time.Hour)
		never := ledger.Target{ID: "y", Amount: 5}
		r.give("acc", "p", forever("a", 5), older, never, until(3*time.Hour, "late", 5), until(2*time.Hour, "soon", 5))
		r.placed("h", 22)
		r.end("h", 21)
		same(r, "entries", r.wrote(5), []line{
			{spent, "soon", -5, 20}, {spent, "late", -5, 15}, {spent, "y", -5, 10}, {spent, "z", -5, 5}, {spent, "a", -1, 4},
		})
	}},
	{"a release goes back to where it came from", func(r *rig) {
		r.give("acc", "p", until(time.Hour, "soon", 5), forever("a", 5))
		r.placed("h", 8)
		r.end("h", 2)
		same(r, "left", left(r.account("acc")), map[string]int64{"soon": 3, "a": 5})
		r.clock.Move(time.Hour)
		same(r, "available", r.available(), 5)
	}},
	{"what comes back after its expiry lapses", func(r *rig) {
		r.give("acc", "p", until(time.Minute, "a", 5))
		r.placed("h", 5)
		r.clock.Move(time.Minute)
		same(r, "available", r.available(), 0)
		r.end("h", 2)
		same(r, "entries", r.wrote(1), []line{{spent, "a", -2, 3}, {lapse, "a", -3, 0}})
	}},
	{"what was spent is owed, and later credits pay it", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.spend("h", 4)
		same(r, "taken back", r.take("p", "", forever("a", 0)), []line{{back, "a", -10, -4}})
		same(r, "debt", r.account("acc").Ledger.Debt, 4)
		same(r, "available", r.available(), 0)
		same(r, "outcome", r.hold("i", 1).Outcome, book.HoldRefused)
		same(r, "given", r.take("q", "", forever("b", 3)), []line{{grant, "b", 3, -1}})
		same(r, "given", r.take("r", "", forever("c", 3)), []line{{grant, "c", 3, 2}})
		same(r, "debt", r.account("acc").Ledger.Debt, 0)
		same(r, "available", r.available(), 2)
		same(r, "given back", r.take("p", "", forever("a", 10)), []line{{grant, "a", 10, 12}})
		same(r, "available", r.available(), 12)
	}},
	{"what lapsed is not owed", func(r *rig) {
		r.give("acc", "p", until(time.Minute, "a", 10), forever("b", 5))
		r.spend("h", 4)
		r.clock.Move(time.Minute)
		same(r, "taken back", r.take("p", "", until(0, "a", 3)), []line{{lapse, "a", -6, 5}, {back, "a", -1, 4}})
		same(r, "available", r.available(), 4)
	}},
	{"under floor it is forgiven", func(r *rig) {
		r.give("acc", "p", forever("a", 10), forever("b", 5))
		r.spend("h", 4)
		same(r, "taken back", r.take("p", ledger.PolicyFloor, forever("a", 0)), []line{{back, "a", -6, 5}})
		same(r, "debt", r.account("acc").Ledger.Debt, 0)
		same(r, "given back", r.take("p", ledger.PolicyFloor, forever("a", 10)), []line{{grant, "a", 6, 11}})
		same(r, "available", r.available(), 11)
	}},
	{"what is held is owed when it is taken back, until it comes back", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 4)
		same(r, "taken back", r.take("p", "", forever("a", 0)), []line{{back, "a", -10, 0}})
		r.end("h", 1)
		same(r, "entries", r.wrote(2), []line{{spent, "a", -1, -1}})
		same(r, "debt", r.account("acc").Ledger.Debt, 1)
	}},
	{"under floor what is held is taken when it comes back", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 4)
		same(r, "taken back", r.take("p", ledger.PolicyFloor, forever("a", 0)), []line{{back, "a", -6, 4}})
		r.end("h", 1)
		same(r, "entries", r.wrote(2), []line{{spent, "a", -1, 3}, {back, "a", -3, 0}})
	}},
	{"what is named otherwise does not come back to what was forgiven", func(r *rig) {
		r.give("acc", "p", forever("a", 9), forever("c", 4))
		r.spend("h", 13)
		same(r, "taken back", r.take("p", ledger.PolicyFloor, forever("a", 6)), nil)
		same(r, "named otherwise", r.take("p", ledger.PolicyFloor, into("b", "a", 0), forever("b", 6), forever("c", 1)),
			[]line{{back, "a", -6, -6}, {back, "a", -3, -9}, {grant, "b", 3, -6}, {grant, "b", 6, 0}})
		same(r, "given again", r.take("p", ledger.PolicyFloor, forever("b", 10), forever("c", 5)), []line{{grant, "b", 1, 1}, {grant, "c", 1, 2}})
		same(r, "debt", r.account("acc").Ledger.Debt, 0)
	}},
	{"those that run out together are released in the order of their ids", func(r *rig) {
		r.give("acc", "p", until(5*time.Hour, "a", 3), forever("b", 3))
		r.placed("z", 3)
		r.placed("y", 3)
		same(r, "taken back", r.take("p", ledger.PolicyFloor, until(5*time.Hour, "a", 0), forever("b", 0)), nil)
		r.clock.Move(time.Hour)
		r.give("acc", "q", forever("c", 1))
		same(r, "entries", r.wrote(2), []line{{back, "b", -3, 3}, {back, "a", -3, 0}, {grant, "c", 1, 1}})
	}},
	{"more than is held cannot be spent", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 4)
		for _, captured := range []int64{5, -1, most + 1} {
			if _, err := r.End(r.ctx(), book.End{Account: "acc", ID: "h", By: "me", Captured: captured}); !errors.Is(err, ledger.ErrRange) {
				r.Fatalf("a capture of %d of 4: %v", captured, err)
			}
		}
		for _, amount := range []int64{-1, most + 1} {
			if _, err := r.Hold(r.ctx(), book.Hold{Account: "acc", ID: "i", Amount: amount}); !errors.Is(err, ledger.ErrRange) {
				r.Fatalf("a hold of %d: %v", amount, err)
			}
		}
		same(r, "available", r.available(), 6)
		same(r, "captured", r.end("h", 4).Captured, 4)
	}},
	{"nothing can be held of nothing, but nothing is", func(r *rig) {
		same(r, "outcome", r.hold("h", 1).Outcome, book.HoldRefused)
		same(r, "rev", r.account("acc").Rev, 0)
		r.placed("h", 0)
		same(r, "found", r.end("h", 0).Found, true)
	}},
	{"the largest amounts", func(r *rig) {
		r.give("acc", "p", forever("a", most))
		r.placed("h", most)
		same(r, "taken back", r.take("p", "", forever("a", 0)), []line{{back, "a", -most, 0}})
		same(r, "given", r.take("q", "", forever("b", most)), []line{{grant, "b", most, most}})
		same(r, "available", r.available(), 0)
		r.end("h", most)
		same(r, "entries", r.wrote(3), []line{{spent, "a", -most, 0}})
		same(r, "debt", r.account("acc").Ledger.Debt, 0)
	}},
	{"no more is owed than can be counted", func(r *rig) {
		r.give("acc", "p", forever("a", most))
		r.spend("h", most)
		r.give("acc", "q", forever("b", 5))
		r.spend("i", 5)
		r.take("p", "", forever("a", 0))
		same(r, "debt", r.account("acc").Ledger.Debt, most)
		_, err := r.Commit(r.ctx(), book.Commit{
			Account: "acc", Object: payment("q"), Version: 1, State: []byte(`{}`), Effect: entitlement.Effect{Grants: targets(forever("b", 4))},
		})
		if !errors.Is(err, ledger.ErrRange) {
			r.Fatalf("a debt of one more than the largest amount: %v", err)
		}
		same(r, "debt", r.account("acc").Ledger.Debt, most)
	}},
	{"under one id", oneID},
	{"a finished one is remembered as long as it says", remembered},
	{"a caller without a name asks again on a busy account", func(r *rig) {
		r.give("acc", "pay_1", forever("a", 3), forever("b", 9))
		r.holdAs(book.Hold{ID: "h", Amount: 8})
		same(r, "captured", r.endAs(book.End{ID: "h", Captured: 7}).Captured, int64(7))
		for _, others := range []int{98, 1, 1, 150} { // entries, so that the two lie at all places
			var many []ledger.Target
			for i := range others {
				many = append(many, forever(fmt.Sprint("g", others, i), 1))
			}
			r.give("acc", fmt.Sprint("pay_", r.account("acc").Rev), many...)
			again := r.endAs(book.End{ID: "h", Captured: 7})
			same(r, "found again", again.Found, true)
			same(r, "captured then", again.Captured, int64(7))
		}
		same(r, "another", r.endAs(book.End{ID: "i", Captured: 7}).Found, false)
		r.audit("acc")
	}},
	{"revisions grow", func(r *rig) {
		last := int64(0)
		for _, change := range []func() int64{
			func() int64 { r.give("acc", "p", forever("a", 10)); return 0 },
			func() int64 { return r.hold("h", 4).Account.Rev },
			func() int64 { return r.end("h", 0).Account.Rev },
			func() int64 { return r.hold("i", 4).Account.Rev },
			func() int64 { return r.end("i", 4).Account.Rev },
			func() int64 { r.take("p", "", forever("a", 0)); return 0 },
		} {
			told := change()
			rev := r.account("acc").Rev
			if rev <= last || told != 0 && told != rev {
				r.Fatalf("rev is %d after %d, and the answer said %d", rev, last, told)
			}
			last = rev
		}
	}},
	{"answers say when the standings changed last", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		committed := r.account("acc")
		same(r, "after a commit", committed.StandingsRev, committed.Rev)
		held := r.hold("h", 4).Account
		same(r, "after a hold", held.StandingsRev, committed.Rev)
		same(r, "refused", r.hold("i", 100).Account.StandingsRev, committed.Rev)
		same(r, "after its end", r.end("h", 4).Account.StandingsRev, committed.Rev)
		same(r, "read", r.account("acc").StandingsRev, committed.Rev)
		r.take("p", "", forever("a", 5))
		again := r.account("acc")
		same(r, "after another commit", again.StandingsRev, again.Rev)
	}},
	{"names", func(r *rig) {
		for i, id := range []string{"a", "a ", " a", "a:b", "{a}", "é", "\xff\x00", strings.Repeat("x", 1024)} {
			account := "acc" + fmt.Sprint(i)
			r.give(account, "p", forever(id, 3))
			held := r.holdAs(book.Hold{Account: account, ID: id, By: id, Fingerprint: id, Amount: 2})
			same(r, "outcome", held.Outcome, book.HoldPlaced)
			r.endAs(book.End{Account: account, ID: id, By: id, Captured: 1, Keep: time.Hour, Receipt: []byte(id)})
			again := r.holdAs(book.Hold{Account: account, ID: id, By: "you", Fingerprint: id, Amount: 2})
			same(r, "receipt of "+id, string(again.Receipt), id)
			same(r, "entries", lines(r.entries(account)), []line{{grant, id, 3, 3}, {spent, id, -1, 2}})
			r.audit(account)
		}
		for _, h := range []book.Hold{{Account: "acc"}, {ID: "h"}, {Account: "acc", ID: strings.Repeat("x", 1025)}} {
			if _, err := r.Hold(r.ctx(), h); err == nil {
				r.Fatalf("hold %+v was taken", h)
			}
		}
		if _, err := r.End(r.ctx(), book.End{Account: "acc", ID: "h", Receipt: make([]byte, book.MaxReceipt+1)}); err == nil {
			r.Fatal("a receipt that is too long was taken")
		}
	}},
	{"a crowd holds what there is", func(r *rig) {
		r.give("acc", "p", forever("a", crowd/2))
		var placed, refused atomic.Int64
		together(crowd, func(i int) {
			switch held := r.hold(fmt.Sprint("h", i), 1); held.Outcome {
			case book.HoldPlaced:
				placed.Add(1)
				if i%2 == 0 {
					r.end(fmt.Sprint("h", i), 1)
				}
			case book.HoldRefused:
				refused.Add(1)
			}
		})
		same(r, "placed", placed.Load(), crowd/2)
		same(r, "refused", refused.Load(), crowd/2)
		same(r, "available", r.available(), 0)
	}},
	{"a crowd ends one hold", func(r *rig) {
		r.give("acc", "p", forever("a", 10))
		r.placed("h", 7)
		together(crowd, func(int) { r.end("h", 5) })
		same(r, "entries", r.wrote(1), []line{{spent, "a", -5, 5}})
		same(r, "available", r.available(), 5)
	}},
	{"read while credits are held and spent: what was there at some time in between", func(r *rig) {
		const total, spends = 1000, 100
		r.give("acc", "p", forever("a", total))
		var held, spent atomic.Int64 // begun and done
		done := make(chan struct{})
		go func() {
			defer close(done)
			for spent.Load() < spends {
				most := total - spent.Load()
				a, err := r.Account(r.ctx(), "acc")
				if err != nil {
					r.Error(err)
				}
				if got, least := a.Ledger.Available(r.clock.Now()), total-held.Load(); got > most || got < least {
					r.Errorf("%d available, which was %d at first and %d at last", got, most, least)
				}
			}
		}()
		for i := range spends {
			held.Add(1)
			r.spend(fmt.Sprint("h", i), 1)
			spent.Add(1)
		}
		<-done
		same(r, "available", r.available(), total-spends)
	}},
	{"read while credits are held, spent and released: a revision is one state", oneState},
	{"read while everything changes: who has the last revision has the last state", lastState},
}

// oneID: several callers use the same id, as those of one idempotency key do.
func oneID(r *rig) {
	r.give("acc", "p", forever("a", 10))
	first := book.Hold{ID: "k", By: "one", Fingerprint: "f", Amount: 4}
	second := book.Hold{ID: "k", By: "two", Fingerprint: "f", Amount: 4}
	other := book.Hold{ID: "k", By: "two", Fingerprint: "g", Amount: 4}

	same(r, "first", r.holdAs(first).Outcome, book.HoldPlaced)
	same(r, "while it runs", r.holdAs(second).Outcome, book.HoldRunning)
	same(r, "something else while it runs", r.holdAs(other).Outcome, book.HoldMismatched)
	same(r, "available", r.available(), 6)

	r.endAs(book.End{ID: "k", By: "one", Keep: time.Hour})
	same(r, "after a release", r.holdAs(second).Outcome, book.HoldPlaced)
	r.endAs(book.End{ID: "k", By: "two", Captured: 3, Keep: time.Hour, Receipt: []byte("r\x00\xff")})

	finished := r.holdAs(first)
	same(r, "after a capture", finished.Outcome, book.HoldFinished)
	same(r, "captured", finished.Captured, 3)
	same(r, "receipt", string(finished.Receipt), "r\x00\xff")
	same(r, "something else after a capture", r.holdAs(other).Outcome, book.HoldMismatched)
	same(r, "entries", r.wrote(1), []line{{spent, "a", -3, 7}})
	same(r, "available", r.available(), 7)
}

func remembered(r *rig) {
	r.give("acc", "p", forever("a", 10))
	hold := func() book.HoldOutcome { return r.holdAs(book.Hold{ID: "k", By: "two", Amount: 1}).Outcome }
	r.holdAs(book.Hold{ID: "k", By: "one", Amount: 1})
	r.endAs(book.End{ID: "k", By: "one", Captured: 1, Keep: time.Hour})
	r.clock.Move(time.Hour - time.Millisecond)
	same(r, "before the time is over", hold(), book.HoldFinished)
	r.clock.Move(time.Millisecond)
	same(r, "after it", hold(), book.HoldPlaced)
	r.endAs(book.End{ID: "k", By: "two", Captured: 1, Keep: 2 * time.Hour})
	for i := range 40 { // what was remembered before is cleared away meanwhile
		r.spendKept(fmt.Sprint("x", i))
	}
	r.clock.Move(2*time.Hour - time.Millisecond)
	same(r, "used again", r.holdAs(book.Hold{ID: "k", By: "one", Amount: 1}).Outcome, book.HoldFinished)
}

// spendKept spends nothing much, remembered for an hour.
func (r *rig) spendKept(id string) {
	r.Helper()
	r.give("acc", "p"+id, forever("g"+id, 1))
	r.placed(id, 1)
	r.endAs(book.End{ID: id, By: "me", Captured: 1, Keep: time.Hour})
}
