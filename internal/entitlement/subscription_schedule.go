package entitlement

import (
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// cycleCredits are the credits of one cycle, and the steps that lead to them.
type cycleCredits struct {
	cycle   cycle
	credits int64
	steps   []step // in order of time
}

// step raises the credits of a cycle from some time on, to those of a quote.
type step struct {
	quote
	since time.Time
	added int64 // credits more than the step before
}

// raiseTo adds a step if it gives at least as many credits. The credits last as long as those
// of any paid choice.
func (g *cycleCredits) raiseTo(credits int64, b quote, since time.Time) {
	if credits == 0 || credits < g.credits {
		return
	}
	g.steps = append(g.steps, step{b, since, credits - g.credits})
	g.credits = credits
}

// raiseIncomparable adds a step for a charge that cannot be compared with prices. With monthly
// credits, it gives what the choice gives in the months from then on, because nothing shows
// that more was paid.
func (g *cycleCredits) raiseIncomparable(b quote, since time.Time) {
	credits := b.credits
	if b.months > 0 && credits > g.credits {
		l := step{quote: b, since: since}
		months := monthsOf(g.cycle.Start, maxMonthlyGrants, g.cycle.End, g.cycle.pauses)
		given := g.scheduleOver(months)
		var lacks int64
		for _, m := range l.monthsFrom(months, given, g.cycle.End) {
			lacks += l.missing(m, given)
		}
		credits = min(credits, g.credits+lacks)
	}
	g.raiseTo(credits, b, since)
}

// grants are the targets of a cycle: only the first month's if everything is given at once.
// All months together give what the cycle's money buys. A reversal takes from the last months
// first. Months that begin after stop are not given: the plan gives no access then, or another
// cycle has replaced this one.
//
// The targets are named by their month alone: "" for the first one.
func (g cycleCredits) grants(money cycleMoney, stop time.Time) []ledger.Target {
	given := g.schedule()
	targets := given.targets("", money.share(g.credits))
	return slices.DeleteFunc(targets, func(t ledger.Target) bool {
		return !t.StartsAt.IsZero() && !stop.IsZero() && !t.StartsAt.Before(stop)
	})
}

// schedule says what each month gives. The last month that gives something lasts until the
// cycle ends.
func (g cycleCredits) schedule() schedule {
	most := int64(1)
	if slices.ContainsFunc(g.steps, func(l step) bool { return l.months > 0 }) {
		most = maxMonthlyGrants
	}
	c := g.cycle
	months := monthsOf(c.Start, most, c.End, c.pauses)
	given := g.scheduleOver(months)
	used := slices.IndexFunc(months, func(m month) bool { return given.isEmptyFrom(m.number) })
	if used <= 0 {
		return given
	}
	return g.scheduleOver(monthsOf(c.Start, int64(used), c.End, c.pauses))
}

// isEmptyFrom reports whether nothing is given in a month or after it.
func (s schedule) isEmptyFrom(number int) bool {
	for n := range s {
		if n >= number {
			return false
		}
	}
	return true
}

// scheduleOver spreads all steps over the months.
func (g cycleCredits) scheduleOver(months []month) schedule {
	given := make(schedule)
	for _, l := range g.steps {
		l.addTo(given, l.monthsFrom(months, given, g.cycle.End))
	}
	return given
}

// perMonth is what one month gives.
func (b quote) perMonth() int64 { return b.credits / max(1, b.months) }

// missing is how much a month still lacks of what the step gives in it.
func (l step) missing(m month, given schedule) int64 {
	return max(0, l.perMonth()-given[m.number].Amount-m.over)
}

// monthsFrom are the months in which a step gives credits: from the current month on, or from
// the next one if the credits of the current one have expired. After the last month, the step
// gets a month of its own until the cycle ends.
func (l step) monthsFrom(months []month, given schedule, end time.Time) []month {
	now := 0
	for i, m := range months {
		if !m.start.After(l.since) {
			now = i
		}
	}
	n := int(max(1, l.months))
	if l.months == 0 {
		months = slices.Clone(months)
		for i := range months {
			months[i].end = end // what is given at once has no months
		}
	}
	if known := given[months[now].number]; endedBy(known.ExpiresAt, l.since) || endedBy(months[now].expiry(l.terms), l.since) {
		now++
	}
	if now == len(months) {
		m := month{number: months[now-1].number, start: l.since, end: end}
		for isOver := true; isOver; isOver = endedBy(given[m.number].ExpiresAt, l.since) {
			m.over += given[m.number].Amount
			m.number++
		}
		return []month{m}
	}
	return months[now:min(now+n, len(months))]
}

// endedBy reports whether something has ended at an instant. Zero never ends.
func endedBy(end, at time.Time) bool { return !end.IsZero() && !end.After(at) }

// addTo spreads the credits of a step over its months: first what the choice gives in each
// month, as far as there is enough, then the rest in equal parts.
func (l step) addTo(given schedule, months []month) {
	rest := l.added
	for _, m := range months {
		part := int64(0)
		if l.months > 0 {
			part = min(rest, l.missing(m, given))
		}
		given.add(m.number, m.start, m.expiry(l.terms), part)
		rest -= part
	}
	n, before := int64(len(months)), int64(0)
	for i, m := range months {
		sum := share(rest, int64(i+1), n)
		given.add(m.number, m.start, m.expiry(l.terms), sum-before)
		before = sum
	}
}
