package entitlement

import (
	"slices"
	"time"
)

// maxStops bounds how many instants of one interruption or end are kept.
const maxStops = 16

// Pause is a pause that Dodo reported.
type Pause struct {
	At time.Time `json:"at"`
	// PeriodEnd is the end of the period as reported during the pause. After the pause it
	// moves by the length of the pause (FACTS 3.4).
	PeriodEnd time.Time `json:"period_end"`
}

func (p Pause) merge(q Pause) Pause {
	if q.PeriodEnd.Before(p.PeriodEnd) {
		p.PeriodEnd = q.PeriodEnd
	}
	return p
}

// Access is when a subscription was seen to give access to its plan, and when not.
type Access struct {
	// Last is the newest report with access.
	Last time.Time `json:"last,omitzero"`
	// Stops are the reports without access since Last, in order: only the first few.
	Stops  []time.Time      `json:"stops,omitempty"`
	Pauses map[string]Pause `json:"pauses,omitempty"` // by their start in milliseconds since 1970
}

// IsZero reports whether nothing is known.
func (a *Access) IsZero() bool { return a.Last.IsZero() && len(a.Stops) == 0 && len(a.Pauses) == 0 }

// access is what one body says about access.
func (s SubscriptionState) access() Access {
	var a Access
	switch s.Status {
	case SubscriptionActive, SubscriptionPastDue:
		a.Last = s.At
	case SubscriptionOnHold, SubscriptionPaused, SubscriptionFailed, SubscriptionExpired:
		a.Stops = s.stops()
	case SubscriptionCancelled:
		if s.CancelAtEnd {
			a.Last = earlier(s.At, s.PeriodEnd)
		} else {
			a.Stops = s.stops()
		}
	}
	if s.Status != SubscriptionCancelled && !s.StoppedAt.IsZero() {
		a.Pauses = map[string]Pause{periodKey(s.StoppedAt): {At: s.StoppedAt, PeriodEnd: s.PeriodEnd}}
	}
	return a
}

// stops are the two possible instants at which access stopped, by one body: the one that it
// names and its own. The first is wrong if there was access later: Dodo may name the time at
// which a cancellation was scheduled, or the start of a pause that is over.
func (s SubscriptionState) stops() []time.Time {
	stops := []time.Time{s.At}
	if !s.StoppedAt.IsZero() && !s.StoppedAt.Equal(s.At) {
		stops = append(stops, s.StoppedAt)
	}
	slices.SortFunc(stops, time.Time.Compare)
	return stops
}

func (a Access) merge(b Access) Access {
	m := Access{Last: a.Last, Pauses: mergeMaps(a.Pauses, b.Pauses, Pause.merge)}
	if b.Last.After(m.Last) {
		m.Last = b.Last
	}
	for _, at := range slices.SortedFunc(slices.Values(slices.Concat(a.Stops, b.Stops)), time.Time.Compare) {
		again := len(m.Stops) > 0 && m.Stops[len(m.Stops)-1].Equal(at)
		if at.After(m.Last) && !again && len(m.Stops) < maxStops {
			m.Stops = append(m.Stops, at)
		}
	}
	return m
}

// stops is the instant from which the subscription gives no monthly credits, because it gives
// no access to its plan; zero for never.
func (s Subscription) stops() time.Time {
	stop := s.State.ExpiresAt
	if a := s.State.access(); len(a.Stops) > 0 {
		at := s.State.At
		if a = s.Access.merge(a); len(a.Stops) > 0 {
			at = a.Stops[0]
		}
		stop = earlier(stop, at)
	}
	return stop
}

// earlier is the earlier of two instants; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// pauses are the finished pauses of a cycle. Each is as long as the time by which it moved the
// end of the cycle.
func (s Subscription) pauses(c Period) []span {
	var in []Pause
	for _, p := range s.Access.Pauses {
		if !p.At.Before(c.Start) && p.At.Before(c.End) {
			in = append(in, p)
		}
	}
	slices.SortFunc(in, func(p, q Pause) int { return p.At.Compare(q.At) })
	var spans []span
	for i, p := range in {
		end := c.End
		if i+1 < len(in) {
			end = in[i+1].PeriodEnd
		}
		spans = append(spans, span{p.At, p.At.Add(max(0, end.Sub(p.PeriodEnd)))})
	}
	return spans
}

// paidMonths is the number of months in a period of about that length; maxMonthlyGrants for 0,
// when Dodo does not say.
func paidMonths(cycle time.Duration) int64 {
	const day = 24 * time.Hour
	switch {
	case cycle <= 0:
		return maxMonthlyGrants
	case cycle%(365*day) == 0:
		return min(maxMonthlyGrants, int64(cycle/(365*day)*12))
	}
	return min(maxMonthlyGrants, max(1, int64(cycle/(30*day))))
}

// monthsIn is the number of months that an offer's price pays for.
func (c cycle) monthsIn(o offer) int64 {
	if o.Cycle > 0 {
		return paidMonths(o.Cycle)
	}
	return c.monthsBy(o, maxMonthlyGrants)
}

// monthsBy is the number of months in an offer's period, at most most, without those that
// begin in a pause.
func (c cycle) monthsBy(o offer, most int64) int64 {
	start, end := o.since, o.end
	if start.Before(c.Start) { // it continues from the cycle before, whose first period may have been a trial
		start, end = c.Start, c.End
	}
	return int64(len(monthsOf(start, most, end, c.pauses)))
}

// superseded is when a later cycle replaced one that had not ended; zero if none did. A cycle
// that was paid for in addition does not replace it.
func superseded(cycles []cycle, charges []cycleMoney, i int) time.Time {
	for j := i + 1; j < len(cycles); j++ {
		c := cycles[j]
		inAddition := c.paidWhole || c.opening.charged && !c.opening.fullCredits
		if !charges[j].fullyReversed() && !inAddition && c.Start.Before(cycles[i].End.Add(-sameStart)) {
			return c.Start
		}
	}
	return time.Time{}
}
