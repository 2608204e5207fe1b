package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/ledger"
)

// TestMonthsBegin: at every time, the grants that began by then are all that was given,
// and no hold spends of one that has not begun.
func TestMonthsBegin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const month = time.Hour
		months := rapid.IntRange(1, 24).Draw(t, "months")
		amount := rapid.Int64Range(1, 1000).Draw(t, "credits")
		var targets []ledger.Target
		for k := range months {
			m := target(fmt.Sprint("month", k), amount)
			m.CreatedAt = noon.Add(time.Duration(k) * month)
			if k > 0 {
				m.StartsAt = m.CreatedAt
			}
			targets = append(targets, m)
		}
		a, _, err := ledger.Account{}.Apply(targets, ledger.PolicyDebt, "evt", noon)
		if err != nil {
			t.Fatal(err)
		}
		var spent int64
		now := noon
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(3*month)).Draw(t, "wait")))
			begun := min(int64(now.Sub(noon)/month)+1, int64(months))
			if got, want := a.Available(now), begun*amount-spent; got != want {
				t.Fatalf("%d available with %d months begun, want %d", got, begun, want)
			}
			wants := rapid.Int64Range(0, 2*amount).Draw(t, "wants")
			id := fmt.Sprint("h", i)
			next, _, outcome, err := a.Hold(id, wants, now.Add(month), now)
			if err != nil || (outcome == ledger.Held) != (wants <= begun*amount-spent) {
				t.Fatalf("hold of %d with %d months begun and %d spent: %s, %v", wants, begun, spent, outcome, err)
			}
			if outcome != ledger.Held {
				continue
			}
			for _, p := range next.Holds[id].Parts {
				if g := next.Grants.At(p.Grant); now.Before(g.CreatedAt) {
					t.Fatalf("it took %d from %+v", p.Amount, g)
				}
			}
			if a, _, _, err = next.End(id, wants, now); err != nil {
				t.Fatal(err)
			}
			spent += wants
			if a.Balance() != begun*amount-spent {
				t.Fatalf("the balance is %d with %d months begun and %d spent", a.Balance(), begun, spent)
			}
		}
	})
}

// TestTakenBackWhileWaiting: what has not begun is taken back first, and costs no debt
// under either policy.
func TestTakenBackWhileWaiting(t *testing.T) {
	for _, policy := range []ledger.Policy{ledger.PolicyDebt, ledger.PolicyFloor} {
		waits := target("a", 10)
		waits.StartsAt = noon.Add(time.Hour)
		a, entries, err := ledger.Account{}.Apply(set(waits), policy, "evt", noon)
		if err != nil || len(entries) != 0 {
			t.Fatalf("given: %v, %v", entries, err)
		}
		waits.Amount = 4
		a, entries, err = a.Apply(set(waits), policy, "evt", noon)
		if g := a.Grants.At("a"); err != nil || len(entries) != 0 || a.Debt != 0 || g.Waiting != 4 || g.Waived != 0 {
			t.Fatalf("taken back under %s: %+v, %v, %v", policy, a, entries, err)
		}
	}
}
