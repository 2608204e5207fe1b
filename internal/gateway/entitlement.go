package gateway

import (
	"cmp"
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/ledger"
)

// DefaultCacheEntries is how many accounts are remembered unless [Options] say
// otherwise.
const DefaultCacheEntries = 100_000

// View is what a request sees of an account.
type View = cache.View

// NewView makes a view of what a request alone knows of its account.
func (g *Gateway) NewView(account string, s entitlement.Snapshot, stale bool) *View {
	return cache.NewView(s, stale, account, g.Words)
}

// Entitlement is what the account may do now. An account that was never seen
// gets its sign-up credits first.
//
// It is as true as [Gateway.View].
func (g *Gateway) Entitlement(ctx context.Context, account string) (entitlement.Snapshot, error) {
	v, err := g.View(ctx, account)
	if err != nil {
		return entitlement.Snapshot{}, err
	}
	return v.Snapshot, nil
}

// View is [Gateway.Entitlement] with all that a request shows of it. It usually
// comes from memory, without a call of the store. What this gateway committed is
// always in it; what another one did, when the store's message of that has come,
// within milliseconds. A payment changes the account, so nobody who has just paid
// is remembered as somebody who has not.
//
// If the period of a subscription is over and nobody has told how it goes on, Dodo is asked
// first, as [Gateway.Settle] does. The caller waits for the answer for a second at most, and
// sees the plan in its grace then.
//
// While messages do not come, every view is read from the store, and while that
// cannot be reached, [Options.MaxStale] decides.
func (g *Gateway) View(ctx context.Context, account string) (*View, error) {
	if len(account) > MaxAccount {
		return nil, ErrAccount
	}
	v, result, err := g.views.View(ctx, account)
	g.Observer.EntitlementRead(result)
	if err != nil || !v.Over() || v.Stale {
		return v, err
	}
	if q := g.inquire(ctx, account, v.Doubts); q == nil || !q.wait(ctx, g.Glance) {
		return v, nil
	}
	v, _, err = g.views.View(ctx, account)
	return v, err
}

// signupGrant is the grant of sign-up credits.
const signupGrant = "signup"

var signupRef = entitlement.Ref{Kind: entitlement.KindSignup, ID: "credits"}

// readAccount reads an account, with its sign-up credits: only the first commit of
// the sign-up finds that it was never written, so they are given once however many
// requests are the first.
func (g *Gateway) readAccount(ctx context.Context, account string) (entitlement.Account, error) {
	if g.SignupCredits == 0 {
		return g.Store.Account(ctx, account)
	}
	return g.Store.SignUp(ctx, book.Commit{
		Account: account,
		Object:  signupRef,
		State:   []byte("{}"),
		Effect:  entitlement.Effect{Grants: []ledger.Target{{ID: signupGrant, Amount: g.SignupCredits, CreatedAt: g.Clock()}}},
		Cause:   "signup",
	})
}

// watch begins to remember what accounts may do, and to hear of changes.
func (g *Gateway) watch() {
	g.views = cache.New(cache.Options{
		Entries: cmp.Or(g.CacheEntries, DefaultCacheEntries), MaxStale: g.MaxStale,
		Read: g.readAccount, Ranking: g.Catalog.Ranking(), Grace: g.Grace, UnansweredGrace: entitlement.UnansweredGrace,
		Words: g.Words, Clock: g.Clock,
	})
	g.stop = func() {}
	if g.Store != nil {
		n := &news{gateway: g}
		stop := g.Store.Watch(n)
		g.stop = func() {
			stop()
			n.Lost()
		}
	}
}

// Close forgets what was remembered, ends all waiting and stops listening to the store. Requests
// that are still under way are served from the store.
func (g *Gateway) Close() {
	g.EndWaiting()
	g.stop()
	g.views.Close()
}

// news hears of changes for the gateway.
type news struct {
	gateway *Gateway
	live    bool
}

// Changed implements [store.Watcher].
func (n *news) Changed(account string, rev int64) {
	n.gateway.views.Changed(account, rev) // first, so that whoever is woken sees it
	n.gateway.waiting.changed(account)
}

// Live implements [store.Watcher].
func (n *news) Live() {
	n.live = true
	n.gateway.views.Live()
	n.gateway.waiting.hearing(true)
	n.gateway.Observer.ChangesHeard(true)
}

// Lost implements [store.Watcher].
func (n *news) Lost() {
	if !n.live {
		return
	}
	n.live = false
	n.gateway.views.Lost()
	n.gateway.waiting.hearing(false)
	n.gateway.Observer.ChangesHeard(false)
}
