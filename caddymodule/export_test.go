package caddymodule

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/identity"
	"github.com/dodogate/dodogate/internal/store"
)

// What tests look at, and break, from outside.

// DrainTime is how long a store waits for who is at work.
const DrainTime = drainTime + giveUpTime

// OpenStores counts the handles in the pool.
func OpenStores() int {
	n := 0
	stores.Range(func(_, _ any) bool { n++; return true })
	return n
}

// EncodeFeatures is what the header of features says.
func EncodeFeatures(names []string) string { return encodeNames(names, "%,") }

// StoreUsers counts the configs that hold the handle of a bolt file.
func StoreUsers(path string) int {
	n, _ := stores.References("bolt:" + path)
	return n
}

// BreakStores closes what the handles have open, behind their backs.
func BreakStores() {
	stores.Range(func(_, value any) bool {
		h := value.(*handle)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.opened != nil {
			_ = h.opened.Close()
		}
		return true
	})
}

// Policies are what the gateway goes by.
func (a *App) Policies() (config.RefundPolicy, config.DisputePolicy) {
	return a.events.Policies()
}

// Handle is a pooled handle.
type Handle = handle

// OpenStore is what a handle opens.
type OpenStore = openStore

// AcquireHandle takes a handle from the pool.
func AcquireHandle(key string, opener func(context.Context) (OpenStore, error)) *Handle {
	h, err := acquire(key, opener)
	if err != nil {
		panic(err) // no opener runs here
	}
	return h
}

// Remember is [handle.remember].
func (h *handle) Remember(accounts int) { h.remember(accounts) }

// ReleaseHandle gives it back, and returns when it is closed.
func ReleaseHandle(key string) error { return release(key) }

// Open opens the handle's store.
func (h *handle) Open() error { return h.open(context.Background()) }

// Use is [handle.use].
func (h *handle) Use() (store.Store, func(), error) { return h.use(context.Background()) }

// Keep is [handle.keep].
func (h *handle) Keep() (done func()) { return h.keep() }

// StartRenewal is [renewal.start].
func StartRenewal(every time.Duration, do func() (done bool)) (stop func()) {
	r := new(renewal)
	r.start(every, do)
	return r.stop
}

// Life is when those who wait for the store are told to give up.
func (h *handle) Life() context.Context { return h.life }

// OpenTime is how long an opening may take.
const OpenTime time.Duration = openTime

// NewServing is a dodo_gateway as Provision makes it, over an app of these options,
// for the account of a login of Caddy's.
func NewServing(o gateway.Options) (*Gateway, error) {
	g := &Gateway{Account: "{http.auth.user.id}", logger: zap.NewNop()}
	o.Words, o.Observer = headerValues, metrics
	g.app = &App{store: &handle{watch: newWatch("test")}}
	g.app.shop, g.app.events, g.app.accounts = gateway.New(o)
	g.source = newPlaceholders(g)
	var err error
	if g.claims, err = newClaims("", nil); err != nil {
		return nil, err
	}
	if g.headers, err = newEntitlementHeaders("", nil, o.Catalog.HasSeats()); err != nil {
		return nil, err
	}
	g.api, err = httpapi.New(httpapi.Options{Shop: g.app.shop, Events: g.app.events, Accounts: g.app.accounts})
	return g, err
}

// Stop ends what NewServing began.
func (g *Gateway) Stop() { g.app.accounts.Close() }

// AccountJSON is what GET /dodo/accounts/<account> shows of an inspection.
func AccountJSON(account string, v gateway.Inspection) ([]byte, error) {
	return json.Marshal(accountViewOf(account, v))
}

// ProcessLog is what a store logs by that outlives a config.
func ProcessLog(name string) *slog.Logger { return coreLogger(processLogger(name)) }

// PathWork is how many bytes were looked at to read the path of a request.
func PathWork(r *http.Request) int { return keptSpellings(r).Work() }

