package cache_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/ledger"
)

// TestRemembersWhatTheAccountSays draws accounts and instants: what is remembered of an account says
// what the account itself says at that instant, after it was put with another ledger, too.
func TestRemembersWhatTheAccountSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := text().Draw(t, "account")
		now := noon
		a := account(t)
		words := func(account string, s entitlement.Snapshot) []string {
			return append(append([]string{account, s.Plan, string(s.PlanStatus), fmt.Sprint(s.Seats)}, s.PlanNames()...), s.Features...)
		}
		c := cache.New(cache.Options{
			Entries: 1, Grace: time.Minute, UnansweredGrace: 2 * time.Minute, Words: words, Clock: func() time.Time { return now },
			Read: func(context.Context, string) (entitlement.Account, error) { return a, nil },
		})
		defer c.Close()
		c.Live()
		check := func(v *cache.View) {
			if v == nil {
				return // it is read again
			}
			b := a
			b.Grace, b.UnansweredGrace = time.Minute, 2*time.Minute
			want := b.Snapshot(now, config.Ranking{})
			if !reflect.DeepEqual(v.Snapshot, want) || !reflect.DeepEqual(v.Doubts, b.Doubts(now)) || v.CreditsText() != fmt.Sprint(want.Credits) {
				t.Fatalf("after %v it is remembered as\n%+v %+v %s, want\n%+v %+v", now.Sub(noon), v.Snapshot, v.Doubts, v.CreditsText(), want, b.Doubts(now))
			}
			if !reflect.DeepEqual(v.Words(), words(name, want)) {
				t.Fatalf("words %q, want %q", v.Words(), words(name, want))
			}
		}
		first, _, err := c.View(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		check(first)
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 100), 1, 5).Draw(t, "seconds") {
			now = now.Add(time.Duration(step) * time.Second)
			check(c.Current(name))
		}
		a.Rev, a.Ledger = a.Rev+1, ledgerOf(t)
		put := a
		put.Standings = nil
		c.Put(name, put)
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 100), 1, 5).Draw(t, "seconds") {
			check(c.Current(name))
			now = now.Add(time.Duration(step) * time.Second)
		}
	})
}

// text is a name or a feature: often one that others have, too.
func text() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"pro", "none", "active", "0", "a", ""}), rapid.StringN(0, 50, 200))
}

// instant is none, or one in whole milliseconds, as stores keep them.
func instant(t *rapid.T, what string) time.Time {
	if rapid.IntRange(0, 2).Draw(t, what+"?") == 0 {
		return time.Time{}
	}
	d := rapid.OneOf(rapid.Int64Range(-600e9, 600e9), rapid.Int64Range(-1e18, 1e18)).Draw(t, what)
	return noon.Add(time.Duration(d)).Truncate(time.Millisecond)
}

func ledgerOf(t *rapid.T) (l ledger.Account) {
	l.Debt = rapid.Int64Range(0, 100).Draw(t, "debt")
	for i := range rapid.IntRange(0, 12).Draw(t, "grants") {
		g := ledger.Grant{ID: fmt.Sprint(i), Left: rapid.Int64Range(0, 1<<40).Draw(t, "left"), ExpiresAt: instant(t, "expires")}
		if starts := instant(t, "starts"); !starts.IsZero() && (g.ExpiresAt.IsZero() || starts.Before(g.ExpiresAt)) {
			g.StartsAt, g.Waiting = starts, rapid.Int64Range(0, 1000).Draw(t, "waiting")
		}
		l.Grants.Put(g)
	}
	return l
}

func account(t *rapid.T) entitlement.Account {
	a := entitlement.Account{Rev: rapid.Int64Range(1, 1<<50).Draw(t, "rev"), Ledger: ledgerOf(t), Standings: make(map[string]entitlement.Standing)}
	status := rapid.SampledFrom([]entitlement.PlanStatus{entitlement.PlanActive, entitlement.PlanPastDue, entitlement.PlanOnHold, entitlement.PlanCancelled})
	for i := range rapid.IntRange(0, 4).Draw(t, "standings") {
		s := entitlement.Standing{PaidAt: instant(t, "paid"), Feature: text().Draw(t, "feature"), Seats: rapid.Int64Range(0, 1<<40).Draw(t, "seats")}
		s.Paid = !s.PaidAt.IsZero()
		if rapid.Bool().Draw(t, "renews") {
			s.Renewal = &entitlement.Renewal{
				Plan: text().Draw(t, "plan"), Status: status.Draw(t, "status"), Access: rapid.Bool().Draw(t, "access"),
				Until: instant(t, "until"), TrialUntil: instant(t, "trial"), Renews: rapid.Bool().Draw(t, "goes on"),
			}
			s.Freshness = &entitlement.Freshness{StaleAt: s.Renewal.Until, PeriodStart: instant(t, "since"), ReportedAt: instant(t, "said"), Renews: rapid.Bool().Draw(t, "next"), Unpaid: rapid.Bool().Draw(t, "unpaid")}
		}
		if rapid.Bool().Draw(t, "pass") {
			s.Passes = []entitlement.Pass{{Plan: text().Draw(t, "plan"), PaidAt: noon.Add(-time.Second), Lasts: time.Duration(rapid.Int64Range(0, 600).Draw(t, "lasts")) * time.Second}}
		}
		a.Standings[entitlement.Ref{Kind: entitlement.KindSubscription, ID: fmt.Sprint(i)}.String()] = s
	}
	return a
}
