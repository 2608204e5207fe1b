package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

func starting(id string, amount int64, after time.Duration) ledger.Target {
	return ledger.Target{ID: id, Amount: amount, CreatedAt: noon, StartsAt: noon.Add(after)}
}

// startingUntil also expires.
func startingUntil(id string, amount int64, after, end time.Duration) ledger.Target {
	t := starting(id, amount, after)
	t.ExpiresAt = noon.Add(end)
	return t
}

// tell plays a story to its end.
func tell(t *testing.T, policy ledger.Policy, story ...step) (account ledger.Account) {
	t.Helper()
	for _, s := range story {
		account = s.do(t, account, policy)
	}
	return account
}

// inDebt is an account that owes 5 credits.
func inDebt(t *testing.T) ledger.Account {
	t.Helper()
	return tell(t, ledger.PolicyDebt,
		step{targets: set(target("spent", 5)), want: []string{"grant spent 5 5"}},
		step{hold: "x 5", outcome: ledger.Held},
		step{end: "x 5", outcome: ledger.Ended, want: []string{"capture spent -5 0"}},
		step{targets: set(target("spent", 0)), want: []string{"clawback spent -5 -5"}})
}

// TestAtTheInstant: what begins or ends has done so at its instant, and not a millisecond
// before. Instants count in whole milliseconds.
func TestAtTheInstant(t *testing.T) {
	const ms = time.Millisecond
	waits := tell(t, ledger.PolicyDebt, step{targets: set(starting("a", 9, time.Hour))})
	ends := tell(t, ledger.PolicyDebt, step{targets: set(expiring("a", 9, time.Hour)), want: []string{"grant a 9 9"}})
	holds := tell(t, ledger.PolicyDebt, step{targets: set(target("a", 9)), want: []string{"grant a 9 9"}}, step{hold: "h 9", outcome: ledger.Held})
	passes := tell(t, ledger.PolicyDebt, step{targets: set(startingUntil("a", 9, time.Hour, time.Hour+ms))})
	for name, c := range map[string]struct {
		account ledger.Account
		after   time.Duration
		want    int64
	}{
		"before it begins":                         {waits, time.Hour - ms, 0},
		"when it begins":                           {waits, time.Hour, 9},
		"before it expires":                        {ends, time.Hour - ms, 9},
		"when it expires":                          {ends, time.Hour, 0},
		"before the hold runs out":                 {holds, time.Hour - ms, 0},
		"when the hold runs out":                   {holds, time.Hour, 9},
		"in its only millisecond":                  {passes, time.Hour, 9},
		"after its only millisecond":               {passes, time.Hour + ms, 0},
		"in the last microsecond before it begins": {waits, time.Hour - time.Microsecond, 0},
	} {
		t.Run(name, func(t *testing.T) {
			now := noon.Add(c.after)
			if got := c.account.Available(now); got != c.want {
				t.Errorf("%d are available, want %d", got, c.want)
			}
			for amount, want := range map[int64]ledger.HoldOutcome{c.want: ledger.Held, c.want + 1: ledger.Insufficient} {
				if _, _, got, err := c.account.Hold("new", amount, now.Add(time.Hour), now); got != want || err != nil {
					t.Errorf("a hold of %d: %s, %v", amount, got, err)
				}
			}
		})
	}
	within := target("a", 9)
	within.ExpiresAt, within.StartsAt, within.CreatedAt = noon.Add(time.Hour+700*time.Microsecond), noon.Add(time.Minute+700*time.Microsecond), noon.Add(700*time.Microsecond)
	a := tell(t, ledger.PolicyDebt, step{targets: set(within)})
	if g := a.Grants.At("a"); !g.ExpiresAt.Equal(noon.Add(time.Hour)) || !g.StartsAt.Equal(noon.Add(time.Minute)) || !g.CreatedAt.Equal(noon) {
		t.Errorf("parts of a millisecond are kept: %+v", g)
	}
}

