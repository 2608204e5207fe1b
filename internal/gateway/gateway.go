// Package gateway holds the use cases: what happens when somebody asks, buys,
// returns, or when Dodo calls. It knows the store and the provider by their
// interfaces, and neither HTTP routes nor Caddy.
//
// The path of a credit: [Gateway.Checkout] makes an order and a session at
// Dodo; the customer pays there; [Gateway.HandleEvent] (or [Gateway.Confirm],
// whichever is first) brings the payment as a fact; apply finds the account,
// folds the fact into the payment and commits the effect; [Gateway.Entitlement]
// shows it to the next request.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/store"
)

// Provider is what the use cases ask of Dodo. Its errors are the sentinels of
// package dodo. Every method returns within its own deadline.
type Provider interface {
	Shop
	Books
	Features
	Management
}

// Shop is what a purchase takes.
type Shop interface {
	// CreateCheckout makes a checkout session. Repeating it makes another one,
	// which is harmless until both are paid.
	CreateCheckout(ctx context.Context, c *dodo.Checkout) (dodo.Session, error)
	// Session reads how far a checkout session has come.
	Session(ctx context.Context, id string) (dodo.SessionState, error)
	// Products reads the products that are for sale, with their prices.
	Products(ctx context.Context) ([]dodo.Product, error)
}

// Books is what Dodo knows of the past. Lists come in pages from 0.
type Books interface {
	// Payment reads a payment as a fact.
	Payment(ctx context.Context, id string) (dodo.Fact, error)
	// Subscription reads a subscription as a fact.
	Subscription(ctx context.Context, id string) (dodo.Fact, error)
	// Payments lists the payments made since.
	Payments(ctx context.Context, since time.Time, page int) (dodo.Page[dodo.PaymentSummary], error)
	// Charges lists the payments of a subscription made since: one page, the newest first.
	Charges(ctx context.Context, subscription string, since time.Time) (dodo.Page[dodo.PaymentSummary], error)
	// Refunds lists the refunds made since.
	Refunds(ctx context.Context, since time.Time, page int) (dodo.Page[dodo.PaymentChange], error)
	// Disputes lists the disputes opened since.
	Disputes(ctx context.Context, since time.Time, page int) (dodo.Page[dodo.PaymentChange], error)
	// Subscriptions lists all subscriptions.
	Subscriptions(ctx context.Context, page int) (dodo.Page[dodo.SubscriptionSummary], error)
}

// Management is what customers do with their subscriptions.
type Management interface {
	// Holding reads a subscription with its add-ons.
	Holding(ctx context.Context, id string) (dodo.Holding, error)
	// PortalLink makes a link to the portal of a customer, which leads back to returnURL.
	PortalLink(ctx context.Context, customerID, returnURL string) (string, error)
	// CustomerPayments and CustomerSubscriptions list what a customer bought.
	CustomerPayments(ctx context.Context, customerID string, page int) (dodo.Page[dodo.PaymentSummary], error)
	CustomerSubscriptions(ctx context.Context, customerID string, page int) (dodo.Page[dodo.SubscriptionSummary], error)
	// SetCancelAtEnd lets a subscription end with its period, or go on. It may be repeated.
	SetCancelAtEnd(ctx context.Context, id string, cancel bool) error
	// ChangePlan charges for a change and makes it. It is sent once; when it fails by
	// [dodo.Unknown] it may have been made, and must not be repeated unseen.
	ChangePlan(ctx context.Context, id string, change dodo.PlanChange) error
	// PreviewChange says what a change would charge.
	PreviewChange(ctx context.Context, id string, change dodo.PlanChange) (dodo.PlanPreview, error)
}

// Features is what Dodo itself has unlocked. Lists come as in [Books].
type Features interface {
	// FeatureFlags lists the ids of all feature flags.
	FeatureFlags(ctx context.Context, page int) (dodo.Page[string], error)
	// FeatureGrants lists all grants of a feature flag.
	FeatureGrants(ctx context.Context, flag string, page int) (dodo.Page[dodo.FeatureGrant], error)
}

