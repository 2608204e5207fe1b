package entitlement

import (
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// gift is what a cycle gives, and when.
type gift struct {
	cycle   cycle
	credits int64
	levels  []level // how it came to be as much, in order
}

// level is what a cycle gives from some time on, as a bid gives it.
type level struct {
	bid
	since time.Time
	more  int64 // than the level before
}

// raise counts a bid that gives as many credits or more. They last as long as those of any
// choice that was paid for.
func (g *gift) raise(credits int64, b bid, since time.Time) {
	if credits == 0 || credits < g.credits {
		return
	}
	g.levels = append(g.levels, level{b, since, credits - g.credits})
	g.credits = credits
}

// raiseOnce counts a bid whose charge cannot be compared with prices. By the month, it gives
// what the choice gives in the months from then on: nobody knows that more was paid.
func (g *gift) raiseOnce(b bid, since time.Time) {
	credits := b.credits
	if b.months > 0 && credits > g.credits {
		l := level{bid: b, since: since}
		months := monthsOf(g.cycle.Start, mostMonths, g.cycle.End, g.cycle.pauses)
		given := g.give(months)
		var lacks int64
		for _, m := range l.within(months, given, g.cycle.End) {
			lacks += l.lacks(m, given)
		}
		credits = min(credits, g.credits+lacks)
	}
	g.raise(credits, b, since)
}

// grants are those of a cycle: the first month's alone, if everything is given at once. All
// months together give what the cycle's money buys. What is taken back is taken from the
// last months first. Months that begin when the plan gives no access, or when another
// cycle has taken the place of this one, are not given.
//
// The targets are named by their month alone: "" for the first one.
func (g gift) grants(money charge, stop time.Time) []ledger.Target {
	given := g.plan()
	targets := given.targets("", money.share(g.credits))
	return slices.DeleteFunc(targets, func(t ledger.Target) bool {
		return !t.StartsAt.IsZero() && !stop.IsZero() && !t.StartsAt.Before(stop)
	})
}

// plan says what each month gives. The last one that gives something lasts until the cycle
// ends.
func (g gift) plan() schedule {
	most := int64(1)
	if slices.ContainsFunc(g.levels, func(l level) bool { return l.months > 0 }) {
		most = mostMonths
	}
	c := g.cycle
	months := monthsOf(c.Start, most, c.End, c.pauses)
	given := g.give(months)
	used := slices.IndexFunc(months, func(m month) bool { return given.isOver(m.number) })
	if used <= 0 {
		return given
	}
	return g.give(monthsOf(c.Start, int64(used), c.End, c.pauses))
}

// isOver reports whether nothing is given in a month and after it.
func (s schedule) isOver(number int) bool {
	for n := range s {
		if n >= number {
			return false
		}
	}
	return true
}

func (g gift) give(months []month) schedule {
	given := make(schedule)
	for _, l := range g.levels {
		l.give(given, l.within(months, given, g.cycle.End))
	}
	return given
}

// each is what one month of a level gives.
func (b bid) each() int64 { return b.credits / max(1, b.months) }

// lacks is how much a month has less than a level gives in it.
func (l level) lacks(m month, given schedule) int64 {
	return max(0, l.each()-given[m.number].Amount-m.over)
}

// within are the months that a level gives credits in. It begins with the month that is
// under way, or with the next one if the credits of that one are over. After the last
// month it begins one of its own, until the cycle ends.
func (l level) within(months []month, given schedule, end time.Time) []month {
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
	if known := given[months[now].number]; isBy(known.ExpiresAt, l.since) || isBy(months[now].expiry(l.terms), l.since) {
		now++
	}
	if now == len(months) {
		m := month{number: months[now-1].number, start: l.since, end: end}
		for isOver := true; isOver; isOver = isBy(given[m.number].ExpiresAt, l.since) {
			m.over += given[m.number].Amount
			m.number++
		}
		return []month{m}
	}
	return months[now:min(now+n, len(months))]
}

// isBy reports whether something has ended at an instant. Zero never ends.
func isBy(end, at time.Time) bool { return !end.IsZero() && !end.After(at) }

// give adds a level to its months: to each one what the choice gives in it, as long as
// there is enough, and what was paid beyond that in equal parts.
func (l level) give(given schedule, months []month) {
	rest := l.more
	for _, m := range months {
		part := int64(0)
		if l.months > 0 {
			part = min(rest, l.lacks(m, given))
		}
		given.give(m.number, m.start, m.expiry(l.terms), part)
		rest -= part
	}
	n, before := int64(len(months)), int64(0)
	for i, m := range months {
		sum := share(rest, int64(i+1), n)
		given.give(m.number, m.start, m.expiry(l.terms), sum-before)
		before = sum
	}
}
