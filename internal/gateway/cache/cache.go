// Package cache remembers what accounts may do, so that a request asks no store.
//
// # What makes an entry true
//
// The store tells of every change of an account, with the account's Rev after it
// ([store.Changes]). An entry counts from when it was read until a higher Rev is
// told, for as long as nothing is missed: the time between Live and Lost is a
// life, and an entry of another life does not count. While there is no life,
// every request reads the store.
//
// Time changes snapshots too. An entry holds two timelines: what follows from the
// ledger and what follows from the standings. Each is a list of the states that will
// follow each other while the entry is remembered, with the instants at which they end.
//
// An entry is read anew after a few minutes all the same. Redis can lose what it
// acknowledged, in a failover or when somebody restores a backup, and no message
// tells of that. The next change of such an account shows a lower Rev, and the entry is
// forgotten.
//
// # Memory
//
// An entry is kept as bytes, so that the garbage collector has nothing to follow however
// many accounts are remembered. Each request decodes it into memory of its own, with the
// header values ready-made. What needs pointers is only there while it is used: a read
// that is under way.
//
// # Races
//
// A message may come while the account is being read: before the read, and then
// it says nothing new, or behind it, and then what was read is outdated before it
// can be remembered. So a read that is under way ([fill]) is told of messages,
// and its result is kept only if its Rev is as high as the highest of them. Both
// happen under one lock, which a hit does not take.
package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/bytecache"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Result is where a view came from.
type Result string

// The results.
const (
	Hit    Result = "hit"    // it was remembered
	Miss   Result = "miss"   // it was read, or failed to be, because it was not
	Bypass Result = "bypass" // it was read, or failed to be, because changes are not heard
	Stale  Result = "stale"  // it was remembered, and could not be read
)

// Options of [New].
type Options struct {
	// Entries is how many accounts of [AccountSize] are remembered: it bounds the bytes.
	// There is always room for [bytecache.Least] bytes. Required.
	Entries int
	// MaxStale is for how long an account may be shown as it was last known while
	// the store cannot be reached; 0 is not at all.
	MaxStale time.Duration
	// Read reads an account. Required.
	Read func(ctx context.Context, account string) (entitlement.Account, error)
	// Ranking says which plan of a snapshot is the highest.
	Ranking config.Ranking
	// Grace and UnansweredGrace are those of [entitlement.Account].
	Grace, UnansweredGrace time.Duration
	// Words makes what is made of a snapshot when the account is read, and not for every
	// request; nil is nothing. Credits and debt are not known to it.
	Words func(account string, s entitlement.Snapshot) []string
	// Clock tells the time. Required.
	Clock func() time.Time
}

// AccountSize is how many bytes are reserved for an account: enough for one with a grant and
// a plan. freecache's index of accounts takes 16 to 34 more.
const AccountSize = 146

// remember is how long an entry counts without being read anew.
const remember = 5 * time.Minute

// Cache remembers views. Its methods may be called by many goroutines.
type Cache struct {
	Options
	entries *bytecache.Cache
	life    atomic.Int64  // the number of this life; 0 is none
	numbers atomic.Uint64 // how many entries there were

	mu     sync.Mutex // held for every change of entries, and of what follows
	lives  int64      // how many there were
	lostAt time.Time  // end of the last one
	fills  map[string]*fill
	closed bool

	away Away
}

var _ store.Watcher = (*Cache)(nil)

// New makes a cache that has no life yet.
func New(o Options) *Cache {
	c := &Cache{
		Options: o,
		entries: bytecache.New(o.Entries * AccountSize),
		fills:   make(map[string]*fill),
	}
	c.away.Heard, c.away.Clock = c.Heard, o.Clock
	return c
}

// Heard reports whether changes are heard, which the store proves by its own messages.
func (c *Cache) Heard() bool { return c.life.Load() != 0 }

// Close forgets everything for good. Later views are read from the store.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.life.Store(0)
	c.entries.Close()
}

// View is what the account may do now. Errors are those of [Options.Read].
func (c *Cache) View(ctx context.Context, account string) (*View, Result, error) {
	now := c.Clock()
	if v := c.current(account, now); v != nil {
		return v, Hit, nil
	}
	if c.MaxStale > 0 && c.away.Skips(account) {
		if v := c.remembered(account, now); v != nil {
			return v, Stale, nil
		}
	}
	e, result, err := c.read(ctx, account)
	if err == nil {
		c.away.Answered(account)
		return c.view(account, e, time.Time{}), result, nil
	}
	if c.MaxStale > 0 && errors.Is(err, store.ErrUnavailable) {
		c.away.Failed(account)
		if v := c.remembered(account, now); v != nil {
			return v, Stale, nil
		}
	}
	return nil, result, err
}

