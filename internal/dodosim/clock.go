package dodosim

import "time"

// now is the simulated time in the precision of Dodo's timestamps (FACTS 1.8).
func (s *Simulator) now() time.Time {
	return s.wallClock().Add(time.Duration(s.ahead.Load())).Truncate(time.Microsecond)
}

// Now is the simulated time.
func (s *Simulator) Now() time.Time { return s.now() }

// Ahead is by how much [Simulator.Advance] has put it forward in all.
func (s *Simulator) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// wallClock is the time outside, which signatures carry: receivers refuse one that is
// minutes away from their own, however far [Simulator.Advance] has gone.
func (s *Simulator) wallClock() time.Time { return s.options.Clock().UTC() }

// Tick makes everything happen that has come due by the clock: renewals and further tries
// of those that failed, ends of trials and of grace, scheduled plan changes and
// cancellations, ends of terms, of credits, of links to pay and of the time to answer a
// dispute, found abandoned checkouts, refunds, and payouts, one after the other in the
// order of their times, each dated at its own time. It returns how many that were.
// Nothing of this happens without Tick or [Simulator.Advance], unless Options.TickEvery is
// set. (A checkout session needs neither to expire.)
func (s *Simulator) Tick() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runDue(s.now())
}

// Advance puts the simulator's time forward, by a duration that adds to whatever
// Options.Clock says from now on, and makes everything happen that comes due on the way,
// as [Simulator.Tick] does. Objects and events are dated in simulated time; signatures
// still carry the time of Options.Clock, and waits for retries do not get shorter.
func (s *Simulator) Advance(by time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead.Add(int64(max(by, 0)))
	return s.runDue(s.now())
}

// nextDue is the subscription with the earliest thing to happen, the older subscription
// of two at the same time, and nil if there is none until then. The caller holds s.mu.
func (s *Simulator) nextDue(until time.Time) (*subscription, time.Time) {
	var next *subscription
	earliest := until
	for _, sub := range s.subscriptionOrder {
		at, ok := sub.due()
		if ok && !at.After(until) && (next == nil || at.Before(earliest)) {
			next, earliest = sub, at
		}
	}
	return next, earliest
}

// tickOnItsOwn calls Tick every so often, for a host that has no clock of its own to
// turn, until Close.
func (s *Simulator) tickOnItsOwn(every time.Duration) {
	for s.sleep(every) {
		s.Tick()
	}
}
