package entitlement

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// paidPeriods are the periods for which something was paid: those that an earlier release
// counted, those in which the subscription was seen active, and those that only a charge or a
// renewal shows. After an outage longer than a period, or with an empty store, Dodo reports
// only the payments of past periods (FACTS 2.5). Whether a period that begins within another
// one was paid is decided by [Subscription.cycles].
func (s Subscription) paidPeriods() []Period {
	periods := slices.Collect(maps.Values(s.Granted))
	for _, p := range s.Periods {
		if !s.awaitsMoney(p) {
			periods = append(periods, p)
		}
	}
	if s.State.OnDemand {
		return periods
	}
	charges := s.paymentTimes()
	var unsure []Period
	for _, seen := range slices.SortedFunc(maps.Values(s.Seen), Period.compare) {
		if !anyContains(periods, seen.Start) {
			unsure = append(unsure, seen)
		}
	}
	all := slices.Concat(periods, unsure)
	for _, seen := range unsure {
		if slices.ContainsFunc(charges, func(at time.Time) bool { return seen.isChargedAt(at, all) }) {
			periods = append(periods, seen)
		}
	}
	return append(periods, s.inferredPeriods(periods, charges)...)
}

// awaitsMoney reports whether the money of a period has not arrived: its dates have already
// moved, but its charge is being processed or has failed. Around the first period, a failed
// charge may be an earlier attempt and does not count.
func (s Subscription) awaitsMoney(p Period) bool {
	if slices.ContainsFunc(s.paymentTimes(), p.contains) {
		return false
	}
	first := p.Start.Before(s.State.CreatedAt.Add(maxCheckoutTime))
	for _, c := range s.Charges {
		if apart := c.CreatedAt.Sub(p.Start).Abs(); apart > maxCheckoutTime {
			continue
		}
		if c.Status == PaymentProcessing || c.Status == PaymentFailed && !first {
			return true
		}
	}
	return false
}

// isChargedAt reports whether a charge at that time is for this period and not for another
// one. A charge is for the last period that had begun.
func (p Period) isChargedAt(at time.Time, all []Period) bool {
	if !p.mayContain(at) || !p.contains(at) && anyContains(all, at) {
		return false
	}
	return !slices.ContainsFunc(all, func(q Period) bool {
		return q.Start.After(p.Start) && (q.contains(at) || !p.contains(at) && q.mayContain(at))
	})
}

// paymentTimes are the times of charges and renewals, latest first.
func (s Subscription) paymentTimes() []time.Time {
	at := slices.Collect(maps.Values(s.Renewals))
	for _, p := range s.Charges {
		if p.pays() {
			at = append(at, p.CreatedAt)
		}
	}
	slices.SortFunc(at, func(a, b time.Time) int { return b.Compare(a) })
	return at
}

// pays reports whether the charge pays for something. A charge of 0, as in a trial, does too.
func (p Payment) pays() bool { return p.Status == PaymentSucceeded && !p.MethodOnly }

// contains reports whether a charge at that time can be the one for the period.
func (p Period) contains(at time.Time) bool {
	return !at.Before(p.Start.Add(-sameStart)) && at.Before(p.End)
}

// maxCheckoutTime is how long before its period a first charge may be dated. The charge has
// the time at which the customer began to pay, the period the time at which the money arrived.
const maxCheckoutTime = time.Hour

// mayContain is [Period.contains] for a period that only a charge shows to be paid.
func (p Period) mayContain(at time.Time) bool {
	return !at.Before(p.Start.Add(-maxCheckoutTime)) && at.Before(p.End)
}

func anyContains(periods []Period, at time.Time) bool {
	return slices.ContainsFunc(periods, func(p Period) bool { return p.contains(at) })
}

// inferredPeriods are periods that only charges show, in gaps before known periods. Each
// begins with its charge. A charge shortly before the next known period is none: it is for a
// change of plan, or was made before the subscription became active. A charge after all known
// periods is none either, because Dodo will report its period.
func (s Subscription) inferredPeriods(paid []Period, charges []time.Time) []Period {
	length := cmp.Or(s.State.Cycle, s.State.PeriodEnd.Sub(s.State.PeriodStart))
	if length <= 0 {
		return nil
	}
	known := slices.SortedFunc(slices.Values(slices.AppendSeq(slices.Clone(paid), maps.Values(s.Seen))), Period.compare)
	var missed []Period
	for _, at := range charges {
		i := slices.IndexFunc(known, func(p Period) bool { return p.Start.After(at) })
		if i < 0 || anyContains(paid, at) {
			continue
		}
		next := known[i]
		p := Period{Start: at, End: next.Start, Bought: s.boughtBefore(next)}
		switch gap := next.Start.Sub(at); {
		case s.State.trialLiesBetween(at, next.Start):
		case gap < length/3*2:
			continue
		case gap > length/2*3, gap < length/10*9: // next begins much later, or after a change
			p.End = at.Add(length)
		}
		missed = append(missed, p)
		known = slices.Insert(known, i, p)
	}
	return missed
}

// trialLiesBetween reports whether the trial was between a charge and the start of the next
// known period. A trial is usually shorter than a period.
func (s SubscriptionState) trialLiesBetween(charged, next time.Time) bool {
	end := s.trialEnd()
	return s.TrialDays > 0 && charged.Before(end.Add(-sameStart)) && !next.Before(end.Add(-sameStart))
}

// boughtBefore is what was subscribed to in the period before next: the same, or the product
// that next was changed from.
func (s Subscription) boughtBefore(next Period) map[string]int64 {
	for _, id := range slices.Sorted(maps.Keys(next.Bought)) {
		if id != s.State.ProductID {
			return map[string]int64{id: next.Bought[id]}
		}
	}
	return next.Bought
}
