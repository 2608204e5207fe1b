package entitlement_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// renewing is a standing of a subscription whose period ends some time after noon.
func renewing(plan string, status entitlement.PlanStatus, ends time.Duration) entitlement.Standing {
	access := slices.Contains([]entitlement.PlanStatus{"active", "past_due", "cancelled"}, status)
	return entitlement.Standing{Renewal: &entitlement.Renewal{Plan: plan, Status: status, Access: access, Until: noon.Add(ends)}}
}

// An account can have several plans. "name status days" of each is wanted, the highest
// first, and "none status days" without any.
func TestPlans(t *testing.T) {
	onTrial := renewing("team", "active", 30*day)
	onTrial.Renewal.TrialUntil = noon.Add(7 * day)
	for name, tt := range map[string]struct {
		standings []entitlement.Standing
		after     time.Duration
		want      string
	}{
		"a yearly plan and a higher one for a month":        {[]entitlement.Standing{renewing("basic", "active", 365*day), renewing("pro", "active", 30*day)}, 0, "[pro active 30, basic active 365]"},
		"the higher one has ended":                          {[]entitlement.Standing{renewing("basic", "active", 365*day), renewing("pro", "active", 30*day)}, 30 * day, "[basic active 365]"},
		"the lower one has ended":                           {[]entitlement.Standing{renewing("basic", "active", 30*day), renewing("pro", "active", 60*day)}, 30 * day, "[pro active 60]"},
		"a pass beside a subscription":                      {[]entitlement.Standing{pass("team", 0, 30*day), renewing("basic", "active", 20*day)}, 0, "[team active 30, basic active 20]"},
		"the higher one is on hold":                         {[]entitlement.Standing{renewing("team", "on_hold", 30*day), renewing("basic", "past_due", 3*day)}, 0, "[basic past_due 3]"},
		"one on trial":                                      {[]entitlement.Standing{onTrial, renewing("pro", "cancelled", 3*day)}, 0, "[team trialing 30, pro cancelled 3]"},
		"one for ever":                                      {[]entitlement.Standing{pass("life", 0, 0), renewing("pro", "active", 3*day)}, 0, "[pro active 3, life active never]"},
		"one that nobody sells any more is the lowest":      {[]entitlement.Standing{pass("zeta", 0, 0), pass("alpha", 0, 0), pass("life", 0, 0)}, 0, "[life active never, zeta active never, alpha active never]"},
		"the same plan twice, ends later":                   {[]entitlement.Standing{renewing("pro", "active", 9*day), renewing("pro", "active", 30*day)}, 0, "[pro active 30]"},
		"the same plan twice, one past due":                 {[]entitlement.Standing{renewing("pro", "past_due", 9*day), pass("pro", 0, 3*day)}, 0, "[pro active 9]"},
		"the same plan twice, one on trial":                 {[]entitlement.Standing{renewing("team", "past_due", 9*day), onTrial}, 0, "[team trialing 30]"},
		"the same plan twice, one past due, one to end":     {[]entitlement.Standing{renewing("pro", "past_due", 9*day), renewing("pro", "cancelled", 3*day)}, 0, "[pro past_due 9]"},
		"the trial's last instant":                          {[]entitlement.Standing{onTrial}, 7*day - 1, "[team trialing 30]"},
		"the trial's end":                                   {[]entitlement.Standing{onTrial}, 7 * day, "[team active 30]"},
		"a pass that begins after the one before ended":     {[]entitlement.Standing{pass("pro", 0, 3*day), pass("pro", 9*day, 3*day), pass("pro", 10*day, 3*day)}, 11 * day, "[pro active 15]"},
		"a pass that begins as the one before ends":         {[]entitlement.Standing{pass("pro", 0, 3*day), pass("pro", 3*day, 3*day)}, 6*day - 1, "[pro active 6]"},
		"none, of two that ended at the same instant":       {[]entitlement.Standing{renewing("pro", "paused", day), renewing("team", "on_hold", day)}, day, "none on_hold 1"},
		"the same plan twice, the better one has ended":     {[]entitlement.Standing{renewing("pro", "past_due", 9*day), pass("pro", 0, 3*day)}, 3 * day, "[pro past_due 9]"},
		"the same plan twice, one ends with its period":     {[]entitlement.Standing{renewing("pro", "cancelled", 30*day), renewing("pro", "active", 9*day)}, 0, "[pro active 30]"},
		"the same plan twice, one for ever":                 {[]entitlement.Standing{renewing("pro", "past_due", 9*day), pass("pro", 0, 0)}, 0, "[pro active never]"},
		"the same plan twice, one gives no access":          {[]entitlement.Standing{renewing("pro", "on_hold", 99*day), renewing("pro", "active", 9*day)}, 0, "[pro active 9]"},
		"none, of two the one that gave access last":        {[]entitlement.Standing{renewing("pro", "cancelled", day), renewing("basic", "active", 2*day)}, 3 * day, "none expired 2"},
		"none, the last one is lower and would have lasted": {[]entitlement.Standing{renewing("team", "expired", day), renewing("basic", "paused", 2*day)}, 0, "none paused 2"},
	} {
		t.Run(name, func(t *testing.T) {
			a := entitlement.Account{Standings: make(map[string]entitlement.Standing)}
			for i, st := range tt.standings {
				a.Standings[fmt.Sprint(i)] = st
			}
			s := a.Snapshot(noon.Add(tt.after), ranking)
			if got := written(s); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if s.HasPaid != (len(s.Plans) > 0) {
				t.Errorf("has_paid is %v with %d plans", s.HasPaid, len(s.Plans))
			}
		})
	}
}

