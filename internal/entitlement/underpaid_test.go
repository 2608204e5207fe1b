package entitlement_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

var guardedTerms = map[string]entitlement.Terms{
	"pdt_pack":  {Credits: 10, MinAmount: config.Amounts{"USD": 500, "EUR": 450}},
	"pdt_other": {Credits: 3, MinAmount: config.Amounts{"USD": 200}},
	"pdt_free":  {Credits: 1},
	"pdt_pro":   {Plan: "pro", Credits: 500, MinAmount: config.Amounts{"USD": 900, "EUR": 850}},
	"pdt_team":  {Plan: "team", Credits: 800, MinAmount: config.Amounts{"USD": 1700}},
}

func guarded(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := guardedTerms[id]
	return t, ok
}

// lowered is the catalog after the operator has lowered every least amount to a cent.
func lowered(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := guardedTerms[id]
	t.MinAmount = config.Amounts{"USD": 1, "EUR": 1}
	return t, ok
}

// folded is one object with its account, folded fact by fact as the gateway does.
type folded struct {
	t       *testing.T
	ref     entitlement.Ref
	record  entitlement.Record
	account ledger.Account
	effect  entitlement.Effect
}

// tell folds a fact, and says whether it is underpaid.
func (l *folded) tell(fact entitlement.Fact, termsOf entitlement.TermsOf) bool {
	l.t.Helper()
	next := l.record.Fold(fact, termsOf)
	var err error
	if l.effect, err = next.Effect(l.ref, l.record, freeze); err != nil {
		l.t.Fatal(err)
	}
	if l.account, _, err = l.account.Apply(l.effect.Grants, ledger.PolicyDebt, "", noon); err != nil {
		l.t.Fatal(err)
	}
	l.record = next
	return next.Underpaid(fact, freeze)
}

func (l *folded) sees(at time.Time) string {
	s := entitlement.Account{Ledger: l.account, Standings: map[string]entitlement.Standing{"x": l.effect.Standing}}.Snapshot(at, config.Ranking{})
	return fmt.Sprintf("%d %s paid=%v dated=%v", s.Credits, s.Plan, s.HasPaid, !s.PaymentDate.IsZero())
}

// TestUnderpaidPayment compares what was paid after discounts and before tax with the minimum
// of the cart, in every order of facts.
func TestUnderpaidPayment(t *testing.T) {
	of := func(total, tax int64, currency string, cart ...entitlement.Line) entitlement.Payment {
		p := paid(cart...)
		p.Total, p.Tax, p.Currency = total, tax, currency
		return p
	}
	pack, both := line("pdt_pack", 1), []entitlement.Line{line("pdt_pack", 2), line("pdt_other", 1), line("pdt_free", 9)}
	const nothing, ten = "0 none paid=false dated=false", "10 none paid=true dated=true"
	for name, c := range map[string]struct {
		facts []entitlement.Payment
		short bool
		want  string
	}{
		"enough":                        {[]entitlement.Payment{of(500, 0, "USD", pack)}, false, ten},
		"enough and tax":                {[]entitlement.Payment{of(595, 95, "USD", pack)}, false, ten},
		"tax fills it up":               {[]entitlement.Payment{of(500, 80, "USD", pack)}, true, nothing},
		"a cent":                        {[]entitlement.Payment{of(1, 0, "USD", pack)}, true, nothing},
		"all discounted":                {[]entitlement.Payment{of(0, 0, "USD", pack)}, true, nothing},
		"in another listed currency":    {[]entitlement.Payment{of(450, 0, "EUR", pack)}, false, ten},
		"too little of it":              {[]entitlement.Payment{of(449, 0, "EUR", pack)}, true, nothing},
		"in a currency of large values": {[]entitlement.Payment{of(50_000, 0, "JPY", pack)}, true, nothing},
		"in no currency":                {[]entitlement.Payment{of(500, 0, "", pack)}, true, nothing},
		"nothing is asked":              {[]entitlement.Payment{of(1, 0, "JPY", line("pdt_free", 10))}, false, ten},
		"a cart":                        {[]entitlement.Payment{of(1200, 0, "USD", both...)}, false, "32 none paid=true dated=true"},
		"a cart of a cent less":         {[]entitlement.Payment{of(1199, 0, "USD", both...)}, true, nothing},
		"a cart where one has no price": {[]entitlement.Payment{of(1200, 0, "EUR", both...)}, true, nothing},
		"more than can be counted":      {[]entitlement.Payment{of(1<<53, 0, "USD", line("pdt_pack", 1<<50))}, true, nothing},
		"it failed":                     {[]entitlement.Payment{{Status: "failed", Total: 1, Currency: "USD", Cart: []entitlement.Line{pack}}}, false, nothing},
		"under way, then a cent":        {[]entitlement.Payment{{Status: "processing"}, of(1, 0, "USD", pack)}, true, nothing},
		"refunded in full":              {[]entitlement.Payment{of(1, 0, "USD", pack), refund("r", entitlement.RefundSucceeded, 1, true)}, false, nothing},
		"refunded in part":              {[]entitlement.Payment{of(499, 0, "USD", pack), refund("r", entitlement.RefundSucceeded, 100, false)}, true, nothing},
		"enough, refunded in part":      {[]entitlement.Payment{of(1000, 0, "USD", pack), refund("r", entitlement.RefundSucceeded, 600, false)}, false, "4 none paid=true dated=true"},
		"disputed":                      {[]entitlement.Payment{of(1, 0, "USD", pack), {Disputes: map[string]entitlement.DisputeStatus{"d": "opened"}}}, false, nothing},
		"its tax is heard of later":     {[]entitlement.Payment{of(500, 0, "USD", pack), of(500, 80, "USD", pack)}, true, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			permute(c.facts, func(order []entitlement.Payment) {
				l := folded{t: t, ref: payment1ref}
				var short bool
				for _, fact := range append(order, order[0]) {
					short = l.tell(entitlement.Fact{Ref: payment1ref, Payment: fact}, guarded)
				}
				if got := l.sees(noon); short != c.short || got != c.want || l.account.Debt != 0 {
					t.Errorf("%+v: underpaid %v, sees %s, owes %d; want %v, %s", order, short, got, l.account.Debt, c.short, c.want)
				}
			})
		})
	}
}

