package gateway

import (
	"context"
	"slices"
	"sync"
	"time"
)

// deferredQueue makes deferred charges. The charges of one account are made one after the
// other, the oldest first. Those of different accounts do not wait for each other: a few are
// made at the same time, and an account whose charge failed pauses alone.
//
// If the charges of many accounts fail and none succeeds, the store is down for everybody. Then
// there is one attempt at a time, with a pause after it, until one succeeds.
type deferredQueue struct {
	// attempt tries to make a charge, and reports whether the store answered.
	attempt func(*deferredCharge) (answered bool)

	mu       sync.Mutex
	accounts map[string]*accountQueue
	ready    []*accountQueue // those that can be worked on now, in this order
	again    []*accountQueue // likewise, after a failure; their turn is when ready is empty
	workers  int
	round    int // counts the attempts that succeeded
	failed   int // accounts that failed in this round
}

// accountQueue has the charges of one account that are not made yet. Its fields are
// deferredQueue's to lock.
type accountQueue struct {
	charges []*deferredCharge // oldest first; the first one may be under way
	working bool              // a worker has the first one
	pause   time.Duration     // after the next failure
	failed  int               // the round of the last failure; -1: none
}

const (
	// deferredWorkers is how many charges are made at the same time.
	deferredWorkers = 16
	// The pause after a failure grows from the shortest to the longest.
	shortestRetry, longestRetry = 50 * time.Millisecond, 2 * time.Second
)

// do makes a charge and returns when that is done, or ctx has ended before it was begun.
func (q *deferredQueue) do(ctx context.Context, c *deferredCharge) {
	q.add(c)
	select {
	case <-c.done:
	case <-ctx.Done():
		if q.remove(c) {
			c.err = ctx.Err()
			return
		}
		<-c.done
	}
}

func (q *deferredQueue) add(c *deferredCharge) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.accounts == nil {
		q.accounts = make(map[string]*accountQueue)
	}
	a := q.accounts[c.hold.Account]
	if a == nil {
		a = &accountQueue{pause: shortestRetry, failed: -1}
		q.accounts[c.hold.Account] = a
		q.ready = append(q.ready, a)
	}
	a.charges = append(a.charges, c)
	q.hire()
}

// down reports whether the store is. The caller holds the lock.
func (q *deferredQueue) down() bool { return q.failed >= deferredWorkers }

// hire begins a worker if there is work for one more. The caller holds the lock.
func (q *deferredQueue) hire() {
	if len(q.ready)+len(q.again) > 0 && (q.workers == 0 || q.workers < deferredWorkers && !q.down()) {
		q.workers++
		go q.work()
	}
}

// remove takes back a charge that is not under way. It reports whether it did.
func (q *deferredQueue) remove(c *deferredCharge) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[c.hold.Account]
	if a == nil {
		return false
	}
	at := slices.Index(a.charges, c)
	if at < 0 || at == 0 && a.working {
		return false
	}
	a.charges = slices.Delete(a.charges, at, at+1)
	if len(a.charges) == 0 {
		q.forget(c.hold.Account, a)
	}
	return true
}

// forget drops an account that has no charges. The caller holds the lock.
func (q *deferredQueue) forget(account string, a *accountQueue) {
	delete(q.accounts, account)
	for _, list := range []*[]*accountQueue{&q.ready, &q.again} {
		if at := slices.Index(*list, a); at >= 0 {
			*list = slices.Delete(*list, at, at+1)
		}
	}
}

// work makes charges until none is ready.
func (q *deferredQueue) work() {
	for {
		a, c := q.next()
		if c == nil {
			return
		}
		answered := q.attempt(c)
		over := answered || c.ctx.Err() != nil
		if over {
			close(c.done)
		}
		if pause := q.finish(a, c.hold.Account, answered, over); pause > 0 {
			time.Sleep(pause)
		}
	}
}

// next takes the first charge of the account that has been ready for longest; nil when there
// is none, or too many workers for a store that is down. The caller then stops working.
func (q *deferredQueue) next() (*accountQueue, *deferredCharge) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := &q.ready
	if len(q.ready) == 0 {
		from = &q.again
	}
	if len(*from) == 0 || q.down() && q.workers > 1 {
		q.workers--
		return nil, nil
	}
	a := (*from)[0]
	*from = slices.Delete(*from, 0, 1)
	a.working = true
	q.hire()
	return a, a.charges[0]
}

// finish notes how an attempt went. The worker must pause before the next one if the store is
// down.
func (q *deferredQueue) finish(a *accountQueue, account string, answered, over bool) (pause time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a.working = false
	if over {
		a.charges = slices.Delete(a.charges, 0, 1)
		if len(a.charges) == 0 {
			q.forget(account, a)
		}
	}
	if answered {
		q.round++
		q.failed, a.failed, a.pause = 0, -1, shortestRetry
		if len(a.charges) > 0 {
			q.ready = append(q.ready, a)
		}
		return 0
	}
	if a.failed != q.round {
		a.failed = q.round
		q.failed++
	}
	pause = a.pause
	time.AfterFunc(pause, func() { q.resume(account, a) })
	a.pause = min(2*a.pause, longestRetry)
	if !q.down() {
		return 0
	}
	return pause
}

// resume ends an account's pause.
func (q *deferredQueue) resume(account string, a *accountQueue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.accounts[account] == a { // its callers have not all given up
		q.again = append(q.again, a)
		q.hire()
	}
}
