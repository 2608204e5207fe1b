package entitlement

import (
	"maps"
	"slices"
	"time"
)

// startsTogether is how far apart two starts may be and still mean the same
// period: bodies about one period were seen to differ by seconds (FACTS 3.9).
const startsTogether = 2 * time.Minute

// cycle is a stretch of time that is paid together: a period, with those that changes of
// plan began within it. Bought is everything that was subscribed to in it.
type cycle struct {
	Period
	since   map[string]time.Time // the start of the period in which a product came in
	keys    []string             // of its periods
	charges []string             // ids of the payments in it, the opening one first
	offers  []offer              // what was subscribed to in it, the oldest first
	opening opening
	charged bool // a charge opened it: the first one
	whole   bool // that charge was of the whole price, in the middle of the cycle before
	pauses  []span
}

// further are the charges after the opening.
func (c cycle) further() []string {
	if c.charged {
		return c.charges[1:]
	}
	return c.charges
}

// cycles are the periods that were paid, put together and in order. A period that begins
// before another one has ended is a change of plan and belongs to that one's cycle, unless
// it is known to be paid by itself: that billing dates moved means nothing, because Dodo
// may move them at every change (FACTS 2.7).
func (s Subscription) cycles() []cycle {
	var (
		cycles  []cycle
		last    *cycle
		before  *offer // the newest one of all earlier periods
		periods = s.stretches()
		charges = s.paying()
	)
	for i, next := range periods {
		next.charges = charges
		if i+1 < len(periods) {
			next.charges = charges[:s.until(charges, next, last, periods[i+1].Start)]
		}
		charges = charges[len(next.charges):]
		switch {
		case last != nil && s.isUnpaid(*last, next):
			last.keys = append(last.keys, next.keys...)
			continue
		case last != nil && s.isChange(*last, next):
			last.join(next)
		default:
			next.whole = last != nil && s.paysWhole(*last, next)
			s.open(&next, last, before)
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

// stretches are the periods, each in a cycle of its own, and in order. Bodies about one
// period differ by moments.
func (s Subscription) stretches() []cycle {
	var all []cycle
	for _, p := range slices.SortedFunc(slices.Values(s.paid()), Period.compare) {
		c := cycle{Period: p, since: make(map[string]time.Time), keys: []string{periodKey(p.Start)}, offers: s.offers(p)}
		for product := range p.Bought {
			c.since[product] = p.Start
		}
		if n := len(all); n > 0 && p.Start.Sub(all[n-1].Start) < startsTogether {
			all[n-1].join(c)
		} else {
			all = append(all, c)
		}
	}
	return all
}

// join adds what came later to the cycle.
func (c *cycle) join(d cycle) {
	c.Period = c.merge(d.Period)
	c.since = unite(c.since, d.since, func(first, _ time.Time) time.Time { return first })
	c.keys = append(c.keys, d.keys...)
	c.charges = slices.Concat(c.charges, d.charges)
	c.offers = slices.Concat(c.offers, d.offers)
	slices.SortStableFunc(c.offers, func(a, b offer) int { return a.compare(b.Choice) })
}

// paying are the ids of all charges that pay for something, in order.
func (s Subscription) paying() []string {
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(s.Charges)), func(id string) bool { return !s.Charges[id].pays() })
	slices.SortStableFunc(ids, func(a, b string) int { return s.Charges[a].CreatedAt.Compare(s.Charges[b].CreatedAt) })
	return ids
}

// until is how many of the charges, which are in order, are made before the next period
// begins, and before the cycle ends: later ones are for the next one.
func (s Subscription) until(charges []string, c cycle, last *cycle, next time.Time) int {
	end := c.End
	if last != nil && c.Start.Before(last.End) && last.End.After(end) {
		end = last.End
	}
	if end.After(next) {
		end = next
	}
	for i, id := range charges {
		if !s.Charges[id].CreatedAt.Before(end.Add(-startsTogether)) {
			return i
		}
	}
	return len(charges)
}

// isUnpaid reports whether a period after the last cycle is not known to be paid: its dates
// may come from a change that nobody paid for and whose body was lost. Dates also move
// while a subscription is on hold or paused, and without prices nothing can be compared.
func (s Subscription) isUnpaid(last, next cycle) bool {
	if !next.Start.After(last.End) || s.isRenewal(last, next.Start) || len(next.charges) > 0 {
		return false
	}
	for _, p := range s.Seen {
		if !p.Start.Before(last.Start.Add(-startsTogether)) && p.Start.Before(next.Start) {
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
			return false // the earlier release took it for a renewal
		}
	}
	return !s.paysWhole(last, next)
}

// isRenewal reports whether a period that begins then renews the cycle: it begins where
// the cycle ends, or Dodo told of a renewal then. The first charge comes with one as well
// (FACTS 3.4), which may be minutes late.
func (s Subscription) isRenewal(last cycle, start time.Time) bool {
	if start.Sub(last.End).Abs() < startsTogether {
		return true
	}
	if start.Before(s.State.CreatedAt.Add(checkoutTakes)) {
		return false
	}
	for _, at := range s.Renewals {
		if start.Sub(at).Abs() < startsTogether {
			return true
		}
	}
	return false
}

// paysWhole reports whether the charge with which a period begins is at least the whole
// price of the choice that it was made for. If Dodo says no price, the same choice costs
// what it did when the cycle began.
func (s Subscription) paysWhole(last, next cycle) bool {
	if s.State.OnDemand || len(next.charges) == 0 {
		return false
	}
	p := s.Charges[next.charges[0]]
	o, ok := chosenBy(next.offers, "", p)
	price := o.Price[p.Currency]
	if price <= 0 && last.charged && o.key() == last.opening.key() {
		if first := s.Charges[last.charges[0]]; first.Currency == p.Currency {
			price = first.net()
		}
	}
	return ok && price > 0 && p.net() >= price && p.CreatedAt.Sub(next.Start).Abs() < startsTogether
}

// open makes a period a cycle of its own. Its opening charge is the first one at its start;
// else the last one of the hour before; else the first one within it.
func (s Subscription) open(c, last *cycle, before *offer) {
	apart := func(id string) time.Duration { return s.Charges[id].CreatedAt.Sub(c.Start) }
	if len(c.charges) == 0 || apart(c.charges[0]) >= startsTogether {
		if last != nil && len(last.charges) > 1 && apart(last.charges[len(last.charges)-1]) > -checkoutTakes {
			n := len(last.charges) - 1
			c.charges = slices.Concat(last.charges[n:], c.charges)
			last.charges = last.charges[:n]
		}
	}
	first := slices.IndexFunc(c.charges, func(id string) bool { return apart(id).Abs() < startsTogether })
	if first < 0 { // the last one before, if there is any
		first = max(0, slices.IndexFunc(append(slices.Clone(c.charges), ""), func(id string) bool { return id == "" || apart(id) > 0 })-1)
	}
	var paid *Payment
	if len(c.charges) > 0 {
		c.charges = slices.Concat(c.charges[first:first+1], c.charges[:first], c.charges[first+1:])
		if p := s.Charges[c.charges[0]]; !s.isLater(*c, p) {
			paid = &p
		}
	}
	c.charged = paid != nil
	c.openBy(paid, before, last != nil && s.isRenewal(*last, c.Start))
	if slices.ContainsFunc(c.further(), func(id string) bool {
		return s.Charges[id].net() > 0 && !s.Charges[id].CreatedAt.After(c.opening.First)
	}) {
		c.opening.mayBeLater(c.Start)
	}
}

// isLater reports whether a charge was made during a trial rather than at its start.
func (s Subscription) isLater(c cycle, p Payment) bool {
	trial := s.State.TrialDays > 0 && c.Start.Before(s.State.trialEnd().Add(-startsTogether))
	return trial && p.Total > 0 && p.CreatedAt.After(c.Start.Add(checkoutTakes))
}
