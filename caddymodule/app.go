package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/notice"
	"github.com/dodogate/dodogate/internal/gcpace"
)

func init() {
	caddy.RegisterModule(App{})
}

// App holds what all sites share: the catalog, the connection to Dodo Payments,
// the store and the metrics. Sites use it through `dodo_gateway` and
// `dodo_webhook`.
//
// Every text may contain `{env.NAME}` and `{file./path}`, which are filled in
// when the config is loaded and never written back, so that a secret is neither
// in the adapted config nor in what the admin API shows. A placeholder that is
// unset or empty is an error. The files of secrets are read again every second, so that
// a secret can be changed without a reload.
type App struct {
	Written

	// Dodo's mode: `test_mode` or `live_mode`. Keys, products and webhook
	// secrets belong to one of the two. Default: `test_mode`.
	Environment string `json:"environment,omitempty"`

	// Words of another program for the two modes, such as `production` for `live_mode`,
	// for an environment that is a placeholder. Every other word is refused. Default: none.
	EnvironmentWords map[string]dodo.Mode `json:"environment_words,omitempty"`

	// The API key, from Dodo's dashboard. Required, a secret.
	APIKey string `json:"api_key,omitempty"`

	// The address of Dodo's API, for a simulator. It must be https unless its
	// host is a loopback one. Default: Dodo's own for the environment.
	BaseURL string `json:"base_url,omitempty"`

	// The signing secrets (`whsec_…`) of the webhook endpoint; a delivery is
	// believed when any of them signed it, so that a secret can be rotated. A file or
	// variable may hold several, with white space or line breaks between them. At
	// least one is required, 16 at the most. Secrets.
	WebhookSecrets []string `json:"webhook_secrets,omitempty"`

	// Where customers reach the site, such as `https://app.example.com` or
	// `https://example.com/shop`. Every absolute link begins with it. Without it,
	// links are made only for requests to a loopback host.
	PublicURL string `json:"public_url,omitempty"`

	// Where customers may land after a checkout: an address allows itself and
	// everything below its path. The first is the default. Default: public_url.
	ReturnTo []string `json:"return_to,omitempty"`

	// Where accounts are kept. Default: `bolt`, a file in Caddy's data
	// directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=dodo.stores inline_key=backend"`

	// The catalog: what the site sells. At least one product is required.
	Products []config.Product `json:"products,omitempty"`

	// What add-ons of subscriptions give. What an add-on that is not here would give is
	// parked. Default: none.
	Addons []config.Addon `json:"addons,omitempty"`

	// Plans of the catalog, the lowest first. Of the plans that an account has, the
	// highest is named first. A plan that is not written here is lower than those that
	// are. Default: the order of the products, a later one is higher;
	// then that of the add-ons.
	Plans []string `json:"plans,omitempty"`

	// What is noted in Dodo's metadata with every checkout, and comes back with its
	// payment: where customers came from, for example. Default: nothing but our own.
	CheckoutMetadata []config.MetadataField `json:"checkout_metadata,omitempty"`

	// Credits for every account, given once when it is first seen. Default: 0.
	SignupCredits int64 `json:"signup_credits,omitempty"`

	// The number of credits below which an account has few: when its balance falls below it,
	// the event `dodo.credits_low` is emitted. Default: none is.
	CreditsLow int64 `json:"credits_low,omitempty"`

	// How many accounts are remembered, so that their requests ask no store: at most
	// 10,000,000. It bounds the memory: 175 bytes for each, and as much again with Redis,
	// but never below 16 MB each. That is enough for an account with a grant and a plan;
	// of accounts with more, or with long names, fewer are remembered. Memory is taken
	// when it is needed. Default: 1,000,000, or what an eighth of the memory limit has
	// room for.
	CacheEntries int `json:"cache_entries,omitempty"`

	// How long accounts may be shown as they were last known while the store
	// cannot be reached, with `-Stale: true` among the headers; at most a day.
	// Credits and plans end on time all the same. Default: not at all, requests
	// get 503.
	MaxStale config.Duration `json:"max_stale,omitempty"`

	// What becomes of credits that a refund or a dispute takes back when they are
	// spent already: under `debt` the account owes them, and credits that come
	// later pay first; under `floor` they are forgiven. Default: `debt`.
	RefundPolicy config.RefundPolicy `json:"refund_policy,omitempty"`

	// What an open dispute does to what its payment gave: `freeze` takes it back
	// until the dispute is won or withdrawn, `ignore` leaves it until the dispute
	// is decided. Default: `freeze`.
	DisputePolicy config.DisputePolicy `json:"dispute_policy,omitempty"`

	// How long a plan that renews outlives its period when Dodo has been asked and has
	// nothing new to say; at most 30 days. While Dodo cannot be asked, it is an hour at the
	// least. A plan that was cancelled ends with its period. Default: not at all.
	Grace config.Duration `json:"grace,omitempty"`
	// What a customer who changes the plan of a subscription is charged at once, in Dodo's
	// words: `prorated_immediately`, the new price less what is left of the old period;
	// `difference_immediately`, the new price less the old one; `full_immediately`, the
	// new price. Default: `prorated_immediately`.
	Proration config.Proration `json:"proration,omitempty"`

	// The most calls to Dodo in a minute, 10 to 1,000,000, whatever they are for. A quarter
	// is kept for checkouts, one for confirming payments and one for reconciling; one
	// account and one address get a part. Set it to what Dodo allows your business,
	// divided by the number of gateways that use the API key. Default: 240, which is
	// what a new business has.
	Budget int `json:"budget,omitempty"`

	// How often Dodo is asked for what its webhooks did not tell.
	Reconcile Reconcile `json:"reconcile,omitzero"`

	// How long webhook events are kept once they are settled, and what of them.
	KeepEvents config.KeepEvents `json:"keep_events,omitzero"`

	// Keys of the proof by which a payment is matched to its order even after the
	// store was lost: text of at least 24 bytes. The first signs, any is believed.
	// Default: one that is derived from api_key. Secrets.
	ProofSecrets []string `json:"proof_secrets,omitempty"`

	// The id of this store among those that share a business at Dodo, such as
	// staging and production: what was ordered at another site is left alone.
	// Default: the store makes one of its own when it is first used.
	Site config.SiteID `json:"site,omitzero"`

	// Dodo's ids (`bus_…`) of the businesses whose events count; those of others
	// are parked. Default: the first one that the store hears of.
	Businesses []string `json:"businesses,omitempty"`

	// Which address of a visitor adopts purchases that were made with it elsewhere: static
	// payment links, and subscriptions that are older than dodogate. It must be exactly the
	// address that Dodo has, and one that the login vouches for. Default: none.
	MatchEmail *MatchEmail `json:"match_email,omitempty"`

	publicURL string // resolved
	isLive    bool   // live_mode

	routesChecked bool
	// invalidAccounts lets one request a minute log that its account cannot be used.
	invalidAccounts *rate.Limiter

	shop        *gateway.Shop
	events      *gateway.Events
	accounts    *gateway.Accounts
	store       *handle
	emailMatch  *emailMatch
	client      *dodo.Client
	logger      *zap.Logger
	reconciler  *reconciler // from Start to Stop
	watching    *watching   // likewise
	emitter     *emitter
	secrets     []*rotation
	stopSecrets context.CancelFunc // from Start to Stop
	// asksByMatcher: this config has a dodo_entitled, set while it is provisioned.
	asksByMatcher bool
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "dodo",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision makes everything that a request needs: apps start in random order,
// so that requests may come before [App.Start]. It opens nothing, because
// `caddy validate` provisions beside a running server.
func (a *App) Provision(ctx caddy.Context) error { return a.locate(a.provision(ctx)) }

func (a *App) provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.invalidAccounts = rate.NewLimiter(rate.Every(time.Minute), 1)
	if a.SignupCredits < 0 || a.SignupCredits > config.MaxCredits {
		return fmt.Errorf("signup_credits must be between 0 and %d", config.MaxCredits)
	}
	if a.CreditsLow < 0 || a.CreditsLow > config.MaxCredits {
		return fmt.Errorf("credits_low must be between 1 and %d", config.MaxCredits)
	}
	if err := errors.Join(a.RefundPolicy.Validate(), a.DisputePolicy.Validate(), a.Proration.Validate(), a.Reconcile.validate(), a.KeepEvents.Validate(), config.CheckMetadata(a.CheckoutMetadata), a.validateEnvironmentWords(), a.validateCache(), a.validateGrace(), a.validateBudget()); err != nil {
		return err
	}
	var err error
	if a.store, err = a.loadStore(ctx); err != nil {
		return err
	}
	if a.emitter, err = newEmitter(ctx); err != nil {
		return err
	}
	options, err := a.options()
	if err != nil {
		return err
	}
	if err := metrics.register(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if err := options.SiteID.Validate(); err != nil {
		return err
	}
	for _, id := range options.Businesses {
		if err := config.CheckBusiness(id); err != nil {
			return err
		}
	}
	if err := a.MatchEmail.validate(); err != nil {
		return err
	}
	a.emailMatch = newEmailMatch(a.MatchEmail)
	options.MatchEmail = a.MatchEmail != nil
	options.SignupCredits = a.SignupCredits
	options.RefundPolicy = a.RefundPolicy
	options.DisputePolicy = a.DisputePolicy
	options.Grace = a.Grace.Std()
	options.Proration = a.Proration
	options.KeepEvents = a.KeepEvents
	options.Store = notice.New(a.store, notice.Options{
		Ranking: options.Catalog.Ranking(), Grace: a.Grace.Std(), Low: a.CreditsLow, Wants: a.emitter.wants, Tell: a.emitter.tell, Clock: time.Now,
	})
	options.CacheEntries = cacheEntries(a.CacheEntries, debug.SetMemoryLimit(-1))
	a.store.remember(options.CacheEntries)
	options.MaxStale = a.MaxStale.Std()
	options.Words = headerValues
	options.Observer = appObserver{metrics, a.store.watch}
	options.Clock = time.Now
	a.shop, a.events, a.accounts = gateway.New(options)
	a.warnOfPlainSecrets()
	a.warnUnlessServed(ctx) // the last, because it may load the sites, which need this app
	return nil
}

// longestGrace is as long as a month: a plan must not outlive its period by another one.
const longestGrace = 30 * 24 * time.Hour

func (a *App) validateGrace() error {
	if a.Grace < 0 || a.Grace.Std() > longestGrace {
		return errors.New("grace must be at most 30d")
	}
	return nil
}

// options makes the parts of the gateway that follow from settings.
func (a *App) options() (o gateway.Options, err error) {
	r := newResolver()
	apiKey := r.must("api_key", a.APIKey)
	o.Logger = coreLogger(a.logger)
	o.Budget = a.store.calls.budget(a.Budget)
	client := dodo.Options{
		APIKey: apiKey, BaseURL: r.text("base_url", a.BaseURL), Logger: o.Logger, Admit: o.Budget.Admit,
	}
	environment := r.text("environment", a.Environment)
	webhookSecrets := r.list("webhook_secret", a.WebhookSecrets)
	if len(webhookSecrets) == 0 {
		r.fail("webhook_secret is required")
	}
	proofSecrets := r.list("proof_secret", a.ProofSecrets)
	publicURL, returnTo := r.text("public_url", a.PublicURL), r.list("return_to", a.ReturnTo)
	products, addons := resolveProducts(r, a.Products), resolveAddons(r, a.Addons)
	o.SiteID = config.SiteID{ID: r.text("site", a.Site.ID), Also: r.list("also of site", a.Site.Also), Unnamed: a.Site.Unnamed}
	o.Businesses = r.list("business", a.Businesses)
	if r.err != nil {
		return o, r.err
	}
	if client.Mode, err = modeOf(a.modeWord(environment), client.BaseURL); err != nil {
		return o, err
	}
	if a.client, err = dodo.New(client); err != nil {
		return o, fmt.Errorf("api_key, base_url: %w", err)
	}
	o.Provider = a.client
	if o.Verifier, err = dodo.NewVerifier(eachWord(webhookSecrets), time.Now); err != nil {
		return o, fmt.Errorf("webhook_secret: %w", err)
	}
	if o.Prover, err = dodo.NewProver(proofKeys(proofSecrets, apiKey)); err != nil {
		return o, fmt.Errorf("proof_secret: %w", err)
	}
	a.secrets = a.rotations(o, apiKey, webhookSecrets, proofSecrets)
	if o.Site, err = config.NewSite(publicURL, returnTo); err != nil {
		return o, err
	}
	a.publicURL, a.isLive, o.Environment = publicURL, client.Mode == dodo.LiveMode, client.Mode
	if o.Catalog, err = config.NewCatalog(products); err != nil {
		return o, err
	}
	if o.Catalog, err = o.Catalog.WithAddons(addons); err != nil {
		return o, err
	}
	o.Catalog, err = o.Catalog.Ranked(a.Plans)
	return o, err
}

// resolveProducts fills in ids, which differ between Dodo's two modes.
func resolveProducts(r *resolver, products []config.Product) []config.Product {
	resolved := append([]config.Product(nil), products...)
	for i := range resolved {
		resolved[i].ID = r.text("id of product "+resolved[i].Name, resolved[i].ID)
	}
	return resolved
}

// resolveAddons fills in ids, likewise.
func resolveAddons(r *resolver, addons []config.Addon) []config.Addon {
	resolved := append([]config.Addon(nil), addons...)
	for i := range resolved {
		resolved[i].ID = r.text("id of addon "+resolved[i].Name, resolved[i].ID)
	}
	return resolved
}

func proofKeys(secrets []string, apiKey string) [][]byte {
	if len(secrets) == 0 {
		return [][]byte{dodo.DeriveKey(apiKey)}
	}
	keys := make([][]byte, 0, len(secrets))
	for _, secret := range secrets {
		keys = append(keys, []byte(secret))
	}
	return keys
}

// storeModule is a guest in the namespace dodo.stores.
type storeModule interface {
	// pooled is the handle that the module took from the pool when it was
	// provisioned. The module gives it back.
	pooled() *handle
}

func (a *App) loadStore(ctx caddy.Context) (*handle, error) {
	var (
		guest any
		err   error
	)
	if a.StoreRaw == nil {
		guest, err = ctx.LoadModuleByID("dodo.stores.bolt", nil)
	} else {
		guest, err = ctx.LoadModule(a, "StoreRaw")
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return guest.(storeModule).pooled(), nil
}

// Start opens the store, unless an earlier config or the first request did, so
// that a store that cannot be used is refused here and not to customers. Then it
// begins to reconcile. It sets the pace of the garbage collector, here and not in
// Provision, so that a config that is only validated leaves it alone.
func (a *App) Start() error {
	a.logger.Info("dodogate starts", zap.String("version", Version()))
	if err := a.store.open(context.Background()); err != nil {
		return err
	}
	// A reload that keeps the store goes on without it: then both are checked before the first
	// account is read.
	switch err := a.events.Open(context.Background()); {
	case errors.Is(err, gateway.ErrOtherSite):
		return fmt.Errorf("site: %w", err)
	case errors.Is(err, gateway.ErrOtherEnvironment):
		return fmt.Errorf("environment: %w", err)
	case err != nil:
		a.logger.Warn("the store's site and environment cannot be read yet", zap.Error(err))
	}
	a.watching = startWatching(a.store)
	a.stopSecrets = keepRotating(a.secrets...)
	a.reconciler = startReconciler(a)
	if budget := gcpace.Start(); budget > 0 {
		a.logger.Info("garbage is collected less often while memory is plenty; GOGC=100 in the environment ends that",
			zap.Int("most_percent", gcpace.MaxPercent), zap.Int64("within_bytes", budget))
	}
	return nil
}

// Stop ends the background work. Requests go on.
func (a *App) Stop() error {
	if a.stopSecrets != nil {
		a.stopSecrets()
	}
	if a.reconciler != nil {
		a.reconciler.stop()
	}
	if a.watching != nil {
		a.watching.stop()
	}
	a.emitter.stop()
	return nil
}

// Cleanup forgets what was remembered of accounts and lets go of connections to
// Dodo. Old requests go on, by the store.
func (a *App) Cleanup() error {
	if a.accounts != nil {
		a.accounts.Close()
	}
	if a.client != nil {
		a.client.Close()
	}
	return nil
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
