package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// Away knows for which accounts the store did not answer a moment ago, so that requests need not
// wait for it again. An error concerns its account only: one record, or one part of a Cluster, may be
// missing. All accounts are concerned only if several fail in a row, none succeeds, and the
// store's messages do not come either.
type Away struct {
	Heard func() bool // whether the store's messages come
	Clock func() time.Time

	any      atomic.Bool // false while every account is answered, which is looked at first
	mu       sync.Mutex
	accounts map[string]time.Time // until when each is left alone
	row      map[string]struct{}  // accounts that failed since one succeeded; at most awayAfter
	all      time.Time            // until when all are left alone; zero if they are not
}

const (
	// pause is how long the store is left alone; then one request asks it again.
	pause = time.Second
	// awayAfter is how many accounts fail in a row before the store is taken to be away.
	awayAfter = 4
	// mostPaused is how many accounts are left alone, each by itself.
	mostPaused = 10_000
)

// Skips reports whether a request about an account does better without the store. When a pause is
// over, it says no to one caller, who finds out.
func (a *Away) Skips(account string) bool {
	if !a.any.Load() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock()
	until, failed := a.accounts[account]
	if now.Before(a.all) || now.Before(until) {
		return true
	}
	if failed {
		a.accounts[account] = now.Add(pause)
	}
	if !a.all.IsZero() {
		a.all = now.Add(pause)
	}
	return false
}

// Failed notes that the store did not answer a request about an account.
func (a *Away) Failed(account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.any.Store(true)
	if a.accounts == nil {
		a.accounts, a.row = make(map[string]time.Time), make(map[string]struct{})
	}
	if len(a.accounts) >= mostPaused {
		clear(a.accounts)
	}
	until := a.Clock().Add(pause)
	a.accounts[account] = until
	if len(a.row) < awayAfter {
		a.row[account] = struct{}{}
	}
	if len(a.row) == awayAfter && !a.Heard() {
		a.all = until
	}
}

// Answered notes that the store answered one.
func (a *Away) Answered(account string) {
	if !a.any.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accounts, account)
	clear(a.row)
	a.all = time.Time{}
	a.any.Store(len(a.accounts) > 0)
}