// TestDebtAndTime: what begins pays debt at that instant, also if nobody looked before it
// expired. What waits pays nothing.
func TestDebtAndTime(t *testing.T) {
	for name, c := range map[string]struct {
		targets         []ledger.Target
		after           time.Duration
		available, owed int64
	}{
		"nothing comes":                             {nil, time.Hour, 0, 5},
		"it has not begun":                          {set(starting("a", 8, time.Hour)), time.Hour - 1, 0, 5},
		"it begins":                                 {set(starting("a", 8, time.Hour)), time.Hour, 3, 0},
		"as much as is owed begins":                 {set(starting("a", 5, time.Hour)), time.Hour, 0, 0},
		"less begins":                               {set(starting("a", 4, time.Hour)), time.Hour, 0, 1},
		"it began and expired":                      {set(startingUntil("a", 8, time.Hour, 2*time.Hour)), 3 * time.Hour, 0, 0},
		"it began and expired, and another began":   {set(startingUntil("a", 8, time.Hour, 2*time.Hour), starting("b", 9, 3*time.Hour)), 3 * time.Hour, 9, 0},
		"less began and expired":                    {set(startingUntil("a", 2, time.Hour, 2*time.Hour)), 2 * time.Hour, 0, 3},
		"two begin, of which one expires that time": {set(startingUntil("a", 3, time.Hour, 2*time.Hour), starting("b", 9, 2*time.Hour)), 2 * time.Hour, 7, 0},
	} {
		t.Run(name, func(t *testing.T) {
			account, _, err := inDebt(t).Apply(c.targets, ledger.PolicyDebt, "evt", noon)
			if err != nil {
				t.Fatal(err)
			}
			now := noon.Add(c.after)
			at := account.At(now)
			for what, a := range map[string]ledger.Account{"as it was": account, "as the next change finds it": at} {
				if available, owed := a.AvailableOrOwed(now); available != c.available || owed != c.owed {
					t.Errorf("%s, %d are available and %d owed; want %d, %d", what, available, owed, c.available, c.owed)
				}
			}
			if at.Debt != c.owed || at.Seq != account.Seq {
				t.Errorf("the next change finds a debt of %d at entry %d of %d; want %d", at.Debt, at.Seq, account.Seq, c.owed)
			}
		})
	}
}

// TestBackFromExpiry: what lapsed and runs on after all pays debt first, before anything
// else of the grant changes.
func TestBackFromExpiry(t *testing.T) {
	story := []step{
		{targets: set(expiring("a", 7, time.Minute), target("spent", 5)), want: []string{"grant a 7 7", "grant spent 5 12"}},
		{hold: "h 12", outcome: ledger.Held},
		{targets: set(expiring("a", 7, time.Minute), target("spent", 0)), want: []string{"clawback spent -5 7"}},
	}
	account := tell(t, ledger.PolicyDebt, append(story,
		step{at: time.Minute, end: "h 0", outcome: ledger.Ended, want: []string{"expire a -2 5"}})...)
	// The 7 came back and paid the debt of 5, and 2 lapsed; 5 came back to the other grant.
	for _, g := range account.Grants {
		if want := map[string]string{"a": "0 2", "spent": "5 0"}[g.ID]; fmt.Sprint(g.Left, g.Lapsed) != want {
			t.Errorf("%s has %d left and %d lapsed, want %s", g.ID, g.Left, g.Lapsed, want)
		}
	}
	again := step{at: time.Minute, targets: set(expiring("a", 0, time.Hour)), want: []string{"grant a 2 7", "clawback a -7 0"}}.do(t, account, ledger.PolicyDebt)
	if got := again.Available(noon.Add(time.Minute)); got != 0 || again.Debt != 0 {
		t.Errorf("%d are available and %d owed", got, again.Debt)
	}
}

// TestLapsedTwice: what lapses at different times adds up, and is taken back once.
func TestLapsedTwice(t *testing.T) {
	account := tell(t, ledger.PolicyDebt,
		step{targets: set(expiring("a", 9, time.Minute)), want: []string{"grant a 9 9"}},
		step{hold: "h 4", outcome: ledger.Held},
		step{at: time.Minute, targets: set(target("b", 1)), want: []string{"expire a -5 4", "grant b 1 5"}},
		step{at: 2 * time.Minute, end: "h 1", outcome: ledger.Ended, want: []string{"capture a -1 4", "expire a -3 1"}},
		step{at: 3 * time.Minute, targets: set(expiring("a", 4, time.Minute))},
		step{at: 3 * time.Minute, targets: set(expiring("a", 1, time.Minute))},
		step{at: 3 * time.Minute, targets: set(expiring("a", 0, time.Minute)), want: []string{"clawback a -1 0"}})
	if g := account.Grants.At("a"); g.Lapsed != 0 || g.Left != 0 {
		t.Errorf("there is %+v", g)
	}
}

// TestTakenBackBeforeWhatIsLeft: of a grant that gives some credits now and more later, the
// later ones are taken back first.
func TestTakenBackBeforeWhatIsLeft(t *testing.T) {
	account := tell(t, ledger.PolicyDebt,
		step{targets: set(target("a", 4)), want: []string{"grant a 4 4"}},
		step{targets: set(starting("a", 10, time.Hour))},
		step{targets: set(starting("a", 7, time.Hour))})
	if g := account.Grants.At("a"); g.Left != 4 || g.Waiting != 3 || !g.StartsAt.Equal(noon.Add(time.Hour)) {
		t.Fatalf("taken from %+v", g)
	}
	account = tell(t, ledger.PolicyDebt,
		step{targets: set(target("a", 4)), want: []string{"grant a 4 4"}},
		step{targets: set(starting("a", 10, time.Hour))},
		step{targets: set(starting("a", 3, time.Hour)), want: []string{"clawback a -1 3"}})
	if g := account.Grants.At("a"); g.Left != 3 || g.Waiting != 0 || !g.StartsAt.IsZero() {
		t.Errorf("taken from %+v", g)
	}
}

