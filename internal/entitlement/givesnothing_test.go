package entitlement_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

var nothingTerms = map[string]entitlement.Terms{
	"pdt_pack":    {Credits: 10},
	"pdt_empty":   {},
	"pdt_pro":     {Plan: "pro"},
	"pdt_metered": {Plan: "pro", OnCharge: config.Rates{"USD": {Credits: 3, Amount: 100}}},
	"adn_extra":   {Credits: 40},
	"adn_empty":   {},
}

func nothingOf(id string, _ time.Time) (entitlement.Terms, bool) {
	t, ok := nothingTerms[id]
	return t, ok
}

var subscription1 = entitlement.Ref{Kind: entitlement.KindSubscription, ID: "sub_1"}

// TestGivesNothing: whether a fact is about money for which its account got nothing.
func TestGivesNothing(t *testing.T) {
	of := func(p entitlement.Payment) entitlement.Fact { return about(p) }
	sub := func(s entitlement.Subscription) entitlement.Fact {
		return entitlement.Fact{Ref: subscription1, Subscription: s}
	}
	worth := func(total, tax int64, p entitlement.Payment) entitlement.Payment {
		p.Total, p.Tax = total, tax
		return p
	}
	running := func(product string, change ...subscriptionEdit) entitlement.Subscription {
		return body("active", product, 0, append([]subscriptionEdit{priced(900, "USD")}, change...)...)
	}
	with := func(addons entitlement.Addons) subscriptionEdit {
		return func(s *entitlement.SubscriptionState) { s.Addons = addons }
	}
	onDemand := func(s *entitlement.SubscriptionState) { s.OnDemand = true }
	euros := func(p *entitlement.Payment) { p.Currency = "EUR" }
	first := charged("a", 0, cents(900))
	for name, c := range map[string]struct {
		before []entitlement.Fact
		fact   entitlement.Fact
		want   bool
	}{
		"credits":                       {nil, of(paid(line("pdt_pack", 1))), false},
		"nothing":                       {nil, of(paid(line("pdt_empty", 1))), true},
		"nothing beside credits":        {nil, of(paid(line("pdt_pack", 1), line("pdt_empty", 1))), true},
		"a product nobody knows":        {nil, of(paid(line("pdt_new", 1))), false},
		"nothing for no money":          {nil, of(worth(0, 0, paid(line("pdt_empty", 1)))), false},
		"nothing for tax alone":         {nil, of(worth(100, 100, paid(line("pdt_empty", 1)))), false},
		"nothing for a cent":            {nil, of(worth(101, 100, paid(line("pdt_empty", 1)))), true},
		"nothing, given back":           {[]entitlement.Fact{of(paid(line("pdt_empty", 1)))}, of(entitlement.Payment{RefundedFully: true}), false},
		"nothing, given back in part":   {[]entitlement.Fact{of(paid(line("pdt_empty", 1)))}, of(refund("r", "succeeded", 300, false)), true},
		"a payment that failed":         {nil, of(entitlement.Payment{Status: "failed", Total: 900, Cart: []entitlement.Line{line("pdt_empty", 1)}}), false},
		"a subscription's own payment":  {nil, of(entitlement.Payment{Status: "succeeded", Total: 900, Subscription: "sub_1", Cart: []entitlement.Line{line("pdt_empty", 1)}}), false},
		"a plan":                        {nil, sub(running("pdt_pro")), false},
		"no plan":                       {nil, sub(running("pdt_empty")), true},
		"no plan, for no money":         {nil, sub(running("pdt_empty", priced(0, "USD"))), false},
		"no plan, on hold":              {nil, sub(body("on_hold", "pdt_empty", 0, priced(900, "USD"))), false},
		"no plan, and an add-on":        {nil, sub(running("pdt_empty", with("adn_extra=1"))), false},
		"no plan, and an empty add-on":  {nil, sub(running("pdt_empty", with("adn_empty=1"))), true},
		"no plan, and one nobody knows": {nil, sub(running("pdt_empty", with("adn_new=1"))), false},

		"the first charge of a plan":       {[]entitlement.Fact{sub(running("pdt_pro"))}, sub(first), false},
		"the first charge of nothing":      {[]entitlement.Fact{sub(running("pdt_empty"))}, sub(first), true},
		"the same, for no money":           {[]entitlement.Fact{sub(running("pdt_empty"))}, sub(charged("a", 0, cents(0))), false},
		"the same, given back":             {[]entitlement.Fact{sub(running("pdt_empty"))}, sub(charged("a", 0, cents(900), refunded(900))), false},
		"a charge that no period holds":    {[]entitlement.Fact{sub(running("pdt_empty")), sub(first)}, sub(charged("b", 40, cents(900))), false},
		"a charge that nobody knows of":    {[]entitlement.Fact{sub(running("pdt_pro")), sub(first)}, sub(charged("b", 10, cents(900))), true},
		"a charge with another plan":       {[]entitlement.Fact{sub(running("pdt_pro")), sub(first), sub(running("pdt_pack", after(10*day)))}, sub(charged("b", 10, cents(900))), false},
		"a charge moments before renewal":  {[]entitlement.Fact{sub(running("pdt_pro")), sub(first)}, sub(charged("b", 30, cents(900), dated(-2*time.Minute))), false},
		"a charge just before that":        {[]entitlement.Fact{sub(running("pdt_pro")), sub(first)}, sub(charged("b", 30, cents(900), dated(-2*time.Minute-1))), true},
		"a charge on demand":               {[]entitlement.Fact{sub(running("pdt_metered", onDemand)), sub(first)}, sub(charged("b", 5, cents(100))), false},
		"a charge on demand without rates": {[]entitlement.Fact{sub(running("pdt_pro", onDemand)), sub(first)}, sub(charged("b", 5, cents(100))), true},
		"one in another currency":          {[]entitlement.Fact{sub(running("pdt_metered", onDemand)), sub(first)}, sub(charged("b", 5, cents(100), euros)), true},
	} {
		t.Run(name, func(t *testing.T) {
			var record entitlement.Record
			for _, f := range append(c.before, c.fact) {
				record = record.Fold(f, nothingOf)
			}
			if got := record.GivesNothing(c.fact, freeze); got != c.want {
				t.Errorf("it gives nothing: %t, want %t", got, c.want)
			}
		})
	}
}

