package entitlement

import (
	"math/bits"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// offerTerms looks up the terms of an offer's product and the credits of its add-ons. It is
// false if the offer gives nothing.
type offerTerms func(o offer) (t Terms, addons int64, ok bool, err error)

// termsUnlessShort looks up terms, except for products that brought too little money.
func (s Subscription) termsUnlessShort(termsOf TermsOf, falls func(product string) bool) offerTerms {
	return func(o offer) (Terms, int64, bool, error) {
		t, ok := termsOf(o.ProductID, o.since)
		if !ok || falls(o.ProductID) {
			return Terms{}, 0, false, nil
		}
		if s.isCreditedPerCharge(t, termsOf) {
			t.Credits = 0
		}
		addons, err := o.Addons.creditsOf(termsOf, o.since)
		return t, addons, true, err
	}
}

// creditsOf is the number of credits that a choice with its add-ons gives for a cycle of that
// many months.
func creditsOf(t Terms, addons, months int64, c Choice) (int64, error) {
	if t.Credits > (ledger.Max-addons)/max(c.Quantity, 1) {
		return 0, ledger.ErrRange
	}
	credits := t.Credits*c.Quantity + addons
	if credits > ledger.Max/months {
		return 0, ledger.ErrRange
	}
	return credits * months, nil
}

// quote is what a choice gives for a whole cycle, and its price: 0 if unknown.
type quote struct {
	credits, price int64
	terms          Terms
	months         int64 // over which the credits are given; 0: at once
}

// costlierThan reports whether a choice gives fewer credits for the same money than another
// one.
func (b quote) costlierThan(c quote) bool {
	bHigh, bLow := bits.Mul64(uint64(b.credits), uint64(c.price))
	cHigh, cLow := bits.Mul64(uint64(c.credits), uint64(b.price))
	return bHigh < cHigh || bHigh == cHigh && bLow < cLow
}

// creditsFor is the number of credits that the money buys. Money beyond the price buys at the
// rate of the costliest choice.
func (b quote) creditsFor(money int64, costliest quote) (int64, error) {
	if money <= b.price {
		return share(b.credits, money, b.price), nil
	}
	high, low := bits.Mul64(uint64(costliest.credits), uint64(money-b.price))
	if high >= uint64(costliest.price) {
		return 0, ledger.ErrRange
	}
	rest, _ := bits.Div64(high, low, uint64(costliest.price))
	if rest > uint64(ledger.Max-b.credits) {
		return 0, ledger.ErrRange
	}
	return b.credits + int64(rest), nil
}

// limitedTo removes months that the offer's period does not have, such as those of the year
// that follows a trial.
func (b quote) limitedTo(c cycle, o offer) quote {
	if b.months > 0 {
		if n := c.monthsBy(o, b.months); n < b.months {
			b.credits = b.perMonth() * n
			b.price = min(b.price, max(1, share(b.price, n, b.months)))
			b.months = n
		}
	}
	return b
}

// quote is what an offer gives for a whole cycle. It has no credits if the offer gives
// nothing.
func (c cycle) quote(o offer, currency string, terms offerTerms) (quote, error) {
	b := quote{price: min(max(o.Price[currency], 0), maxSum)}
	t, addons, ok, err := terms(o)
	if !ok || err != nil {
		return b, err
	}
	b.terms = t
	if t.CreditsMonthly {
		b.months = c.monthsIn(o)
	}
	b.credits, err = creditsOf(t, addons, max(b.months, 1), o.Choice)
	return b, err
}

// creditsOf is what the money of a cycle buys, by the rules of [Subscription.Effect].
func (s Subscription) creditsOf(c cycle, terms offerTerms, policy config.DisputePolicy) (cycleCredits, error) {
	g := cycleCredits{cycle: c}
	for _, o := range c.offers {
		b, err := c.quote(o, c.opening.currency, terms)
		if err != nil {
			return g, err
		}
		if o.granted {
			b = b.limitedTo(c, o)
			g.raiseTo(b.credits, b, c.Start)
		}
	}
	first, err := c.quote(c.opening.offer, c.opening.currency, terms)
	if err != nil {
		return g, err
	}
	money, price := c.opening.paid, first.price
	if first = first.limitedTo(c, c.opening.offer); first.price < price && !c.opening.charged {
		money = min(money, first.price)
	}
	if c.opening.fullCredits {
		g.raiseTo(first.credits, first, c.Start)
	} else {
		g.raiseTo(share(first.credits, c.opening.paid, c.opening.price), first, c.Start)
	}
	top, costliest := first, first
	for _, id := range c.further() {
		p := s.Charges[id]
		if !s.buysInCycle(c, p, policy) {
			continue
		}
		b, compares := top, p.Currency == c.opening.currency
		if o, known := choiceFor(c.offers, c.opening.key(), p); known {
			if b, err = c.quote(o, p.Currency, terms); err != nil {
				return g, err
			}
			compares = compares && b.price > 0
		}
		if !compares {
			g.raiseIncomparable(b, p.CreatedAt)
			continue
		}
		if b.price > top.price {
			top = b
		}
		for _, o := range c.offers {
			if o.First.After(p.CreatedAt.Add(sameStart)) {
				continue
			}
			seen, err := c.quote(o, p.Currency, terms)
			if err != nil {
				return g, err
			}
			if seen.credits > 0 && seen.price > 0 && seen.costlierThan(costliest) {
				costliest = seen
			}
		}
		if b.costlierThan(costliest) {
			costliest = b
		}
		money = min(money+min(p.net(), maxSum), maxSum)
		credits, err := top.creditsFor(money, costliest)
		if err != nil {
			return g, err
		}
		g.raiseTo(credits, b, p.CreatedAt)
	}
	return g, nil
}

// buysInCycle reports whether a charge after the opening buys something in the cycle. A charge
// newer than every body does not, because it is not known yet what it is for.
func (s Subscription) buysInCycle(c cycle, p Payment, policy config.DisputePolicy) bool {
	_, undone := p.reversed(policy)
	return !s.State.OnDemand && p.net() > 0 && !undone && !s.State.At.Before(p.CreatedAt) && p.CreatedAt.Before(c.End.Add(-sameStart))
}
