package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// late are the charges of requests that passed while the store could not be
// reached, on the strength of what was remembered of their accounts. Those that
// have ended wait here until the store answers again. It is a promise in memory:
// when the process ends before that, nobody is charged.
//
// An account can owe no more than it was known to have, and all of them together
// no more than MaxLate charges. Two gateways do not know of each other's.
type late struct {
	gateway *Gateway

	mu    sync.Mutex
	count atomic.Int64     // of the charges that have not ended or are not made; changed under the lock
	owed  map[string]int64 // by account: what they are or may be, in credits
	queue []*lateCharge    // those that have ended
	busy  bool             // somebody is at work on the queue

	// calm is not 0 when the store did not answer: it is left alone until then, in
	// nanoseconds since 1970. Every request looks here, so there is no lock.
	calm atomic.Int64
}

// lateCharge is one that waits to be made.
type lateCharge struct {
	ctx  context.Context // of whoever waits for it
	hold book.Hold       // of as much as is to be spent

	// When it is done:
	done  chan struct{}
	spent bool
	err   error
}

// MaxLate is how many requests can have passed and not be charged yet. Each takes a
// few kilobytes.
const MaxLate = 10_000

const (
	// lateHold is how long a late charge holds what it spends at once.
	lateHold = time.Minute
	// latePatience bounds one attempt to make a late charge.
	latePatience = 5 * time.Second
	// quiet is how long a store that did not answer is left alone by requests that
	// may pass without it; one of them asks it then.
	quiet = time.Second
)

// pass lets a request pass that is charged later; nil when it may not. What counts
// is what was heard of the account last, be it from the hold of another request that
// began when this one had looked already.
func (l *late) pass(r HoldRequest) *Charge {
	known := r.Known.Credits
	if v := l.gateway.views.Remembered(r.Account); v != nil {
		known = min(known, v.Credits)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	left := known - l.owed[r.Account] - r.Credits
	if left < 0 || l.count.Load() == MaxLate {
		return nil
	}
	l.count.Add(1)
	l.owed[r.Account] += r.Credits
	return &Charge{gateway: l.gateway, late: true, Available: left, hold: book.Hold{
		Account: r.Account, ID: "charge:late:" + rand.Text(), By: rand.Text(), Amount: r.Credits, TTL: lateHold,
	}}
}

// decide notes what a request costs that has passed.
func (l *late) decide(hold book.Hold, captured int64) {
	l.settle(hold.Account, hold.Amount-captured, captured == 0)
}

// owes is what an account owes, or may. It is usually nothing, which takes no lock.
func (l *late) owes(account string) int64 {
	if l.count.Load() == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed[account]
}

// end makes a charge that is decided, however long that takes while ctx does not end.
func (l *late) end(ctx context.Context, hold book.Hold, captured int64) (spent bool, err error) {
	if captured == 0 {
		return true, nil
	}
	hold.Amount = captured
	c := &lateCharge{ctx: ctx, hold: hold, done: make(chan struct{})}
	l.mu.Lock()
	l.queue = append(l.queue, c)
	if !l.busy {
		l.busy = true
		go l.work()
	}
	l.mu.Unlock()
	<-c.done
	l.settle(hold.Account, captured, true)
	return c.spent, c.err
}

// settle takes from what an account owes, and forgets a charge that is over.
func (l *late) settle(account string, credits int64, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owed[account] -= credits; l.owed[account] == 0 {
		delete(l.owed, account)
	}
	if over {
		l.count.Add(-1)
	}
}

// work makes charges until there are no more.
func (l *late) work() {
	const shortest, longest = 50 * time.Millisecond, 2 * time.Second
	pause := shortest
	for {
		c := l.next()
		if c == nil {
			return
		}
		spent, err := l.collect(c)
		if c.ctx.Err() == nil && (errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)) {
			l.leaveAlone()
			l.putBack(c)
			select {
			case <-time.After(pause):
			case <-c.ctx.Done():
			}
			pause = min(2*pause, longest)
			continue
		}
		pause = shortest
		c.spent, c.err = spent, err
		close(c.done)
	}
}

// next takes the oldest charge from the queue; nil when there is none, and whoever
// asked is no longer at work.
func (l *late) next() *lateCharge {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.busy = false
		return nil
	}
	c := l.queue[0]
	l.queue = slices.Delete(l.queue, 0, 1)
	return c
}

// putBack puts a charge behind all others, so that an account that cannot be
// written to does not keep them waiting.
func (l *late) putBack(c *lateCharge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
}

// collect holds and spends. It may be repeated: the hold has one name, which is
// remembered when it has spent.
func (l *late) collect(c *lateCharge) (spent bool, err error) {
	if err := c.ctx.Err(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), latePatience)
	defer cancel()
	held, err := l.gateway.Store.Hold(ctx, c.hold)
	switch {
	case err != nil:
		return false, err
	case held.Outcome == book.HoldFinished:
		return held.Captured == c.hold.Amount, nil
	case held.Outcome != book.HoldPlaced:
		return false, notPlaced(held)
	}
	done, err := l.gateway.Store.End(ctx, book.End{
		Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By, Captured: c.hold.Amount, Keep: keyMemory,
	})
	if err != nil {
		return false, err
	}
	l.answered()
	l.gateway.views.Put(c.hold.Account, done.Account)
	return done.Found, nil
}

// stands reports whether the store did not answer lately. Every now and then it
// tells one caller no, to try.
func (l *late) stands() bool {
	until, now := l.calm.Load(), l.gateway.Clock()
	if until == 0 {
		return false
	}
	return now.UnixNano() < until || !l.calm.CompareAndSwap(until, now.Add(quiet).UnixNano())
}

// leaveAlone notes that the store did not answer.
func (l *late) leaveAlone() { l.calm.Store(l.gateway.Clock().Add(quiet).UnixNano()) }

// answered notes that the store did.
func (l *late) answered() {
	if l.calm.Load() != 0 {
		l.calm.Store(0)
	}
}
