package entitlement

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
)

// The minimum amounts of a catalog protect against a wrong price at Dodo: a purchase that
// brought less gives nothing until the operator has looked at it. They are compared with
// what was paid after discounts and before tax, in the currency of the payment.

// net is the amount of the payment before tax. It ignores refunds.
func (p Payment) net() int64 { return max(0, p.Total-p.Tax) }

// Underpaid reports whether a successful payment brought less than the minimum of its cart.
// Dodo reports the sum of a cart and not of each line, so the cart is judged as a whole. A
// payment that was refunded in full is not underpaid.
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
		least = min(maxSum, least+timesQuantity(n, line.Quantity))
	}
	if !guarded || listed && p.net() >= least {
		return false
	}
	_, full := p.reversed(policy)
	return !full
}

// timesQuantity is amount × quantity, at most maxSum.
func timesQuantity(amount, quantity int64) int64 {
	if quantity > 0 && amount > maxSum/quantity {
		return maxSum
	}
	return amount * quantity
}

// maxSum is more than any amount that was ever paid, and two of it can be added without
// overflow.
const maxSum = math.MaxInt64 / 2

// covers reports whether one of the sums reaches the minimum for that many pieces of a
// product.
func covers(sums, least config.Amounts, quantity int64) bool {
	for currency, sum := range sums {
		if n, listed := least[currency]; listed && sum >= timesQuantity(n, quantity) {
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

// isShort reports whether a product brought too little in a cycle.
func isShort(short []shortfall, cycle int, product string) bool {
	return slices.ContainsFunc(short, func(s shortfall) bool { return s.cycle == cycle && s.product == product })
}

// shortfalls are the products that brought too little, in all cycles.
func (s Subscription) shortfalls(cycles []cycle, charges []cycleMoney, termsOf TermsOf) []shortfall {
	var short []shortfall
	for i, c := range cycles {
		for product, quantity := range c.Bought {
			t, known := termsOf(product, c.firstSeen[product])
			if !known || len(t.MinAmount) == 0 || charges[i].fullyReversed() || s.hasFreePrice(c) {
				continue
			}
			if sums := s.revenueOf(i, cycles, charges, product); len(sums) > 0 && !covers(sums, t.MinAmount, quantity) {
				short = append(short, shortfall{i, product, c.firstSeen[product]})
			}
		}
	}
	return short
}

// hasFreePrice reports whether a cycle may cost anything: a trial may be free, and the
// operator chooses the amounts of on-demand charges.
func (s Subscription) hasFreePrice(c cycle) bool {
	return s.State.OnDemand || s.State.TrialDays > 0 && c.Start.Before(s.State.trialEnd().Add(-sameStart))
}

// revenueOf is what a product brought in a cycle, by currency. If the charge is for the whole
// cycle, it is the amount of the charge. A change of plan is charged in part, and a charge may
// be reported late: then it is the price that Dodo reported for the period. It is empty if
// neither is known.
func (s Subscription) revenueOf(i int, cycles []cycle, charges []cycleMoney, product string) config.Amounts {
	c := cycles[i]
	whole := c.firstSeen[product].Sub(c.Start) < sameStart && (i == 0 || !c.Start.Before(cycles[i-1].End.Add(-sameStart)))
	if whole && charges[i].paid > 0 {
		return charges[i].net
	}
	return c.Prices[product]
}

// isAbout reports whether a fact about the subscription is about the cycle.
func (s Subscription) isAbout(cycles []cycle, i int) bool {
	if start := s.State.PeriodStart; !start.IsZero() && cycleAt(cycles, start) == i {
		return true
	}
	for _, p := range s.Charges {
		if p.Status == PaymentSucceeded && !p.MethodOnly && cycleAt(cycles, p.CreatedAt) == i {
			return true
		}
	}
	return false
}

// Underpaid reports whether the payment, charge or period that a fact is about brought too
// little. The fact has been folded into the record.
func (r Record) Underpaid(fact Fact, policy config.DisputePolicy) bool {
	if fact.Ref.Kind != KindSubscription {
		return r.Payment.Underpaid(r.Terms, policy)
	}
	if !r.hasMinAmounts() {
		return false
	}
	cycles := r.Subscription.cycles()
	for _, short := range r.Subscription.shortfalls(cycles, r.Subscription.moneyOf(cycles, policy), r.termsOf) {
		if fact.Subscription.isAbout(cycles, short.cycle) {
			return true
		}
	}
	return false
}

// hasMinAmounts reports whether any terms have a minimum amount.
func (r Record) hasMinAmounts() bool {
	for _, t := range r.Terms {
		if len(t.MinAmount) > 0 {
			return true
		}
	}
	return false
}

// refreshMinAmounts replaces minimum amounts that were not met by the current ones, so that an
// operator can lower them for a past payment. Those that were met stay, and so do those of
// products that are no longer in the catalog.
func (r Record) refreshMinAmounts(termsOf TermsOf) {
	if !r.hasMinAmounts() {
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
	for _, short := range r.Subscription.shortfalls(cycles, r.Subscription.moneyOf(cycles, ""), r.termsOf) {
		refresh(termsKey(short.product, short.since), short.product, short.since)
	}
}
