package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/ledger"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// step is one operation of a story: one of its fields, after noon.
type step struct {
	at      time.Duration
	targets []ledger.Target
	hold    string // "id amount", for an hour
	end     string // "id captured"
	want    []string
	outcome ledger.HoldOutcome
}

func target(id string, amount int64) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon}
}

func older(id string, amount int64) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon.Add(-time.Hour)}
}

func expiring(id string, amount int64, after time.Duration) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon, ExpiresAt: noon.Add(after)}
}

// into is a grant whose credits another gives from now on.
func into(id, heir string) ledger.Target {
	return ledger.Target{ID: id, CreatedAt: noon, Into: heir}
}

func set(targets ...ledger.Target) []ledger.Target { return targets }

// do runs one step and describes what it entered.
func (s step) do(t *testing.T, a ledger.Account, policy ledger.Policy) ledger.Account {
	t.Helper()
	var (
		next    ledger.Account
		entries []ledger.Entry
		outcome ledger.HoldOutcome
		err     error
		id      string
		amount  int64
		now     = noon.Add(s.at)
	)
	switch {
	case s.hold != "":
		_, _ = fmt.Sscan(s.hold, &id, &amount)
		next, entries, outcome, err = a.Hold(id, amount, now.Add(time.Hour), now)
	case s.end != "":
		_, _ = fmt.Sscan(s.end, &id, &amount)
		next, entries, outcome, err = a.End(id, amount, now)
	default:
		next, entries, err = a.Apply(s.targets, policy, "evt", now)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %s %d %d", e.Kind, e.Grant, e.Amount, e.Balance))
	}
	if fmt.Sprint(got) != fmt.Sprint(s.want) || outcome != s.outcome {
		t.Errorf("%+v: entries %q, outcome %q", s, got, outcome)
	}
	return next
}

