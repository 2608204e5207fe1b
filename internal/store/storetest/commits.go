package storetest

import (
	"bytes"
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// step is one commit of a story about one object.
type step struct {
	wait    time.Duration // before it
	targets []ledger.Target
	want    []line
	left    map[string]int64 // of the live grants, after it
	err     error
}

// story runs steps as commits of one object of one account.
func story(steps ...step) func(*rig) {
	return func(r *rig) {
		version := int64(0)
		for i, s := range steps {
			r.clock.Move(s.wait)
			before, entered := r.account("acc"), r.entries("acc")
			done, err := r.Commit(r.ctx(), book.Commit{
				Account: "acc", Object: payment("pay_1"), Version: version, State: []byte(`{"n":1}`),
				Effect: entitlement.Effect{Grants: s.targets}, Cause: "evt_1",
			})
			if !errors.Is(err, s.err) || (err != nil) != (s.err != nil) {
				r.Fatalf("step %d: error %v, want %v", i, err, s.err)
			}
			if err != nil {
				same(r, "account after the error", r.account("acc"), before)
				same(r, "entries after the error", r.entries("acc"), entered)
				same(r, "version after the error", r.object("acc", payment("pay_1")).Version, version)
				continue
			}
			version++
			same(r, "entries returned", lines(done.Entries), s.want)
			same(r, "ledger", r.entries("acc"), append(entered, done.Entries...))
			same(r, "left", left(r.account("acc")), s.left)
			same(r, "version", r.object("acc", payment("pay_1")).Version, version)
			r.audit("acc")
		}
	}
}

// start is the time of a rig's clock when it begins, as the stores write it.
var start = NewClock().Now().Truncate(time.Millisecond)

func forever(id string, amount int64) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: start.Add(-time.Hour)}
}

// until is a target that expires so long after the clock's beginning.
func until(d time.Duration, id string, amount int64) ledger.Target {
	t := forever(id, amount)
	t.ExpiresAt = start.Add(d)
	return t
}

// into takes a grant back because heir gives its credits.
func into(heir, id string, amount int64) ledger.Target {
	t := forever(id, amount)
	t.Into = heir
	return t
}

func targets(ts ...ledger.Target) []ledger.Target { return ts }

const (
	grant = ledger.KindGrant
	back  = ledger.KindClawBack
	lapse = ledger.KindExpire
)

