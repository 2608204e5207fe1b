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

// step is one Apply of a story.
type step struct {
	at      time.Duration // after noon
	targets []ledger.Target
	want    []string // "kind grant amount balance" of each new entry
}

func target(id string, amount int64) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon}
}

func expiring(id string, amount int64, after time.Duration) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon, ExpiresAt: noon.Add(after)}
}

func TestApply(t *testing.T) {
	for name, story := range map[string][]step{
		"a grant is given once": {
			{0, []ledger.Target{target("a", 10)}, []string{"grant a 10 10"}},
			{0, []ledger.Target{target("a", 10)}, nil},
		},
		"two grants in one step": {
			{0, []ledger.Target{target("a", 10), target("b", 5)}, []string{"grant a 10 10", "grant b 5 15"}},
		},
		"a third is clawed back, then all": {
			{0, []ledger.Target{target("a", 9)}, []string{"grant a 9 9"}},
			{0, []ledger.Target{target("a", 6)}, []string{"clawback a -3 6"}},
			{0, []ledger.Target{target("a", 0)}, []string{"clawback a -6 0"}},
		},
		"what was taken back can be restored": {
			{0, []ledger.Target{target("a", 9)}, []string{"grant a 9 9"}},
			{0, []ledger.Target{target("a", 0)}, []string{"clawback a -9 0"}},
			{0, []ledger.Target{target("a", 9)}, []string{"grant a 9 9"}},
		},
		"nothing given, nothing entered": {
			{0, []ledger.Target{target("a", 0)}, nil},
		},
		"expiry is entered by the next step": {
			{0, []ledger.Target{expiring("a", 9, time.Hour)}, []string{"grant a 9 9"}},
			{time.Hour, []ledger.Target{target("b", 1)}, []string{"expire a -9 0", "grant b 1 1"}},
		},
		"a grant that comes after its expiry lapses at once": {
			{time.Hour, []ledger.Target{expiring("a", 9, time.Hour)}, []string{"grant a 9 9", "expire a -9 0"}},
		},
		"a refund of what lapsed takes nothing more": {
			{0, []ledger.Target{expiring("a", 9, time.Hour), target("b", 5)}, []string{"grant a 9 9", "grant b 5 14"}},
			{2 * time.Hour, []ledger.Target{expiring("a", 0, time.Hour)}, []string{"expire a -9 5"}},
			{2 * time.Hour, []ledger.Target{expiring("a", 0, time.Hour)}, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var account ledger.Account
			for i, s := range story {
				next, entries, err := account.Apply(s.targets, "evt", noon.Add(s.at))
				if err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
				got := make([]string, len(entries))
				for j, e := range entries {
					got[j] = fmt.Sprintf("%s %s %d %d", e.Kind, e.Grant, e.Amount, e.Balance)
					if e.Seq != account.Seq+int64(j)+1 || e.Cause != "evt" || !e.At.Equal(noon.Add(s.at)) {
						t.Errorf("step %d: entry %+v", i, e)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(s.want) {
					t.Errorf("step %d: entries %q, want %q", i, got, s.want)
				}
				account = next
			}
		})
	}
}

func TestApplyOutOfRange(t *testing.T) {
	full, _, err := ledger.Account{}.Apply([]ledger.Target{target("a", ledger.Max)}, "", noon)
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
			after, entries, err := full.Apply(targets, "", noon)
			if !errors.Is(err, ledger.ErrRange) || len(entries) != 0 {
				t.Fatalf("entries %v, error %v", entries, err)
			}
			if after.Seq != full.Seq || after.Balance(noon) != ledger.Max || len(after.Grants) != 1 {
				t.Errorf("the refusal changed the account: %+v", after)
			}
		})
	}
}

func TestExpiryFollowsTheClock(t *testing.T) {
	account, _, err := ledger.Account{}.Apply([]ledger.Target{expiring("a", 9, time.Hour), target("b", 2)}, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]int64{0: 11, time.Hour - 1: 11, time.Hour: 2} {
		if got := account.Balance(noon.Add(after)); got != want {
			t.Errorf("balance after %v is %d, want %d", after, got, want)
		}
	}
}

// TestInvariants holds the account to the list in the package's doc, over random
// stories in which the clock also stands still and grants come late.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			account ledger.Account
			now     = noon
			replay  int64
		)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			var targets []ledger.Target
			for range rapid.IntRange(0, 3).Draw(t, "targets") {
				tgt := target(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id"), rapid.Int64Range(0, 20).Draw(t, "amount"))
				if rapid.Bool().Draw(t, "expires") {
					tgt.ExpiresAt = noon.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "hours")) * time.Hour)
				}
				targets = append(targets, tgt)
			}
			next, entries, err := account.Apply(targets, "", now)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range entries {
				replay += e.Amount
				if e.Seq != account.Seq+int64(i)+1 || e.Balance != replay || e.Amount == 0 {
					t.Fatalf("entry %+v does not follow from a balance of %d", e, replay-e.Amount)
				}
			}
			if next.Balance(now) != replay {
				t.Fatalf("balance %d, entries add up to %d", next.Balance(now), replay)
			}
			for id, g := range next.Grants {
				if g.Left < 0 || g.Lapsed < 0 || g.Left+g.Lapsed > g.Amount || (g.Expired(now) && g.Left != 0) {
					t.Fatalf("grant %s: %+v", id, g)
				}
			}
			if again, more, err := next.Apply(targets[max(0, len(targets)-1):], "", now); err != nil || len(more) != 0 || again.Seq != next.Seq {
				t.Fatalf("the last target was applied twice: %v, %v", more, err)
			}
			account = next
		}
	})
}