func TestStories(t *testing.T) {
	for name, c := range map[string]struct {
		policy    ledger.Policy
		story     []step
		available int64
		debt      int64
	}{
		"a grant is given once": {story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{targets: set(target("a", 10))},
		}, available: 10},
		"a third is clawed back, then all": {story: []step{
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{targets: set(target("a", 6)), want: []string{"clawback a -3 6"}},
			{targets: set(target("a", 0)), want: []string{"clawback a -6 0"}},
		}},
		"what was taken back can be restored": {story: []step{
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{targets: set(target("a", 0)), want: []string{"clawback a -9 0"}},
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
		}, available: 9},
		"nothing given, nothing entered": {story: []step{{targets: set(target("a", 0))}}},
		"expiry is entered by the next step": {story: []step{
			{targets: set(expiring("a", 9, time.Hour)), want: []string{"grant a 9 9"}},
			{at: time.Hour, targets: set(target("b", 1)), want: []string{"expire a -9 0", "grant b 1 1"}},
		}, available: 1},
		"a grant that comes after its expiry lapses at once": {story: []step{
			{at: time.Hour, targets: set(expiring("a", 9, time.Hour)), want: []string{"grant a 9 9", "expire a -9 0"}},
		}},
		"what lapsed is there again when it runs on after all": {story: []step{
			{targets: set(expiring("a", 9, time.Hour)), want: []string{"grant a 9 9"}},
			{hold: "h 2", outcome: ledger.Held},
			{end: "h 2", outcome: ledger.Ended, want: []string{"capture a -2 7"}},
			{at: time.Hour, targets: set(target("b", 1)), want: []string{"expire a -7 0", "grant b 1 1"}},
			{at: time.Hour, targets: set(expiring("a", 8, 3*time.Hour)), want: []string{"grant a 7 8", "clawback a -1 7"}},
			{at: time.Hour, targets: set(expiring("a", 8, 3*time.Hour))},
		}, available: 7},
		"what is named otherwise is spent only once": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 5"}},
			{targets: set(into("a", "b"), target("b", 10)), want: []string{"clawback a -9 -4", "grant b 10 6"}},
			{targets: set(target("b", 0)), want: []string{"clawback b -6 0"}},
		}, debt: 0},
		"what is held is spent only once, too": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{hold: "h 4", outcome: ledger.Held},
			{hold: "i 5", outcome: ledger.Held},
			{targets: set(into("a", "b"), target("b", 9)), want: []string{"clawback a -9 0", "grant b 9 9"}},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 5"}},
			{end: "i 0", outcome: ledger.Ended},
		}, available: 5},
		"what was forgiven is not given again by another name": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{hold: "h 9", outcome: ledger.Held},
			{end: "h 9", outcome: ledger.Ended, want: []string{"capture a -9 0"}},
			{targets: set(target("a", 0))},
			{targets: set(into("a", "b"), target("b", 0)), want: []string{"clawback a -9 -9", "grant b 9 0"}},
			{targets: set(target("b", 9))},
		}},
		"what is given by another name does not come back": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{hold: "h 9", outcome: ledger.Held},
			{end: "h 9", outcome: ledger.Ended, want: []string{"capture a -9 0"}},
			{targets: set(target("a", 6))},
			{targets: set(into("a", "b"), target("b", 6)), want: []string{"clawback a -6 -6", "clawback a -3 -9", "grant b 3 -6", "grant b 6 0"}},
			{targets: set(target("b", 8))},
			{targets: set(target("b", 10)), want: []string{"grant b 1 1"}},
		}, available: 1},
		"what comes back by another name comes without what was forgiven": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 9), target("c", 4)), want: []string{"grant a 9 9", "grant c 4 13"}},
			{hold: "h 13", outcome: ledger.Held},
			{end: "h 13", outcome: ledger.Ended, want: []string{"capture a -9 4", "capture c -4 0"}},
			{targets: set(target("a", 0))},
			{targets: set(into("a", "b"), target("c", 0), target("b", 9)), want: []string{"clawback a -9 -9", "grant b 9 0"}},
		}},
		"a name that changes beside a refund moves nothing else": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("c", 4)), want: []string{"grant c 4 4"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture c -4 0"}},
			{targets: set(target("a", 9)), want: []string{"grant a 9 9"}},
			{targets: set(into("a", "b"), target("b", 9), target("c", 0)), want: []string{"clawback a -9 0", "grant b 9 9"}},
		}, available: 9},
		"a refund of what lapsed takes nothing more": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(expiring("a", 9, time.Hour), target("b", 5)), want: []string{"grant a 9 9", "grant b 5 14"}},
			{at: 2 * time.Hour, targets: set(expiring("a", 0, time.Hour)), want: []string{"expire a -9 5"}},
		}, available: 5},
		"soonest expiry burns first, then the oldest": {story: []step{
			{targets: set(target("new", 5), older("old", 5), expiring("late", 5, 9*time.Hour), expiring("soon", 5, 3*time.Hour)),
				want: []string{"grant new 5 5", "grant old 5 10", "grant late 5 15", "grant soon 5 20"}},
			{hold: "h 17", outcome: ledger.Held},
			{end: "h 16", outcome: ledger.Ended, want: []string{"capture soon -5 15", "capture late -5 10", "capture old -5 5", "capture new -1 4"}},
		}, available: 4},
		"a release goes back to where it came from": {story: []step{
			{targets: set(expiring("soon", 5, 30*time.Minute), target("b", 5)), want: []string{"grant soon 5 5", "grant b 5 10"}},
			{hold: "h 8", outcome: ledger.Held},
			{end: "h 2", outcome: ledger.Ended, want: []string{"capture soon -2 8"}},
			{at: 30 * time.Minute, targets: set(target("b", 5)), want: []string{"expire soon -3 5"}},
		}, available: 5},
		"a hold ends once": {story: []step{
			{targets: set(target("a", 5)), want: []string{"grant a 5 5"}},
			{hold: "h 3", outcome: ledger.Held},
			{hold: "h 3", outcome: ledger.Held},
			{end: "h 3", outcome: ledger.Ended, want: []string{"capture a -3 2"}},
			{end: "h 3", outcome: ledger.Gone},
			{end: "never 0", outcome: ledger.Gone},
		}, available: 2},
		"a release gives back": {story: []step{
			{targets: set(target("a", 5)), want: []string{"grant a 5 5"}},
			{hold: "h 3", outcome: ledger.Held},
			{hold: "i 3", outcome: ledger.Insufficient},
			{end: "h 0", outcome: ledger.Ended},
			{hold: "i 5", outcome: ledger.Held},
		}},
		"a hold asked for again runs on": {story: []step{
			{targets: set(target("a", 5)), want: []string{"grant a 5 5"}},
			{hold: "h 3", outcome: ledger.Held},
			{at: 30 * time.Minute, hold: "h 3", outcome: ledger.Held},
			{at: 70 * time.Minute, end: "h 3", outcome: ledger.Ended, want: []string{"capture a -3 2"}},
		}, available: 2},
		"a hold asked for again by an earlier clock does not run out sooner": {story: []step{
			{targets: set(target("a", 5)), want: []string{"grant a 5 5"}},
			{at: 30 * time.Minute, hold: "h 3", outcome: ledger.Held},
			{hold: "h 3", outcome: ledger.Held},
			{at: 80 * time.Minute, end: "h 3", outcome: ledger.Ended, want: []string{"capture a -3 2"}},
		}, available: 2},
		"a hold that runs out is released": {story: []step{
			{targets: set(target("a", 5)), want: []string{"grant a 5 5"}},
			{hold: "h 5", outcome: ledger.Held},
			{at: time.Hour, end: "h 5", outcome: ledger.Gone},
		}, available: 5},
		"held credits that come back after expiry lapse": {story: []step{
			{targets: set(expiring("a", 5, time.Minute)), want: []string{"grant a 5 5"}},
			{hold: "h 5", outcome: ledger.Held},
			{at: 2 * time.Minute, end: "h 2", outcome: ledger.Ended, want: []string{"capture a -2 3", "expire a -3 0"}},
		}},
		"what lapsed is counted no further than the largest amount": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(expiring("a", 9, time.Minute), target("b", 9)), want: []string{"grant a 9 9", "grant b 9 18"}},
			{hold: "h 9", outcome: ledger.Held},
			{targets: set(expiring("a", 0, time.Minute)), want: []string{"clawback a -9 9"}},
			{at: time.Minute, end: "h 0", outcome: ledger.Ended, want: []string{"expire a -9 0"}},
			{at: time.Minute, targets: set(expiring("a", ledger.Max, time.Minute)),
				want: []string{fmt.Sprint("grant a ", ledger.Max, ledger.Max), fmt.Sprint("expire a ", -ledger.Max, " 0")}},
			{at: time.Minute, targets: set(expiring("a", 0, time.Minute))},
		}},
		"what was spent is owed, and later credits pay it": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 6"}},
			{targets: set(target("a", 0)), want: []string{"clawback a -10 -4"}},
			{hold: "i 1", outcome: ledger.Insufficient},
			{targets: set(target("b", 3)), want: []string{"grant b 3 -1"}},
			{targets: set(target("c", 3)), want: []string{"grant c 3 2"}},
		}, available: 2},
		"what is owed is paid from what would lapse first": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 6"}},
			{targets: set(target("a", 0)), want: []string{"clawback a -10 -4"}},
			{targets: set(target("late", 5), expiring("soon", 5, time.Minute)), want: []string{"grant late 5 1", "grant soon 5 6"}},
			{at: time.Minute, targets: set(target("late", 5)), want: []string{"expire soon -1 5"}},
		}, available: 5},
		"what was spent is taken from other grants first": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(expiring("a", 10, 9*time.Hour), target("b", 5)), want: []string{"grant a 10 10", "grant b 5 15"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 11"}},
			{targets: set(expiring("a", 0, 9*time.Hour)), want: []string{"clawback a -10 1"}},
		}, available: 1},
		"a dispute won restores exactly": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 6"}},
			{targets: set(target("a", 0)), want: []string{"clawback a -10 -4"}},
			{targets: set(target("a", 10)), want: []string{"grant a 10 6"}},
		}, available: 6},
		"what is held when it is taken back is owed until it comes back": {policy: ledger.PolicyDebt, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 4", outcome: ledger.Held},
			{targets: set(target("a", 0)), want: []string{"clawback a -10 0"}},
			{end: "h 1", outcome: ledger.Ended, want: []string{"capture a -1 -1"}},
		}, debt: 1},
		"under floor what was spent is forgiven": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 10), target("b", 5)), want: []string{"grant a 10 10", "grant b 5 15"}},
			{hold: "h 4", outcome: ledger.Held},
			{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 11"}},
			{targets: set(target("a", 0)), want: []string{"clawback a -6 5"}},
			{targets: set(target("a", 10)), want: []string{"grant a 6 11"}},
		}, available: 11},
		"under floor what only moved to another grant is not forgiven": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 9", outcome: ledger.Held},
			{end: "h 9", outcome: ledger.Ended, want: []string{"capture a -9 1"}},
			{targets: set(target("a", 4), target("b", 3)), want: []string{"clawback a -4 -3", "grant b 3 0"}},
			{targets: set(target("a", 10)), want: []string{"grant a 4 4"}},
		}, available: 4},
		"under floor what moves to a grant that has not begun is forgiven": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 9", outcome: ledger.Held},
			{end: "h 9", outcome: ledger.Ended, want: []string{"capture a -9 1"}},
			{targets: set(target("a", 4), ledger.Target{ID: "b", Amount: 3, StartsAt: noon.Add(24 * time.Hour), CreatedAt: noon}), want: []string{"clawback a -1 0"}},
		}},
		"under floor what is held is taken when it comes back": {policy: ledger.PolicyFloor, story: []step{
			{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
			{hold: "h 4", outcome: ledger.Held},
			{targets: set(target("a", 0)), want: []string{"clawback a -6 4"}},
			{end: "h 1", outcome: ledger.Ended, want: []string{"capture a -1 3", "clawback a -3 0"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var (
				account ledger.Account
				now     = noon
			)
			for _, s := range c.story {
				account = s.do(t, account, c.policy)
				now = noon.Add(s.at)
			}
			if got := account.Available(now); got != c.available || account.Debt != c.debt {
				t.Errorf("available %d, debt %d; want %d, %d", got, account.Debt, c.available, c.debt)
			}
		})
	}
}

func TestOutOfRange(t *testing.T) {
	full, _, err := ledger.Account{}.Apply(set(target("a", ledger.Max)), ledger.PolicyDebt, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	for name, targets := range map[string][]ledger.Target{
		"negative":            {target("b", -1)},
		"above the maximum":   {target("b", ledger.Max+1)},
		"balance above":       {target("b", 1)},
		"second target above": {target("a", ledger.Max-1), target("b", 2)},
	} {
		t.Run(name, func(t *testing.T) {
			after, entries, err := full.Apply(targets, ledger.PolicyDebt, "", noon)
			if !errors.Is(err, ledger.ErrRange) || len(entries) != 0 || after.Seq != full.Seq || after.Available(noon) != ledger.Max {
				t.Errorf("entries %v, error %v, account %+v", entries, err, after)
			}
		})
	}
	for _, amount := range []int64{-1, ledger.Max + 1} {
		if _, _, _, err := full.Hold("h", amount, noon.Add(time.Hour), noon); !errors.Is(err, ledger.ErrRange) {
			t.Errorf("a hold of %d: %v", amount, err)
		}
	}
	held, _, _, err := full.Hold("h", 5, noon.Add(time.Hour), noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, captured := range []int64{-1, 6} {
		if _, _, _, err := held.End("h", captured, noon); !errors.Is(err, ledger.ErrRange) {
			t.Errorf("a capture of %d of 5: %v", captured, err)
		}
	}
}

func TestDebtOutOfRange(t *testing.T) {
	account := ledger.Account{}
	for i, s := range []step{
		{targets: set(target("a", ledger.Max)), want: []string{fmt.Sprint("grant a ", ledger.Max, ledger.Max)}},
		{hold: fmt.Sprint("h ", ledger.Max), outcome: ledger.Held},
		{end: fmt.Sprint("h ", ledger.Max), outcome: ledger.Ended, want: []string{fmt.Sprint("capture a ", -ledger.Max, " 0")}},
		{targets: set(target("b", 5)), want: []string{"grant b 5 5"}},
		{hold: "i 5", outcome: ledger.Held},
		{end: "i 5", outcome: ledger.Ended, want: []string{"capture b -5 0"}},
		{targets: set(target("a", 0)), want: []string{fmt.Sprint("clawback a ", -ledger.Max, -ledger.Max)}},
	} {
		if account = s.do(t, account, ledger.PolicyDebt); t.Failed() {
			t.Fatalf("step %d", i)
		}
	}
	if _, _, err := account.Apply(set(target("b", 4)), ledger.PolicyDebt, "", noon); !errors.Is(err, ledger.ErrRange) {
		t.Errorf("a debt of one more than the largest amount: %v", err)
	}
}

func TestExpiryFollowsTheClock(t *testing.T) {
	account, _, err := ledger.Account{}.Apply(set(expiring("a", 9, time.Hour), target("b", 2)), ledger.PolicyDebt, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]int64{0: 11, time.Hour - 1: 11, time.Hour: 2} {
		if got := account.Available(noon.Add(after)); got != want {
			t.Errorf("available after %v is %d, want %d", after, got, want)
		}
	}
}

// TestInvariants holds the account to the list in the package's doc, over random
// stories.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			account ledger.Account
			now     = noon
			replay  int64
			ofGrant = map[string]int64{} // what its entries add up to
			policy  = rapid.SampledFrom([]ledger.Policy{ledger.PolicyDebt, ledger.PolicyFloor}).Draw(t, "policy")
			holds   = rapid.SampledFrom([]string{"h", "i", "j", "k"})
		)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
			var (
				next    ledger.Account
				entries []ledger.Entry
				err     error
			)
			switch rapid.IntRange(0, 2).Draw(t, "operation") {
			case 0:
				tgt := target(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id"), rapid.Int64Range(0, 20).Draw(t, "amount"))
				if rapid.Bool().Draw(t, "expires") {
					tgt.ExpiresAt = noon.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours")) * time.Hour)
				}
				next, entries, err = account.Apply(set(tgt), policy, "", now)
				if err == nil {
					if _, again, err := next.Apply(set(tgt), policy, "", now); err != nil || len(again) != 0 {
						t.Fatalf("applied twice: %v, %v", again, err)
					}
				}
			case 1:
				amount := rapid.Int64Range(0, 15).Draw(t, "amount")
				had := account.Available(now)
				var outcome ledger.HoldOutcome
				id := holds.Draw(t, "hold")
				_, running := account.Holds[id]
				next, entries, outcome, err = account.Hold(id, amount, now.Add(time.Hour), now)
				if !running && (outcome == ledger.Held) != (amount <= had) {
					t.Fatalf("a hold of %d of %d: %s", amount, had, outcome)
				}
			case 2:
				id := holds.Draw(t, "hold")
				captured := rapid.Int64Range(0, account.Holds[id].Amount()).Draw(t, "captured")
				next, entries, _, err = account.End(id, captured, now)
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range entries {
				replay += e.Amount
				ofGrant[e.Grant] += e.Amount
				if e.Seq != account.Seq+int64(i)+1 || e.Balance != replay || e.Amount == 0 {
					t.Fatalf("entry %+v does not follow from a balance of %d", e, replay-e.Amount)
				}
			}
			account = next
			check(t, account, replay, now)
			for _, g := range account.Grants {
				// Under debt, what one grant owes is paid from others.
				if policy == ledger.PolicyFloor && g.Left+g.Held != ofGrant[g.ID] {
					t.Fatalf("grant %s is %+v, its entries add up to %d", g.ID, g, ofGrant[g.ID])
				}
			}
		}
	})
}

func check(t *rapid.T, a ledger.Account, replay int64, now time.Time) {
	if a.Balance() != replay {
		t.Fatalf("balance %d, entries add up to %d", a.Balance(), replay)
	}
	if a.Debt < 0 || a.Debt > 0 && a.Available(now) > 0 {
		t.Fatalf("debt %d with %d available", a.Debt, a.Available(now))
	}
	held := make(map[string]int64)
	for _, h := range a.Holds {
		for _, p := range h.Parts {
			held[p.Grant] += p.Amount
		}
	}
	for _, g := range a.Grants {
		switch {
		case g.Left < 0, g.Held < 0, g.Lapsed < 0, g.Waived < 0:
			t.Fatalf("grant %s is negative: %+v", g.ID, g)
		case g.Held != held[g.ID]:
			t.Fatalf("grant %s has %d held, its holds %d", g.ID, g.Held, held[g.ID])
		case g.Expired(now) && g.Left != 0:
			t.Fatalf("grant %s has expired with credits left: %+v", g.ID, g)
		case a.Debt > 0 && g.Left > 0:
			t.Fatalf("grant %s has credits while %d are owed", g.ID, a.Debt)
		}
	}
}
