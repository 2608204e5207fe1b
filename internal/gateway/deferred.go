package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/store"
)

// deferredCharges are charges of requests that passed while the store was down, admitted
// by what was remembered of their accounts. Those that have ended wait here until the store
// answers again. They are kept in memory only: when the process ends before that, nobody is
// charged.
//
// An account can owe no more than it was known to have. All of them together can owe no more
// than MaxDeferred charges, and one account no more than are left for the others. Two gateways
// do not know of each other's.
type deferredCharges struct {
	*parts

	mu    sync.Mutex
	count atomic.Int64     // of the charges that have not ended or are not made; changed under the lock
	owed  map[string]owing // by account
	queue deferredQueue    // those that have ended
	away  cache.Away       // accounts that the store did not answer about

	oldLog rate.Sometimes // how often it is logged that charges wait for long
}

// owing is what an account owes, or may.
type owing struct{ credits, charges int64 }

// deferredCharge is one that waits to be made.
type deferredCharge struct {
	ctx  context.Context // of the caller that waits for it
	hold book.Hold       // of as much as is to be spent
	from time.Time       // when it was decided

	// When it is done:
	done  chan struct{}
	spent bool
	err   error
}

// MaxDeferred is how many requests can have passed and not be charged yet. Each takes a
// few kilobytes.
const MaxDeferred = 10_000

const (
	// deferredHoldTTL is how long a deferred charge holds what it spends at once.
	deferredHoldTTL = time.Minute
	// deferredPatience bounds one attempt to make a deferred charge.
	deferredPatience = 5 * time.Second
	// deferredOld is after how long a charge that is not made is logged, once a minute for all.
	deferredOld = time.Minute
)

// admit lets a request pass that is charged later, with the hold that will charge it; false
// when it may not. What counts is the latest known state of the account, which may come from
// the hold of another request that began after this one had looked. Nothing passes on what is known
// to be outdated.
func (d *deferredCharges) admit(r HoldRequest) (hold book.Hold, available int64, ok bool) {
	known := r.Known.Credits
	if v := d.views.Remembered(r.Account); v != nil {
		known = min(known, v.Credits)
	}
	if d.views.Outdated(r.Account) {
		return book.Hold{}, 0, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	owes := d.owed[r.Account]
	left := known - owes.credits - r.Credits
	if left < 0 || owes.charges >= MaxDeferred-d.count.Load() {
		return book.Hold{}, 0, false
	}
	d.count.Add(1)
	d.observer.ChargesDeferred(1)
	d.owed[r.Account] = owing{owes.credits + r.Credits, owes.charges + 1}
	hold = book.Hold{
		Account: r.Account, ID: newChargeID("late:", r.Account, r.Route), By: rand.Text(), Amount: r.Credits, TTL: deferredHoldTTL,
	}
	return hold, left, true
}

// decide notes what a request that has passed costs.
func (d *deferredCharges) decide(hold book.Hold, captured int64) {
	d.reduce(hold.Account, hold.Amount-captured, captured == 0)
}

// owes is what an account owes, or may. It is usually nothing, which takes no lock.
func (d *deferredCharges) owes(account string) int64 {
	if d.count.Load() == 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owed[account].credits
}

// end makes a charge that is decided, however long that takes while ctx does not end.
func (d *deferredCharges) end(ctx context.Context, hold book.Hold, captured int64) (spent bool, err error) {
	if captured == 0 {
		return true, nil
	}
	hold.Amount = captured
	c := &deferredCharge{ctx: ctx, hold: hold, from: d.clock(), done: make(chan struct{})}
	d.queue.do(ctx, c)
	d.reduce(hold.Account, captured, true)
	return c.spent, c.err
}

// reduce takes from what an account owes, and forgets a charge that is over.
func (d *deferredCharges) reduce(account string, credits int64, over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	owes := d.owed[account]
	owes.credits -= credits
	if over {
		owes.charges--
		d.count.Add(-1)
		d.observer.ChargesDeferred(-1)
	}
	if owes == (owing{}) {
		delete(d.owed, account)
	} else {
		d.owed[account] = owes
	}
}

// attempt tries to make a charge, and reports whether the store answered.
func (d *deferredCharges) attempt(c *deferredCharge) (answered bool) {
	c.spent, c.err = d.collect(c)
	if !errors.Is(c.err, store.ErrUnavailable) && !errors.Is(c.err, context.DeadlineExceeded) && !errors.Is(c.err, context.Canceled) {
		return true
	}
	if age := d.clock().Sub(c.from); age >= deferredOld {
		d.oldLog.Do(func() {
			d.logger.Warn("requests that passed without the store are not charged yet; if this process ends before they are, nobody is",
				"waiting", d.count.Load(), "account", c.hold.Account, "age", age, "error", c.err)
		})
	}
	return false
}

// collect holds and spends. It may be repeated: the hold has one name, which is
// remembered when it has spent.
func (d *deferredCharges) collect(c *deferredCharge) (spent bool, err error) {
	if err := c.ctx.Err(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), deferredPatience)
	defer cancel()
	held, err := d.store.Hold(ctx, c.hold)
	switch {
	case err != nil:
		return false, err
	case held.Outcome == book.HoldFinished:
		return held.Captured == c.hold.Amount, nil
	case held.Outcome != book.HoldPlaced:
		return false, notPlaced(held)
	}
	done, err := d.store.End(ctx, book.End{
		Account: c.hold.Account, ID: c.hold.ID, By: c.hold.By, Captured: c.hold.Amount, Keep: keyMemory,
	})
	if err != nil {
		return false, err
	}
	d.away.Answered(c.hold.Account)
	d.views.Put(c.hold.Account, done.Account)
	if done.Found {
		d.daily.add(0, c.hold.Amount)
	}
	return done.Found, nil
}
