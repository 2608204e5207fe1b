package entitlement_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

const (
	freeze = config.DisputeFreeze
	month  = 30 * day
)

var subscriptionTerms = map[string]entitlement.Terms{
	"pdt_pro":     {Plan: "pro", Credits: 500},
	"pdt_team":    {Plan: "team", Credits: 800},
	"pdt_keep":    {Plan: "pro", Credits: 500, CreditsStay: true},
	"pdt_hoard":   {Plan: "team", Credits: 900, CreditsStay: true},
	"pdt_brief":   {Plan: "pro", Credits: 500, CreditsExpire: 7 * day},
	"pdt_credits": {Credits: 50},
	"pdt_huge":    {Credits: ledger.Max},
	"pdt_metered": {Plan: "pro", Credits: 7, OnCharge: config.Rates{"USD": {Credits: 3, Amount: 100}}},
	"pdt_year":    {Plan: "pro", Credits: 100, CreditsMonthly: true},
	"pdt_bulk":    {Plan: "team", Credits: 500, CreditsMonthly: true, CreditsStay: true},
	"pdt_gather":  {Plan: "pro", Credits: 100, CreditsMonthly: true, CreditsStay: true},
	"adn_extra":   {Credits: 40},
	"adn_audit":   {Plan: "audited", Feature: "audit", Seats: 2},
}

func catalog(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := subscriptionTerms[id]
	return t, ok
}

// body is a subscription's state in the period that began days after noon.
func body(status entitlement.SubscriptionStatus, product string, days int, change ...func(*entitlement.SubscriptionState)) entitlement.Subscription {
	start := noon.Add(time.Duration(days) * day)
	s := entitlement.SubscriptionState{
		At: start, Status: status, ProductID: product, Quantity: 1,
		CreatedAt: noon, PeriodStart: start, PeriodEnd: start.Add(month),
	}
	for _, c := range change {
		c(&s)
	}
	return entitlement.Observed(s)
}

// renewal is such a body as Dodo sends it because of a renewal.
func renewal(product string, days int, change ...func(*entitlement.SubscriptionState)) entitlement.Subscription {
	return entitlement.Renewed(body("active", product, days, change...).State)
}

func after(d time.Duration) func(*entitlement.SubscriptionState) {
	return func(s *entitlement.SubscriptionState) { s.At = s.At.Add(d) }
}

// charged is a payment of 1000 cents for the subscription, some days after noon.
func charged(id string, days int, change ...func(*entitlement.Payment)) entitlement.Subscription {
	p := entitlement.Payment{
		Status: entitlement.PaymentSucceeded, Total: 1000, Currency: "USD", Subscription: "sub_1",
		CreatedAt: noon.Add(time.Duration(days) * day),
	}
	for _, c := range change {
		c(&p)
	}
	return entitlement.Subscription{Charges: map[string]entitlement.Payment{id: p}}
}

func cents(total int64) func(*entitlement.Payment) {
	return func(p *entitlement.Payment) { p.Total = total }
}

func priced(price int64, currency string) func(*entitlement.SubscriptionState) {
	return func(s *entitlement.SubscriptionState) { s.Price, s.Currency = price, currency }
}

func refunded(amount int64) func(*entitlement.Payment) {
	return func(p *entitlement.Payment) {
		p.Refunds = map[string]entitlement.Refund{"r": {Status: entitlement.RefundSucceeded, Amount: amount, Currency: "USD"}}
	}
}

func methodOnly(p *entitlement.Payment) { p.Total, p.MethodOnly = 0, true }

func disputed(status entitlement.DisputeStatus) func(*entitlement.Payment) {
	return func(p *entitlement.Payment) { p.Disputes = map[string]entitlement.DisputeStatus{"d": status} }
}

// see is what an account sees that has nothing but the subscription.
func see(t *testing.T, s entitlement.Subscription, at time.Time) string {
	t.Helper()
	e, err := s.Effect("sub_1", catalog, freeze)
	if err != nil {
		t.Fatal(err)
	}
	account, _, err := ledger.Account{}.Apply(e.Grants, ledger.PolicyDebt, "", at)
	if err != nil {
		t.Fatal(err)
	}
	snap := entitlement.Account{Ledger: account, Standings: map[string]entitlement.Standing{"s": e.Standing}}.Snapshot(at, ranking)
	return fmt.Sprintf("%d %s %s paid=%v", snap.Credits, snap.Plan, snap.PlanStatus, snap.HasPaid)
}

