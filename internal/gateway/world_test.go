package gateway_test

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

const (
	apiKey   = "test_key_of_the_gateway"
	secret   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	siteID   = "site_test"
	goodCard = "4242424242424242"
	badCard  = "4000000000000002"
)

// world is a gateway on a real store, with the simulated Dodo before and behind
// it, all over HTTP.
type world struct {
	*gate
	sim   *dodosim.Simulator
	store store.Client
	seen  *observed
	t     *testing.T
}

// gate is the three types of one gateway, and what they were made of. To change an option,
// see [world.remake].
type gate struct {
	*gateway.Shop
	*gateway.Events
	*gateway.Accounts
	gateway.Options
}

// newGate makes a gateway that is closed when the test ends.
func newGate(t *testing.T, o gateway.Options) *gate {
	t.Helper()
	g := &gate{Options: o}
	g.Shop, g.Events, g.Accounts = gateway.New(o)
	t.Cleanup(g.Close)
	return g
}

// settings are what a test may change about its world.
type settings struct {
	products      []config.Product
	addons        []config.Addon
	signupCredits int64
	hold          bool // keep webhooks until the test sends them
	clock         func() time.Time
	disputes      config.DisputePolicy
	between       func(dodo http.Handler) http.Handler // the gateway and Dodo
	events        config.KeepEvents
	maxStale      time.Duration
	grace         time.Duration
	glance        time.Duration // so long that only a Dodo that hangs is not waited for, if 0
	returnTo      []string      // of the site http://localhost:8080
	// perMinute limits the calls to Dodo, and sleep waits for them, by the clock of the
	// test; without a number all are admitted.
	perMinute  int
	sleep      func(context.Context, time.Duration) error
	site       config.SiteID // siteID unless it says another
	businesses []string
	matchEmail bool
	logger     *slog.Logger
	behavior   dodosim.Behavior
	change     func(*gateway.Options) // the last word; optional
}

var products = []config.Product{
	{Name: "pack10", ID: "pdt_pack10", Credits: 10},
	{Name: "pack9", ID: "pdt_pack9", Credits: 9},
	{Name: "pro30", ID: "pdt_pro30", Plan: "pro", Lasts: config.Duration(30 * 24 * time.Hour)},
	{Name: "secret", ID: "pdt_secret", Credits: 77, Hidden: true},
}

// each runs a test against both stores.
func each(t *testing.T, with settings, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("bolt", func(t *testing.T) { test(t, newWorld(t, openBolt(t), with)) })
	t.Run("redis", func(t *testing.T) { test(t, newWorld(t, openRedis(t, redistest.Start(t).Addr), with)) })
}