// HurrySecrets has the configs that are loaded until the test ends read the files of
// secrets all the time.
func HurrySecrets(t interface{ Cleanup(func()) }) {
	usual := secretsPace
	secretsPace = 20 * time.Millisecond
	t.Cleanup(func() { secretsPace = usual })
}

// LimitBodies gives the configs that are loaded until the test ends other limits.
func LimitBodies(t interface{ Cleanup(func()) }, limits httpapi.BodyLimits) {
	usual := bodies
	bodies = httpapi.NewBodies(limits)
	t.Cleanup(func() { bodies = usual })
}

// CacheEntries is how many accounts are remembered.
func CacheEntries(wanted int, limit int64) int { return cacheEntries(wanted, limit) }

// Watched has the handle's store checked until stop is called, and logs to log.
func (h *handle) Watched(log *zap.Logger) (stop func()) {
	h.watch.log = log
	return startWatching(h).stop
}

// PassWaits reports whether somebody asked for a pass that has not begun.
func (h *handle) PassWaits() bool { return h.passes.wanted() }

// TurnPassesOff says whether only the admin API may ask for passes.
func (h *handle) TurnPassesOff(off bool) { h.passes.turnOff(off) }

// RunPass runs a pass that does nothing, and reports whether it may make many calls at once.
func (h *handle) RunPass(ctx context.Context) (urgent bool) {
	done, _ := h.passes.run(ctx, func(context.Context, pass, func(gateway.Reconciled)) (gateway.Reconciled, error) {
		return gateway.Reconciled{}, nil
	})
	return done.urgent
}

// LongPass runs a pass until its context ends, and reports whether it was a rebuild.
func (h *handle) LongPass(ctx context.Context) (rebuild bool) {
	_, _ = h.passes.run(ctx, func(ctx context.Context, this pass, _ func(gateway.Reconciled)) (gateway.Reconciled, error) {
		rebuild = this.kind == passRebuild
		<-ctx.Done()
		return gateway.Reconciled{}, ctx.Err()
	})
	return rebuild
}

// AskRebuild asks for a rebuild.
func (h *handle) AskRebuild() { h.passes.ask(passRebuild) }

// FailPass runs a pass that fails.
func (h *handle) FailPass(ctx context.Context) {
	_, _ = h.passes.run(ctx, func(context.Context, pass, func(gateway.Reconciled)) (gateway.Reconciled, error) {
		return gateway.Reconciled{}, store.ErrNotDurable
	})
}

// ReplacedEvery is the least time between two passes because a store was replaced.
const ReplacedEvery = replacedEvery

// Ready reports whether the store can be reached and takes writes, as load balancers see it.
func (h *handle) Ready(ctx context.Context) bool { return h.watch.fresh(ctx, h).well() }

// Blames counts a request that failed by err.
func (h *handle) Blames(err error) bool { return h.watch.blames(err) }

// WriteProber is a store with a check of its own.
type WriteProber = writeProber

// How a store is checked.
const (
	CheckEvery   = checkEvery
	RecheckEvery = recheckEvery
	CheckTime    = checkTime
)

// Meters are metrics that count nothing else.
type Meters = meters

// NewMeters makes them.
func NewMeters() *Meters { return newMeters() }

// Register registers them.
func (m *meters) Register(r prometheus.Registerer) error { return m.register(r) }

// Drive counts all that there is to count, with any words.
func (m *meters) Drive(word string, err error, parked map[string]int) {
	m.identified(identity.Result(word))
	m.visited(word)
	m.visited("")
	m.unread(err)
	m.refusedWith(word)
	m.charged(word, 1)
	m.reconciled(err)
	m.redriven(parked)
	for _, kind := range storeKinds {
		m.stored(kind, time.Millisecond)
	}
	for _, handler := range []string{timedGateway, timedRequire, timedCharge, timedWebhook} {
		m.handled(handler, time.Millisecond)
	}
}
