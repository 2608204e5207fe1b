package entitlement

import (
	"slices"
	"time"
)

// mostStops bounds what is remembered of one hold or end.
const mostStops = 16

// Pause is a pause that a body told of.
type Pause struct {
	At time.Time `json:"at"`
	// PeriodEnd is the end of the period as it was in the pause. It moves by the length of
	// the pause when that is over (FACTS 3.4).
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
	// Last is when it was seen with access last.
	Last time.Time `json:"last,omitzero"`
	// Stops are when it was seen without it since, in order: the first few.
	Stops  []time.Time      `json:"stops,omitempty"`
	Pauses map[string]Pause `json:"pauses,omitempty"` // by their start in milliseconds since 1970
}

// IsZero reports whether nothing is known.
func (a *Access) IsZero() bool { return a.Last.IsZero() && len(a.Stops) == 0 && len(a.Pauses) == 0 }

// access is what one body says.
func (s SubscriptionState) access() Access {
	var a Access
	switch s.Status {
	case SubscriptionActive, SubscriptionPastDue:
		a.Last = s.At
	case SubscriptionOnHold, SubscriptionPaused, SubscriptionFailed, SubscriptionExpired:
		a.Stops = s.stops()
	case SubscriptionCancelled:
		if s.CancelAtEnd {
			a.Last = sooner(s.At, s.PeriodEnd)
		} else {
			a.Stops = s.stops()
		}
	}
	if s.Status != SubscriptionCancelled && !s.StoppedAt.IsZero() {
		a.Pauses = map[string]Pause{periodKey(s.StoppedAt): {At: s.StoppedAt, PeriodEnd: s.PeriodEnd}}
	}
	return a
}

// stops are when a body says that access stopped, and when it says so. The first is wrong if
// there was access later: Dodo may name the time at which a cancellation was scheduled, or
// the start of a pause that is over.
func (s SubscriptionState) stops() []time.Time {
	stops := []time.Time{s.At}
	if !s.StoppedAt.IsZero() && !s.StoppedAt.Equal(s.At) {
		stops = append(stops, s.StoppedAt)
	}
	slices.SortFunc(stops, time.Time.Compare)
	return stops
}

func (a Access) merge(b Access) Access {
	m := Access{Last: a.Last, Pauses: unite(a.Pauses, b.Pauses, Pause.merge)}
	if b.Last.After(m.Last) {
		m.Last = b.Last
	}
	for _, at := range slices.SortedFunc(slices.Values(slices.Concat(a.Stops, b.Stops)), time.Time.Compare) {
		again := len(m.Stops) > 0 && m.Stops[len(m.Stops)-1].Equal(at)
		if at.After(m.Last) && !again && len(m.Stops) < mostStops {
			m.Stops = append(m.Stops, at)
		}
	}
	return m
}

// stops is from when on the subscription gives no month's credits, because it gives no
// access to its plan; zero for never.
func (s Subscription) stops() time.Time {
	stop := s.State.ExpiresAt
	if a := s.State.access(); len(a.Stops) > 0 {
		at := s.State.At
		if a = s.Access.merge(a); len(a.Stops) > 0 {
			at = a.Stops[0]
		}
		stop = sooner(stop, at)
	}
	return stop
}

// sooner is the earlier of two instants, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// pauses are the pauses of a cycle that are over. Each one is as long as it moved the end
// of the cycle.
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

// paidMonths is how many months a period of about that length is; mostMonths for 0, when Dodo
// does not say.
func paidMonths(cycle time.Duration) int64 {
	const day = 24 * time.Hour
	switch {
	case cycle <= 0:
		return mostMonths
	case cycle%(365*day) == 0:
		return min(mostMonths, int64(cycle/(365*day)*12))
	}
	return min(mostMonths, max(1, int64(cycle/(30*day))))
}

// monthsIn is how many months an offer's price pays for.
func (c cycle) monthsIn(o offer) int64 {
	if o.Cycle > 0 {
		return paidMonths(o.Cycle)
	}
	return c.monthsBy(o, mostMonths)
}

// monthsBy is how many months, of so many, an offer's period has, without those in a pause.
func (c cycle) monthsBy(o offer, most int64) int64 {
	start, end := o.since, o.end
	if start.Before(c.Start) { // it goes on from the cycle before, whose first period may have been a trial
		start, end = c.Start, c.End
	}
	return int64(len(monthsOf(start, most, end, c.pauses)))
}

// superseded is when another cycle took the place of one that had not ended; zero if none
// did. A cycle that was paid for in addition does not.
func superseded(cycles []cycle, charges []charge, i int) time.Time {
	for j := i + 1; j < len(cycles); j++ {
		c := cycles[j]
		inAddition := c.whole || c.opening.charged && !c.opening.whole
		if !charges[j].void() && !inAddition && c.Start.Before(cycles[i].End.Add(-startsTogether)) {
			return c.Start
		}
	}
	return time.Time{}
}
