package storetest

import (
	"fmt"
	"math"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

var entriesTests = []test{
	{"number, time, cause and balance", func(r *rig) {
		at := r.now()
		r.give("acc", "pay_1", forever("payment:pay_1/0", 10), forever("payment:pay_1/1", 5))
		r.clock.Move(90 * time.Minute)
		r.give("acc", "pay_2", forever("payment:pay_1/0", 4))
		same(r, "entries", r.entries("acc"), []ledger.Entry{
			{Seq: 1, At: at, Kind: grant, Grant: "payment:pay_1/0", Amount: 10, Balance: 10, Cause: "evt_pay_1"},
			{Seq: 2, At: at, Kind: grant, Grant: "payment:pay_1/1", Amount: 5, Balance: 15, Cause: "evt_pay_1"},
			{Seq: 3, At: at.Add(90 * time.Minute), Kind: back, Grant: "payment:pay_1/0", Amount: -6, Balance: 9, Cause: "evt_pay_2"},
		})
	}},
	{"the ones that a commit returns are the ones that it stored", func(r *rig) {
		first := r.give("acc", "pay_1", forever("a", 1))
		second := r.give("acc", "pay_2", forever("a", 2), forever("b", 2))
		same(r, "entries", r.entries("acc"), append(first, second...))
	}},
	{"pages", func(r *rig) {
		for i := range 25 {
			r.give("acc", fmt.Sprint("pay_", i), forever(fmt.Sprint("g", i), 1))
		}
		for _, c := range []struct {
			after int64
			limit int
			first int64
			count int
		}{
			{0, 10, 1, 10}, {10, 10, 11, 10}, {20, 10, 21, 5}, {24, 1, 25, 1}, {25, 10, 0, 0}, {26, 10, 0, 0},
			{0, 0, 0, 0}, {3, -1, 0, 0}, {-5, 2, 1, 2}, {math.MinInt64, 1, 1, 1}, {math.MaxInt64, 1, 0, 0}, {0, 1, 1, 1},
			{7, math.MaxInt, 8, 18},
		} {
			page, err := r.Entries(r.ctx(), "acc", store.Page{After: c.after, Limit: c.limit})
			if err != nil || len(page) != c.count || (c.count > 0 && page[0].Seq != c.first) {
				r.Errorf("after %d, limit %d: %d entries, %v; want %d from %d", c.after, c.limit, len(page), err, c.count, c.first)
			}
		}
	}},
	{"no more than 1,000 at once", func(r *rig) {
		var many []ledger.Target
		for i := range 1203 {
			many = append(many, forever(fmt.Sprintf("g%04d", i), 2))
		}
		r.give("acc", "pay_1", many...)
		page, err := r.Entries(r.ctx(), "acc", store.Page{After: 0, Limit: 5000})
		if err != nil || len(page) != 1000 || page[999].Seq != 1000 {
			r.Fatalf("%d entries, %v", len(page), err)
		}
		same(r, "all", len(r.entries("acc")), 1203)
		same(r, "grants", len(r.account("acc").Ledger.Grants), 1203)
		r.audit("acc")
	}},
	{"they add up after many kinds of commit", func(r *rig) {
		for i := range 40 {
			r.clock.Move(20 * time.Minute)
			r.commit(book.Commit{
				Account: "acc", Object: payment("pay_1"), Version: int64(i), Cause: fmt.Sprint("evt_", i),
				Effect: entitlement.Effect{Grants: targets(
					until(time.Duration(i)*time.Hour, fmt.Sprint("g", i%7), int64(i*i%11)), forever("h", int64(i*5%9)))},
			})
			r.audit("acc")
		}
	}},
	{"what is left of a grant outlives many that are gone", func(r *rig) {
		r.give("acc", "keep", forever("keep", 3))
		for i := range 60 {
			id := fmt.Sprint("gone_", i)
			r.give("acc", id, until(-time.Minute, id, 1))
		}
		same(r, "left", left(r.account("acc")), map[string]int64{"keep": 3})
		// One that is gone is still known: it is not given twice.
		same(r, "given again", len(r.give("acc", "again", until(-time.Minute, "gone_7", 1))), 0)
		same(r, "raised", lines(r.give("acc", "raised", until(-time.Minute, "gone_8", 3))), []line{{grant, "gone_8", 2, 5}, {lapse, "gone_8", -2, 3}})
		same(r, "prolonged", lines(r.give("acc", "prolonged", forever("gone_8", 4))), []line{{grant, "gone_8", 3, 6}, {grant, "gone_8", 1, 7}})
		r.audit("acc")
	}},
}

var standingTests = []test{
	{"set, replaced, removed when it is zero", func(r *rig) {
		set := func(version int64, s entitlement.Standing) {
			r.commit(book.Commit{Account: "acc", Object: payment("pay_1"), Version: version, Effect: entitlement.Effect{Standing: s}})
		}
		one := entitlement.Standing{Paid: true, PaidAt: start}
		two := entitlement.Standing{PaidAt: start.Add(time.Second), Passes: []entitlement.Pass{
			{Plan: "pro", PaidAt: start, Lasts: 720 * time.Hour}, {Plan: "größer {x}", PaidAt: start.Add(time.Millisecond)},
		}}
		set(0, one)
		same(r, "standings", r.account("acc").Standings, map[string]entitlement.Standing{"payment:pay_1": one})
		set(1, two)
		same(r, "standings", r.account("acc").Standings, map[string]entitlement.Standing{"payment:pay_1": two})
		set(2, entitlement.Standing{})
		same(r, "standings", len(r.account("acc").Standings), 0)
		set(3, entitlement.Standing{})
		same(r, "standings", len(r.account("acc").Standings), 0)
	}},
	{"each object has its own", func(r *rig) {
		s := entitlement.Standing{Paid: true}
		for _, id := range []string{"a", "b", "c"} {
			r.commit(book.Commit{Account: "acc", Object: payment(id), Effect: entitlement.Effect{Standing: s}})
		}
		r.commit(book.Commit{Account: "acc", Object: payment("b"), Version: 1})
		same(r, "standings", r.account("acc").Standings, map[string]entitlement.Standing{"payment:a": s, "payment:c": s})
	}},
	{"kept as it is, to the nanosecond", func(r *rig) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 6_999_999, time.UTC)
		s := entitlement.Standing{
			PaidAt: at, Passes: []entitlement.Pass{{Plan: "pro", PaidAt: at, Lasts: time.Nanosecond}},
			Renewal: &entitlement.Renewal{Plan: "pro", Status: entitlement.PlanPastDue, Access: true, Until: at.Add(1), TrialUntil: at.Add(2)},
		}
		r.commit(book.Commit{Account: "acc", Object: payment("a"), Effect: entitlement.Effect{Standing: s}})
		same(r, "standings", r.account("acc").Standings["payment:a"], s)
	}},
	{"comes with the credits of the same purchase", func(r *rig) {
		passes := []entitlement.Pass{{Plan: "pro", PaidAt: start, Lasts: 2 * time.Hour}}
		r.commit(book.Commit{Account: "acc", Object: payment("a"), Effect: entitlement.Effect{
			Grants:   targets(until(time.Hour, "a", 5)),
			Standing: entitlement.Standing{PaidAt: start, Passes: passes},
		}})
		a := r.account("acc")
		same(r, "now", a.Ledger.Available(start), 5)
		same(r, "when the credits expired", a.Ledger.Available(start.Add(time.Hour)), 0)
		same(r, "the plan's time", a.Standings["payment:a"].Passes, passes)
	}},
}
