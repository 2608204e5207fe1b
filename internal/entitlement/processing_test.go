package entitlement_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

func underway(p *entitlement.Payment) { p.Status = entitlement.PaymentProcessing }

func failed(p *entitlement.Payment) { p.Status = entitlement.PaymentFailed }

// TestRenewalInProcessing: a plan continues after its period while the charge for the next one
// is being processed, for at most a week, and gives no credits before the money has arrived.
// It does not matter whether the billing dates move immediately or later.
func TestRenewalInProcessing(t *testing.T) {
	type facts = []entitlement.Subscription
	const active = entitlement.SubscriptionActive
	atEnd := func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays = 30 }
	first, dated := body(active, "pdt_keep", 0), body(active, "pdt_keep", 30)
	for name, c := range map[string]struct {
		facts facts
		day   int
		want  string
	}{
		"under way":                           {facts{first, charged("a", 0), charged("b", 30, underway)}, 32, "500 pro active paid=true"},
		"for a week":                          {facts{first, charged("a", 0), charged("b", 30, underway)}, 37, "500 none expired paid=false"},
		"tried again":                         {facts{first, charged("a", 0), charged("b", 30, underway), charged("c", 35, underway)}, 37, "500 pro active paid=true"},
		"then paid":                           {facts{first, charged("a", 0), charged("b", 30, underway), charged("b", 30), renewal("pdt_keep", 30, after(2*day))}, 33, "1000 pro active paid=true"},
		"then failed":                         {facts{first, charged("a", 0), charged("b", 30, underway), charged("b", 30, failed)}, 32, "500 none expired paid=false"},
		"then failed, and on hold":            {facts{first, charged("a", 0), charged("b", 30, underway), charged("b", 30, failed), body("on_hold", "pdt_keep", 0, after(32*day))}, 32, "500 none on_hold paid=false"},
		"of the first period":                 {facts{first, charged("a", 0, underway)}, 1, "0 pro active paid=true"},
		"cancelled at the end":                {facts{body(active, "pdt_keep", 0, atEnd), charged("a", 0), charged("b", 30, underway)}, 32, "500 none expired paid=false"},
		"cancelled":                           {facts{first, charged("a", 0), body("cancelled", "pdt_keep", 0, after(30*day)), charged("b", 30, underway)}, 31, "500 none cancelled paid=false"},
		"after a trial":                       {facts{body(active, "pdt_keep", 0, trial), charged("a", 0, free), charged("b", 30, underway)}, 31, "500 pro active paid=true"},
		"the dates move at once":              {facts{first, charged("a", 0), dated, charged("b", 30, underway)}, 32, "500 pro active paid=true"},
		"the dates move at once, for a week":  {facts{first, charged("a", 0), dated, charged("b", 30, underway)}, 37, "500 none expired paid=false"},
		"the dates move at once, then paid":   {facts{first, charged("a", 0), dated, charged("b", 30, underway), charged("b", 30)}, 40, "1000 pro active paid=true"},
		"the dates move at once, then failed": {facts{first, charged("a", 0), dated, charged("b", 30, underway), charged("b", 30, failed)}, 40, "500 pro active paid=true"},
		"a late charge of the period before":  {facts{first, charged("a", 0), charged("b", 12, underway)}, 31, "500 none expired paid=false"},
	} {
		t.Run(name, func(t *testing.T) {
			at := noon.Add(time.Duration(c.day) * day)
			permute(c.facts, func(order []entitlement.Subscription) {
				var s entitlement.Subscription
				for _, f := range append(order, order[0]) {
					s = s.Merge(f)
				}
				if got := see(t, s, at); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestGrace: a plan that is expected to continue lasts for the grace after its period. A plan
// with a known end, and one with a grace from Dodo, does not.
func TestGrace(t *testing.T) {
	const active = entitlement.SubscriptionActive
	end := noon.Add(month)
	for name, c := range map[string]struct {
		s     entitlement.Subscription
		lasts time.Duration // beyond the period
	}{
		"goes on":              {body(active, "pdt_pro", 0), time.Hour},
		"cancelled at the end": {body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }), 0},
		"the term ends":        {body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.ExpiresAt = end }), 0},
		"past due":             {body("past_due", "pdt_pro", 0), 3 * day},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := c.s.Effect("sub_1", catalog, freeze)
			if err != nil {
				t.Fatal(err)
			}
			a := entitlement.Account{Standings: map[string]entitlement.Standing{"s": e.Standing}, Grace: time.Hour}
			snap, until := a.SnapshotUntil(end.Add(-1), ranking)
			if want := end; c.lasts <= time.Hour && (!until.Equal(want) || !snap.PlanExpiresAt.Equal(want) || snap.Plan != "pro") {
				t.Errorf("within the period %+v until %v", snap, until)
			}
			for at, access := range map[time.Duration]bool{c.lasts - 1: true, c.lasts: false} {
				snap, until := a.SnapshotUntil(end.Add(at), ranking)
				if (snap.Plan == "pro") != access || access && at >= 0 && (!until.Equal(end.Add(c.lasts)) || !snap.PlanExpiresAt.Equal(end.Add(c.lasts))) {
					t.Errorf("%v after the period %+v until %v", at, snap, until)
				}
			}
			if a.Grace = 0; a.Snapshot(end.Add(time.Minute), ranking).Plan == "pro" != (c.lasts > time.Hour) {
				t.Error("it outlives its period without a grace")
			}
		})
	}
}