func TestSubscriptionEffect(t *testing.T) {
	type facts = []entitlement.Subscription
	active, cancelled := entitlement.SubscriptionActive, entitlement.SubscriptionCancelled
	atEnd := func(s *entitlement.SubscriptionState) { s.CancelAtEnd = true }
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays = 7 }
	for name, c := range map[string]struct {
		facts facts
		day   int // when somebody looks
		want  string
	}{
		"pending":                          {facts{body("pending", "pdt_pro", 0)}, 1, "0 none none paid=false"},
		"the first charge's three events":  {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_pro", 0, after(time.Minute))}, 1, "500 pro active paid=true"},
		"seconds apart":                    {facts{body(active, "pdt_pro", 0), body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.PeriodStart = s.PeriodStart.Add(7 * time.Second) })}, 1, "500 pro active paid=true"},
		"ends with the period":             {facts{body(active, "pdt_pro", 0)}, 30, "0 none expired paid=false"},
		"renewed":                          {facts{body(active, "pdt_pro", 0), body(active, "pdt_pro", 30)}, 31, "500 pro active paid=true"},
		"renewed, credits stay":            {facts{body(active, "pdt_keep", 0), body(active, "pdt_keep", 30)}, 31, "1000 pro active paid=true"},
		"credits for a week":               {facts{body(active, "pdt_brief", 0)}, 8, "0 pro active paid=true"},
		"renewed early":                    {facts{body(active, "pdt_keep", 0), renewal("pdt_keep", 1)}, 2, "1000 pro active paid=true"},
		"renewed early, only its charge":   {facts{body(active, "pdt_keep", 0), charged("pay_1", 0), body(active, "pdt_keep", 1), charged("pay_2", 1)}, 2, "1000 pro active paid=true"},
		"only its dates moved":             {facts{body(active, "pdt_keep", 0), charged("pay_1", 0), body(active, "pdt_keep", 1), body(active, "pdt_keep", 2)}, 3, "500 pro active paid=true"},
		"trial":                            {facts{body(active, "pdt_pro", 0, trial)}, 6, "500 pro trialing paid=true"},
		"after the trial":                  {facts{body(active, "pdt_pro", 0, trial)}, 7, "500 pro active paid=true"},
		"past due, within the grace":       {facts{body(active, "pdt_pro", 0), body("past_due", "pdt_pro", 0, after(month))}, 32, "0 pro past_due paid=true"},
		"past due, after the grace":        {facts{body(active, "pdt_pro", 0), body("past_due", "pdt_pro", 0, after(month))}, 33, "0 none expired paid=false"},
		"past due, as long as Dodo says":   {facts{body("past_due", "pdt_pro", 0, after(month)), {GraceEndsAt: noon.Add(40 * day)}}, 39, "0 pro past_due paid=true"},
		"on hold":                          {facts{body(active, "pdt_pro", 0), body("on_hold", "pdt_pro", 0, after(day))}, 2, "500 none on_hold paid=false"},
		"recovered":                        {facts{body("on_hold", "pdt_pro", 0, after(day)), body(active, "pdt_pro", 2)}, 3, "500 pro active paid=true"},
		"paused":                           {facts{body(active, "pdt_pro", 0), body("paused", "pdt_pro", 0, after(day))}, 2, "500 none paused paid=false"},
		"cancelled now":                    {facts{body(active, "pdt_pro", 0), body(cancelled, "pdt_pro", 0, after(day))}, 2, "500 none cancelled paid=false"},
		"cancelled at the end, until then": {facts{body(active, "pdt_pro", 0), body(cancelled, "pdt_pro", 0, after(day), atEnd)}, 29, "500 pro cancelled paid=true"},
		"cancelled at the end, then":       {facts{body(active, "pdt_pro", 0), body(cancelled, "pdt_pro", 0, after(day), atEnd)}, 30, "0 none cancelled paid=false"},
		"cancel scheduled":                 {facts{body(active, "pdt_pro", 0), body(active, "pdt_pro", 0, after(day), atEnd)}, 29, "500 pro active paid=true"},
		"failed":                           {facts{body("failed", "pdt_pro", 0)}, 1, "0 none expired paid=false"},
		"expired":                          {facts{body(active, "pdt_pro", 0), body("expired", "pdt_pro", 0, after(day))}, 2, "500 none expired paid=false"},
		"the term ends before the period":  {facts{body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.ExpiresAt = noon.Add(9 * day) })}, 9, "500 none expired paid=false"},
		"a status nobody knows":            {facts{body("celebrating", "pdt_pro", 0)}, 1, "0 none none paid=false"},
		"a plan changed within the period": {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_team", 10), charged("pay_2", 10)}, 11, "800 team active paid=true"},
		"a plan changed to a smaller one":  {facts{body(active, "pdt_team", 0), body(active, "pdt_pro", 10)}, 11, "800 pro active paid=true"},
		"a plan changed, nothing paid":     {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_team", 10)}, 11, "500 team active paid=true"},
		"a plan changed, the period kept":  {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_team", 0, after(day)), charged("pay_2", 1)}, 11, "800 team active paid=true"},
		"nor paid, the period kept":        {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_team", 0, after(day))}, 11, "500 team active paid=true"},
		"a plan changed, its credits stay": {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_hoard", 0, after(day)), charged("pay_2", 1)}, 31, "900 none expired paid=false"},
		"a plan changed from such a one":   {facts{body(active, "pdt_keep", 0), charged("pay_1", 0), body(active, "pdt_team", 0, after(day)), charged("pay_2", 1)}, 31, "800 none expired paid=false"},
		"a plan changed, as many credits":  {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_keep", 0, after(day)), charged("pay_2", 1), body(active, "pdt_brief", 0, after(2*day))}, 31, "500 none expired paid=false"},
		"a whole change refunded":          {facts{body(active, "pdt_pro", 0, priced(1000, "USD")), charged("pay_1", 0), body(active, "pdt_team", 10, priced(1000, "USD")), charged("pay_2", 10, refunded(1000))}, 29, "500 team active paid=true"},
		"a whole change refunded, later":   {facts{body(active, "pdt_pro", 0, priced(1000, "USD")), charged("pay_1", 0), body(active, "pdt_team", 10, priced(1000, "USD")), charged("pay_2", 10, refunded(1000))}, 30, "0 none expired paid=false"},
		"the charge for a change refunded": {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_team", 0, after(day)), charged("pay_2", 1, refunded(1000))}, 11, "500 team active paid=true"},
		"a change that nobody heard of":    {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), charged("pay_2", 1), body(active, "pdt_team", 0, after(9*day))}, 11, "800 team active paid=true"},
		"its charge is not heard of yet":   {facts{body(active, "pdt_pro", 0), body(active, "pdt_team", 0, after(day)), charged("pay_1", 0)}, 11, "500 team active paid=true"},
		"one more piece, not paid":         {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_pro", 0, after(day), timesQuantity(2)), body(active, "pdt_pro", 0, after(2*day))}, 11, "500 pro active paid=true"},
		"one more piece, paid, and back":   {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_pro", 0, after(day), timesQuantity(2)), charged("pay_2", 1), body(active, "pdt_pro", 0, after(2*day))}, 11, "1000 pro active paid=true"},
		"two pieces":                       {facts{body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.Quantity = 2 })}, 1, "1000 pro active paid=true"},
		"only credits":                     {facts{body(active, "pdt_credits", 0)}, 40, "0 none none paid=true"},
		"refunded":                         {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, refunded(1000))}, 1, "0 none expired paid=false"},
		"refunded, and a card changed":     {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, refunded(1000)), charged("pay_2", 0, methodOnly)}, 1, "0 none expired paid=false"},
		"half refunded":                    {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, refunded(500))}, 1, "250 pro active paid=true"},
		"refunded, then renewed":           {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, refunded(1000)), body(active, "pdt_pro", 30), charged("pay_2", 30)}, 31, "500 pro active paid=true"},
		"the older period refunded":        {facts{body(active, "pdt_keep", 0), charged("pay_1", 0, refunded(1000)), body(active, "pdt_keep", 30), charged("pay_2", 30)}, 31, "500 pro active paid=true"},
		"a charge moments before":          {facts{body(active, "pdt_keep", 0), charged("pay_1", 0), body(active, "pdt_keep", 30), charged("pay_2", 30, refunded(1000), func(p *entitlement.Payment) { p.CreatedAt = p.CreatedAt.Add(-33 * time.Second) })}, 31, "500 none expired paid=false"},
		"a charge that failed":             {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, func(p *entitlement.Payment) { p.Status = "failed" })}, 1, "500 pro active paid=true"},
		"disputed":                         {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, disputed("opened"))}, 1, "0 none expired paid=false"},
		"dispute won":                      {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, disputed("opened")), charged("pay_1", 0, disputed("won"))}, 1, "500 pro active paid=true"},
		"dispute lost":                     {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, disputed("lost")), charged("pay_1", 0, disputed("opened"))}, 1, "0 none expired paid=false"},
		"a free trial's charge of nothing": {facts{body(active, "pdt_pro", 0, trial), charged("pay_1", 0, func(p *entitlement.Payment) { p.Total = 0 })}, 1, "500 pro trialing paid=true"},
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