// TestForgivenAndTime: what policy floor forgave is not given again by a grant that begins
// later, and not by another name while it is held.
func TestForgivenAndTime(t *testing.T) {
	spent := []step{
		{targets: set(target("a", 10)), want: []string{"grant a 10 10"}},
		{hold: "h 4", outcome: ledger.Held},
	}
	account := tell(t, ledger.PolicyFloor, append(spent,
		step{end: "h 4", outcome: ledger.Ended, want: []string{"capture a -4 6"}},
		step{targets: set(target("a", 0)), want: []string{"clawback a -6 0"}},
		step{targets: set(starting("a", 10, time.Hour))})...)
	if g := account.Grants.At("a"); g.Waiting != 6 || g.Waived != 0 {
		t.Errorf("it will give %+v", g)
	}
	account = tell(t, ledger.PolicyFloor, append(spent,
		step{targets: set(target("a", 0)), want: []string{"clawback a -6 4"}},
		step{targets: set(into("a", "b"), target("b", 3)), want: []string{"grant b 3 7"}},
		step{end: "h 0", outcome: ledger.Ended, want: []string{"clawback a -4 3"}})...)
	if got := account.Available(noon); got != 3 {
		t.Errorf("%d are available", got)
	}
}

// TestRenamedBeforeItBegins: what waits has not been spent by anybody, so that it leaves
// everything that moves to others.
func TestRenamedBeforeItBegins(t *testing.T) {
	account := tell(t, ledger.PolicyFloor,
		step{targets: set(target("c", 4), starting("a", 9, time.Hour)), want: []string{"grant c 4 4"}},
		step{hold: "h 4", outcome: ledger.Held},
		step{end: "h 4", outcome: ledger.Ended, want: []string{"capture c -4 0"}},
		step{targets: set(into("a", "b"), target("c", 0), target("b", 9)), want: []string{"clawback c -4 -4", "grant b 9 5"}})
	if got := account.Available(noon); got != 5 {
		t.Errorf("%d are available", got)
	}
}

// TestRoom: no amount leaves the range, also once all that waits has begun and before debt
// is paid; and what is in the range is not refused.
func TestRoom(t *testing.T) {
	const half = ledger.Max/2 + 1
	all := fmt.Sprint(ledger.Max)
	owesAll := tell(t, ledger.PolicyDebt,
		step{targets: set(target("b", 10), expiring("c", 10, time.Hour)), want: []string{"grant b 10 10", "grant c 10 20"}},
		step{targets: set(expiring("c", 0, time.Hour)), want: []string{"clawback c -10 10"}},
		step{hold: "h 10", outcome: ledger.Held},
		step{targets: set(target("b", 0), target("c", 10)), want: []string{"clawback b -10 0", "grant c 10 10"}},
		step{end: "h 0", outcome: ledger.Ended}) // b has 10 left that its fact gives no more, because c paid for it
	for name, c := range map[string]struct {
		account ledger.Account
		targets []ledger.Target
		fits    bool
	}{
		"as much as there may be, later":         {ledger.Account{}, set(starting("a", ledger.Max, time.Hour)), true},
		"two halves, later":                      {ledger.Account{}, set(starting("a", half, time.Hour), starting("b", half, 2*time.Hour)), false},
		"some now beside all of it later":        {ledger.Account{}, set(starting("a", ledger.Max, time.Hour), target("b", 1)), false},
		"all but one later, and one now":         {ledger.Account{}, set(starting("a", ledger.Max-1, time.Hour), target("b", 1)), true},
		"beside what is left":                    {owesAll, set(target("a", ledger.Max-10)), true},
		"beside what is left, and one more":      {owesAll, set(target("a", ledger.Max-9)), false},
		"of a grant that has more than it gives": {owesAll, set(target("b", ledger.Max-10)), true},
		"of such a grant, and one more":          {owesAll, set(target("b", ledger.Max-9)), false},
	} {
		t.Run(name, func(t *testing.T) {
			after, _, err := c.account.Apply(c.targets, ledger.PolicyDebt, "evt", noon)
			if (err == nil) != c.fits || err != nil && !errors.Is(err, ledger.ErrRange) {
				t.Errorf("%v; %+v", err, after)
			}
		})
	}
	t.Run("one more than there may be, after all was spent", func(t *testing.T) {
		account, _, err := ledger.Account{}.Apply(set(target("a", ledger.Max)), ledger.PolicyDebt, "evt", noon)
		if err != nil {
			t.Fatal(err)
		}
		account = step{hold: "h " + all, outcome: ledger.Held}.do(t, account, ledger.PolicyDebt)
		account = step{end: "h " + all, outcome: ledger.Ended, want: []string{"capture a -" + all + " 0"}}.do(t, account, ledger.PolicyDebt)
		if _, _, err := account.Apply(set(target("a", ledger.Max+1)), ledger.PolicyDebt, "evt", noon); !errors.Is(err, ledger.ErrRange) {
			t.Errorf("a grant amounts to more than %s: %v", all, err)
		}
	})
	t.Run("what is left of a grant, before debt is paid", func(t *testing.T) {
		spent := expiring("a", ledger.Max-10, time.Hour)
		account, _, err := owesAll.Apply(set(spent), ledger.PolicyDebt, "evt", noon)
		if err != nil {
			t.Fatal(err)
		}
		held := step{hold: fmt.Sprint("i ", ledger.Max-10), outcome: ledger.Held}.do(t, account, ledger.PolicyDebt)
		account, _, _, err = held.End("i", ledger.Max-10, noon)
		if err != nil {
			t.Fatal(err)
		}
		spent.Amount = 0
		if _, _, err := account.Apply(set(spent, target("b", ledger.Max)), ledger.PolicyDebt, "evt", noon); !errors.Is(err, ledger.ErrRange) {
			t.Errorf("a grant had more than %s left: %v", all, err)
		}
	})
}

