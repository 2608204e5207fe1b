package gateway

import (
	"log/slog"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Options are what a gateway is made of. All are needed, unless the comment says otherwise.
type Options struct {
	Catalog config.Catalog
	Site    config.Site
	// SiteID tells the store's orders from those of other stores; see [Events.Open].
	SiteID config.SiteID
	// Environment is Dodo's, of which the store must be. Optional: a store of either is served
	// if it is empty.
	Environment dodo.Mode
	// Businesses are Dodo's ids of the businesses whose objects are applied. If it is
	// empty, the business of the first event that arrives is the only one.
	Businesses []string
	// SignupCredits are granted to an account once, when it is first seen.
	SignupCredits int64
	// RefundPolicy says what becomes of credits that are taken back and are spent
	// already.
	RefundPolicy config.RefundPolicy
	// DisputePolicy says what an open dispute does.
	DisputePolicy config.DisputePolicy
	// Grace is how long a plan that renews outlives its period, when Dodo has been asked and
	// has nothing new to say. While Dodo has not answered, it is at least
	// [entitlement.UnansweredGrace].
	Grace time.Duration
	// Glance is how long a request that need not be refused waits for Dodo, if a period is over
	// and nobody has told how it goes on; a second when 0.
	Glance time.Duration
	// Proration says what a change of plan charges; [config.ProrateUnused] when empty.
	Proration config.Proration
	// KeepEvents says what the journal keeps of events, and for how long.
	KeepEvents config.KeepEvents
	Store      store.Store
	Provider   Provider
	// Budget limits the calls of Provider, whose client must ask [Budget.Admit] before
	// each. Optional: a gateway with a provider that asks nobody needs none.
	Budget   *Budget
	Verifier *dodo.Verifier
	Prover   *dodo.Prover
	Observer Observer
	// CacheEntries is how many accounts are remembered; [DefaultCacheEntries] when 0.
	CacheEntries int
	// MaxStale is for how long accounts may be shown as they were last known while
	// the store cannot be reached; 0 is not at all.
	MaxStale time.Duration
	// MatchEmail lets an address that a login vouches for lead purchases that nothing
	// else leads to an account to one, see [Events.ClaimEmail].
	MatchEmail bool
	// Words makes what hosts need of a snapshot but for its credits; see [cache.Options].
	// Optional.
	Words  func(account string, s entitlement.Snapshot) []string
	Logger *slog.Logger
	Clock  func() time.Time
}

// New makes the three types of a gateway, which share their parts. Their methods may be
// called concurrently. The caller must [Accounts.Close].
func New(o Options) (*Shop, *Events, *Accounts) {
	p := newParts(o)
	events := newEvents(p, o)
	accounts := newAccounts(p, o, events)
	return newShop(p, o, events, accounts), events, accounts
}