var payment1ref = entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}

// TestUnderpaidIsAskedAgain: a parked payment follows the current catalog, and one that was
// accepted stays accepted.
func TestUnderpaidIsAskedAgain(t *testing.T) {
	p := paid(line("pdt_pack", 1))
	p.Total, p.Currency = 300, "USD"
	fact := entitlement.Fact{Ref: payment1ref, Payment: p}
	l := folded{t: t, ref: payment1ref}
	if !l.tell(fact, guarded) || l.sees(noon) != "0 none paid=false dated=false" {
		t.Fatalf("at first: %s", l.sees(noon))
	}
	gone := func(string, time.Time) (entitlement.Terms, bool) { return entitlement.Terms{}, false }
	if !l.tell(fact, gone) {
		t.Error("it is enough, because the catalog has the product no more")
	}
	if l.tell(fact, lowered) || l.sees(noon) != "10 none paid=true dated=true" {
		t.Errorf("lowered: %s", l.sees(noon))
	}
	if l.tell(fact, guarded) || l.sees(noon) != "10 none paid=true dated=true" {
		t.Errorf("raised again: %s", l.sees(noon))
	}
}

// TestUnderpaidSubscription: the period whose charge or price is too little gives
// nothing; the others do.
func TestUnderpaidSubscription(t *testing.T) {
	type facts = []entitlement.Subscription
	trial := func(s *entitlement.SubscriptionState) { s.TrialDays = 30 }
	demand := func(s *entitlement.SubscriptionState) { s.OnDemand = true }
	euros := func(p *entitlement.Payment) { p.Currency = "EUR" }
	taxed := func(p *entitlement.Payment) { p.Tax = 200 }
	const active = entitlement.SubscriptionActive
	const nothing, pro = "0 none paid=false dated=false", "500 pro paid=true dated=true"
	for name, c := range map[string]struct {
		facts facts
		day   int
		want  string
	}{
		"enough":                                {facts{body(active, "pdt_pro", 0), charged("pay_1", 0)}, 1, pro},
		"enough by its price":                   {facts{body(active, "pdt_pro", 0, priced(900, "USD"))}, 1, pro},
		"a price of a cent":                     {facts{body(active, "pdt_pro", 0, priced(1, "USD"))}, 1, nothing},
		"a price of nothing":                    {facts{body(active, "pdt_pro", 0, priced(0, "USD"))}, 1, nothing},
		"a charge of a cent":                    {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0, cents(1))}, 1, nothing},
		"a charge of nothing, no trial":         {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, cents(0))}, 1, nothing},
		"of tax":                                {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, taxed)}, 1, nothing},
		"in another currency":                   {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0, euros)}, 1, pro},
		"nothing is said":                       {facts{body(active, "pdt_pro", 0)}, 1, pro},
		"a free trial":                          {facts{body(active, "pdt_pro", 0, priced(900, "USD"), trial), charged("pay_1", 0, cents(0))}, 1, pro},
		"a cent after the trial":                {facts{body(active, "pdt_pro", 0, priced(900, "USD"), trial), charged("pay_1", 0, cents(0)), body(active, "pdt_pro", 30, priced(900, "USD"), trial), charged("pay_2", 30, cents(1))}, 31, "0 none paid=false dated=true"},
		"a cent when the trial ends":            {facts{body(active, "pdt_pro", 0, priced(900, "USD"), trial), charged("pay_1", 0, cents(0)), body(active, "pdt_pro", 30, moved(-2*time.Minute+1), priced(900, "USD"), trial), charged("pay_2", 30, cents(1))}, 31, "0 none paid=false dated=true"},
		"nothing just before the trial ends":    {facts{body(active, "pdt_pro", 0, priced(900, "USD"), trial), charged("pay_1", 0, cents(0)), renewal("pdt_pro", 30, moved(-2*time.Minute-1), priced(900, "USD"), trial), charged("pay_2", 30, dated(-2*time.Minute-1), cents(1))}, 31, pro},
		"a charge of a cent, and dates move":    {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, cents(1)), body(active, "pdt_pro", 10, priced(900, "USD"))}, 11, nothing},
		"exactly the least amount":              {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, cents(900))}, 1, pro},
		"a cent less":                           {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, cents(899))}, 1, nothing},
		"two pieces for the price of two":       {facts{body(active, "pdt_pro", 0, timesQuantity(2)), charged("pay_1", 0, cents(1800))}, 1, "1000 pro paid=true dated=true"},
		"a dearer plan, an hour after a charge": {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0, cents(900)), body(active, "pdt_team", 0, moved(time.Hour), priced(1800, "USD"))}, 1, "500 team paid=true dated=true"},
		"on demand":                             {facts{body(active, "pdt_pro", 0, demand), charged("pay_1", 0, cents(1))}, 1, pro},
		"two pieces for the price of one":       {facts{body(active, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.Quantity = 2 }), charged("pay_1", 0)}, 1, nothing},
		"the second period only":                {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, cents(1)), body(active, "pdt_pro", 30), charged("pay_2", 30)}, 31, pro},
		"the first period only":                 {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), body(active, "pdt_pro", 30), charged("pay_2", 30, cents(1))}, 31, "0 none paid=false dated=true"},
		"refunded":                              {facts{body(active, "pdt_pro", 0), charged("pay_1", 0, cents(1), refunded(1))}, 1, nothing},
		"a bigger plan, charged in part":        {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0), body(active, "pdt_team", 10, priced(1800, "USD")), charged("pay_2", 10, cents(600))}, 11, "666 team paid=true dated=true"},
		"a bigger plan for a cent":              {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0), body(active, "pdt_team", 10, priced(1, "USD")), charged("pay_2", 10, cents(1))}, 11, "500 none paid=false dated=true"},
		"renewed early, charged in part":        {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0), renewal("pdt_pro", 10, priced(900, "USD")), charged("pay_2", 10, cents(300))}, 11, "1000 pro paid=true dated=true"},
		"a new card, for nothing":               {facts{body(active, "pdt_pro", 0), charged("pay_1", 0), charged("pay_2", 1, methodOnly)}, 2, pro},
		"a charge that failed is no too little": {facts{body(active, "pdt_pro", 0, priced(900, "USD")), charged("pay_1", 0, cents(1), func(p *entitlement.Payment) { p.Status = "failed" })}, 1, pro},
	} {
		t.Run(name, func(t *testing.T) {
			ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}
			at := noon.Add(time.Duration(c.day) * day)
			permute(c.facts, func(order []entitlement.Subscription) {
				l := folded{t: t, ref: ref}
				for _, fact := range append(order, order[0]) {
					l.tell(entitlement.Fact{Ref: ref, Subscription: fact}, guarded)
				}
				if got := l.sees(at); got != c.want || l.account.Debt != 0 {
					t.Errorf("%s, owes %d; want %s", got, l.account.Debt, c.want)
				}
			})
		})
	}
}

