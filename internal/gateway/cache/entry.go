package cache

import (
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// maxSteps bounds how many snapshots an entry holds. What comes behind them is
// read.
const maxSteps = 8

// entry is what is remembered of an account.
type entry struct {
	step
	rev int64
	// standings are those of the account, and were right at standingsRev.
	standings    map[string]entitlement.Standing
	standingsRev int64
	life         int64     // in which the reading began; 0 is none
	from         time.Time // when it was read

	// outdated: a change was heard of. The entry stays as the memory of that, and for
	// as long as MaxStale says as what was true until then.
	outdated atomic.Bool
	heard    int64     // the highest Rev that was heard of, with the cache's lock
	known    time.Time // when it was last known to be true, if that is over, with the lock
}

// step is a snapshot and what follows it when time changes it.
type step struct {
	View
	until time.Time // zero: for ever
	next  *step
}

// newEntry makes an entry of an account as it was read just now.
func (c *Cache) newEntry(account string, a entitlement.Account, life int64) *entry {
	now := c.Clock().Round(0) // without the monotonic clock: what counts is the one that plans end by
	e := &entry{
		rev: a.Rev, standings: a.Standings, standingsRev: a.Rev, life: life, from: now, heard: a.Rev, known: now,
	}
	a.Grace, a.UnansweredGrace = c.Grace, c.UnansweredGrace
	end := now.Add(remember + c.MaxStale)
	last, at := &e.step, now
	for n := 1; ; n++ {
		last.words = &words{account: account, say: c.Words}
		last.settled = &last.words.settled
		last.Snapshot, last.until = a.SnapshotUntil(at, c.Ranking)
		last.Doubts = a.Doubts(at)
		// What is held is given back by the store when the hold runs out.
		held := !a.HeldUntil.IsZero() && !last.until.Before(a.HeldUntil)
		if last.until.IsZero() || last.until.After(end) || n == maxSteps || held {
			return e
		}
		at = last.until
		last.next = new(step)
		last = last.next
	}
}

// unsettled is the entry with nothing noted of the account's orders. Whoever looked
// before notes it where nobody sees it. The caller holds the lock.
func (e *entry) unsettled() *entry {
	next := &entry{
		step: e.step, rev: e.rev, standings: e.standings, standingsRev: e.standingsRev, life: e.life, from: e.from,
		heard: e.heard, known: e.known,
	}
	next.outdated.Store(e.outdated.Load())
	for s := &next.step; ; s = s.next {
		s.words = &words{account: s.words.account, say: s.words.say}
		s.settled = &s.words.settled
		if s.next == nil {
			return next
		}
		following := *s.next
		s.next = &following
	}
}

// fresh reports whether the entry need not be read anew. One from the future was
// read by a clock that was set back since.
func (e *entry) fresh(now time.Time) bool {
	return !now.Before(e.from) && now.Before(e.from.Add(remember))
}

// at is the view at an instant; nil when it is beyond what was foreseen.
func (e *entry) at(now time.Time) *View {
	for s := &e.step; s != nil; s = s.next {
		if s.until.IsZero() || now.Before(s.until) {
			return &s.View
		}
	}
	return nil
}

// outdate notes that a change to rev was heard of. The caller holds the lock.
func (c *Cache) outdate(e *entry, rev int64) {
	if rev > e.heard {
		e.heard, e.known = rev, c.knownTrue(e)
		e.outdated.Store(true)
	}
}

// knownTrue is when an entry was last known to be true. The caller holds the lock.
func (c *Cache) knownTrue(e *entry) time.Time {
	switch {
	case c.counts(e):
		return c.Clock()
	case !e.outdated.Load() && e.life == c.lives && e.life != 0: // it counted until the end of its life
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
	e, ok := c.entries.GetIfPresent(account)
	if !ok || now.Sub(c.knownTrue(e)) > c.MaxStale {
		return nil
	}
	v := e.at(now)
	if v == nil {
		return nil
	}
	stale := *v
	stale.Stale = true
	return &stale
}

// stands reports whether the store did not answer lately, so that what is
// remembered will do. Every now and then it tells one caller no, to try.
func (c *Cache) stands(now time.Time) bool {
	if c.MaxStale == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.calm.IsZero():
		return false
	case now.Before(c.calm):
		return true
	}
	c.calm = now.Add(quiet)
	return false
}

// leaveAlone notes that the store did not answer.
func (c *Cache) leaveAlone(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = now.Add(quiet)
}