func openBolt(t *testing.T) store.Store {
	s, err := boltstore.Open(filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openRedis(t *testing.T, addr string) store.Store { return openURL(t, "redis://"+addr) }

func openURL(t *testing.T, url string) store.Store {
	t.Helper()
	s, err := redisstore.Open(t.Context(), redisstore.Options{URL: url, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newWorld(t *testing.T, s store.Store, with settings) *world {
	t.Helper()
	w := &world{store: store.Client{Store: s}, seen: &observed{}, t: t}
	hook := httptest.NewServer(http.HandlerFunc(w.receive))
	t.Cleanup(hook.Close)
	w.sim = simtest.New(t, dodosim.Options{
		APIKey: apiKey, WebhookURL: hook.URL, WebhookSecret: secret, Clock: with.clock,
		Behavior: with.behavior,
		Products: []dodosim.Product{
			{ID: "pdt_pack10", Name: "Ten credits", Price: 500, Currency: "USD"},
			{ID: "pdt_pack9", Name: "Nine credits", Price: 900, Currency: "USD"},
			{ID: "pdt_pro30", Name: "Pro", Price: 1900, Currency: "USD"},
			{ID: "pdt_monthly", Name: "Pro, monthly", Price: 900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
			{ID: "pdt_team", Name: "Team, monthly", Price: 1800, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
			{ID: "pdt_metered", Name: "As you go", Price: 100, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
			{ID: "pdt_keep", Name: "Credits that stay", Price: 1000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
			{ID: "pdt_try", Name: "After a trial", Price: 1000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}, TrialDays: 14},
			{ID: "pdt_year", Name: "A year, monthly credits", Price: 12000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Year}},
			{ID: "pdt_large", Name: "A larger year, monthly credits", Price: 36000, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Year}},
			{ID: "pdt_pass", Name: "A year's pass", Price: 12000, Currency: "USD"},
			{ID: "pdt_reports", Name: "Reports", Price: 700, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}, Features: []string{"reports"}},
			{ID: "pdt_export", Name: "Export", Price: 300, Currency: "USD", Features: []string{"export", "reports"}},
			{ID: "pdt_weekly", Name: "Pro, weekly", Price: 300, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Week}},
			{ID: "pdt_unlisted", Name: "Not in the catalog", Price: 100, Currency: "USD"},
		},
		Addons: []dodosim.Addon{
			{ID: "adn_extra", Name: "Extra credits", Price: 1000, Currency: "USD"},
			{ID: "adn_seat", Name: "Seat", Price: 300, Currency: "USD"},
		},
		Discounts: []dodosim.Discount{{Code: "ALLFREE", BasisPoints: 10000}},
	})
	w.sim.HoldWebhooks(with.hold)
	w.gate = w.newGateway(with)
	return w
}

// newGateway is one more gateway on the same store and the same Dodo.
func (w *world) newGateway(with settings) *gate {
	w.t.Helper()
	var provider http.Handler = w.sim
	if with.between != nil {
		provider = with.between(provider)
	}
	clock := with.clock
	if clock == nil {
		clock = time.Now
	}
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Date", clock().UTC().Format(http.TimeFormat)) // the simulator replaces it by its own
		provider.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(api.Close)
	if with.products == nil {
		with.products = products
	}
	if with.clock == nil {
		with.clock = time.Now
	}
	if with.site.ID == "" {
		with.site.ID = siteID
	}
	if with.logger == nil {
		with.logger = slog.New(slog.DiscardHandler)
	}
	catalog, err := config.NewCatalog(with.products)
	must(w.t, err)
	catalog, err = catalog.WithAddons(with.addons)
	must(w.t, err)
	publicURL := ""
	if with.returnTo != nil {
		publicURL = "http://localhost:8080"
	}
	site, err := config.NewSite(publicURL, with.returnTo)
	must(w.t, err)
	budget := gateway.NewBudget(gateway.BudgetOptions{PerMinute: with.perMinute, Clock: with.clock, Sleep: with.sleep})
	options := dodo.Options{APIKey: apiKey, BaseURL: api.URL, Clock: with.clock, Sleep: with.sleep}
	if with.perMinute > 0 {
		options.Admit = budget.Admit
	}
	client, err := dodo.New(options)
	must(w.t, err)
	verifier, err := dodo.NewVerifier([]string{secret}, with.clock)
	must(w.t, err)
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey(apiKey)})
	must(w.t, err)
	made := gateway.Options{
		Catalog: catalog, Site: site, SiteID: with.site, Businesses: with.businesses, SignupCredits: with.signupCredits, DisputePolicy: with.disputes, KeepEvents: with.events, Store: w.store,
		Provider: client, Budget: budget, Verifier: verifier, Prover: prover, Observer: w.seen,
		Logger: with.logger, Clock: with.clock, MaxStale: with.maxStale, MatchEmail: with.matchEmail,
		Grace: with.grace, Glance: cmp.Or(with.glance, 30*time.Second),
	}
	if with.change != nil {
		with.change(&made)
	}
	return newGate(w.t, made)
}

// remake makes the world's gateway anew, with options changed.
func (w *world) remake(change func(*gateway.Options)) {
	w.t.Helper()
	o := w.Options
	change(&o)
	w.gate = newGate(w.t, o)
}

// receive is where the simulator's webhooks arrive.
func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		_, err = w.HandleEvent(r.Context(), r.Header, body)
	}
	if err != nil {
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wish is a request for one piece of a product.
func wish(product string) gateway.CheckoutRequest {
	return gateway.CheckoutRequest{Product: product, Quantity: 1, Scheme: "http", Host: "localhost:8080", BasePath: "/payments"}
}

func who(account string) gateway.Identity { return gateway.Identity{Account: account} }

// order checks out one piece of a product.
func (w *world) order(account, product string) book.Order {
	w.t.Helper()
	order, err := w.Checkout(w.t.Context(), who(account), wish(product))
	must(w.t, err)
	return *order
}

// buy checks out and pays, and returns the payment's id. Its webhooks are held
// or under way.
func (w *world) buy(account, product string) string {
	w.t.Helper()
	attempt, err := w.sim.Pay(w.order(account, product).SessionID, goodCard)
	must(w.t, err)
	return attempt.PaymentID
}

// proof is what this site's checkouts have in their metadata.
func (w *world) proof(order, account, product string) map[string]string {
	return w.Prover.Metadata(dodo.Claim{Site: siteID, Order: order, Account: account, Product: product})
}

// event finds the newest event of a type.
func (w *world) event(eventType string) string {
	w.t.Helper()
	events := w.sim.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Type == eventType {
			return events[i].ID
		}
	}
	w.t.Fatalf("no %s in %d events", eventType, len(events))
	return ""
}

// deliver sends an event once and wants it acknowledged.
func (w *world) deliver(eventID string) {
	w.t.Helper()
	d, err := w.sim.Redeliver(w.t.Context(), eventID)
	must(w.t, err)
	if !d.Acknowledged() {
		w.t.Fatalf("event %s was answered with %d", eventID, d.Status)
	}
}

// settle waits for the webhooks that are under way.
func (w *world) flush() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	must(w.t, w.sim.Flush(ctx))
}

// has wants the account's credits and has_paid.
func (w *world) has(account string, credits int64, paid bool) {
	w.t.Helper()
	s, err := w.Entitlement(w.t.Context(), account)
	must(w.t, err)
	if s.Credits != credits || s.HasPaid != paid {
		w.t.Errorf("%s has %d credits, paid %v; want %d, %v", account, s.Credits, s.HasPaid, credits, paid)
	}
}

// entries wants the amounts of the account's entries, which explain its balance.
func (w *world) entries(account string, want ...int64) {
	w.t.Helper()
	entries, err := w.store.Entries(w.t.Context(), account, store.Page{After: 0, Limit: 100})
	must(w.t, err)
	var got []int64
	for _, e := range entries {
		got = append(got, e.Amount)
	}
	if len(got) != len(want) {
		w.t.Errorf("%s has entries of %v, want %v", account, got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			w.t.Errorf("%s has entries of %v, want %v", account, got, want)
			return
		}
	}
}