func timesQuantity(n int64) func(*entitlement.SubscriptionState) {
	return func(s *entitlement.SubscriptionState) { s.Quantity = n }
}

func TestSubscriptionEffectCannotBeTold(t *testing.T) {
	_, err := body("active", "pdt_new", 0).Effect("sub_1", catalog, freeze)
	if !errors.Is(err, entitlement.ErrUnknownProduct) {
		t.Errorf("a product nobody knows: %v", err)
	}
	_, err = body("active", "pdt_huge", 0, func(s *entitlement.SubscriptionState) { s.Quantity = 2 }).Effect("sub_1", catalog, freeze)
	if !errors.Is(err, ledger.ErrRange) {
		t.Errorf("more than can be counted: %v", err)
	}
}

func TestDisputes(t *testing.T) {
	for status, want := range map[entitlement.DisputeStatus][2]int64{ // under freeze, under ignore
		"opened": {0, 10}, "challenged": {0, 10}, "won": {10, 10}, "cancelled": {10, 10},
		"lost": {0, 0}, "accepted": {0, 0}, "expired": {0, 0}, "novel": {10, 10},
	} {
		p := paid(line("pdt_pack", 1))
		p.Disputes = map[string]entitlement.DisputeStatus{"d": status}
		for i, policy := range []config.DisputePolicy{freeze, config.DisputeIgnore} {
			e, err := p.Effect("pay_1", offerTerms, policy)
			if err != nil || e.Grants[0].Amount != want[i] || e.Standing.Paid != (want[i] > 0) {
				t.Errorf("%s under %s: %+v, %v", status, policy, e, err)
			}
		}
	}
}

