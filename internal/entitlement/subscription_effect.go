package entitlement

import (
	"fmt"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Renewal is access that a subscription gives.
type Renewal struct {
	Plan   string     `json:"plan"` // the product's; empty if it gives none
	Status PlanStatus `json:"status"`
	// Access is given until Until. Without Access, Until is when it would have ended.
	Access bool      `json:"access,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Renews: the subscription is expected to continue after Until.
	Renews bool `json:"renews,omitempty"`
	// TrialUntil: before this instant the plan is trialing rather than active.
	TrialUntil time.Time `json:"trial_until,omitzero"`
	// Plans that add-ons give in addition to Plan. Features and Seats come from the product
	// and its add-ons. All last as long as the access.
	Plans    []string `json:"plans,omitempty"`
	Features []string `json:"features,omitempty"`
	Seats    int64    `json:"seats,omitempty"`
}

// renewalTerms is what the newest state gives, without its times. It is false if that is
// nothing. A plan is listed once.
func (s SubscriptionState) renewalTerms(termsOf TermsOf) (Renewal, bool) {
	product, _ := termsOf(s.ProductID, s.PeriodStart)
	r := Renewal{Plan: product.Plan, Seats: timesQuantity(product.Seats, s.Quantity)}
	for id, quantity := range s.Addons.All() {
		t, _ := termsOf(id, s.PeriodStart)
		r.Seats = addCapped(r.Seats, timesQuantity(t.Seats, quantity))
		if t.Plan != "" && t.Plan != r.Plan && !slices.Contains(r.Plans, t.Plan) {
			r.Plans = append(r.Plans, t.Plan)
		}
		if t.Feature != "" && !slices.Contains(r.Features, t.Feature) {
			r.Features = append(r.Features, t.Feature)
		}
	}
	return r, r.Plan != "" || len(r.Plans) > 0 || len(r.Features) > 0 || r.Seats > 0
}

// TermsOf looks up what a product gives, by Dodo's id: in the period of a subscription that
// begins at start, or by a payment if start is zero.
type TermsOf func(productID string, start time.Time) (Terms, bool)

// Effect is what the subscription with the given id gives: the product's credits for every
// paid cycle, and access to the plan by its status. It is a pure function, independent of the
// order in which facts arrived.
//
// The rule for credits: a cycle gives what its money buys.
//
//   - A cycle begins with the first charge, a trial or a renewal, or with a charge of the
//     whole price in the middle of another cycle. Other changes of plan belong to the cycle
//     in which they are made, even if Dodo moves the billing dates.
//   - It gives the credits of the choice (product and quantity) that it began with. If that
//     choice was only seen later, and the charge is smaller than its price, it gives the
//     share of them that the charge pays for.
//   - Each further charge adds its amount before tax to the price of the first choice. The
//     sum buys the most expensive choice that a charge was made for: all its credits for its
//     price, or the same share of both. Money beyond that price buys credits at the rate of
//     the choice that gives the fewest for its price. Later charges never reduce what
//     earlier ones have bought.
//   - A charge that cannot be compared with prices (because of a discount or another
//     currency) buys the choice that it was made for, once.
//   - A change without a charge gives the plan, but no credits before the next renewal.
//   - A charge that was refunded in full buys nothing. After a partial refund, the cycle gives
//     the share of its credits that is still paid for.
//
// On-demand charges give credits of their own, see [Subscription.addOnDemand]. Add-ons are
// part of the choice: their credits come with those of the product.
//
// A product with monthly credits gives them for each month of the cycle, see
// [cycleCredits.grants]; the rule above counts all of them together.
//
// A product that brought too little in a period gives nothing in it, see [Record.Underpaid]. A
// product without terms gives nothing and is reported as [ErrUnknownProduct], next to the
// effect of the others. An amount beyond 2^53-1 is [ledger.ErrRange], and the effect is empty.
func (s Subscription) Effect(id string, termsOf TermsOf, policy config.DisputePolicy) (Effect, error) {
	var (
		e       = Effect{successors: make(map[string]string)}
		unknown error
		cycles  = s.cycles()
		charges = s.moneyOf(cycles, policy)
		short   = s.shortfalls(cycles, charges, termsOf)
	)
	stops := s.stops()
	for i, c := range cycles {
		paid := false
		for _, o := range c.offers {
			t, ok := termsOf(o.ProductID, o.since)
			if !ok {
				unknown = fmt.Errorf("period of %s: %w", c.Start.Format(time.DateOnly), ErrUnknownProduct)
			}
			counts := ok && !isShort(short, i, o.ProductID)
			paid = paid || counts
			if counts && t.Plan == "" && !charges[i].fullyReversed() {
				e.Standing.Paid = true
			}
		}
		g, err := s.creditsOf(c, s.termsUnlessShort(termsOf, func(product string) bool { return isShort(short, i, product) }), policy)
		if err != nil {
			return Effect{}, err
		}
		if g.credits > 0 {
			e.grant(id, c, g.grants(charges[i], earlier(stops, superseded(cycles, charges, i))), charges[i].keys)
		}
		if paid && !charges[i].fullyReversed() && c.Start.After(e.Standing.PaidAt) {
			e.Standing.PaidAt = c.Start
		}
	}
	if err := s.addOnDemand(&e, id, termsOf, policy); err != nil {
		return Effect{}, err
	}
	if _, ok := termsOf(s.State.ProductID, s.State.PeriodStart); !ok && s.State.Status == SubscriptionActive && len(s.Periods) > 0 {
		unknown = fmt.Errorf("what is subscribed to now: %w", ErrUnknownProduct)
	}
	if r, ok := s.renewal(termsOf, cycles, charges, short); ok {
		e.Standing.Renewal = &r
	}
	e.Standing.Freshness = s.freshness()
	return e, unknown
}

// grant adds the monthly grants of a cycle. A grant may have had another name when less was
// known: one with another of the keys, or with the key of a period that belongs to this cycle
// now. Such grants continue under the new name.
func (e *Effect) grant(id string, c cycle, months []ledger.Target, keys []string) {
	name := func(key string) string { return Ref{KindSubscription, id}.String() + "/" + key }
	for _, g := range months {
		number := g.ID // the month alone, until the next line
		g.ID = name(periodKey(c.Start) + number)
		e.Grants = append(e.Grants, g)
		for _, key := range slices.Concat(c.keys, keys) {
			e.successors[name(key+number)] = g.ID
		}
	}
}

// expiry is when the credits of a period expire: with the period, unless the product says how
// long they last or that they stay.
func (p Period) expiry(t Terms) time.Time {
	switch {
	case t.CreditsStay:
		return time.Time{}
	case t.CreditsExpire > 0:
		return p.Start.Add(t.CreditsExpire)
	}
	return p.End
}

// endsLater reports whether a ends after b; zero never ends.
func endsLater(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// cycleMoney is the money that was paid for one cycle.
type cycleMoney struct {
	total, remaining int64          // minor units; remaining is what was not given back
	net              config.Amounts // before tax, ignoring refunds
	paid, reversed   int            // number of successful payments, and of those that no longer count
	keys             []string       // of periods that were assumed to be paid before this one was known
}

// fullyReversed reports whether all money was given back.
func (c cycleMoney) fullyReversed() bool { return c.paid > 0 && c.paid == c.reversed }

// share is the part of the credits that is still paid for, rounded down.
func (c cycleMoney) share(credits int64) int64 {
	switch {
	case c.fullyReversed():
		return 0
	case c.total == 0 || c.remaining == c.total:
		return credits
	}
	return share(credits, c.remaining, c.total)
}

// moneyOf returns the money of each cycle. A further charge that was refunded in full buys
// nothing, and does not reduce what the others bought.
func (s Subscription) moneyOf(cycles []cycle, policy config.DisputePolicy) []cycleMoney {
	charges := make([]cycleMoney, len(cycles))
	for i, cycle := range cycles {
		c := &charges[i]
		for n, id := range cycle.charges {
			p := s.Charges[id]
			undone, full := p.reversed(policy)
			c.paid++
			c.keys = append(c.keys, periodKey(p.CreatedAt))
			for key, seen := range s.Seen {
				if seen.mayContain(p.CreatedAt) {
					c.keys = append(c.keys, key)
				}
			}
			if c.net == nil {
				c.net = make(config.Amounts)
			}
			c.net[p.Currency] += p.net()
			if full {
				c.reversed++
			}
			if full && n > 0 {
				continue
			}
			c.total += p.Total
			c.remaining += p.Total - undone
		}
	}
	return charges
}

// capAccess ends access at the given instant at the latest; zero removes all of it.
func (r *Renewal) capAccess(end time.Time) {
	if end.IsZero() {
		r.Access = false
	} else if end.Before(r.Until) {
		r.Until, r.Renews = end, false
	}
}

// paidUntil is when an earlier cycle ends that still pays for access after the current cycle,
// which replaced it, was refunded in full; zero if there is none.
func paidUntil(cycles []cycle, charges []cycleMoney, now int) time.Time {
	for i := now - 1; i >= 0; i-- {
		if !charges[i].fullyReversed() && cycles[i].End.After(cycles[now].Start.Add(sameStart)) {
			return cycles[i].End
		}
	}
	return time.Time{}
}

// cycleAt is the index of the last cycle that had begun at that time, with tolerance for small
// differences between clocks; the first one for earlier times.
func cycleAt(periods []cycle, at time.Time) int {
	last := 0
	for i, p := range periods {
		if !p.Start.After(at.Add(sameStart)) {
			last = i
		}
	}
	return last
}

// defaultGrace is how long a past_due subscription keeps its access if Dodo does not say:
// Dodo's own default (FACTS 3.4).
const defaultGrace = 3 * 24 * time.Hour

// renewal is the access that the subscription gives by its newest state (FACTS 3.6). It is
// false if the subscription gives no plan, feature or seat.
func (s Subscription) renewal(termsOf TermsOf, periods []cycle, charges []cycleMoney, short []shortfall) (Renewal, bool) {
	r, gives := s.State.renewalTerms(termsOf)
	if !gives {
		return Renewal{}, false
	}
	r.Until = s.State.PeriodEnd
	switch s.State.Status {
	case SubscriptionActive:
		r.Status, r.Access, r.Renews = PlanActive, true, !s.State.CancelAtEnd
		if r.Renews {
			r.Until = s.processingUntil(r.Until)
		}
		if s.State.TrialDays > 0 {
			r.TrialUntil = s.State.trialEnd()
		}
	case SubscriptionPastDue:
		r.Status, r.Access = PlanPastDue, true
		r.Until = s.pastDueUntil()
	case SubscriptionCancelled:
		r.Status, r.Access = PlanCancelled, s.State.CancelAtEnd
	case SubscriptionOnHold:
		r.Status = PlanOnHold
	case SubscriptionPaused:
		r.Status = PlanPaused
	case SubscriptionExpired, SubscriptionFailed:
		r.Status = PlanExpired
	default:
		return Renewal{}, false
	}
	if end := s.State.ExpiresAt; !end.IsZero() && !end.After(r.Until) {
		r.Until, r.Renews = end, false
	}
	if len(periods) > 0 {
		now := cycleAt(periods, s.State.PeriodStart)
		if charges[now].fullyReversed() {
			r.capAccess(paidUntil(periods, charges, now))
		}
		if isShort(short, now, s.State.ProductID) {
			r.Access = false
		}
	}
	return r, true
}

// pastDueUntil is when access ends for a subscription that is past due.
func (s Subscription) pastDueUntil() time.Time {
	if s.GraceEndsAt.After(s.State.PeriodEnd) { // else it belongs to an earlier period
		return s.GraceEndsAt
	}
	return s.State.PeriodEnd.Add(defaultGrace)
}

// maxProcessingTime is how long a plan outlives its period while the charge for the next one
// is being processed. Indian cards and UPI take 48 hours, sometimes 51 (FACTS 3.4). The bound
// is there because a charge that never finishes must not give access forever.
const maxProcessingTime = 7 * 24 * time.Hour

// processingUntil is the end of access for an active subscription whose period ends at end,
// and whose next charge may be in progress. Dodo may move the dates before or after the money
// arrives.
func (s Subscription) processingUntil(end time.Time) time.Time {
	until := end
	for _, p := range s.Charges {
		if p.Status != PaymentProcessing {
			continue
		}
		limit := p.CreatedAt.Add(maxProcessingTime)
		switch {
		case !p.CreatedAt.Before(end.Add(-maxCheckoutTime)):
			if limit.After(until) {
				until = limit
			}
		case s.awaitsMoney(s.State.period()) && limit.Before(until):
			until = limit
		}
	}
	return until
}

// maxTrial is Dodo's longest trial, in days (FACTS 2.1).
const maxTrial = 10000