// TestUnknownAddon: an add-on without terms is reported for every body that lists it and for
// every charge of its period.
func TestUnknownAddon(t *testing.T) {
	has := func(status entitlement.SubscriptionStatus, addons entitlement.Addons) entitlement.Subscription {
		return body(status, "pdt_pro", 0, func(s *entitlement.SubscriptionState) { s.Addons = addons })
	}
	for name, c := range map[string]struct {
		before entitlement.Subscription
		fact   entitlement.Subscription
		want   bool
	}{
		"none":                     {fact: has("active", "")},
		"a known one":              {fact: has("active", "adn_extra=1")},
		"an unknown one":           {fact: has("active", "adn_new=1"), want: true},
		"one beside a known one":   {fact: has("active", "adn_extra=1,adn_new=1"), want: true},
		"of one on hold":           {fact: has("on_hold", "adn_new=1")},
		"of one that has ended":    {fact: has("cancelled", "adn_new=1")},
		"a charge of its period":   {before: has("active", "adn_new=1"), fact: charged("a", 0), want: true},
		"a charge an hour before":  {before: has("active", "adn_new=1"), fact: charged("a", 0, dated(-time.Hour)), want: true},
		"a charge earlier":         {before: has("active", "adn_new=1"), fact: charged("a", 0, dated(-time.Hour-1))},
		"a charge at its end":      {before: has("active", "adn_new=1"), fact: charged("a", 30)},
		"a charge that failed":     {before: has("active", "adn_new=1"), fact: charged("a", 0, failed)},
		"a charge before any body": {fact: charged("a", 0)},
	} {
		fact := entitlement.Fact{Ref: subscription1, Subscription: c.fact}
		record := entitlement.Record{}.Fold(entitlement.Fact{Ref: subscription1, Subscription: c.before}, nothingOf).Fold(fact, nothingOf)
		if got := record.UnknownAddon(fact); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	if (entitlement.Record{Subscription: has("active", "adn_new=1")}).UnknownAddon(about(paid(line("pdt_pack", 1)))) {
		t.Error("a payment tells of an add-on")
	}
}
