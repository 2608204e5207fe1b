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
// Time changes snapshots too. An entry holds the snapshots that will follow each
// other while it is remembered, each with the instant at which it ends.
//
// An entry is read anew after a few minutes all the same. Redis can lose what it
// acknowledged, in a failover or when somebody restores a backup, and no message
// tells of that.
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
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// View is what a request sees of an account. It is shared by many requests, and
// read only.
type View struct {
	entitlement.Snapshot
	// Stale: the store cannot be reached, and this is what was remembered.
	Stale bool
	// Doubts are what Dodo should be asked about before the account is refused something.
	Doubts []entitlement.Doubt

	words   *words       // see [View.Words]
	settled *atomic.Bool // nil: it is not remembered
}

// NewView makes a view of a snapshot that is not remembered. say makes its words.
func NewView(s entitlement.Snapshot, stale bool, account string, say func(account string, s entitlement.Snapshot) []string) *View {
	return &View{Snapshot: s, Stale: stale, words: &words{account: account, say: say}}
}

// words are made when somebody asks for them: of an account that is charged all the time,
// most snapshots are seen by no request.
type words struct {
	once    sync.Once
	account string
	say     func(account string, s entitlement.Snapshot) []string
	texts   []string
	settled atomic.Bool // of a view that is remembered; see [View.Settled]
}

// Words are what [Options.Words] makes of the snapshot, once. They are read only.
func (v *View) Words() []string {
	w := v.words
	if w == nil || w.say == nil {
		return nil
	}
	w.once.Do(func() { w.texts = w.say(w.account, v.Snapshot) })
	return w.texts
}

// Over reports whether a period is over and Dodo has not said how it goes on.
func (v *View) Over() bool {
	return slices.ContainsFunc(v.Doubts, func(d entitlement.Doubt) bool { return d.Over })
}

// Owed reports whether the account must not be refused anything by this view, because it may
// have paid for it.
func (v *View) Owed() bool {
	return slices.ContainsFunc(v.Doubts, func(d entitlement.Doubt) bool { return d.Owed })
}

// Untold reports whether there is a payment for a subscription of which nothing else is known.
func (v *View) Untold() bool {
	return slices.ContainsFunc(v.Doubts, func(d entitlement.Doubt) bool { return d.Untold })
}

// Settled reports whether no order of the account waits to be paid, as far as
// somebody has looked since the account was read.
func (v *View) Settled() bool { return v.settled != nil && !v.Stale && v.settled.Load() }

// Settle remembers that no order of the account waits to be paid. The caller has looked
// after it got the view. Once an order can be paid the view is no longer remembered,
// and what is noted in it seen by nobody.
func (v *View) Settle() {
	if v.settled != nil && !v.Stale {
		v.settled.Store(true)
	}
}

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
	// Entries is how many accounts are remembered. Required.
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
	// Words makes what is made of a snapshot once, and not for every request; nil
	// is nothing.
	Words func(account string, s entitlement.Snapshot) []string
	// Clock tells the time. Required.
	Clock func() time.Time
}

const (
	// remember is how long an entry counts without being read anew.
	remember = 5 * time.Minute
	// quiet is how long a store that did not answer is left alone by those who can
	// do with what is remembered; one of them asks it then.
	quiet = time.Second
)

// Cache remembers views. Its methods may be called by many goroutines.
type Cache struct {
	Options
	entries *otter.Cache[string, *entry]
	life    atomic.Int64 // the number of this life; 0 is none

	mu     sync.Mutex // held for every change of entries, and of what follows
	lives  int64      // how many there were
	lostAt time.Time  // end of the last one
	fills  map[string]*fill
	calm   time.Time // not zero: the store did not answer, and is left alone until then
	closed bool
}

var _ store.Watcher = (*Cache)(nil)

// New makes a cache that has no life yet.
func New(o Options) *Cache {
	return &Cache{
		Options: o,
		entries: otter.Must(&otter.Options[string, *entry]{MaximumSize: o.Entries}),
		fills:   make(map[string]*fill),
	}
}

// Close forgets everything for good. Later views are read from the store.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.life.Store(0)
	c.entries.InvalidateAll()
}

// View is what the account may do now. Errors are those of [Options.Read].
func (c *Cache) View(ctx context.Context, account string) (*View, Result, error) {
	now := c.Clock()
	if v := c.current(account, now); v != nil {
		return v, Hit, nil
	}
	if c.stands(now) {
		if v := c.remembered(account, now); v != nil {
			return v, Stale, nil
		}
	}
	e, result, err := c.read(ctx, account)
	if err == nil {
		return &e.View, result, nil
	}
	if c.MaxStale > 0 && errors.Is(err, store.ErrUnavailable) {
		c.leaveAlone(now)
		if v := c.remembered(account, now); v != nil {
			return v, Stale, nil
		}
	}
	return nil, result, err
}

// Current is the view that View would return without a call of the store; nil is none.
func (c *Cache) Current(account string) *View { return c.current(account, c.Clock()) }

func (c *Cache) current(account string, now time.Time) *View {
	if e, ok := c.entries.GetIfPresent(account); ok && c.counts(e) && e.fresh(now) {
		return e.at(now)
	}
	return nil
}

// Remembered is what the account was last known to be, for as long as it may be shown
// without the store, which is not asked; nil is nothing.
func (c *Cache) Remembered(account string) *View { return c.remembered(account, c.Clock()) }

// counts reports whether an entry is the truth as far as messages go.
func (c *Cache) counts(e *entry) bool {
	life := c.life.Load()
	return e.life == life && life != 0 && !e.outdated.Load()
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
		c.calm = time.Time{}
		c.set(account, e)
	}
	return e, Bypass, nil
}

// set replaces an entry. The caller holds the lock.
func (c *Cache) set(account string, e *entry) {
	if !c.closed {
		c.entries.Set(account, e)
	}
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
	known, ok := c.entries.GetEntryQuietly(account)
	if !ok {
		return
	}
	switch e := known.Value; {
	case a.Rev < e.heard || a.Rev == e.heard && !e.outdated.Load():
	case a.StandingsRev <= e.standingsRev:
		a.Standings = e.standings
		c.set(account, c.newEntry(known.Key, a, e.life))
	default:
		c.outdate(e, a.Rev)
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
	c.entries.Invalidate(account)
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
	if known, ok := c.entries.GetEntryQuietly(account); ok {
		c.outdate(known.Value, rev)
	}
}

// unsettle is told that the account has an order that can be paid. Who waits for the
// account to be read will look after that, and find it.
func (c *Cache) unsettle(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.entries.GetEntryQuietly(account); ok {
		c.set(account, known.Value.unsettled())
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
