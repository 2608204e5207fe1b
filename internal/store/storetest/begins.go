package storetest

import (
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
)

// from is a target that begins so long after the clock's beginning, and ends an hour
// later.
func from(d time.Duration, id string, amount int64) ledger.Target {
	t := until(d+time.Hour, id, amount)
	t.StartsAt = start.Add(d)
	return t
}

var beginTests = []test{
	{"counts for nothing before its time", func(r *rig) {
		r.give("acc", "p", forever("a", 3), from(time.Hour, "b", 10))
		same(r, "entries", r.wrote(0), []line{{grant, "a", 3, 3}})
		same(r, "available", r.available(), 3)
		same(r, "hold of more", r.hold("h", 4).Outcome, book.HoldRefused)
		r.spend("i", 3)
		same(r, "entries", r.wrote(1), []line{{spent, "a", -3, 0}})
		r.clock.Move(time.Hour - time.Millisecond)
		same(r, "available a moment before", r.available(), 0)
		same(r, "hold a moment before", r.hold("j", 1).Outcome, book.HoldRefused)
	}},
	{"begins at the very instant, and is entered by the next write", func(r *rig) {
		r.give("acc", "p", from(time.Hour, "b", 10))
		r.clock.Move(time.Hour)
		same(r, "available", r.available(), 10)
		same(r, "entries", r.wrote(0), nil)
		same(r, "hold of more", r.hold("h", 11).Outcome, book.HoldRefused)
		r.placed("i", 10)
		same(r, "entries", r.wrote(0), []line{{grant, "b", 10, 10}})
		same(r, "cause", r.entries("acc")[0].Cause, "i")
		r.end("i", 4)
		same(r, "entries", r.wrote(1), []line{{spent, "b", -4, 6}})
		r.clock.Move(time.Hour)
		same(r, "available behind its end", r.available(), 0)
	}},
	{"each month follows the one before", func(r *rig) {
		r.give("acc", "p", until(time.Hour, "a", 5), from(time.Hour, "b", 5), from(2*time.Hour, "c", 5))
		for i := range 3 {
			same(r, "available", r.available(), 5)
			r.spend(string(rune('h'+i)), 2)
			same(r, "available after", r.available(), 3)
			r.clock.Move(time.Hour)
		}
		same(r, "available", r.available(), 0)
		same(r, "entries", r.wrote(0), []line{
			{grant, "a", 5, 5}, {spent, "a", -2, 3}, {grant, "b", 5, 8}, {lapse, "a", -3, 5}, {spent, "b", -2, 3},
			{grant, "c", 5, 8}, {lapse, "b", -3, 5}, {spent, "c", -2, 3},
		})
	}},
	{"what began and ended unseen is entered as both", story(
		step{targets: targets(from(time.Hour, "b", 10)), left: map[string]int64{"b": 0}},
		step{wait: 3 * time.Hour, want: []line{{grant, "b", 10, 10}, {lapse, "b", -10, 0}}, left: map[string]int64{}},
	)},
	{"a caller who knows the account from before its beginning", func(r *rig) {
		r.give("acc", "p", forever("a", 20), from(time.Hour, "b", 10))
		const ttl = 3 * time.Hour // none runs out, which would be another reason to look closely
		first := r.holdAs(book.Hold{ID: "h", Amount: 2, TTL: ttl})
		known := r.holdAs(book.Hold{ID: "i", Amount: 2, TTL: ttl})
		placed := known.Placed
		ended := r.endAs(book.End{ID: "i", Captured: 1, Placed: placed})
		same(r, "available", ended.Account.Ledger.Available(r.clock.Now()), 17)
		ended = r.endAs(book.End{ID: "h", Placed: first.Placed})
		r.clock.Move(time.Hour)
		same(r, "available as it is remembered", ended.Account.Ledger.Available(r.clock.Now()), 29)
		held := r.holdAs(book.Hold{ID: "j", Amount: 3, TTL: ttl})
		same(r, "outcome", held.Outcome, book.HoldPlaced)
		same(r, "available", held.Account.Ledger.Available(r.clock.Now()), 26)
		same(r, "it took from the one that ends first", held.Account.Ledger.Grants.At("b").Held, 3)
		r.endAs(book.End{ID: "j", Captured: 3, Placed: held.Placed})
		same(r, "entries", r.wrote(2), []line{{grant, "b", 10, 29}, {spent, "b", -3, 26}})
	}},
	{"a caller who knows nothing at its beginning", func(r *rig) {
		r.give("acc", "p", forever("a", 20), from(time.Hour, "b", 10))
		r.endAs(book.End{ID: "h", Placed: r.holdAs(book.Hold{ID: "h", Amount: 2, TTL: 3 * time.Hour}).Placed})
		r.clock.Move(time.Hour)
		held := r.holdAs(book.Hold{ID: "i", Amount: 3, TTL: 3 * time.Hour})
		same(r, "it took from the one that ends first", held.Account.Ledger.Grants.At("b").Held, 3)
		refused := r.holdAs(book.Hold{ID: "j", Amount: 28, TTL: 3 * time.Hour})
		same(r, "outcome", refused.Outcome, book.HoldRefused)
		same(r, "outcome", r.holdAs(book.Hold{ID: "k", Amount: 27}).Outcome, book.HoldPlaced)
	}},
	{"a hold ends when a grant has begun", func(r *rig) {
		r.give("acc", "p", forever("a", 20), from(time.Hour, "b", 10))
		held := r.holdAs(book.Hold{ID: "h", Amount: 2, TTL: 3 * time.Hour})
		r.holdAs(book.Hold{ID: "i", Amount: 2, TTL: 3 * time.Hour})
		r.clock.Move(time.Hour)
		r.endAs(book.End{ID: "h", Captured: 2, Placed: held.Placed})
		same(r, "entries", r.wrote(1), []line{{grant, "b", 10, 30}, {spent, "a", -2, 28}})
	}},
	{"the last of another grant is spent while one waits", func(r *rig) {
		r.give("acc", "p", forever("a", 2), from(time.Hour, "b", 10))
		held := r.holdAs(book.Hold{ID: "h", Amount: 2})
		r.endAs(book.End{ID: "h", Captured: 2, Placed: held.Placed})
		same(r, "left", left(r.account("acc")), map[string]int64{"b": 0})
		r.clock.Move(time.Hour)
		same(r, "available", r.available(), 10)
	}},
	{"taken back before its time, nothing is owed", story(
		step{targets: targets(forever("a", 5), from(time.Hour, "b", 10)), want: []line{{grant, "a", 5, 5}}, left: map[string]int64{"a": 5, "b": 0}},
		step{targets: targets(from(time.Hour, "b", 4)), left: map[string]int64{"a": 5, "b": 0}},
		step{wait: time.Hour, want: []line{{grant, "b", 4, 9}}, left: map[string]int64{"a": 5, "b": 4}},
		step{targets: targets(from(time.Hour, "b", 0)), want: []line{{back, "b", -4, 5}}, left: map[string]int64{"a": 5}},
		step{targets: targets(from(2*time.Hour, "c", 3)), left: map[string]int64{"a": 5, "c": 0}},
		step{targets: targets(from(2*time.Hour, "c", 0)), left: map[string]int64{"a": 5}},
	)},
	{"its time is moved", story(
		step{targets: targets(from(time.Hour, "a", 5)), left: map[string]int64{"a": 0}},
		step{targets: targets(from(2*time.Hour, "a", 5)), left: map[string]int64{"a": 0}},
		step{wait: time.Hour, left: map[string]int64{"a": 0}},
		step{targets: targets(from(time.Hour, "a", 5)), want: []line{{grant, "a", 5, 5}}, left: map[string]int64{"a": 5}},
		step{targets: targets(from(3*time.Hour, "a", 7)), left: map[string]int64{"a": 5}},
	)},
	{"pays what is owed when it begins", func(r *rig) {
		r.give("acc", "p", forever("a", 10), from(time.Hour, "b", 10))
		r.spend("h", 6)
		same(r, "claw-back", r.take("p", ledger.PolicyDebt, forever("a", 0)), []line{{back, "a", -10, -6}})
		same(r, "debt", r.account("acc").Ledger.Debt, 6)
		same(r, "available", r.available(), 0)
		r.clock.Move(time.Hour)
		same(r, "available", r.available(), 4)
		same(r, "hold of more", r.hold("i", 5).Outcome, book.HoldRefused)
		r.spend("j", 4)
		same(r, "debt", r.account("acc").Ledger.Debt, 0)
		same(r, "entries", r.wrote(3), []line{{grant, "b", 10, 4}, {spent, "b", -4, 0}})
	}},
	{"pays what is owed, though it ended before anybody looked", func(r *rig) {
		r.give("acc", "p", forever("a", 10), from(time.Hour, "b", 4), from(2*time.Hour, "c", 10))
		r.spend("h", 6)
		same(r, "claw-back", r.take("p", ledger.PolicyDebt, forever("a", 0)), []line{{back, "a", -10, -6}})
		r.clock.Move(2 * time.Hour)
		same(r, "available", r.available(), 8)
		r.spend("i", 8)
		same(r, "available after", r.available(), 0)
		same(r, "entries", r.wrote(3), []line{{grant, "b", 4, -2}, {grant, "c", 10, 8}, {spent, "c", -8, 0}})
	}},
	{"given by another grant from now on", func(r *rig) {
		r.give("acc", "p", from(time.Hour, "b", 10))
		moved := from(time.Hour, "b", 0)
		moved.Into = "c"
		same(r, "entries", len(r.take("p", "", moved, from(time.Hour, "c", 10))), 0)
		r.clock.Move(time.Hour)
		same(r, "available", r.available(), 10)
		r.spend("h", 1)
		same(r, "entries", r.wrote(0), []line{{grant, "c", 10, 10}, {spent, "c", -1, 9}})
	}},
	{"as large as an account may be", story(
		step{targets: targets(forever("a", 10), from(time.Hour, "b", most-10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10, "b": 0}},
		step{targets: targets(forever("a", 11)), err: ledger.ErrRange},
		step{targets: targets(from(time.Hour, "c", 1)), err: ledger.ErrRange},
		step{wait: time.Hour, want: []line{{grant, "b", most - 10, most}}, left: map[string]int64{"a": 10, "b": most - 10}},
	)},
}