// TestSubscriptionMergeIsAJoin: order, grouping and repetition do not matter.
func TestSubscriptionMergeIsAJoin(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) entitlement.Subscription {
		status := rapid.SampledFrom([]entitlement.SubscriptionStatus{"pending", "active", "on_hold", "cancelled", "novel"}).Draw(t, "status")
		product := rapid.SampledFrom([]string{"pdt_pro", "pdt_team"}).Draw(t, "product")
		s := body(status, product, rapid.SampledFrom([]int{0, 30}).Draw(t, "days"), func(s *entitlement.SubscriptionState) {
			s.At = noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "at")))
			s.Quantity = rapid.Int64Range(1, 2).Draw(t, "quantity")
			s.Price = rapid.Int64Range(0, 2).Draw(t, "price")
			s.Currency = rapid.SampledFrom([]string{"", "USD", "EUR"}).Draw(t, "currency")
			s.CancelAtEnd = rapid.Bool().Draw(t, "cancel")
			s.PeriodEnd = s.PeriodEnd.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, "end")))
		})
		if rapid.Bool().Draw(t, "renewed") {
			s = entitlement.Renewed(s.State)
		}
		if rapid.Bool().Draw(t, "granted") { // by an earlier release
			s.Granted = s.Periods
		}
		if rapid.Bool().Draw(t, "charged") {
			s.Charges = map[string]entitlement.Payment{rapid.SampledFrom([]string{"p", "q"}).Draw(t, "charge"): facts.Draw(t, "payment")}
		}
		if rapid.Bool().Draw(t, "grace") {
			s.GraceEndsAt = noon.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "grace ends")))
		}
		return s
	})
	checkJoin(t, draw, entitlement.Subscription.Merge)
}
