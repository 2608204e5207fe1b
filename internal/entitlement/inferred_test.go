package entitlement_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// monthly says how long a period is.
func monthly(s *entitlement.SubscriptionState) { s.Cycle = month }

// free makes a charge one of nothing.
func free(p *entitlement.Payment) { p.Total = 0 }

// TestMissedPeriods: periods that only charges show are granted, for the known product; other
// charges grant none.
func TestMissedPeriods(t *testing.T) {
	type facts = []entitlement.Subscription
	active := entitlement.SubscriptionActive
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays = 14 }
	for name, c := range map[string]struct {
		facts facts
		want  []int // the days on which grants begin
	}{
		"nothing was missed":                         {facts{body(active, "pdt_keep", 0, monthly), charged("a", 0), body(active, "pdt_keep", 30, monthly), charged("b", 30)}, []int{0, 30}},
		"only the last body":                         {facts{charged("a", 0), charged("b", 30), charged("c", 60), body(active, "pdt_keep", 90, monthly), charged("d", 90)}, []int{0, 30, 60, 90}},
		"it does not say how long periods are":       {facts{charged("a", 0), body(active, "pdt_keep", 30), charged("b", 30)}, []int{0, 30}},
		"one in the middle":                          {facts{body(active, "pdt_keep", 0, monthly), charged("a", 0), charged("b", 30), body(active, "pdt_keep", 60, monthly), charged("c", 60)}, []int{0, 30, 60}},
		"the next one has not been heard of yet":     {facts{body(active, "pdt_keep", 0, monthly), charged("a", 0), charged("b", 30)}, []int{0}},
		"a charge for a change of plan":              {facts{charged("a", 0), charged("b", 20), body(active, "pdt_keep", 30, monthly)}, []int{0, 30}},
		"a charge days before":                       {facts{charged("a", 0), body(active, "pdt_keep", 3, monthly)}, []int{3}},
		"a charge twice":                             {facts{charged("a", 0), charged("b", 0), body(active, "pdt_keep", 30, monthly)}, []int{0, 30}},
		"one that failed":                            {facts{charged("a", 0, func(p *entitlement.Payment) { p.Status = "failed" }), body(active, "pdt_keep", 30, monthly)}, []int{30}},
		"one that was refunded":                      {facts{charged("a", 0, refunded(1000)), body(active, "pdt_keep", 30, monthly), charged("b", 30)}, []int{30}},
		"months without a charge":                    {facts{charged("a", 0), body(active, "pdt_keep", 90, monthly), charged("b", 90)}, []int{0, 90}},
		"a trial":                                    {facts{charged("a", 0, free), body(active, "pdt_keep", 14, monthly, trial), charged("b", 14)}, []int{0, 14}},
		"a trial and months":                         {facts{charged("a", 0, free), charged("b", 14), body(active, "pdt_keep", 44, monthly, trial), charged("c", 44)}, []int{0, 14, 44}},
		"a trial that was seen":                      {facts{body(active, "pdt_keep", 0, trial, func(s *entitlement.SubscriptionState) { s.PeriodEnd = noon.Add(14 * day) }), charged("a", 0, free)}, []int{0}},
		"charged on demand":                          {facts{charged("a", 0), charged("b", 30), body(active, "pdt_keep", 60, monthly, func(s *entitlement.SubscriptionState) { s.OnDemand = true })}, []int{60}},
		"cancelled before it was seen active":        {facts{charged("a", 0), body("cancelled", "pdt_keep", 0, after(day))}, []int{0}},
		"cancelled so, and paid minutes before":      {facts{charged("a", 0, func(p *entitlement.Payment) { p.CreatedAt = p.CreatedAt.Add(-20 * time.Minute) }), body("cancelled", "pdt_keep", 0, after(day))}, []int{0}},
		"on hold, paid days before":                  {facts{charged("a", 0), body("on_hold", "pdt_keep", 5)}, nil},
		"on hold before it was seen active":          {facts{charged("a", 0), body("on_hold", "pdt_keep", 0, after(day)), charged("b", 32), body(active, "pdt_keep", 32)}, []int{0, 32}},
		"paused before it was seen active":           {facts{body("paused", "pdt_keep", 0, after(day)), charged("a", 0)}, []int{0}},
		"on hold and not paid":                       {facts{body(active, "pdt_keep", 0), charged("a", 0), body("on_hold", "pdt_keep", 30)}, []int{0}},
		"on hold, then paid, not active yet":         {facts{body(active, "pdt_keep", 0), charged("a", 0), body("on_hold", "pdt_keep", 30), charged("b", 32)}, []int{0, 30}},
		"on hold, then active from when it was paid": {facts{body(active, "pdt_keep", 0), charged("a", 0), body("on_hold", "pdt_keep", 30), charged("b", 40), body(active, "pdt_keep", 40)}, []int{0, 40}},
		"a charge late in a period, then on hold":    {facts{body(active, "pdt_keep", 0), charged("a", 0), charged("b", 30, func(p *entitlement.Payment) { p.CreatedAt = p.CreatedAt.Add(-30 * time.Minute) }), body("on_hold", "pdt_keep", 30)}, []int{0}},
		"on hold twice, paid once":                   {facts{body("on_hold", "pdt_keep", 0), body("on_hold", "pdt_keep", 10), charged("a", 10)}, []int{10}},
		"a change of plan that was not paid":         {facts{body(active, "pdt_keep", 0), charged("a", 0), body("on_hold", "pdt_team", 0, after(day))}, []int{0}},
		"on hold, and a card changed":                {facts{body(active, "pdt_keep", 0), charged("a", 0), body("on_hold", "pdt_keep", 30), charged("b", 32, methodOnly)}, []int{0}},
		"cancelled and not paid":                     {facts{body("cancelled", "pdt_keep", 0)}, nil},
		"pending, failed":                            {facts{body("pending", "pdt_keep", 0), body("failed", "pdt_keep", 0), charged("a", 0)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Subscription) {
				var s entitlement.Subscription
				for _, f := range append(order, order[0]) {
					s = s.Merge(f)
				}
				e, err := s.Effect("sub_1", catalog, freeze)
				if err != nil {
					t.Fatal(err)
				}
				var got []int
				for _, g := range e.Grants {
					if g.Amount != 0 && g.Amount != 500 {
						t.Errorf("a grant is %+v", g)
					}
					if g.Amount > 0 {
						got = append(got, int(g.CreatedAt.Sub(noon)/day))
					}
				}
				if slices.Sort(got); !slices.Equal(got, c.want) {
					t.Errorf("grants begin on the days %v, want %v", got, c.want)
				}
			})
		})
	}
}