// Current is the view that View would return without a call of the store; nil is none.
func (c *Cache) Current(account string) *View { return c.current(account, c.Clock()) }

func (c *Cache) current(account string, now time.Time) *View {
	if e, ok := c.get(account); ok && c.counts(&e) && e.fresh(now) {
		return c.view(account, &e, now)
	}
	return nil
}

// Remembered is what the account was last known to be, for as long as it may be shown
// without the store, which is not asked; nil is nothing. What is known to be outdated is never
// shown.
func (c *Cache) Remembered(account string) *View { return c.remembered(account, c.Clock()) }

// counts reports whether an entry is the truth as far as messages go.
func (c *Cache) counts(e *entry) bool {
	life := c.life.Load()
	return e.life == life && life != 0 && !e.outdated
}

// read reads an account and remembers it if it may.
func (c *Cache) read(ctx context.Context, account string) (*entry, Result, error) {
	c.mu.Lock()
	if life := c.life.Load(); life != 0 {
		e, err := c.fill(ctx, account, life) // unlocks
		return e, Miss, err
	}
	c.mu.Unlock()
	a, err := c.Read(ctx, account)
	if err != nil {
		return nil, Bypass, err
	}
	e := c.newEntry(account, a, 0)
	if c.MaxStale > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.set(account, e)
	}
	return e, Bypass, nil
}

// Put remembers the state of an account that an operation on it returned, but for
// its standings, so that views from now on are not behind it. Where the standings are
// not remembered as they must be now, because another gateway's news of them is on
// its way, the account is read for the next view. It changes nothing where nothing is
// remembered, or something later: the answer of an operation may come behind the
// news of the next one, and an outdated entry is the memory of that.
func (c *Cache) Put(account string, a entitlement.Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.fills[account]; f != nil {
		f.least = max(f.least, a.Rev)
	}
	e, ok := c.get(account)
	switch {
	case ok && c.isBack(&e, a.Rev):
		c.entries.Delete(account)
	case !ok, a.Rev < e.heard, a.Rev == e.heard && !e.outdated:
	case a.StandingsRev <= e.rev:
		next := c.entryOf(a.Rev, e.life)
		next.balance, next.standing = c.balanceOf(a, next.from), e.standing
		c.set(account, next)
	default:
		c.outdate(account, e, a.Rev)
	}
}

// Forget forgets an account that the caller has just changed, so that views from
// now on are read behind that change.
func (c *Cache) Forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.fills[account]; f != nil {
		f.void = true
		delete(c.fills, account)
	}
	c.entries.Delete(account)
}

// Changed implements [store.Watcher].
func (c *Cache) Changed(account string, rev int64) {
	if rev == 0 {
		c.unsettle(account)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.fills[account]; f != nil {
		f.least = max(f.least, rev)
	}
	if e, ok := c.get(account); ok && c.isBack(&e, rev) {
		c.entries.Delete(account)
	} else if ok {
		c.outdate(account, e, rev)
	}
}

// overtaken is how much later than the next one a message may come. The store does not trust a
// subscription for longer that delivers nothing.
const overtaken = 5 * time.Second

// isBack reports that the store has gone back to a lower Rev than an entry: it was restored, or
// failed over to a server that lacks the last changes. A lower Rev soon after the entry's is no
// sign of that, because messages and answers may overtake each other.
func (c *Cache) isBack(e *entry, rev int64) bool {
	return rev < e.heard && c.Clock().Sub(e.from) > overtaken
}

// unsettle is told that the account has an order that can be paid. Who waits for the
// account to be read will look after that, and find it.
func (c *Cache) unsettle(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.get(account); ok {
		e = c.unsettled(e)
		c.set(account, &e)
	}
}

// Live implements [store.Watcher].
func (c *Cache) Live() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.lives++
	c.life.Store(c.lives)
	clear(c.fills) // what they read may be from before
}

// Lost implements [store.Watcher].
func (c *Cache) Lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Load() != 0 {
		c.lostAt = c.Clock()
		c.life.Store(0)
	}
}
