package entitlement

import (
	"maps"
	"slices"
	"time"
)

// sameStart is the largest difference between two starts of the same period: bodies about one
// period were seen to differ by seconds (FACTS 3.9).
const sameStart = 2 * time.Minute

// cycle is a stretch of time that is paid together: a period, and those that began within it
// through changes of plan. Bought is everything that was subscribed to in it.
type cycle struct {
	Period
	firstSeen map[string]time.Time // the start of the first period with a product
	keys      []string             // of its periods
	charges   []string             // ids of its payments, the opening one first
	offers    []offer              // what was subscribed to in it, oldest first
	opening   opening
	charged   bool // the first charge opened it
	paidWhole bool // that charge was the whole price, in the middle of the cycle before
	pauses    []span
}

// further returns the charges after the opening.
func (c cycle) further() []string {
	if c.charged {
		return c.charges[1:]
	}
	return c.charges
}

// cycles are the paid periods, grouped and in order. A period that begins before another one
// has ended is a change of plan and belongs to that one's cycle, unless it is known to be paid
// separately. Changed billing dates prove nothing, because Dodo may move them at every change
// (FACTS 2.7).
func (s Subscription) cycles() []cycle {
	var (
		cycles  []cycle
		last    *cycle
		before  *offer // the newest one of all earlier periods
		periods = s.singlePeriods()
		charges = s.payingCharges()
	)
	for i, next := range periods {
		next.charges = charges
		if i+1 < len(periods) {
			next.charges = charges[:s.countChargesOf(charges, next, last, periods[i+1].Start)]
		}
		charges = charges[len(next.charges):]
		switch {
		case last != nil && s.isUnpaid(*last, next):
			last.keys = append(last.keys, next.keys...)
			continue
		case last != nil && s.isChange(*last, next):
			last.absorb(next)
		default:
			next.paidWhole = last != nil && s.paysWhole(*last, next)
			s.openCycle(&next, last, before)
			cycles = append(cycles, next)
			last = &cycles[len(cycles)-1]
		}
		for _, o := range next.offers {
			if before == nil || o.Last.After(before.Last) {
				before = &o
			}
		}
	}
	for i := range cycles {
		cycles[i].pauses = s.pauses(cycles[i].Period)
	}
	return cycles
}

// singlePeriods are the periods in order, each as a cycle of its own. Reports of one period
// may differ by seconds and are joined.
func (s Subscription) singlePeriods() []cycle {
	var all []cycle
	for _, p := range slices.SortedFunc(slices.Values(s.paidPeriods()), Period.compare) {
		c := cycle{Period: p, firstSeen: make(map[string]time.Time), keys: []string{periodKey(p.Start)}, offers: s.offers(p)}
		for product := range p.Bought {
			c.firstSeen[product] = p.Start
		}
		if n := len(all); n > 0 && p.Start.Sub(all[n-1].Start) < sameStart {
			all[n-1].absorb(c)
		} else {
			all = append(all, c)
		}
	}
	return all
}

// absorb adds a later part to the cycle.
func (c *cycle) absorb(d cycle) {
	c.Period = c.merge(d.Period)
	c.firstSeen = mergeMaps(c.firstSeen, d.firstSeen, func(first, _ time.Time) time.Time { return first })
	c.keys = append(c.keys, d.keys...)
	c.charges = slices.Concat(c.charges, d.charges)
	c.offers = slices.Concat(c.offers, d.offers)
	slices.SortStableFunc(c.offers, func(a, b offer) int { return a.compare(b.Choice) })
}

// payingCharges are the ids of all charges that pay for something, in order of time.
func (s Subscription) payingCharges() []string {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Charges)), func(id string) bool { return !s.Charges[id].pays() })
	slices.SortStableFunc(ids, func(a, b string) int { return s.Charges[a].CreatedAt.Compare(s.Charges[b].CreatedAt) })
	return ids
}

// countChargesOf is how many of the charges, which are in order, were made before the next
// period begins and before the cycle ends. Later ones belong to the next period.
func (s Subscription) countChargesOf(charges []string, c cycle, last *cycle, next time.Time) int {
	end := c.End
	if last != nil && c.Start.Before(last.End) && last.End.After(end) {
		end = last.End
	}
	if end.After(next) {
		end = next
	}
	for i, id := range charges {
		if !s.Charges[id].CreatedAt.Before(end.Add(-sameStart)) {
			return i
		}
	}
	return len(charges)
}

