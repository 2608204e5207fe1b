package entitlement_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// TestImportedPlan: an imported plan ends when the operator says, whenever it was paid for.
func TestImportedPlan(t *testing.T) {
	until := noon.Add(30 * day)
	for name, c := range map[string]struct {
		paidAt time.Time
		begins time.Duration // after noon
	}{
		"nobody knows when it was paid": {time.Time{}, 0},
		"paid before":                   {noon.Add(-day), -day},
		"paid just before its end":      {until.Add(-1), 30*day - 1},
		"paid at its end":               {until, 30*day - time.Second},
		"paid after its end":            {until.Add(day), 30*day - time.Second},
	} {
		i := entitlement.Import{AsOf: noon, Plan: &entitlement.ImportedPlan{Name: "pro", Until: until, PaidAt: c.paidAt}}
		a := entitlement.Account{Standings: map[string]entitlement.Standing{"import:acc": i.Effect(entitlement.Ref{Kind: entitlement.KindImport, ID: "acc"}).Standing}}
		if p := a.Standings["import:acc"].Passes; len(p) != 1 || !p[0].PaidAt.Equal(noon.Add(c.begins)) {
			t.Errorf("%s: %+v", name, p)
		}
		if last, end := a.Snapshot(until.Add(-1), ranking), a.Snapshot(until, ranking); last.Plan != "pro" || !last.PlanExpiresAt.Equal(until) || end.Plan != entitlement.NoPlan {
			t.Errorf("%s: %+v, then %+v", name, last, end)
		}
	}
}

// TestImportedPayment: a customer has paid only if the operator says so, at the latest
// reported time.
func TestImportedPayment(t *testing.T) {
	plan := func(paidAt time.Time) *entitlement.ImportedPlan {
		return &entitlement.ImportedPlan{Name: "pro", PaidAt: paidAt}
	}
	for name, c := range map[string]struct {
		i    entitlement.Import
		paid bool
		at   time.Time
	}{
		"nothing is said":         {entitlement.Import{}, false, time.Time{}},
		"has not paid":            {entitlement.Import{Paid: &entitlement.ImportedPayment{At: noon}}, false, time.Time{}},
		"has paid":                {entitlement.Import{Paid: &entitlement.ImportedPayment{Paid: true, At: noon}}, true, noon},
		"and for a plan later":    {entitlement.Import{Paid: &entitlement.ImportedPayment{Paid: true, At: noon}, Plan: plan(noon.Add(day))}, true, noon.Add(day)},
		"and for a plan before":   {entitlement.Import{Paid: &entitlement.ImportedPayment{Paid: true, At: noon}, Plan: plan(noon.Add(-day))}, true, noon},
		"only for a plan":         {entitlement.Import{Plan: plan(noon)}, false, noon},
		"for a plan without name": {entitlement.Import{Plan: &entitlement.ImportedPlan{PaidAt: noon}}, false, time.Time{}},
	} {
		c.i.AsOf = noon.Add(2 * day)
		st := c.i.Effect(entitlement.Ref{Kind: entitlement.KindImport, ID: "acc"}).Standing
		if st.Paid != c.paid || !st.PaidAt.Equal(c.at) {
			t.Errorf("%s: paid %t at %v, want %t at %v", name, st.Paid, st.PaidAt, c.paid, c.at)
		}
	}
}

// TestImportAgain: a later import replaces the values that it sets; the instant of the first
// one stays.
func TestImportAgain(t *testing.T) {
	ten, two := int64(10), int64(2)
	first := entitlement.Import{AsOf: noon, Credits: &ten, Paid: &entitlement.ImportedPayment{Paid: true, At: noon.Add(-day)}, Customers: []string{"c", "a"}, Payments: []string{"p"}}
	later := entitlement.Import{AsOf: noon.Add(day), Credits: &two, Plan: &entitlement.ImportedPlan{Name: "pro"}, Customers: []string{"b", "a"}, Subscriptions: []string{"s"}}
	want := entitlement.Import{AsOf: noon, Credits: &two, Paid: first.Paid, Plan: later.Plan, Customers: []string{"a", "b", "c"}, Subscriptions: []string{"s"}, Payments: []string{"p"}}
	if got := first.Merge(later); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := first.Merge(entitlement.Import{}); !reflect.DeepEqual(got, first) {
		t.Errorf("nothing changed it to %+v", got)
	}
	if got := (entitlement.Import{}).Merge(later); !got.AsOf.Equal(later.AsOf) {
		t.Errorf("the first one is as of %v", got.AsOf)
	}
}

// TestSettledUntil: an imported balance includes periods that began before its instant. Of a
// settled payment only the fact that it was paid remains, unless it was refunded.
func TestSettledUntil(t *testing.T) {
	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}
	for after, want := range map[time.Duration]string{0: "[500 500]", time.Millisecond: "[0 500]", month: "[0 500]", month + time.Millisecond: "[0 0]"} {
		s := body("active", "pdt_keep", 0).Merge(body("active", "pdt_keep", 30))
		record := entitlement.Record{}.Fold(entitlement.Fact{Ref: ref, Subscription: s, Settled: entitlement.Settled{Before: noon.Add(after)}}, catalog)
		e, err := record.Effect(ref, entitlement.Record{}, freeze)
		if err != nil || len(e.Grants) != 2 {
			t.Fatalf("%+v, %v", e, err)
		}
		if got := fmt.Sprint([]int64{e.Grants[0].Amount, e.Grants[1].Amount}); got != want {
			t.Errorf("settled %v after the first period began, they give %s, want %s", after, got, want)
		}
	}
	settled := entitlement.Settled{Before: noon}
	record := entitlement.Record{}.
		Fold(entitlement.Fact{Ref: payment1, Payment: paid(line("pdt_both", 1)), Settled: settled}, storyTerms).
		Fold(entitlement.Fact{Ref: payment1, Settled: entitlement.Settled{Before: noon.Add(day), PaidAt: noon.Add(-day)}}, storyTerms)
	if got := record.Settled; !got.Before.Equal(noon) || !got.PaidAt.Equal(noon.Add(-day)) {
		t.Errorf("settled twice: %+v", got)
	}
	e, err := record.Effect(payment1, entitlement.Record{}, freeze)
	if err != nil || len(e.Grants) != 0 || len(e.Standing.Passes) != 0 || !e.Standing.Paid || !e.Standing.PaidAt.Equal(noon.Add(-day)) {
		t.Errorf("settled, it gives %+v, %v", e, err)
	}
	record = record.Fold(about(entitlement.Payment{RefundedFully: true}), storyTerms)
	if e, err := record.Effect(payment1, entitlement.Record{}, freeze); err != nil || !e.Standing.IsZero() {
		t.Errorf("settled and given back, it gives %+v, %v", e, err)
	}
}
