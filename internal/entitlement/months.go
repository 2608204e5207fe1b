package entitlement

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Credits by calendar: a product may give its credits every month rather than at once. All
// months of what was paid are targets from the beginning, and each has its own start,
// which the ledger judges by the clock. So no job gives them, and the same facts always
// give the same months.

const (
	// mostMonths bounds the grants of one purchase or period: twenty years. What is beyond
	// comes with the last one.
	mostMonths = 240
	// longestMonths is the longest time that a product may name: a hundred years.
	longestMonths = 1200
	// halfMonth is how much of a month must lie in what was paid, so that the month counts.
	// Periods do not have the length of calendar months: a monthly one that begins on
	// January 31 may end on March 3.
	halfMonth = 15 * 24 * time.Hour
)

// addMonths is k months after an anchor, in UTC: on the anchor's day, or on the last one
// of a shorter month.
func addMonths(anchor time.Time, k int) time.Time {
	anchor = anchor.UTC()
	first := time.Date(anchor.Year(), anchor.Month()+time.Month(k), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	ofDay := anchor.Sub(anchor.Truncate(24 * time.Hour))
	return first.AddDate(0, 0, min(anchor.Day(), last)-1).Add(ofDay)
}

// monthsWithin is how many months there are from start to end; the first one always is.
func monthsWithin(start, end time.Time) int {
	n := 1
	for n < longestMonths && !addMonths(start, n).Add(halfMonth).After(end) {
		n++
	}
	return n
}

// month is a part of what is paid that gives credits by itself.
type month struct {
	number int // from 0; months in a pause are counted, too
	start  time.Time
	end    time.Time // when the next one begins
	over   int64     // credits of it that ended before its start: it goes on with the last month
}

// monthsOf are n months from an anchor, except those that begin in a pause. Those that do
// not fit before the end, if there is one, are left out.
func monthsOf(anchor time.Time, n int64, end time.Time, pauses []span) []month {
	var all []month
	for k := 0; len(all) < int(min(n, mostMonths)); k++ {
		m := month{number: k, start: addMonths(anchor, k), end: addMonths(anchor, k+1)}
		if k > 0 && !end.IsZero() && m.start.Add(halfMonth).After(end) {
			break
		}
		if k > 0 && slices.ContainsFunc(pauses, func(s span) bool { return s.holds(m.start) }) {
			continue
		}
		if k > 0 {
			all[len(all)-1].end = m.start
		}
		all = append(all, m)
	}
	if !end.IsZero() {
		all[len(all)-1].end = end
	}
	return all
}

// expiry is when a month's credits end: with the month, unless the product says how long
// they last or that they stay.
func (m month) expiry(t Terms) time.Time { return Period{Start: m.start, End: m.end}.expiry(t) }

// schedule are the grants of one cycle or cart line, by the number of their month.
type schedule map[int]ledger.Target

// give adds credits to a month. What a month gives lasts as long as any part of it.
func (s schedule) give(number int, start, expire time.Time, credits int64) {
	t, known := s[number]
	if !known && credits == 0 {
		return
	}
	if !known || later(expire, t.ExpiresAt) {
		t.ExpiresAt = expire
	}
	t.CreatedAt, t.Amount = start, t.Amount+credits
	if number > 0 {
		t.StartsAt = start
	}
	s[number] = t
}

// targets are the grants in order, of so many credits in all: what is taken back is taken
// from the last ones first. The first has the name, and a number is added to the others'.
func (s schedule) targets(name string, credits int64) []ledger.Target {
	var all []ledger.Target
	for _, number := range slices.Sorted(maps.Keys(s)) {
		t := s[number]
		t.ID, t.Amount = monthName(name, number), min(t.Amount, credits)
		credits -= t.Amount
		all = append(all, t)
	}
	return all
}

func monthName(name string, number int) string {
	if number == 0 {
		return name
	}
	return name + "+" + strconv.Itoa(number)
}

// giveMonths adds so many months of credits, in all and for each.
func (s schedule) giveMonths(t Terms, months []month, each, all int64) {
	for i, m := range months {
		if i == mostMonths-1 {
			each = all - each*int64(i)
		}
		s.give(m.number, m.start, m.expiry(t), each)
	}
}

// AtOnce is what so many pieces give when they are bought. Of credits by the month that
// last, each piece gives its months when those of the one before are over.
func (t Terms) AtOnce(quantity int64) int64 {
	if t.CreditsMonthly && t.Lasts > 0 {
		return t.Credits
	}
	return t.Credits * quantity
}

// monthly are the grants of a cart line, which give that much in all: as many months as
// each piece lasts, one piece after the other. What does not last gives one month.
func (t Terms) monthly(anchor time.Time, quantity int64) (s schedule, all int64, err error) {
	n, each := int64(1), t.AtOnce(quantity)
	if t.Lasts > 0 {
		n = int64(monthsWithin(anchor, anchor.Add(t.Lasts)))
	} else {
		quantity = 1
	}
	if quantity > 0 && each > ledger.Max/n/quantity {
		return nil, 0, ledger.ErrRange
	}
	s, all = make(schedule), each*n*quantity
	s.giveMonths(t, monthsOf(anchor, n*quantity, time.Time{}, nil), each, all)
	return s, all, nil
}

// span is a stretch of time, without its end.
type span struct{ start, end time.Time }

func (s span) holds(at time.Time) bool { return !at.Before(s.start) && at.Before(s.end) }
