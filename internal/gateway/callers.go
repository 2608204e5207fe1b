package gateway

import (
	"math"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// caller is an account, or a network, whose calls are counted.
type caller struct {
	purpose purpose
	account string
	network netip.Prefix
}

// callersOf are the account and the network that cause a call, if they are known.
func callersOf(c call) []caller {
	var all []caller
	if c.account != "" {
		all = append(all, caller{purpose: c.purpose, account: c.account})
	}
	if c.network.IsValid() {
		all = append(all, caller{purpose: c.purpose, network: c.network})
	}
	return all
}

// callers limits the calls that one account, and one network, can cause: so many
// at once, and as many in each minute after that.
//
// In any minute each may therefore cause twice its limit. Of a budget of 240 calls a
// minute, checkouts can get 119, and so can confirming (see [window]). One account
// gets at most 20 and 40: a person needs fewer, because a return page asks 9 times in
// its first minute. One network gets at most 60 and 80, so that an office or a mobile
// carrier behind one address can buy, and leaves a third and more to the others.
type callers struct {
	accountLimit, networkLimit [purposes]int
	buckets                    map[caller]*rate.Limiter
	sweepAt                    int
}

const fewCallers = 1024

func newCallers(perMinute int) callers {
	c := callers{buckets: make(map[caller]*rate.Limiter), sweepAt: fewCallers}
	// More calls for the business are no reason why one account should need more.
	c.accountLimit[forCheckout] = min(max(perMinute/24, 1), 10)
	c.accountLimit[forConfirm] = min(max(perMinute/12, 1), 20)
	c.networkLimit[forCheckout] = max(perMinute/8, 1)
	c.networkLimit[forConfirm] = max(perMinute/6, 1)
	return c
}

func (c *callers) limit(who caller) int {
	if who.account != "" {
		return c.accountLimit[who.purpose]
	}
	return c.networkLimit[who.purpose]
}

// wait is how long it takes until the callers may cause a call; 0 is now.
func (c *callers) wait(now time.Time, made call) (wait time.Duration) {
	for _, who := range callersOf(made) {
		bucket := c.buckets[who]
		if bucket == nil {
			continue
		}
		const slack = 1e-6 // of what is computed in floating point
		if missing := 1 - bucket.TokensAt(now); missing > slack {
			seconds := missing / float64(bucket.Limit())
			wait = max(wait, time.Duration(math.Ceil(seconds*1e9)))
		}
	}
	return wait
}

// add counts a call that is made.
func (c *callers) add(now time.Time, made call) {
	for _, who := range callersOf(made) {
		limit := c.limit(who)
		if limit == 0 { // this purpose has none
			continue
		}
		bucket := c.buckets[who]
		if bucket == nil {
			c.sweep(now)
			bucket = rate.NewLimiter(rate.Limit(float64(limit)/60), limit)
			c.buckets[who] = bucket
		}
		bucket.ReserveN(now, 1)
	}
}

// sweep forgets callers that may cause as many calls as one that is not known. All
// others have made a call in the last minutes, so the whole budget bounds them.
func (c *callers) sweep(now time.Time) {
	if len(c.buckets) < c.sweepAt {
		return
	}
	for who, bucket := range c.buckets {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(c.buckets, who)
		}
	}
	c.sweepAt = max(fewCallers, 2*len(c.buckets))
}