// Observer counts what happened. Its methods must be cheap and not block.
type Observer interface {
	// EventSettled: an event of the given type was handled.
	EventSettled(eventType string, outcome Outcome)
	// EventRefused: a delivery was not acknowledged, because it was not authentic, not
	// JSON, not complete, or could not be stored.
	EventRefused(err error)
	// CheckoutEnded: a checkout was created (nil) or not.
	CheckoutEnded(err error)
	// EntitlementRead: somebody asked what an account may do.
	EntitlementRead(result cache.Result)
	// ChangesHeard: from now on all changes of accounts are heard, or not.
	ChangesHeard(all bool)
}

// Options are the parts of a gateway. All are needed, but where it says otherwise.
type Options struct {
	Catalog config.Catalog
	Site    config.Site
	// SiteID tells the store's orders from those of other stores; see [Gateway.Open].
	SiteID config.SiteID
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
	// else leads to an account to one, see [Gateway.Vouch].
	MatchEmail bool
	// Words makes what hosts need of a snapshot, once for each; see [cache.View].
	// Optional.
	Words  func(account string, s entitlement.Snapshot) []string
	Logger *slog.Logger
	Clock  func() time.Time
}

// Gateway runs the use cases. Its methods may be called concurrently.
type Gateway struct {
	Options
	confirms  singleflight.Group     // by order id
	site      atomic.Pointer[string] // of the store, once it is known
	business  atomic.Pointer[string] // the first one, once it is known
	cooldowns cooldowns              // by order id
	inquiries inquiries              // by account
	offers    offerList
	round     round // of redrives
	views     *cache.Cache
	vouched   vouched
	late      late
	ending    ending
	stop      func() // ends the watching of the store
	waiting   waitingRoom
	busy      rate.Sometimes // how often it is logged that all calls are used up
	// unanswered is how often it is logged that Dodo could not be asked.
	unanswered rate.Sometimes
}

const (
	confirmCooldown = 2 * time.Second
	confirmDeadline = 15 * time.Second
	busyLogged      = time.Minute
)

// New makes a gateway. The caller must [Gateway.Close] it.
func New(o Options) *Gateway {
	if o.Budget == nil {
		o.Budget = NewBudget(BudgetOptions{Clock: o.Clock})
	}
	o.Glance = cmp.Or(o.Glance, defaultGlance)
	g := &Gateway{
		Options:   o,
		cooldowns: cooldowns{every: confirmCooldown, last: make(map[string]time.Time)},
		busy:      rate.Sometimes{Interval: busyLogged}, unanswered: rate.Sometimes{Interval: busyLogged},
		inquiries: inquiries{running: make(map[string]*inquiry), next: make(map[string]time.Time)},
	}
	g.late.gateway, g.late.owed = g, make(map[string]int64)
	g.offers.known.offers = offersAt(o.Catalog, nil)
	g.watch()
	return g
}

// MaxAccount is the longest account id, in bytes.
const MaxAccount = 256

// ErrAccount says that a login gave an id that cannot name an account.
var ErrAccount = errors.New("account id is longer than 256 bytes")

// ErrCredentials says that a request has credentials, and that they are nobody's: a token
// that has expired, for one. Without need of an account it is an anonymous request.
var ErrCredentials = errors.New("credentials are not valid")

// ErrLoginUnavailable says that nobody can tell whose credentials these are now. A
// request that needs an account must not be taken for an anonymous one then.
var ErrLoginUnavailable = errors.New("login cannot be asked")

// Identity is who makes a request, as the site's login says. The zero value is
// an anonymous visitor.
type Identity struct {
	Account       string // opaque, at most [MaxAccount] bytes; empty: anonymous
	Email         string // as the login knows it; may be empty
	EmailVerified bool   // the login vouches for Email
	Name          string
}

// Order reads one of the account's own orders; [store.ErrNotFound] for any other.
func (g *Gateway) Order(ctx context.Context, account, id string) (book.Order, error) {
	if account == "" || !orderID.MatchString(id) {
		return book.Order{}, store.ErrNotFound
	}
	return g.Store.Order(ctx, account, id)
}

// Pending are the account's orders that are waiting to be paid, newest first.
func (g *Gateway) Pending(ctx context.Context, account string) ([]book.Order, error) {
	return g.Store.OpenOrders(ctx, account)
}
