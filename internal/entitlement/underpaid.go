package entitlement

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
)

// The least amounts of a catalog guard against a price that is wrong at Dodo: what
// brought less gives nothing until the operator has looked. They compare what was
// paid after discounts and before tax, in the currency that it was paid in.

// net is what the payment brought before tax, whatever was given back since.
func (p Payment) net() int64 { return max(0, p.Total-p.Tax) }

// Underpaid reports whether a payment that succeeded brought less than its cart must
// bring by the terms of its products. Dodo says the sum of a cart and not that of a
// line, so the cart is judged as a whole. What was given back in full is not
// underpaid, because nobody has paid.
func (p Payment) Underpaid(terms map[string]Terms, policy config.DisputePolicy) bool {
	if p.Status != PaymentSucceeded || p.Subscription != "" {
		return false
	}
	var least int64
	listed, guarded := true, false
	for _, line := range p.Cart {
		amounts := terms[line.ProductID].MinAmount
		if len(amounts) == 0 {
			continue
		}
		n, ok := amounts[p.Currency]
		guarded, listed = true, listed && ok
		least = min(mostPieces, least+pieces(n, line.Quantity))
	}
	if !guarded || listed && p.net() >= least {
		return false
	}
	_, full := p.undone(policy)
	return !full
}

// pieces is amount × quantity, held to a sum of which two can be added up: far more
// than anything that was ever paid.
func pieces(amount, quantity int64) int64 {
	if quantity > 0 && amount > mostPieces/quantity {
		return mostPieces
	}
	return amount * quantity
}

const mostPieces = math.MaxInt64 / 2

// covers reports whether one of the sums is enough for the pieces of a product.
func covers(sums, least config.Amounts, quantity int64) bool {
	for currency, sum := range sums {
		if n, listed := least[currency]; listed && sum >= pieces(n, quantity) {
			return true
		}
	}
	return false
}

// shortfall is a product that brought too little in one cycle.
type shortfall struct {
	cycle   int // its index
	product string
	since   time.Time
}

// falls reports whether a product is short in a cycle.
func falls(short []shortfall, cycle int, product string) bool {
	return slices.ContainsFunc(short, func(s shortfall) bool { return s.cycle == cycle && s.product == product })
}

// shortfalls are the products of all cycles that brought too little.
func (s Subscription) shortfalls(cycles []cycle, charges []charge, termsOf TermsOf) []shortfall {
	var short []shortfall
	for i, c := range cycles {
		for product, quantity := range c.Bought {
			t, known := termsOf(product, c.since[product])
			if !known || len(t.MinAmount) == 0 || charges[i].void() || s.unjudged(c) {
				continue
			}
			if sums := s.broughtBy(i, cycles, charges, product); len(sums) > 0 && !covers(sums, t.MinAmount, quantity) {
				short = append(short, shortfall{i, product, c.since[product]})
			}
		}
	}
	return short
}

// unjudged reports whether a cycle may cost anything: a trial may be free, and what is
// charged on demand is what the operator likes.
func (s Subscription) unjudged(c cycle) bool {
	return s.State.OnDemand || s.State.TrialDays > 0 && c.Start.Before(s.State.trialEnd().Add(-startsTogether))
}

// broughtBy is what a product brought in a cycle, by currency. The charge says it, if
// it is for the whole cycle. A change of plan is charged in part, and a charge may be
// heard of late: then the price counts that Dodo names for each period. Nothing, if
// neither is known.
func (s Subscription) broughtBy(i int, cycles []cycle, charges []charge, product string) config.Amounts {
	c := cycles[i]
	whole := c.since[product].Sub(c.Start) < startsTogether && (i == 0 || !c.Start.Before(cycles[i-1].End.Add(-startsTogether)))
	if whole && charges[i].paid > 0 {
		return charges[i].net
	}
	return c.Prices[product]
}

// concerns reports whether a fact about the subscription tells of a cycle.
func (s Subscription) concerns(cycles []cycle, i int) bool {
	if start := s.State.PeriodStart; !start.IsZero() && periodOf(cycles, start) == i {
		return true
	}
	for _, p := range s.Charges {
		if p.Status == PaymentSucceeded && !p.MethodOnly && periodOf(cycles, p.CreatedAt) == i {
			return true
		}
	}
	return false
}

// Underpaid reports whether what a fact tells of brought too little, by the record
// that the fact was folded into: its payment, its charge, or its period.
func (r Record) Underpaid(fact Fact, policy config.DisputePolicy) bool {
	if fact.Ref.Kind != KindSubscription {
		return r.Payment.Underpaid(r.Terms, policy)
	}
	if !r.guarded() {
		return false
	}
	cycles := r.Subscription.cycles()
	for _, short := range r.Subscription.shortfalls(cycles, r.Subscription.chargesOf(cycles, policy), r.termsOf) {
		if fact.Subscription.concerns(cycles, short.cycle) {
			return true
		}
	}
	return false
}

// guarded reports whether any terms name a least amount.
func (r Record) guarded() bool {
	for _, t := range r.Terms {
		if len(t.MinAmount) > 0 {
			return true
		}
	}
	return false
}

// askAgain puts the least amounts of today in the place of those that were not met, so
// that an operator can lower them for what was paid already. What was met stays met. The
// amounts of a product that the catalog has no more stay, too.
func (r Record) askAgain(termsOf TermsOf) {
	if !r.guarded() {
		return
	}
	refresh := func(key, product string, start time.Time) {
		today, known := termsOf(product, start)
		t, frozen := r.Terms[key]
		if known && frozen && !maps.Equal(t.MinAmount, today.MinAmount) {
			t.MinAmount = today.MinAmount
			r.Terms[key] = t
		}
	}
	if r.Payment.Underpaid(r.Terms, "") {
		for _, line := range r.Payment.Cart {
			refresh(line.ProductID, line.ProductID, time.Time{})
		}
	}
	if r.Subscription.IsZero() {
		return
	}
	cycles := r.Subscription.cycles()
	for _, short := range r.Subscription.shortfalls(cycles, r.Subscription.chargesOf(cycles, ""), r.termsOf) {
		refresh(termsKey(short.product, short.since), short.product, short.since)
	}
}