// TestUnderpaidPeriodIsToldOnce: only facts about the period that brought too little are
// parked, and the operator's new amount counts for it.
func TestUnderpaidPeriodIsToldOnce(t *testing.T) {
	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}
	about := func(s entitlement.Subscription) entitlement.Fact { return entitlement.Fact{Ref: ref, Subscription: s} }
	l := folded{t: t, ref: ref}
	cent := charged("pay_1", 0, func(p *entitlement.Payment) { p.Total = 1 })
	for i, step := range []struct {
		fact  entitlement.Subscription
		terms entitlement.TermsOf
		short bool
		want  string
	}{
		{body("active", "pdt_pro", 0), guarded, false, "500 pro paid=true dated=true"},
		{cent, guarded, true, "0 none paid=false dated=false"},
		{body("active", "pdt_pro", 0), guarded, true, "0 none paid=false dated=false"},
		{body("active", "pdt_pro", 30), guarded, false, "500 pro paid=true dated=true"},
		{charged("pay_2", 30), guarded, false, "500 pro paid=true dated=true"},
		{cent, guarded, true, "500 pro paid=true dated=true"},
		{charged("pay_3", 1, methodOnly), guarded, false, "500 pro paid=true dated=true"},
		{charged("pay_4", 1, failed), guarded, false, "500 pro paid=true dated=true"},
		{cent, lowered, false, "500 pro paid=true dated=true"},
		{cent, guarded, false, "500 pro paid=true dated=true"},
	} {
		if short := l.tell(about(step.fact), step.terms); short != step.short || l.sees(noon.Add(31*day)) != step.want && i > 2 {
			t.Errorf("step %d: underpaid %v, %s; want %v, %s", i, short, l.sees(noon.Add(31*day)), step.short, step.want)
		}
	}
	if l.account.Debt != 0 {
		t.Errorf("owes %d", l.account.Debt)
	}
}
