package dodosim

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// The limits of FACTS 1.4 for tier 0, and for calls that need no key, per address.
const (
	perSecond, perMinute               = 40, 240
	keylessPerSecond, keylessPerMinute = 20, 100
)

// maxCallers bounds how many addresses are tracked at a time.
const maxCallers = 10_000

// caller counts the calls in the current second and minute. Guarded by [Simulator.mu].
type caller struct {
	second, minute     time.Time
	inSecond, inMinute int
}

// count counts a call and returns what is left of the limit for the minute; below zero if the
// call exceeds a limit.
func (c *caller) count(now time.Time, second, minute int) int {
	if s := now.Truncate(time.Second); !s.Equal(c.second) {
		c.second, c.inSecond = s, 0
	}
	if m := now.Truncate(time.Minute); !m.Equal(c.minute) {
		c.minute, c.inMinute = m, 0
	}
	if c.inSecond >= second || c.inMinute >= minute {
		return -1
	}
	c.inSecond++
	c.inMinute++
	return minute - c.inMinute
}

// limit refuses a call above the limit: with 429 and an empty body, as users of Dodo have seen
// it. Windows that begin with the clock's second and minute, headers about the minute, and the
// seconds until the next window are UNCONFIRMED.
func (s *Simulator) limit(w http.ResponseWriter, r *http.Request) bool {
	if !s.options.RateLimits {
		return false
	}
	who, second, minute := "", perSecond, perMinute
	if routesWithoutKey[r.Pattern] || !s.authorized(r) {
		second, minute = keylessPerSecond, keylessPerMinute
		who = r.RemoteAddr
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			who = host
		}
	}
	now := s.wallClock()
	s.mu.Lock()
	if len(s.callers) >= maxCallers {
		clear(s.callers)
	}
	c, known := s.callers[who]
	if !known {
		c = &caller{}
		s.callers[who] = c
	}
	left := c.count(now, second, minute)
	s.mu.Unlock()
	header := w.Header()
	header.Set("X-RateLimit-Limit", strconv.Itoa(minute))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(left, 0)))
	header.Set("X-RateLimit-Reset", strconv.Itoa(60-now.Second()))
	if left >= 0 {
		return false
	}
	w.WriteHeader(http.StatusTooManyRequests)
	return true
}
