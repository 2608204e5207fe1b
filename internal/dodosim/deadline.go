package dodosim

import (
	"slices"
	"time"
)

// deadline is a time at which something may happen. Whether it still applies is checked at
// that time.
type deadline struct {
	at     time.Time
	happen func(at time.Time) bool // reports whether anything happened; called with s.mu held
}

// schedule adds a deadline. Deadlines of the same time keep their order. The caller holds
// s.mu.
func (s *Simulator) schedule(when time.Time, happen func(at time.Time) bool) {
	i, _ := slices.BinarySearchFunc(s.deadlines, when, func(d deadline, when time.Time) int {
		if d.at.After(when) {
			return 1
		}
		return -1 // behind its equals
	})
	s.deadlines = slices.Insert(s.deadlines, i, deadline{when, happen})
}

// runDue performs everything that is due until then, in the order of its times. At the same
// time, credits expire first, then come deadlines, and last subscriptions. The caller holds
// s.mu.
func (s *Simulator) runDue(until time.Time) int {
	for count := 0; ; {
		sub, at := s.nextDue(until)
		if len(s.deadlines) > 0 && !s.deadlines[0].at.After(at) {
			next := s.deadlines[0]
			s.deadlines = s.deadlines[1:]
			count += s.expireCredits(next.at)
			if next.happen(next.at) {
				count++
			}
			continue
		}
		if sub == nil {
			return count + s.expireCredits(until)
		}
		count += s.expireCredits(at) + 1
		s.handleDue(sub, at)
	}
}