// TestBurnOrderOfEquals: grants of the same age and expiry are spent in the order of their
// names, however many there are.
func TestBurnOrderOfEquals(t *testing.T) {
	const n = 40
	var targets []ledger.Target
	for i := range n { // every second one expires later
		targets = append(targets, expiring(fmt.Sprintf("g%02d", i), 1, time.Duration(1+i%2)*time.Hour))
	}
	account, _, err := ledger.Account{}.Apply(targets, ledger.PolicyDebt, "evt", noon)
	if err != nil {
		t.Fatal(err)
	}
	account, _, _, err = account.Hold("h", n, noon.Add(time.Hour), noon)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range account.Holds["h"].Parts {
		if want := fmt.Sprintf("g%02d", 2*i%n+2*i/n); p.Grant != want || p.Amount != 1 {
			t.Errorf("part %d is %+v, want 1 of %s", i, p, want)
		}
	}
}

// TestTwoRenamedIntoOne: what two grants gave and one gives now is not set off against what
// that one forgave before.
func TestTwoRenamedIntoOne(t *testing.T) {
	account := tell(t, ledger.PolicyFloor,
		step{targets: set(target("h", 5)), want: []string{"grant h 5 5"}},
		step{hold: "x 5", outcome: ledger.Held},
		step{end: "x 5", outcome: ledger.Ended, want: []string{"capture h -5 0"}},
		step{targets: set(target("h", 0), target("a", 4), target("b", 4)), want: []string{"clawback h -5 -5", "grant a 4 -1", "grant b 4 3"}},
		step{targets: set(target("c", 5)), want: []string{"grant c 5 8"}},
		step{hold: "y 8", outcome: ledger.Held},
		step{end: "y 8", outcome: ledger.Ended, want: []string{"capture b -3 5", "capture c -5 0"}},
		step{targets: set(target("c", 0))},
		step{targets: set(into("a", "c"), into("b", "c"), target("c", 8)), want: []string{"clawback a -4 -4", "clawback b -4 -8", "grant c 8 0"}})
	if g := account.Grants.At("c"); g.Waived != 5 || account.Debt != 0 {
		t.Errorf("%+v, and %d are owed", g, account.Debt)
	}
}

// TestGrantsByName: they are found and replaced by name, in whatever order they come.
func TestGrantsByName(t *testing.T) {
	for n := range 4 {
		var list []ledger.Grant
		for i := n; i > 0; i-- {
			list = append(list, ledger.Grant{ID: fmt.Sprint("g", i), Amount: int64(i)})
		}
		grants := ledger.NewGrants(list)
		grants.Put(ledger.Grant{ID: "g1", Amount: 9})
		grants.Put(ledger.Grant{ID: "g0", Amount: 8})
		if got := len(grants); got != max(n, 1)+1 {
			t.Errorf("%d grants of %d, and two put", got, n)
		}
		for i := range max(n, 1) + 1 {
			want := map[int]int64{0: 8, 1: 9, 2: 2, 3: 3}[i]
			if g := grants.At(fmt.Sprint("g", i)); g.Amount != want || grants[i].Amount != want {
				t.Errorf("of %d grants, g%d is %+v", n, i, g)
			}
		}
		if g := grants.At("g"); g != (ledger.Grant{}) {
			t.Errorf("there is %+v", g)
		}
	}
}
