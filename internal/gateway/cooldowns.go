package gateway

import (
	"sync"
	"time"
)

// cooldowns lets each name pass once in a while. It forgets what has cooled
// down, so it holds no more names than pass within that while.
type cooldowns struct {
	every time.Duration
	mu    sync.Mutex
	last  map[string]time.Time
}

const cooldownsSwept = 1024

func (c *cooldowns) pass(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.last[name]; ok && now.Sub(last) < c.every {
		return false
	}
	if len(c.last) >= cooldownsSwept {
		for n, last := range c.last {
			if now.Sub(last) >= c.every {
				delete(c.last, n)
			}
		}
	}
	c.last[name] = now
	return true
}