// TestMissedBodies: whichever bodies except the last are lost, the credits are finally the
// same, however much was spent meanwhile, and however late the lost ones arrive.
func TestMissedBodies(t *testing.T) {
	const months = 5
	now := noon.Add(months * month)
	var all []entitlement.Fact
	for i := range months {
		days := 30 * i
		all = append(all,
			ofSubscription("sub_1", body("active", "pdt_keep", days, monthly, func(s *entitlement.SubscriptionState) { s.PeriodStart = s.PeriodStart.Add(33 * time.Second) })),
			chargeOf("sub_1", fmt.Sprint("pay_", i), days))
	}
	rapid.Check(t, func(t *rapid.T) {
		l := begin(now)
		l.policy = rapid.SampledFrom([]ledger.Policy{ledger.PolicyDebt, ledger.PolicyFloor}).Draw(t, "policy")
		var heard, lost []entitlement.Fact
		for i, f := range all {
			if f.Ref.Kind == entitlement.KindSubscription && i < len(all)-2 && rapid.Bool().Draw(t, "lost") {
				lost = append(lost, f)
			} else {
				heard = append(heard, f)
			}
		}
		tell := func(facts []entitlement.Fact) {
			for _, f := range rapid.Permutation(facts).Draw(t, "order") {
				l.hear(t, f)
				l.spend(t)
			}
			if got := l.ledger.Balance(); got != months*500-l.spent {
				t.Fatalf("the balance is %d after %d were spent", got, l.spent)
			}
		}
		tell(heard)
		tell(append(lost, heard[0]))
	})
}

// TestSpentInAnyLife: whatever is reported about a subscription, in any order, credits that
// are spent meanwhile are spent once, under every policy, also if add-ons change within a
// period and if the credits come monthly. Policy floor forgives no more than what single facts
// took back.
func TestSpentInAnyLife(t *testing.T) {
	quarter := func(s *entitlement.SubscriptionState) {
		s.PeriodEnd, s.Cycle = s.PeriodStart.Add(3*month), 3*month
	}
	for product, period := range map[string]func(*entitlement.SubscriptionState){"pdt_keep": monthly, "pdt_gather": quarter} {
		t.Run(product, func(t *testing.T) {
			drawFact := rapid.Custom(func(t *rapid.T) entitlement.Fact {
				days := rapid.SampledFrom([]int{0, 10, 30, 60, 90}).Draw(t, "days")
				if rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
					return chargeOf("sub_1", fmt.Sprint("pay_", rapid.IntRange(0, 4).Draw(t, "payment"), "_", days), days)
				}
				status := rapid.SampledFrom([]entitlement.SubscriptionStatus{"active", "active", "on_hold", "cancelled"}).Draw(t, "status")
				return ofSubscription("sub_1", body(status, product, days, period, func(s *entitlement.SubscriptionState) {
					s.PeriodStart = s.PeriodStart.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "apart")) * 33 * time.Second)
					s.At = s.At.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "later")) * day)
					n := rapid.SampledFrom([]int64{0, 0, 1, 5}).Draw(t, "add-ons")
					s.Addons, s.Price, s.Currency = entitlement.NewAddons(map[string]int64{"adn_extra": n}), 1000+100*n, "USD"
				}))
			})
			rapid.Check(t, func(t *rapid.T) {
				facts := rapid.SliceOfN(drawFact, 1, 8).Draw(t, "facts")
				now := noon.Add(time.Duration(rapid.IntRange(90, 400).Draw(t, "now")) * day)
				want := live(t, now, facts).ledger.Balance()
				l := begin(now)
				l.policy = rapid.SampledFrom([]ledger.Policy{ledger.PolicyDebt, ledger.PolicyFloor}).Draw(t, "policy")
				for _, f := range rapid.Permutation(facts).Draw(t, "order") {
					l.hear(t, f)
					l.spend(t)
				}
				l.mustHave(t, want)
			})
		})
	}
}
