package entitlement

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// paid are the periods that something was paid for: those that an earlier release counted,
// those in which the subscription was seen active, and those that nobody told of in time
// but that a charge or a renewal speaks for. After an outage that is longer than a period,
// or with an empty store, Dodo says no more of past periods than their payments
// (FACTS 2.5). Whether a period that begins within another one was paid is not decided
// here, see [Subscription.cycles].
func (s Subscription) paid() []Period {
	periods := slices.Collect(maps.Values(s.Granted))
	for _, p := range s.Periods {
		if !s.unfinished(p) {
			periods = append(periods, p)
		}
	}
	if s.State.OnDemand {
		return periods
	}
	charges := s.paidAt()
	var unsure []Period
	for _, seen := range slices.SortedFunc(maps.Values(s.Seen), Period.compare) {
		if !within(periods, seen.Start) {
			unsure = append(unsure, seen)
		}
	}
	all := slices.Concat(periods, unsure)
	for _, seen := range unsure {
		if slices.ContainsFunc(charges, func(at time.Time) bool { return seen.isFor(at, all) }) {
			periods = append(periods, seen)
		}
	}
	return append(periods, s.missed(periods, charges)...)
}

// unfinished reports whether the money of a period is not there yet: its dates have moved
// already, but its charge is being processed or has failed. Before the first charge of all
// succeeds, others may fail that are no part of it.
func (s Subscription) unfinished(p Period) bool {
	if slices.ContainsFunc(s.paidAt(), p.holds) {
		return false
	}
	first := p.Start.Before(s.State.CreatedAt.Add(checkoutTakes))
	for _, c := range s.Charges {
		if apart := c.CreatedAt.Sub(p.Start).Abs(); apart > checkoutTakes {
			continue
		}
		if c.Status == PaymentProcessing || c.Status == PaymentFailed && !first {
			return true
		}
	}
	return false
}

// isFor reports whether a charge at that time is for the period, rather than for
// another: a charge is for the last one that had begun.
func (p Period) isFor(at time.Time, all []Period) bool {
	if !p.mayHold(at) || !p.holds(at) && within(all, at) {
		return false
	}
	return !slices.ContainsFunc(all, func(q Period) bool {
		return q.Start.After(p.Start) && (q.holds(at) || !p.holds(at) && q.mayHold(at))
	})
}

// paidAt is when something was charged, or renewed, the latest first.
func (s Subscription) paidAt() []time.Time {
	at := slices.Collect(maps.Values(s.Renewals))
	for _, p := range s.Charges {
		if p.pays() {
			at = append(at, p.CreatedAt)
		}
	}
	slices.SortFunc(at, func(a, b time.Time) int { return b.Compare(a) })
	return at
}

// pays reports whether the charge pays for something, be it of nothing, as that of a trial.
func (p Payment) pays() bool { return p.Status == PaymentSucceeded && !p.MethodOnly }

// holds reports whether a charge at that time can be the one for the period.
func (p Period) holds(at time.Time) bool {
	return !at.Before(p.Start.Add(-startsTogether)) && at.Before(p.End)
}

// checkoutTakes is how long before its period a first charge may have been made: it
// is dated when the customer began to pay, the period when the money was there.
const checkoutTakes = time.Hour

// mayHold is [Period.holds] for a period of which nothing but a charge says that it
// was paid.
func (p Period) mayHold(at time.Time) bool {
	return !at.Before(p.Start.Add(-checkoutTakes)) && at.Before(p.End)
}

func within(periods []Period, at time.Time) bool {
	return slices.ContainsFunc(periods, func(p Period) bool { return p.holds(at) })
}

// missed are the periods that charges speak for in the gaps before what is known:
// each begins with its charge. A charge that comes only shortly before the next
// period (for a change of plan, or made before the subscription became active) is
// none, nor is one behind all that is known: its own period will be heard of.
func (s Subscription) missed(paid []Period, charges []time.Time) []Period {
	length := cmp.Or(s.State.Cycle, s.State.PeriodEnd.Sub(s.State.PeriodStart))
	if length <= 0 {
		return nil
	}
	known := slices.SortedFunc(slices.Values(slices.AppendSeq(slices.Clone(paid), maps.Values(s.Seen))), Period.compare)
	var missed []Period
	for _, at := range charges {
		i := slices.IndexFunc(known, func(p Period) bool { return p.Start.After(at) })
		if i < 0 || within(paid, at) {
			continue
		}
		next := known[i]
		p := Period{Start: at, End: next.Start, Bought: s.before(next)}
		switch gap := next.Start.Sub(at); {
		case s.State.trialIs(at, next.Start):
		case gap < length/3*2:
			continue
		case gap > length/2*3, gap < length/10*9: // next begins much later, or by a change
			p.End = at.Add(length)
		}
		missed = append(missed, p)
		known = slices.Insert(known, i, p)
	}
	return missed
}

// trialIs reports whether the trial lay between a charge and the start of the next
// known period: it is mostly shorter than others.
func (s SubscriptionState) trialIs(charged, next time.Time) bool {
	end := s.trialEnd()
	return s.TrialDays > 0 && charged.Before(end.Add(-startsTogether)) && !next.Before(end.Add(-startsTogether))
}

// before is what was subscribed to in the period before next: the same, or what
// the plan was changed from in next.
func (s Subscription) before(next Period) map[string]int64 {
	for _, id := range slices.Sorted(maps.Keys(next.Bought)) {
		if id != s.State.ProductID {
			return map[string]int64{id: next.Bought[id]}
		}
	}
	return next.Bought
}