// isUnpaid reports whether nothing shows that a period after the last cycle was paid. Its
// dates may come from an unpaid change whose report was lost. Dates also move while a
// subscription is on hold or paused; and without prices there is nothing to compare.
func (s Subscription) isUnpaid(last, next cycle) bool {
	if !next.Start.After(last.End) || s.isRenewal(last, next.Start) || len(next.charges) > 0 {
		return false
	}
	for _, p := range s.Seen {
		if !p.Start.Before(last.Start.Add(-sameStart)) && p.Start.Before(next.Start) {
			return false
		}
	}
	return !slices.ContainsFunc(next.offers, func(o offer) bool { return o.granted || o.Price == nil })
}

// isChange reports whether a period is a change of plan within the last cycle.
func (s Subscription) isChange(last, next cycle) bool {
	if next.Start.After(last.End) || s.isRenewal(last, next.Start) {
		return false
	}
	for _, o := range next.offers {
		if o.granted && slices.ContainsFunc(last.offers, func(l offer) bool { return l.granted && l.ProductID == o.ProductID }) {
			return false // the earlier release treated it as a renewal
		}
	}
	return !s.paysWhole(last, next)
}

// isRenewal reports whether a period with this start renews the cycle: it begins when the
// cycle ends, or Dodo reported a renewal at that time. Dodo also reports one with the first
// charge (FACTS 3.4), possibly minutes late.
func (s Subscription) isRenewal(last cycle, start time.Time) bool {
	if start.Sub(last.End).Abs() < sameStart {
		return true
	}
	if start.Before(s.State.CreatedAt.Add(maxCheckoutTime)) {
		return false
	}
	for _, at := range s.Renewals {
		if start.Sub(at).Abs() < sameStart {
			return true
		}
	}
	return false
}

// paysWhole reports whether the charge at the start of a period is at least the whole price of
// the choice that it was made for. If the price is unknown, the same choice is assumed to cost
// what it did when the cycle began.
func (s Subscription) paysWhole(last, next cycle) bool {
	if s.State.OnDemand || len(next.charges) == 0 {
		return false
	}
	p := s.Charges[next.charges[0]]
	o, ok := choiceFor(next.offers, "", p)
	price := o.Price[p.Currency]
	if price <= 0 && last.charged && o.key() == last.opening.key() {
		if first := s.Charges[last.charges[0]]; first.Currency == p.Currency {
			price = first.net()
		}
	}
	return ok && price > 0 && p.net() >= price && p.CreatedAt.Sub(next.Start).Abs() < sameStart
}

// openCycle makes a period a cycle of its own. Its opening charge is the first one at its
// start, else the last one in the hour before, else the first one within it.
func (s Subscription) openCycle(c, last *cycle, before *offer) {
	apart := func(id string) time.Duration { return s.Charges[id].CreatedAt.Sub(c.Start) }
	if len(c.charges) == 0 || apart(c.charges[0]) >= sameStart {
		if last != nil && len(last.charges) > 1 && apart(last.charges[len(last.charges)-1]) > -maxCheckoutTime {
			n := len(last.charges) - 1
			c.charges = slices.Concat(last.charges[n:], c.charges)
			last.charges = last.charges[:n]
		}
	}
	first := slices.IndexFunc(c.charges, func(id string) bool { return apart(id).Abs() < sameStart })
	if first < 0 { // the last one before the start, if there is one
		first = max(0, slices.IndexFunc(append(slices.Clone(c.charges), ""), func(id string) bool { return id == "" || apart(id) > 0 })-1)
	}
	var paid *Payment
	if len(c.charges) > 0 {
		c.charges = slices.Concat(c.charges[first:first+1], c.charges[:first], c.charges[first+1:])
		if p := s.Charges[c.charges[0]]; !s.madeDuringTrial(*c, p) {
			paid = &p
		}
	}
	c.charged = paid != nil
	c.setOpening(paid, before, last != nil && s.isRenewal(*last, c.Start))
	if slices.ContainsFunc(c.further(), func(id string) bool {
		return s.Charges[id].net() > 0 && !s.Charges[id].CreatedAt.After(c.opening.First)
	}) {
		c.opening.distrustLateChoice(c.Start)
	}
}

// madeDuringTrial reports whether a charge was made later than at the start of a trial, and
// before its end.
func (s Subscription) madeDuringTrial(c cycle, p Payment) bool {
	trial := s.State.TrialDays > 0 && c.Start.Before(s.State.trialEnd().Add(-sameStart))
	return trial && p.Total > 0 && p.CreatedAt.After(c.Start.Add(maxCheckoutTime))
}
