package dodo

import (
	"net/http"
	"sync"
	"time"
)

// serverClock compares our clock with Dodo's. Dodo tells its time only in the Date header, in
// whole seconds. Each answer bounds the difference, and the bounds of many answers together are
// much narrower than a second. So reads that follow each other within a second keep their order,
// however wrong our clock is. The zero value knows nothing yet. It is safe for concurrent use.
type serverClock struct {
	mu     sync.Mutex
	known  bool
	latest time.Time // when the newest request was sent, by our clock
	// Our clock is ahead of Dodo's by more than above and by at most most. Both are negative if
	// it is behind.
	above, most time.Duration
}

// drift is how much the difference of two clocks can change in a second: twice what a daemon that
// corrects a clock adds or takes (adjtimex: 500 millionths).
const drift = time.Millisecond

// sentAt is when a request was sent, by Dodo's clock. sent is the same instant by our clock, took
// is the time until the answer began, and date is the answer's Date header.
//
// The answer was made within the second that begins with its date, and after the request was sent.
// Our clock is believed if it agrees with that. Otherwise the earliest instant counts: what happens
// at Dodo after the request was sent must not look older than the answer.
func (c *serverClock) sentAt(sent time.Time, took time.Duration, date string) time.Time {
	answered, err := http.ParseTime(date)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		ahead := sent.Sub(answered)
		c.learn(sent, ahead-time.Second, ahead+took)
	}
	if !c.known || c.above < 0 && c.most >= 0 {
		return sent
	}
	return sent.Add(-c.most)
}

// learn narrows the bounds. Bounds that contradict the known ones replace them: one of the clocks
// has been set.
func (c *serverClock) learn(sent time.Time, above, most time.Duration) {
	if c.known {
		passed := max(0, sent.Sub(c.latest))
		shift := time.Duration(passed.Seconds() * float64(drift))
		if a, m := max(above, c.above-shift), min(most, c.most+shift); a < m {
			c.above, c.most, c.latest = a, m, c.latest.Add(passed)
			return
		}
	}
	c.known, c.above, c.most, c.latest = true, above, most, sent
}
