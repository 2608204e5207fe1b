package entitlement_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// ranking ranks the plans of these tests, the lowest first.
var ranking = func() config.Ranking {
	var products []config.Product
	for _, plan := range []string{"life", "basic", "pro", "team"} {
		products = append(products, config.Product{Plan: plan})
	}
	r, err := config.RankPlans(products, nil, nil)
	if err != nil {
		panic(err)
	}
	return r
}()

// pass is a standing of a plan bought some days after noon.
func pass(plan string, boughtAfter, lasts time.Duration) entitlement.Standing {
	at := noon.Add(boughtAfter)
	return entitlement.Standing{PaidAt: at, Passes: []entitlement.Pass{{Plan: plan, PaidAt: at, Lasts: lasts}}}
}

// having is a snapshot of somebody with these plans, the highest first.
func having(paidAt time.Time, plans ...entitlement.Plan) entitlement.Snapshot {
	first := plans[0]
	return entitlement.Snapshot{
		HasPaid: true, Plans: plans, Plan: first.Name, PlanStatus: first.Status, PlanExpiresAt: first.ExpiresAt, PaymentDate: paidAt,
	}
}

// until is a plan that is active for some time from noon on.
func until(plan string, after time.Duration) entitlement.Plan {
	return entitlement.Plan{Name: plan, Status: entitlement.PlanActive, ExpiresAt: noon.Add(after)}
}

func TestSnapshot(t *testing.T) {
	type standings = map[string]entitlement.Standing
	for name, c := range map[string]struct {
		standings standings
		after     time.Duration
		want      entitlement.Snapshot
	}{
		"nobody": {
			want: entitlement.Snapshot{Plan: "none", PlanStatus: "none"},
		},
		"bought something": {
			standings: standings{"a": {Paid: true, PaidAt: noon}},
			want:      entitlement.Snapshot{HasPaid: true, Plan: "none", PlanStatus: "none", PaymentDate: noon},
		},
		"a plan runs": {
			standings: standings{"a": pass("pro", 0, 30*day)},
			want:      having(noon, until("pro", 30*day)),
		},
		"until the last nanosecond": {
			standings: standings{"a": pass("pro", 0, 30*day)}, after: 30*day - 1,
			want: having(noon, until("pro", 30*day)),
		},
		"and no longer": {
			standings: standings{"a": pass("pro", 0, 30*day)}, after: 30 * day,
			want: entitlement.Snapshot{Plan: "none", PlanStatus: "expired", PlanExpiresAt: noon.Add(30 * day), PaymentDate: noon},
		},
		"bought again while it runs": {
			standings: standings{"a": pass("pro", 0, 30*day), "b": pass("pro", 10*day, 30*day)}, after: 59 * day,
			want: having(noon.Add(10*day), until("pro", 60*day)),
		},
		"bought again after it ended": {
			standings: standings{"a": pass("pro", 0, 30*day), "b": pass("pro", 40*day, 30*day)}, after: 41 * day,
			want: having(noon.Add(40*day), until("pro", 70*day)),
		},
		"a plan without end outlasts another": {
			standings: standings{"a": pass("pro", 0, 30*day), "b": pass("life", 0, 0)}, after: 400 * day,
			want: having(noon, entitlement.Plan{Name: "life", Status: "active"}),
		},
		"the higher plan, though another runs longer": {
			standings: standings{"a": pass("pro", 0, 30*day), "b": pass("basic", 0, 60*day)},
			want:      having(noon, until("pro", 30*day), until("basic", 60*day)),
		},
		"paid on a clock ahead of ours": {
			standings: standings{"a": pass("pro", time.Minute, 30*day)},
			want:      having(noon.Add(time.Minute), until("pro", 30*day+time.Minute)),
		},
		"longer than dates can be written": {
			standings: standings{"a": {Passes: []entitlement.Pass{{Plan: "pro", PaidAt: noon, Lasts: 1<<63 - 1}, {Plan: "pro", PaidAt: time.Date(9990, 1, 1, 0, 0, 0, 0, time.UTC), Lasts: 1<<63 - 1}}}},
			want:      having(time.Time{}, entitlement.Plan{Name: "pro", Status: "active"}),
		},
		"features alone are no payment": {
			standings: standings{"a": {Feature: "reports"}, "b": {Feature: "Api"}, "c": {Feature: "reports"}, "d": {Feature: "a,b"}},
			want:      entitlement.Snapshot{Plan: "none", PlanStatus: "none", Features: []string{"Api", "a,b", "reports"}},
		},
		"features beside a plan": {
			standings: standings{"a": pass("pro", 0, 30*day), "b": {Feature: "reports"}},
			want: func() entitlement.Snapshot {
				s := having(noon, until("pro", 30*day))
				s.Features = []string{"reports"}
				return s
			}(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := entitlement.Account{Standings: c.standings}.Snapshot(noon.Add(c.after), ranking)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestSubscribed: an account that has or had a subscription counts as a subscriber, even if
// nothing of it is left.
func TestSubscribed(t *testing.T) {
	for object, want := range map[string]bool{"subscription:sub_1": true, "payment:pay_1": false, "subscriptions:x": false, "import:acc": false} {
		a := entitlement.Account{Standings: map[string]entitlement.Standing{object: {}, "payment:pay_2": {Paid: true}}}
		if got := a.Snapshot(noon, ranking).Subscribed; got != want {
			t.Errorf("%s: %t", object, got)
		}
	}
}

func TestSnapshotCountsUnexpiredCredits(t *testing.T) {
	account, _, err := ledger.Account{}.Apply([]ledger.Target{
		{ID: "a", Amount: 9, ExpiresAt: noon.Add(time.Hour)}, {ID: "b", Amount: 2},
	}, ledger.PolicyDebt, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	a := entitlement.Account{Ledger: account}
	if before, after := a.Snapshot(noon, ranking).Credits, a.Snapshot(noon.Add(time.Hour), ranking).Credits; before != 11 || after != 2 {
		t.Errorf("credits %d before and %d after the expiry", before, after)
	}
}
