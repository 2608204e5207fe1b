package cache

import (
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// maxSteps bounds how many steps a timeline of an entry has. What comes after them is
// read.
const maxSteps = 8

// entry is what is remembered of an account. It is kept as bytes; see record.go.
type entry struct {
	rev    int64
	number uint64    // that no other entry has
	life   int64     // in which the reading began; 0 is none
	from   time.Time // when it was read

	// outdated: a change was heard of. The entry stays as the memory of that, and is not shown.
	outdated bool
	heard    int64     // the highest Rev that was heard of; rev unless it is outdated
	known    time.Time // when it was last known to be true, if that is over

	settled uint64 // the step of which it is known that no order waits; 0 is none

	balance  string // the timeline of what follows from the ledger
	standing string // the timeline of what follows from the standings, which were right at rev
}

// newEntry makes an entry of an account as it was read just now.
func (c *Cache) newEntry(account string, a entitlement.Account, life int64) *entry {
	e := c.entryOf(a.Rev, life)
	a.Grace, a.UnansweredGrace = c.Grace, c.UnansweredGrace
	e.balance = c.balanceOf(a, e.from)
	e.standing = c.standingOf(account, a, e.from)
	return e
}

func (c *Cache) entryOf(rev, life int64) *entry {
	now := c.Clock().Round(0) // without the monotonic clock: what counts is the one that plans end by
	return &entry{rev: rev, number: c.numbers.Add(1), life: life, from: now, heard: rev, known: now}
}

// timeline calls each for an account at an instant and at those when time changes it, as far as
// they are foreseen. each returns the end of its step; zero is never.
func (c *Cache) timeline(a *entitlement.Account, now time.Time, each func(at time.Time) (until time.Time)) {
	end := now.Add(remember + c.MaxStale)
	at := now
	for n := 1; ; n++ {
		until := each(at)
		// What is held is given back by the store when the hold runs out.
		held := !a.HeldUntil.IsZero() && !until.Before(a.HeldUntil)
		if until.IsZero() || until.After(end) || n == maxSteps || held {
			return
		}
		at = until
	}
}

// unsettled is the entry with nothing noted of the account's orders. Somebody who looked
// before finds another number.
func (c *Cache) unsettled(e entry) entry {
	e.number, e.settled = c.numbers.Add(1), 0
	return e
}

// fresh reports whether the entry need not be read anew. One from the future was
// read by a clock that was set back since.
func (e *entry) fresh(now time.Time) bool {
	return !now.Before(e.from) && now.Before(e.from.Add(remember))
}

// outdate notes that a change to rev was heard of. The caller holds the lock.
func (c *Cache) outdate(account string, e entry, rev int64) {
	if rev > e.heard {
		e.known, e.heard = c.knownTrue(&e), rev
		e.outdated = true
		c.set(account, &e)
	}
}

// knownTrue is when an entry was last known to be true. The caller holds the lock.
func (c *Cache) knownTrue(e *entry) time.Time {
	switch {
	case c.counts(e):
		return c.Clock()
	case !e.outdated && e.life == c.lives && e.life != 0: // it counted until the end of its life
		return c.lostAt
	default:
		return e.known
	}
}

// remembered is what an account was last known to be, for as long as it may be
// shown; nil is nothing.
func (c *Cache) remembered(account string, now time.Time) *View {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.get(account)
	if !ok || e.outdated || now.Sub(c.knownTrue(&e)) > c.MaxStale {
		return nil
	}
	v := c.view(account, &e, now)
	if v != nil {
		v.Stale = true
	}
	return v
}

// Outdated reports whether a change of the account was heard of that was not read yet.
func (c *Cache) Outdated(account string) bool {
	e, ok := c.get(account)
	return ok && e.outdated
}

// get is what is remembered of an account. Whoever changes it holds the lock.
func (c *Cache) get(account string) (e entry, found bool) {
	var room [512]byte
	value, found := c.entries.Get(account, room[:])
	if !found {
		return e, false
	}
	return readEntry(string(value))
}

// set replaces an entry. The caller holds the lock.
func (c *Cache) set(account string, e *entry) {
	if !c.closed {
		c.entries.Set(account, e.record())
	}
}

// settle notes that no order waits, if nothing was noted of the account since the view was taken.
func (c *Cache) settle(v *View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.get(v.account); ok && e.number == v.number && e.settled != v.step {
		e.settled = v.step
		c.set(v.account, &e)
	}
}
