package entitlement_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// hours are instants around noon that coincide often.
var hours = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
		return time.Time{}
	}
	return noon.Add(time.Duration(rapid.IntRange(-3, 6).Draw(t, "hours")) * time.Hour)
})

var accounts = rapid.Custom(func(t *rapid.T) entitlement.Account {
	a := entitlement.Account{
		Standings: make(map[string]entitlement.Standing),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "grants") {
		g := ledger.Grant{ID: fmt.Sprint(i), Left: rapid.Int64Range(0, 2).Draw(t, "left"), ExpiresAt: hours.Draw(t, "expires")}
		if rapid.IntRange(0, 2).Draw(t, "waits") == 0 {
			g.Waiting, g.StartsAt = 1, noon.Add(time.Duration(rapid.IntRange(-3, 6).Draw(t, "starts"))*time.Hour)
		}
		a.Ledger.Grants.Put(g)
	}
	plans := rapid.SampledFrom([]string{"gone", "basic", "pro", "team"}) // all but the first are ranked
	for i := range rapid.IntRange(0, 4).Draw(t, "standings") {
		st := entitlement.Standing{Paid: rapid.Bool().Draw(t, "paid"), PaidAt: hours.Draw(t, "paid at")}
		for range rapid.IntRange(0, 2).Draw(t, "passes") {
			st.Passes = append(st.Passes, entitlement.Pass{
				Plan: plans.Draw(t, "plan"), PaidAt: hours.Draw(t, "bought at"),
				Lasts: time.Duration(rapid.IntRange(0, 3).Draw(t, "lasts")) * time.Hour,
			})
		}
		if rapid.Bool().Draw(t, "renews") {
			st.Renewal = &entitlement.Renewal{
				Plan:   plans.Draw(t, "plan"),
				Status: rapid.SampledFrom([]entitlement.PlanStatus{"active", "past_due", "on_hold", "cancelled", "expired"}).Draw(t, "status"),
				Until:  hours.Draw(t, "until"), TrialUntil: hours.Draw(t, "trial until"),
			}
			if gives := []entitlement.PlanStatus{"active", "past_due", "cancelled"}; slices.Contains(gives, st.Renewal.Status) {
				st.Renewal.Access = rapid.Bool().Draw(t, "access")
			}
		}
		a.Standings[fmt.Sprint(i)] = st
	}
	return a
})

// subscribers are accounts with reports that may be out of date, with graces, features and
// seats.
var subscribers = rapid.Custom(func(t *rapid.T) entitlement.Account {
	a := accounts.Draw(t, "account")
	graces := rapid.Map(rapid.IntRange(0, 2), func(n int) time.Duration { return time.Duration(n) * 90 * time.Minute })
	a.Grace, a.UnansweredGrace = graces.Draw(t, "grace"), graces.Draw(t, "unanswered grace")
	for object, st := range a.Standings {
		if st.Renewal == nil {
			continue
		}
		st.Renewal.Renews, st.Renewal.Seats = rapid.Bool().Draw(t, "renews"), rapid.Int64Range(0, 2).Draw(t, "seats")
		if rapid.Bool().Draw(t, "feature") {
			st.Renewal.Features = []string{"reports"}
		}
		if rapid.Bool().Draw(t, "next") {
			st.Freshness = &entitlement.Freshness{StaleAt: hours.Draw(t, "due"), ReportedAt: hours.Draw(t, "said"), Renews: rapid.Bool().Draw(t, "goes on"), Unpaid: rapid.Bool().Draw(t, "unpaid")}
		}
		delete(a.Standings, object)
		a.Standings["subscription:"+object] = st
	}
	return a
})

// TestSnapshotUntil: a snapshot stays valid until its instant, which is never now; and
// stepping from one such instant to the next misses no change.
func TestSnapshotUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := subscribers.Draw(t, "account")
		now := noon.Add(-4 * time.Hour)
		end := noon.Add(20 * time.Hour) // behind all that time can change
		for steps := 0; ; steps++ {
			if steps > 20 {
				t.Fatal("time changes more than there is")
			}
			s, until := a.SnapshotUntil(now, ranking)
			if want := a.Snapshot(now, ranking); !reflect.DeepEqual(s, want) {
				t.Fatalf("at %v %+v, and alone %+v", now, s, want)
			}
			if !until.IsZero() && !until.After(now) {
				t.Fatalf("at %v until %v", now, until)
			}
			last := until.Add(-1)
			if until.IsZero() {
				last = end
			}
			for _, at := range []time.Time{
				now.Add(1), last, now.Add(time.Duration(rapid.Int64Range(0, int64(last.Sub(now))).Draw(t, "later"))),
			} {
				if then := a.Snapshot(at, ranking); !at.After(last) && !reflect.DeepEqual(then, s) {
					t.Fatalf("at %v, to hold until %v:\n%+v\nbut at %v:\n%+v", now, until, s, at, then)
				}
				if then := a.Doubts(at); !at.After(last) && !reflect.DeepEqual(then, a.Doubts(now)) {
					t.Fatalf("at %v, to hold until %v:\n%+v\nbut at %v:\n%+v", now, until, a.Doubts(now), at, then)
				}
			}
			if until.IsZero() {
				return
			}
			now = until
		}
	})
}

