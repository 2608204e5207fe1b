package entitlement_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// metered are terms by which 1.00 gives 3 credits on demand, and a period gives 7.
func metered(string, time.Time) (entitlement.Terms, bool) {
	return entitlement.Terms{Credits: 7, OnCharge: config.Rates{"USD": {Credits: 3, Amount: 100}}, CreditsExpire: 5 * day}, true
}

func demanded(s *entitlement.SubscriptionState) { s.OnDemand = true }

// amounts are what the grants of a subscription give, folded fact by fact, in the order of
// their names.
func amounts(t *testing.T, termsOf entitlement.TermsOf, facts ...entitlement.Subscription) (string, entitlement.Effect) {
	t.Helper()
	var record entitlement.Record
	for _, s := range facts {
		record = record.Fold(entitlement.Fact{Ref: subscription1, Subscription: s}, termsOf)
	}
	e, err := record.Effect(subscription1, entitlement.Record{}, freeze)
	if err != nil {
		t.Fatal(err)
	}
	all := []int64{}
	for _, g := range e.Grants {
		all = append(all, g.Amount)
	}
	slices.Sort(all)
	return fmt.Sprint(all), e
}

// TestChargesOnDemand: each charge gives credits of its own, by its amount before tax, less
// refunds; the periods give none.
func TestChargesOnDemand(t *testing.T) {
	running := body("active", "pdt", 0, demanded)
	taxed := func(p *entitlement.Payment) { p.Tax = 150 }
	euros := func(p *entitlement.Payment) { p.Currency = "EUR" }
	for name, c := range map[string]struct {
		charges []entitlement.Subscription
		want    string
	}{
		"none yet":                        {nil, "[]"},
		"one":                             {[]entitlement.Subscription{charged("a", 1)}, "[30]"},
		"rounded down":                    {[]entitlement.Subscription{charged("a", 1, cents(33))}, "[]"},
		"rounded down to one":             {[]entitlement.Subscription{charged("a", 1, cents(34))}, "[1]"},
		"before tax":                      {[]entitlement.Subscription{charged("a", 1, taxed)}, "[25]"},
		"two":                             {[]entitlement.Subscription{charged("a", 1), charged("b", 1, cents(100))}, "[3 30]"},
		"in another currency":             {[]entitlement.Subscription{charged("a", 1, euros)}, "[]"},
		"that failed":                     {[]entitlement.Subscription{charged("a", 1, failed)}, "[]"},
		"given back in part":              {[]entitlement.Subscription{charged("a", 1, refunded(333))}, "[20]"},
		"given back, and another":         {[]entitlement.Subscription{charged("a", 1, refunded(1000)), charged("b", 2, cents(100))}, "[0 3]"},
		"disputed":                        {[]entitlement.Subscription{charged("a", 1, disputed("opened"))}, "[0]"},
		"charged by the month afterwards": {[]entitlement.Subscription{charged("a", 1), body("active", "pdt", 0, after(9*day))}, "[30]"},
	} {
		if got, _ := amounts(t, metered, append([]entitlement.Subscription{running}, c.charges...)...); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got, _ := amounts(t, metered, body("active", "pdt", 0), charged("a", 0)); got != "[7]" {
		t.Errorf("charged by the month, it gives %s, want [7]", got)
	}
	_, e := amounts(t, metered, running, charged("a", 3), charged("b", 1))
	for i, days := range []int{3, 1} {
		at := noon.Add(time.Duration(days) * day)
		if g := e.Grants[i]; !g.CreatedAt.Equal(at) || !g.ExpiresAt.Equal(at.Add(5*day)) || !g.StartsAt.IsZero() {
			t.Errorf("the credits of day %d are %+v", days, g)
		}
	}
	if !e.Standing.Paid || !e.Standing.PaidAt.Equal(noon.Add(3*day)) {
		t.Errorf("it was paid at %v", e.Standing.PaidAt)
	}
	_, e = amounts(t, metered, running, charged("a", 3, refunded(1000)))
	if e.Standing.Paid {
		t.Error("a charge that was given back counts as paid")
	}
}

// TestRateOfACharge: a charge that gave something keeps its rate; a rate that was missing
// counts when it is added.
func TestRateOfACharge(t *testing.T) {
	none := func(string, time.Time) (entitlement.Terms, bool) { return entitlement.Terms{Plan: "pro"}, true }
	double := func(string, time.Time) (entitlement.Terms, bool) {
		return entitlement.Terms{Plan: "pro", OnCharge: config.Rates{"USD": {Credits: 6, Amount: 100}}}, true
	}
	var record entitlement.Record
	for i, step := range []struct {
		fact  entitlement.Subscription
		terms entitlement.TermsOf
		want  string
	}{
		{body("active", "pdt", 0, demanded), none, "[]"},
		{charged("a", 1), none, "[]"},
		{charged("a", 1), metered, "[30]"},
		{charged("b", 2), double, "[30 60]"},
		{charged("a", 1), none, "[30 60]"},
		{charged("c", 3, underway), metered, "[30 60]"},
		{charged("c", 3), double, "[30 60 60]"},
	} {
		record = record.Fold(entitlement.Fact{Ref: subscription1, Subscription: step.fact}, step.terms)
		e, err := record.Effect(subscription1, entitlement.Record{}, freeze)
		got := []int64{}
		for _, g := range e.Grants {
			got = append(got, g.Amount)
		}
		if err != nil || fmt.Sprint(got) != step.want {
			t.Errorf("step %d gives %d, %v; want %s", i, got, err, step.want)
		}
	}
}

// TestChargeBeyondCounting: a charge for more credits than the largest number is an error.
func TestChargeBeyondCounting(t *testing.T) {
	of := func(credits, amount, cents int64) error {
		terms := func(string, time.Time) (entitlement.Terms, bool) {
			return entitlement.Terms{OnCharge: config.Rates{"USD": {Credits: credits, Amount: amount}}}, true
		}
		s := body("active", "pdt", 0, demanded).Merge(charged("a", 1, func(p *entitlement.Payment) { p.Total = cents }))
		_, err := entitlement.Record{}.Fold(entitlement.Fact{Ref: subscription1, Subscription: s}, terms).Effect(subscription1, entitlement.Record{}, freeze)
		return err
	}
	for _, c := range []struct {
		credits, amount, cents int64
		fits                   bool
	}{
		{1, 1, ledger.Max, true}, {1, 1, ledger.Max + 1, false}, {ledger.Max, 1, 1, true}, {ledger.Max, 1, 2, false},
		{ledger.Max, ledger.Max, ledger.Max, true}, {ledger.Max, 1, math.MaxInt64, false},
	} {
		if err := of(c.credits, c.amount, c.cents); (err == nil) != c.fits || err != nil && !errors.Is(err, ledger.ErrRange) {
			t.Errorf("%d for %d, of %d: %v", c.credits, c.amount, c.cents, err)
		}
	}
}
