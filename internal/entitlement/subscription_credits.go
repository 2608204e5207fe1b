package entitlement

import (
	"math/bits"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// terms are those of an offer's product, with the credits of its add-ons; false for an offer
// that gives nothing.
type terms func(o offer) (t Terms, addons int64, ok bool, err error)

// priced are the terms of everything that does not fall short.
func (s Subscription) priced(termsOf TermsOf, falls func(product string) bool) terms {
	return func(o offer) (Terms, int64, bool, error) {
		t, ok := termsOf(o.ProductID, o.since)
		if !ok || falls(o.ProductID) {
			return Terms{}, 0, false, nil
		}
		if s.byCharge(t, termsOf) {
			t.Credits = 0
		}
		addons, err := o.Addons.creditsOf(termsOf, o.since)
		return t, addons, true, err
	}
}

// creditsOf are the credits that a choice gives for a whole cycle of so many months, with
// its add-ons.
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

// bid is what a choice gives for a whole cycle, and what that costs: 0 if it is not known.
type bid struct {
	credits, price int64
	terms          Terms
	months         int64 // over which the credits are given; 0: at once
}

// dearer reports whether a choice gives less for the same money than another one.
func (b bid) dearer(c bid) bool {
	bHigh, bLow := bits.Mul64(uint64(b.credits), uint64(c.price))
	cHigh, cLow := bits.Mul64(uint64(c.credits), uint64(b.price))
	return bHigh < cHigh || bHigh == cHigh && bLow < cLow
}

// buys is what money buys of a choice. What is left of it counts as it does for the
// dearest one.
func (b bid) buys(money int64, dearest bid) (int64, error) {
	if money <= b.price {
		return share(b.credits, money, b.price), nil
	}
	high, low := bits.Mul64(uint64(dearest.credits), uint64(money-b.price))
	if high >= uint64(dearest.price) {
		return 0, ledger.ErrRange
	}
	rest, _ := bits.Div64(high, low, uint64(dearest.price))
	if rest > uint64(ledger.Max-b.credits) {
		return 0, ledger.ErrRange
	}
	return b.credits + int64(rest), nil
}

// fits is a bid as an offer's period gives it: no months that the period does not have, such
// as those of the year after a trial.
func (b bid) fits(c cycle, o offer) bid {
	if b.months > 0 {
		if n := c.monthsBy(o, b.months); n < b.months {
			b.credits = b.each() * n
			b.price = min(b.price, max(1, share(b.price, n, b.months)))
			b.months = n
		}
	}
	return b
}

// bid is what an offer gives for a whole cycle, if it gives anything.
func (c cycle) bid(o offer, currency string, terms terms) (bid, error) {
	b := bid{price: min(max(o.Price[currency], 0), mostPieces)}
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

// gives is what the money of a cycle buys: the law of [Subscription.Effect]. Terms is false
// for an offer that gives nothing.
func (s Subscription) gives(c cycle, terms terms, policy config.DisputePolicy) (gift, error) {
	g := gift{cycle: c}
	for _, o := range c.offers {
		b, err := c.bid(o, c.opening.currency, terms)
		if err != nil {
			return g, err
		}
		if o.granted {
			b = b.fits(c, o)
			g.raise(b.credits, b, c.Start)
		}
	}
	first, err := c.bid(c.opening.offer, c.opening.currency, terms)
	if err != nil {
		return g, err
	}
	money, price := c.opening.paid, first.price
	if first = first.fits(c, c.opening.offer); first.price < price && !c.opening.charged {
		money = min(money, first.price)
	}
	if c.opening.whole {
		g.raise(first.credits, first, c.Start)
	} else {
		g.raise(share(first.credits, c.opening.paid, c.opening.price), first, c.Start)
	}
	top, dearest := first, first
	for _, id := range c.further() {
		p := s.Charges[id]
		if !s.countsWithin(c, p, policy) {
			continue
		}
		b, compares := top, p.Currency == c.opening.currency
		if o, known := chosenBy(c.offers, c.opening.key(), p); known {
			if b, err = c.bid(o, p.Currency, terms); err != nil {
				return g, err
			}
			compares = compares && b.price > 0
		}
		if !compares {
			g.raiseOnce(b, p.CreatedAt)
			continue
		}
		if b.price > top.price {
			top = b
		}
		for _, o := range c.offers {
			if o.First.After(p.CreatedAt.Add(startsTogether)) {
				continue
			}
			seen, err := c.bid(o, p.Currency, terms)
			if err != nil {
				return g, err
			}
			if seen.credits > 0 && seen.price > 0 && seen.dearer(dearest) {
				dearest = seen
			}
		}
		if b.dearer(dearest) {
			dearest = b
		}
		money = min(money+min(p.net(), mostPieces), mostPieces)
		credits, err := top.buys(money, dearest)
		if err != nil {
			return g, err
		}
		g.raise(credits, b, p.CreatedAt)
	}
	return g, nil
}

// countsWithin reports whether a charge after the opening buys something in the cycle. One
// that is newer than every body does not: what it was made for is not known yet.
func (s Subscription) countsWithin(c cycle, p Payment, policy config.DisputePolicy) bool {
	_, undone := p.undone(policy)
	return !s.State.OnDemand && p.net() > 0 && !undone && !s.State.At.Before(p.CreatedAt) && p.CreatedAt.Before(c.End.Add(-startsTogether))
}
