package dodosim

import "time"

// now is the simulated time with the precision of Dodo's timestamps (FACTS 1.8).
func (s *Simulator) now() time.Time {
	return s.wallClock().Add(time.Duration(s.ahead.Load())).Truncate(time.Microsecond)
}

// Now is the simulated time.
func (s *Simulator) Now() time.Time { return s.now() }

// Ahead is the sum of all [Simulator.Advance] durations.
func (s *Simulator) Ahead() time.Duration { return time.Duration(s.ahead.Load()) }

// wallClock is the real time, which signatures carry: receivers refuse one that is minutes
// away from their own clock, however far [Simulator.Advance] has gone.
func (s *Simulator) wallClock() time.Time { return s.options.Clock().UTC() }

// Tick performs everything that has become due by the clock: renewals and retries of failed
// ones, ends of trials and of grace, scheduled plan changes and cancellations, ends of terms,
// of credits, of payment links and of the time to answer a dispute, abandoned checkouts,
// refunds, and payouts. It performs them in the order of their times, each dated at its own
// time, and returns their number. Nothing of this happens without Tick or [Simulator.Advance],
// unless Options.TickEvery is set. (A checkout session expires without them.)
func (s *Simulator) Tick() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runDue(s.now())
}

// Advance moves the simulated time forward. The duration is added to Options.Clock from now
// on, and everything that becomes due on the way is performed, as by [Simulator.Tick]. Objects
// and events are dated in simulated time; signatures still have the time of Options.Clock, and
// waits for retries do not get shorter.
func (s *Simulator) Advance(by time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead.Add(int64(max(by, 0)))
	return s.runDue(s.now())
}

// nextDue is the subscription that is due first, and when: the older one of two at the same
// time, nil if none is due until then. The caller holds s.mu.
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

// tickOnItsOwn calls Tick at intervals until Close, for a host without a clock of its own.
func (s *Simulator) tickOnItsOwn(every time.Duration) {
	for s.sleep(every) {
		s.Tick()
	}
}
