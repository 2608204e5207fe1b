package dodosim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Interval is the unit of a [Period], in Dodo's spelling (FACTS 1.8).
type Interval string

// The intervals that Dodo knows.
const (
	Day   Interval = "Day"
	Week  Interval = "Week"
	Month Interval = "Month"
	Year  Interval = "Year"
)

// Period is a length of time by the calendar, such as 3 months.
type Period struct {
	Count    int
	Interval Interval
}

// maxPeriod keeps every date of a subscription within RFC 3339's four-digit years, with any
// interval.
const maxPeriod = 1000

func (p Period) valid() bool {
	switch p.Interval {
	case Day, Week, Month, Year:
		return p.Count >= 1 && p.Count <= maxPeriod
	}
	return false
}

// after is the end of a period that begins at t. If the month lacks the day, it ends on the
// month's last day, and the next period counts from there: UNCONFIRMED.
func (p Period) after(t time.Time) time.Time {
	switch p.Interval {
	case Day:
		return t.AddDate(0, 0, p.Count)
	case Week:
		return t.AddDate(0, 0, 7*p.Count)
	case Year:
		return addMonths(t, 12*p.Count)
	default:
		return addMonths(t, p.Count)
	}
}

// each is the period in words: "every month", "every 3 months".
func (p Period) each() string {
	unit := strings.ToLower(string(p.Interval))
	if p.Count == 1 {
		return "every " + unit
	}
	return fmt.Sprintf("every %d %ss", p.Count, unit)
}

func addMonths(t time.Time, months int) time.Time {
	year, month, day := t.Date()
	first := time.Date(year, month+time.Month(months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
	lastDay := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, lastDay)-1)
}

// ParsePeriod reads a period such as "month" or "3 months".
func ParsePeriod(text string) (Period, error) {
	words := strings.Fields(text)
	p := Period{Count: 1}
	if len(words) == 2 {
		count, err := strconv.ParseUint(words[0], 10, 10)
		if err != nil || count == 0 || count > maxPeriod {
			return Period{}, fmt.Errorf("%s is not a count from 1 to %d", words[0], maxPeriod)
		}
		p.Count = int(count)
	}
	if len(words) == 0 || len(words) > 2 {
		return Period{}, fmt.Errorf("%q is not a period such as month or 3 months", text)
	}
	unit := words[len(words)-1]
	for _, interval := range []Interval{Day, Week, Month, Year} {
		if strings.TrimSuffix(unit, "s") == strings.ToLower(string(interval)) {
			p.Interval = interval
			return p, nil
		}
	}
	return Period{}, fmt.Errorf("%s is not day, week, month or year", unit)
}

// UnmarshalText is [ParsePeriod].
func (p *Period) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePeriod(string(text))
	return err
}

// MarshalText writes what [ParsePeriod] reads.
func (p Period) MarshalText() ([]byte, error) {
	unit := strings.ToLower(string(p.Interval))
	if p.Count == 1 {
		return []byte(unit), nil
	}
	return fmt.Appendf(nil, "%d %ss", p.Count, unit), nil
}