// written writes the plans of a snapshot.
func written(s entitlement.Snapshot) string {
	one := func(name string, status entitlement.PlanStatus, ends time.Time) string {
		if ends.IsZero() {
			return fmt.Sprintf("%s %s never", name, status)
		}
		return fmt.Sprintf("%s %s %d", name, status, ends.Sub(noon)/day)
	}
	if len(s.Plans) == 0 {
		return one(s.Plan, s.PlanStatus, s.PlanExpiresAt)
	}
	text := ""
	for _, p := range s.Plans {
		text += ", " + one(p.Name, p.Status, p.ExpiresAt)
	}
	return "[" + text[2:] + "]"
}

// TestPlansByOracle: the plans of any account are those of a naive count; the first of them
// has the account's plan, status and end; and gates agree.
func TestPlansByOracle(t *testing.T) {
	highestFirst := []string{"team", "pro", "basic", "gone"}
	rapid.Check(t, func(t *rapid.T) {
		a := accounts.Draw(t, "account")
		now := noon.Add(time.Duration(rapid.IntRange(-4, 9).Draw(t, "now")) * time.Hour)
		var want []entitlement.Plan
		for _, name := range highestFirst {
			if p, ok := planOf(a, name, now); ok {
				want = append(want, p)
			}
		}
		s := a.Snapshot(now, ranking)
		if !reflect.DeepEqual(s.Plans, want) {
			t.Fatalf("%+v, want %+v", s.Plans, want)
		}
		if len(want) > 0 {
			if first := (entitlement.Plan{Name: s.Plan, Status: s.PlanStatus, ExpiresAt: s.PlanExpiresAt}); first != want[0] || !s.HasPaid {
				t.Fatalf("the account's plan is %+v, has_paid %v; want %+v", first, s.HasPaid, want[0])
			}
		} else if s.Plan != entitlement.NoPlan {
			t.Fatalf("without a plan it is %s", s.Plan)
		}
		for _, name := range highestFirst {
			has := slices.ContainsFunc(want, func(p entitlement.Plan) bool { return p.Name == name })
			if got := (entitlement.Requirement{Plans: []string{"other", name}}).MetBy(s); got != has {
				t.Fatalf("the gate of %s says %v", name, got)
			}
		}
	})
}

// planOf counts naively what an account has of one plan: each pass begins when the pass before
// it ended, or when it was paid, whichever is later.
func planOf(a entitlement.Account, name string, now time.Time) (entitlement.Plan, bool) {
	var (
		passes []entitlement.Pass
		found  []entitlement.Plan
	)
	for _, st := range a.Standings {
		for _, p := range st.Passes {
			if p.Plan == name {
				passes = append(passes, p)
			}
		}
		if r := st.Renewal; r != nil && r.Plan == name && r.Access && now.Before(r.Until) {
			status := r.Status
			if status == entitlement.PlanActive && now.Before(r.TrialUntil) {
				status = entitlement.PlanTrialing
			}
			found = append(found, entitlement.Plan{Name: name, Status: status, ExpiresAt: r.Until})
		}
	}
	slices.SortFunc(passes, func(a, b entitlement.Pass) int {
		return cmp.Or(a.PaidAt.Compare(b.PaidAt), cmp.Compare(a.Lasts, b.Lasts))
	})
	var ends time.Time
	for _, p := range passes {
		if p.PaidAt.After(ends) {
			ends = p.PaidAt
		}
		ends = ends.Add(p.Lasts)
	}
	if slices.ContainsFunc(passes, func(p entitlement.Pass) bool { return p.Lasts == 0 }) {
		found = append(found, entitlement.Plan{Name: name, Status: entitlement.PlanActive})
	} else if now.Before(ends) {
		found = append(found, entitlement.Plan{Name: name, Status: entitlement.PlanActive, ExpiresAt: ends})
	}
	if len(found) == 0 {
		return entitlement.Plan{}, false
	}
	best := found[0]
	order := []entitlement.PlanStatus{"active", "trialing", "past_due", "cancelled"}
	for _, p := range found {
		if slices.Index(order, p.Status) < slices.Index(order, best.Status) {
			best.Status = p.Status
		}
		if best.ExpiresAt.IsZero() || p.ExpiresAt.IsZero() {
			best.ExpiresAt = time.Time{}
		} else if p.ExpiresAt.After(best.ExpiresAt) {
			best.ExpiresAt = p.ExpiresAt
		}
	}
	return best, true
}

// TestPlansOfOthersTakeNoneAway: an account has everything that each purchase gives alone,
// whatever else was bought.
func TestPlansOfOthersTakeNoneAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := accounts.Draw(t, "account")
		now := noon.Add(time.Duration(rapid.IntRange(-4, 9).Draw(t, "now")) * time.Hour)
		all := a.Snapshot(now, ranking).PlanNames()
		for object, st := range a.Standings {
			alone := entitlement.Account{Standings: map[string]entitlement.Standing{object: st}}
			for _, name := range alone.Snapshot(now, ranking).PlanNames() {
				if !slices.Contains(all, name) {
					t.Fatalf("%s gives %s alone, but of all there is only %v", object, name, all)
				}
			}
		}
	})
}
