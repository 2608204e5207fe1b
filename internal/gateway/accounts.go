package gateway

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// Accounts is what accounts have and spend. Its methods may be called concurrently.
type Accounts struct {
	*parts
	events      *Events
	words       func(account string, s entitlement.Snapshot) []string // see [Options]
	waiters     waiters
	deferred    deferredCharges
	pendingEnds pendingEnds
	stop        func() // ends the watching of the store
}

// newAccounts also begins to listen to the store's reports of changes.
func newAccounts(p *parts, o Options, events *Events) *Accounts {
	a := &Accounts{parts: p, events: events, words: o.Words, stop: func() {}}
	a.deferred.parts, a.deferred.owed = p, make(map[string]owing)
	a.deferred.oldLog = rate.Sometimes{Interval: time.Minute}
	a.deferred.queue.attempt = a.deferred.attempt
	a.deferred.away.Heard, a.deferred.away.Clock = p.views.Heard, p.clock
	if o.Store != nil {
		w := &storeWatcher{parts: p, waiters: &a.waiters}
		stop := p.store.Watch(w)
		a.stop = func() {
			stop()
			w.Lost()
		}
	}
	return a
}

// Close forgets what was remembered, ends all waiting and stops listening to the store.
// Requests that are still under way are served from the store.
func (a *Accounts) Close() {
	a.EndWaiting()
	a.stop()
	a.daily.close()
	a.views.Close()
}

// DefaultCacheEntries is how many accounts are remembered unless [Options] say
// otherwise.
const DefaultCacheEntries = 1_000_000

// View is what a request sees of an account.
type View = cache.View

// NewView makes a view of what a request alone knows of its account.
func (a *Accounts) NewView(account string, s entitlement.Snapshot, stale bool) *View {
	return cache.NewView(s, stale, account, a.words)
}

// Entitlement is what the account may do now. An account that was never seen
// gets its sign-up credits first.
//
// It is as true as [Accounts.View].
func (a *Accounts) Entitlement(ctx context.Context, account string) (entitlement.Snapshot, error) {
	v, err := a.View(ctx, account)
	if err != nil {
		return entitlement.Snapshot{}, err
	}
	return v.Snapshot, nil
}

// View is [Accounts.Entitlement] with all that a request shows of it. It usually
// comes from memory, without a call of the store. What this gateway committed is
// always in it; what another one did, when the store's message of that has come,
// within milliseconds. A payment changes the account, so nobody who has just paid
// is remembered as somebody who has not.
//
// If the period of a subscription is over and nobody has told how it goes on, Dodo is asked
// first, as [Events.ConfirmAccount] does. The caller waits for the answer for a second at most, and
// sees the plan in its grace then.
//
// While messages do not come, every view is read from the store, and while that
// cannot be reached, [Options.MaxStale] decides.
func (a *Accounts) View(ctx context.Context, account string) (*View, error) {
	if len(account) > MaxAccount {
		return nil, ErrAccount
	}
	v, result, err := a.views.View(ctx, account)
	a.observer.EntitlementRead(result)
	if err != nil || !v.Over() || v.Stale {
		return v, err
	}
	q := a.events.inquire(ctx, account, v.Doubts)
	if q == nil {
		return v, nil
	}
	began := a.clock()
	told := q.wait(ctx, a.glance)
	noteWait(ctx, a.clock().Sub(began))
	if !told {
		return v, nil
	}
	v, _, err = a.views.View(ctx, account)
	return v, err
}
