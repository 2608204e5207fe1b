package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// parts are what [Shop], [Events] and [Accounts] share.
type parts struct {
	store    store.Client
	provider Provider
	budget   *Budget
	catalog  config.Catalog
	site     *siteIdentity
	views    *cache.Cache
	observer Observer
	logger   *slog.Logger
	clock    func() time.Time
	days     store.Days   // nil if the store has none
	lister   store.Lister // likewise
	daily    dailyCredits

	signupCredits int64
	grace, glance time.Duration // see [Options]

	budgetLog rate.Sometimes // how often it is logged that all calls are used up
}

const budgetLogged = time.Minute

func newParts(o Options) *parts {
	if o.Budget == nil {
		o.Budget = NewBudget(BudgetOptions{Clock: o.Clock})
	}
	site := newSiteIdentity(o)
	days, _ := store.Client{Store: o.Store}.Days() // a test's store may have none
	lister, _ := store.Client{Store: o.Store}.Lister()
	if o.Environment != "" {
		o.Store = checkedStore{o.Store, site}
	}
	p := &parts{
		store: store.Client{Store: o.Store}, provider: o.Provider, budget: o.Budget, catalog: o.Catalog,
		site:     site,
		observer: o.Observer, logger: o.Logger, clock: o.Clock,
		signupCredits: o.SignupCredits, grace: o.Grace, glance: cmp.Or(o.Glance, defaultGlance),
		budgetLog: rate.Sometimes{Interval: budgetLogged}, days: days, lister: lister,
	}
	p.daily = dailyCredits{days: days, process: rand.Text(), clock: o.Clock, logger: o.Logger}
	p.views = cache.New(cache.Options{
		Entries: cmp.Or(o.CacheEntries, DefaultCacheEntries), MaxStale: o.MaxStale,
		Read: p.readAccount, Ranking: o.Catalog.Ranking(), Grace: o.Grace, UnansweredGrace: entitlement.UnansweredGrace,
		Words: o.Words, Clock: o.Clock,
	})
	return p
}

// refusedByBudget reports whether the budget refused a call. It logs when the calls of
// the whole gateway are used up.
func (p *parts) refusedByBudget(err error) bool {
	refused, ok := errors.AsType[*TooManyRequestsError](err)
	if ok && refused.Limit == LimitGateway {
		p.budgetLog.Do(func() {
			p.logger.Warn("calls to Dodo are refused, because the gateway has made as many in this minute as its budget allows; if these are customers, ask Dodo for more and raise budget",
				"retry_after", refused.RetryAfter)
		})
	}
	return ok
}

// signupGrant is the grant of sign-up credits.
const signupGrant = "signup"

var signupRef = entitlement.Ref{Kind: entitlement.KindSignup, ID: "credits"}

// readAccount reads an account, with its sign-up credits: only the first commit of
// the sign-up finds that it was never written, so they are given once however many
// requests are the first.
func (p *parts) readAccount(ctx context.Context, account string) (entitlement.Account, error) {
	if p.signupCredits == 0 {
		return p.store.Account(ctx, account)
	}
	return p.store.SignUp(ctx, p.signup(account))
}

func (p *parts) signup(account string) book.Commit {
	return book.Commit{
		Account: account,
		Object:  signupRef,
		State:   []byte("{}"),
		Effect:  entitlement.Effect{Grants: []ledger.Target{{ID: signupGrant, Amount: p.signupCredits, CreatedAt: p.clock()}}},
		Cause:   "signup",
	}
}

// record is what is known of an object of an account.
func (p *parts) record(ctx context.Context, account string, ref entitlement.Ref) (entitlement.Record, error) {
	object, err := p.store.Object(ctx, account, ref)
	if err != nil {
		return entitlement.Record{}, err
	}
	r, err := recordOf(ref, object)
	return r, book.OfAccount(account, err)
}

// viewOf is what a request sees of an account that was just read.
func (p *parts) viewOf(a entitlement.Account) *View {
	a.Grace, a.UnansweredGrace = p.grace, entitlement.UnansweredGrace
	now := p.clock()
	return &View{Snapshot: a.Snapshot(now, p.catalog.Ranking()), Doubts: a.Doubts(now)}
}