// subscribed are the standings of an account that has only a subscription.
func subscribed(r entitlement.Renewal, next *entitlement.Freshness) map[string]entitlement.Standing {
	return map[string]entitlement.Standing{"subscription:sub_1": {Renewal: &r, Freshness: next}}
}

// TestSnapshotUntilIsNotAlwaysSoon: a snapshot that time cannot change is valid forever.
func TestSnapshotUntilIsNotAlwaysSoon(t *testing.T) {
	for name, c := range map[string]struct {
		account entitlement.Account
		want    time.Time
	}{
		"nobody": {},
		"credits that stay": {account: entitlement.Account{
			Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Left: 1}}},
		}},
		"credits that are over": {account: entitlement.Account{
			Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Left: 1, ExpiresAt: noon}}},
		}},
		"the first of two": {want: noon.Add(time.Hour), account: entitlement.Account{
			Ledger: ledger.Account{Grants: ledger.Grants{
				{ID: "a", Left: 1, ExpiresAt: noon.Add(2 * time.Hour)}, {ID: "b", Left: 1, ExpiresAt: noon.Add(time.Hour)},
			}},
		}},
		"credits that begin": {want: noon.Add(time.Hour), account: entitlement.Account{
			Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Waiting: 1, StartsAt: noon.Add(time.Hour), ExpiresAt: noon.Add(2 * time.Hour)}}},
		}},
		"credits that begin just now": {want: noon.Add(2 * time.Hour), account: entitlement.Account{
			Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Waiting: 1, StartsAt: noon, ExpiresAt: noon.Add(2 * time.Hour)}}},
		}},
		"a trial": {want: noon.Add(time.Hour), account: entitlement.Account{
			Standings: subscribed(entitlement.Renewal{Plan: "pro", Status: "active", Access: true, TrialUntil: noon.Add(time.Hour), Until: noon.Add(day)}, nil),
		}},
		"a plan that goes on": {want: noon.Add(time.Hour), account: entitlement.Account{
			Grace: time.Hour, Standings: subscribed(entitlement.Renewal{Plan: "pro", Status: "active", Access: true, Renews: true, Until: noon.Add(time.Hour)}, nil),
		}},
		"a plan in its grace": {want: noon.Add(time.Hour), account: entitlement.Account{
			Grace: 2 * time.Hour, Standings: subscribed(entitlement.Renewal{Plan: "pro", Status: "active", Access: true, Renews: true, Until: noon.Add(-time.Hour)}, nil),
		}},
		"what Dodo has not said will be due": {want: noon.Add(time.Hour), account: entitlement.Account{
			Standings: subscribed(entitlement.Renewal{Status: "on_hold", Until: noon.Add(-day)}, &entitlement.Freshness{StaleAt: noon.Add(time.Hour)}),
		}},
		"what Dodo has not said is owed": {want: noon.Add(time.Hour), account: entitlement.Account{
			UnansweredGrace: 2 * time.Hour,
			Standings:       subscribed(entitlement.Renewal{Status: "on_hold", Until: noon.Add(-day)}, &entitlement.Freshness{StaleAt: noon.Add(-time.Hour), Renews: true}),
		}},
		"a plan that is over":   {account: entitlement.Account{Standings: map[string]entitlement.Standing{"a": pass("pro", -2*day, day)}}},
		"credits that are held": {want: noon.Add(time.Hour), account: entitlement.Account{HeldUntil: noon.Add(time.Hour)}},
		"a hold that ran out on the way": {want: noon.Add(-time.Hour), account: entitlement.Account{
			HeldUntil: noon.Add(-time.Hour),
			Ledger:    ledger.Account{Grants: ledger.Grants{{ID: "a", Left: 1, ExpiresAt: noon.Add(time.Hour)}}},
		}},
		"a hold that runs out just now": {want: noon, account: entitlement.Account{HeldUntil: noon}},
		"a plan":                        {want: noon.Add(day), account: entitlement.Account{Standings: map[string]entitlement.Standing{"a": pass("pro", 0, day)}}},
	} {
		if _, until := c.account.SnapshotUntil(noon, ranking); !until.Equal(c.want) {
			t.Errorf("%s: until %v, want %v", name, until, c.want)
		}
	}
}
