package entitlement

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Monthly credits: a product may give its credits every month rather than at once. All paid
// months become targets immediately, each with its own start, and the ledger compares the
// start with the clock. So no job has to give them, and the same facts always give the same
// months.

const (
	// maxMonthlyGrants bounds the grants of one purchase or period: twenty years. The last
	// grant has the credits of all further months.
	maxMonthlyGrants = 240
	// maxMonths is the longest time that a product may name: a hundred years.
	maxMonths = 1200
	// halfMonth is how much of a month must be paid for the month to count. Periods are not
	// exactly calendar months: a monthly one that begins on January 31 may end on March 3.
	halfMonth = 15 * 24 * time.Hour
)

// addMonths is k months after an anchor, in UTC: on the anchor's day of the month, or on the
// last day of a shorter month.
func addMonths(anchor time.Time, k int) time.Time {
	anchor = anchor.UTC()
	first := time.Date(anchor.Year(), anchor.Month()+time.Month(k), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	ofDay := anchor.Sub(anchor.Truncate(24 * time.Hour))
	return first.AddDate(0, 0, min(anchor.Day(), last)-1).Add(ofDay)
}

// monthsWithin is the number of months from start to end, at least 1.
func monthsWithin(start, end time.Time) int {
	n := 1
	for n < maxMonths && !addMonths(start, n).Add(halfMonth).After(end) {
		n++
	}
	return n
}

// month is one month of a paid time, with credits of its own.
type month struct {
	number int // from 0; months during a pause are counted too
	start  time.Time
	end    time.Time // when the next one begins
	over   int64     // credits that expired before start, in a month that continues the last one
}

// monthsOf returns n months from an anchor, except those that begin in a pause and those that
// do not fit before the end. A zero end is no end.
func monthsOf(anchor time.Time, n int64, end time.Time, pauses []span) []month {
	var all []month
	for k := 0; len(all) < int(min(n, maxMonthlyGrants)); k++ {
		m := month{number: k, start: addMonths(anchor, k), end: addMonths(anchor, k+1)}
		if k > 0 && !end.IsZero() && m.start.Add(halfMonth).After(end) {
			break
		}
		if k > 0 && slices.ContainsFunc(pauses, func(s span) bool { return s.contains(m.start) }) {
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

// expiry is when a month's credits expire: with the month, unless the product says how long
// they last or that they stay.
func (m month) expiry(t Terms) time.Time { return Period{Start: m.start, End: m.end}.expiry(t) }

// schedule holds the grants of one cycle or cart line, by the number of their month.
type schedule map[int]ledger.Target

// add gives a month more credits. All credits of a month expire with the last of them.
func (s schedule) add(number int, start, expire time.Time, credits int64) {
	t, exists := s[number]
	if !exists && credits == 0 {
		return
	}
	if !exists || endsLater(expire, t.ExpiresAt) {
		t.ExpiresAt = expire
	}
	t.CreatedAt, t.Amount = start, t.Amount+credits
	if number > 0 {
		t.StartsAt = start
	}
	s[number] = t
}

// targets returns the grants in order, with that many credits in all: a reduction takes from
// the last months first. The first target gets the name; the others get the name and their
// number.
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

// addMonths gives each month its credits, and the last possible one the rest of all.
func (s schedule) addMonths(t Terms, months []month, each, all int64) {
	for i, m := range months {
		if i == maxMonthlyGrants-1 {
			each = all - each*int64(i)
		}
		s.add(m.number, m.start, m.expiry(t), each)
	}
}

// AtOnce is the number of credits that a purchase of that many pieces gives immediately. If
// credits are monthly and the plan has an end, the pieces run one after the other, so only the
// first gives credits now.
func (t Terms) AtOnce(quantity int64) int64 {
	if t.CreditsMonthly && t.Lasts > 0 {
		return t.Credits
	}
	return t.Credits * quantity
}

// monthly returns the grants of a cart line and their sum: as many months as each piece lasts,
// one piece after the other. A product that does not last gives one month.
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
	s.addMonths(t, monthsOf(anchor, n*quantity, time.Time{}, nil), each, all)
	return s, all, nil
}

// span is a stretch of time that excludes its end.
type span struct{ start, end time.Time }

func (s span) contains(at time.Time) bool { return !at.Before(s.start) && at.Before(s.end) }