var commitTests = []test{
	{"a grant is given", story(
		step{targets: targets(forever("a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
	)},
	{"the same target again adds nothing", story(
		step{targets: targets(forever("a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{targets: targets(forever("a", 10)), left: map[string]int64{"a": 10}},
	)},
	{"no target at all", story(
		step{left: map[string]int64{}},
		step{targets: targets(forever("a", 1)), want: []line{{grant, "a", 1, 1}}, left: map[string]int64{"a": 1}},
		step{left: map[string]int64{"a": 1}},
	)},
	{"raised, clawed back, taken back, given again", story(
		step{targets: targets(forever("a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{targets: targets(forever("a", 15)), want: []line{{grant, "a", 5, 15}}, left: map[string]int64{"a": 15}},
		step{targets: targets(forever("a", 4)), want: []line{{back, "a", -11, 4}}, left: map[string]int64{"a": 4}},
		step{targets: targets(forever("a", 0)), want: []line{{back, "a", -4, 0}}, left: map[string]int64{}},
		step{targets: targets(forever("a", 0)), left: map[string]int64{}},
		step{targets: targets(forever("a", 7)), want: []line{{grant, "a", 7, 7}}, left: map[string]int64{"a": 7}},
	)},
	{"an unknown grant at nothing", story(
		step{targets: targets(forever("a", 0)), left: map[string]int64{}},
	)},
	{"entries in the order of the targets", story(
		step{targets: targets(forever("b", 1), forever("a", 2)), want: []line{{grant, "b", 1, 1}, {grant, "a", 2, 3}},
			left: map[string]int64{"a": 2, "b": 1}},
		step{targets: targets(forever("b", 0), forever("a", 5), forever("c", 1)),
			want: []line{{back, "b", -1, 2}, {grant, "a", 3, 5}, {grant, "c", 1, 6}},
			left: map[string]int64{"a": 5, "c": 1}},
	)},
	{"one grant twice in a commit", story(
		step{targets: targets(forever("a", 10), forever("a", 3)), want: []line{{grant, "a", 10, 10}, {back, "a", -7, 3}},
			left: map[string]int64{"a": 3}},
		step{targets: targets(forever("a", 0), forever("a", 2)), want: []line{{back, "a", -3, 0}, {grant, "a", 2, 2}},
			left: map[string]int64{"a": 2}},
	)},
	{"lapses at the instant of its expiry", story(
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{wait: time.Hour - time.Millisecond, left: map[string]int64{"a": 10}},
		step{wait: time.Millisecond, want: []line{{lapse, "a", -10, 0}}, left: map[string]int64{}},
		step{wait: time.Hour, left: map[string]int64{}},
	)},
	{"lapses before the targets, in the order of bytes", story(
		step{targets: targets(until(1, "b", 1), until(1, "a/1", 2), until(1, "\xff", 3), until(1, "é", 4), until(1, "B", 5), until(1, "a", 6)),
			want: []line{{grant, "b", 1, 1}, {grant, "a/1", 2, 3}, {grant, "\xff", 3, 6}, {grant, "é", 4, 10}, {grant, "B", 5, 15}, {grant, "a", 6, 21},
				{lapse, "B", -5, 16}, {lapse, "a", -6, 10}, {lapse, "a/1", -2, 8}, {lapse, "b", -1, 7}, {lapse, "é", -4, 3}, {lapse, "\xff", -3, 0}},
			left: map[string]int64{}},
		step{targets: targets(until(time.Hour, "z", 1), until(time.Hour, "y", 1)), want: []line{{grant, "z", 1, 1}, {grant, "y", 1, 2}},
			left: map[string]int64{"y": 1, "z": 1}},
		step{wait: 2 * time.Hour, targets: targets(forever("x", 1)), want: []line{{lapse, "y", -1, 1}, {lapse, "z", -1, 0}, {grant, "x", 1, 1}},
			left: map[string]int64{"x": 1}},
	)},
	{"arrives after its expiry", story(
		step{targets: targets(until(-time.Hour, "a", 10)), want: []line{{grant, "a", 10, 10}, {lapse, "a", -10, 0}}, left: map[string]int64{}},
	)},
	{"clawed back after it lapsed, nothing is owed", story(
		step{targets: targets(until(time.Hour, "a", 10), forever("b", 1)), want: []line{{grant, "a", 10, 10}, {grant, "b", 1, 11}},
			left: map[string]int64{"a": 10, "b": 1}},
		step{wait: 2 * time.Hour, targets: targets(until(time.Hour, "a", 4)), want: []line{{lapse, "a", -10, 1}}, left: map[string]int64{"b": 1}},
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{grant, "a", 6, 7}, {lapse, "a", -6, 1}}, left: map[string]int64{"b": 1}},
	)},
	{"clawed back from what is left and then from what lapsed", story(
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{wait: 2 * time.Hour, want: []line{{lapse, "a", -10, 0}}, left: map[string]int64{}},
		step{targets: targets(until(time.Hour, "a", 15), until(time.Hour, "a", 3)), want: []line{{grant, "a", 5, 5}, {back, "a", -5, 0}},
			left: map[string]int64{}},
		step{targets: targets(until(time.Hour, "a", 0)), left: map[string]int64{}},
		step{targets: targets(forever("a", 5)), want: []line{{grant, "a", 5, 5}}, left: map[string]int64{"a": 5}},
	)},
	{"an expiry is moved", story(
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{targets: targets(until(3*time.Hour, "a", 10)), left: map[string]int64{"a": 10}},
		step{wait: 2 * time.Hour, left: map[string]int64{"a": 10}},
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{lapse, "a", -10, 0}}, left: map[string]int64{}},
		step{targets: targets(forever("a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{targets: targets(forever("a", 10)), left: map[string]int64{"a": 10}},
	)},
	{"what is left when the expiry is moved can be taken back", story(
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{wait: 2 * time.Hour, targets: targets(until(3*time.Hour, "a", 4)), want: []line{{lapse, "a", -10, 0}, {grant, "a", 10, 10}, {back, "a", -6, 4}},
			left: map[string]int64{"a": 4}},
	)},
	{"the clock goes back", story(
		step{targets: targets(until(time.Hour, "a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{wait: 2 * time.Hour, want: []line{{lapse, "a", -10, 0}}, left: map[string]int64{}},
		step{wait: -2 * time.Hour, targets: targets(until(time.Hour, "a", 12)), want: []line{{grant, "a", 10, 10}, {grant, "a", 2, 12}},
			left: map[string]int64{"a": 12}},
	)},
	{"another grant gives the same", story(
		step{targets: targets(forever("a", 10)), want: []line{{grant, "a", 10, 10}}, left: map[string]int64{"a": 10}},
		step{targets: targets(into("b", "a", 0), forever("b", 12)), want: []line{{back, "a", -10, 0}, {grant, "b", 12, 12}},
			left: map[string]int64{"b": 12}},
		step{targets: targets(into("b", "a", 0), forever("b", 12)), left: map[string]int64{"b": 12}},
	)},
	{"versions", versions},
	{"a conflict changes nothing", conflict},
	{"objects of one account do not share versions", func(r *rig) {
		r.give("acc", "pay_1", forever("a", 1))
		r.give("acc", "pay_2", forever("b", 1))
		other := entitlement.Ref{Kind: entitlement.KindSignup, ID: "pay_1"}
		same(r, "version of another kind", r.object("acc", other).Version, 0)
		same(r, "version in another account", r.object("acc2", payment("pay_1")).Version, 0)
	}},
	{"times are kept in UTC milliseconds", func(r *rig) {
		zone := time.FixedZone("east", 3600)
		at := time.Date(2030, 5, 6, 7, 8, 9, 1_999_999, zone)
		r.give("acc", "pay_1", ledger.Target{ID: "a", Amount: 3, ExpiresAt: at, CreatedAt: at.Add(-time.Hour)})
		want := at.UTC().Truncate(time.Millisecond)
		same(r, "grant", r.account("acc").Ledger.Grants.At("a"),
			ledger.Grant{ID: "a", Amount: 3, Left: 3, ExpiresAt: want, CreatedAt: want.Add(-time.Hour)})
		r.give("acc", "pay_2", ledger.Target{ID: "b", Amount: 1})
		same(r, "grant without times", r.account("acc").Ledger.Grants.At("b"), ledger.Grant{ID: "b", Amount: 1, Left: 1})
	}},
	{"an account that was never written is empty", func(r *rig) {
		a := r.account("nobody")
		if a.Ledger.Seq != 0 || len(a.Ledger.Grants) != 0 || len(a.Standings) != 0 {
			r.Fatalf("account is %+v", a)
		}
		o := r.object("nobody", payment("pay_1"))
		if o.Version != 0 || o.State != nil {
			r.Fatalf("object is %+v", o)
		}
		same(r, "entries", len(r.entries("nobody")), 0)
	}},
}

func versions(r *rig) {
	c := book.Commit{Account: "acc", Object: payment("pay_1")}
	for _, state := range []string{`{"n":1}`, `[]`, ``, "{\"text\":\"é\\u0000\x00\xff\"}"} {
		c.State = []byte(state)
		r.commit(c)
		c.Version++
		o := r.object("acc", c.Object)
		if o.Version != c.Version || !bytes.Equal(o.State, []byte(state)) {
			r.Fatalf("after commit %d of %q: object is %+v", c.Version, state, o)
		}
	}
	for i := range c.State {
		c.State[i] = 'x' // the store must not keep the caller's memory
	}
	if o := r.object("acc", c.Object); bytes.Equal(o.State, c.State) {
		r.Fatal("the state changed with the caller's slice")
	}
}

func conflict(r *rig) {
	r.createOpened("acc", "ord_1")
	first := book.Commit{
		Account: "acc", Object: payment("pay_1"), State: []byte(`{"n":1}`), Cause: "evt_1",
		Effect: entitlement.Effect{
			Grants:   targets(until(time.Hour, "a", 10)),
			Standing: entitlement.Standing{Paid: true, PaidAt: start},
		},
	}
	r.commit(first)
	r.clock.Move(2 * time.Hour) // so that the grant would lapse
	for _, version := range []int64{0, 2, -1, 1 << 53, 1<<63 - 1} {
		before, entered, object := r.account("acc"), r.entries("acc"), r.object("acc", first.Object)
		c := book.Commit{
			Account: "acc", Object: first.Object, Version: version, State: []byte(`{"n":2}`), Cause: "evt_2",
			Effect: entitlement.Effect{Grants: targets(forever("b", 5))},
			Order:  &book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_1"},
		}
		if _, err := r.Commit(r.ctx(), c); !errors.Is(err, store.ErrConflict) {
			r.Fatalf("commit at version %d of an object at 1: %v", version, err)
		}
		same(r, "account", r.account("acc"), before)
		same(r, "entries", r.entries("acc"), entered)
		same(r, "object", r.object("acc", first.Object), object)
		same(r, "order's state", r.order("acc", "ord_1").State, book.OrderOpen)
	}
	if _, err := r.Commit(r.ctx(), first); !errors.Is(err, store.ErrConflict) {
		r.Fatalf("a repeat of a commit that went through: %v", err)
	}
}
