package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

const (
	public = "https://shop.example"
	apiKey = "test-key"
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	alice  = "alice"
	bob    = "bob"
)

// site is everything from the routes down to the disk, with a simulated Dodo.
type site struct {
	t     *testing.T
	api   *httpapi.API
	gate  *gate
	store opened
	sim   *dodosim.Simulator
	sells string // the address of the simulator's API
	dodo  *dodo.Client
	clock *clock
	log   *lockedBuffer

	webhook string // where the simulator sends webhooks
}

// gate is the three types of one gateway.
type gate struct {
	*gateway.Shop
	*gateway.Events
	*gateway.Accounts
}

// api makes an API over the gateway.
func (g *gate) api(o httpapi.Options) (*httpapi.API, error) {
	o.Shop, o.Events, o.Accounts = g.Shop, g.Events, g.Accounts
	return httpapi.New(o)
}

// opened is either of the two stores.
type opened struct {
	store.Client
	io.Closer
}

func openStore[S interface {
	store.Store
	io.Closer
}](s S) opened {
	return opened{store.Client{Store: s}, s}
}

// setting is what a test may want otherwise.
type setting struct {
	publicURL  string
	returnTo   []string
	products   []config.Product
	basePath   string
	signup     int64
	businesses []string          // whose events count; the first one's that is heard of when nil
	sold       []dodosim.Product // by the simulator
	now        time.Time
	bodies     *httpapi.Bodies
	clientIP   func(*http.Request) string
	signIn     string
	metadata   httpapi.Metadata
	compat     *config.Compat
	webhook    string                                  // where the simulator sends webhooks
	store      func(t *testing.T, clock *clock) opened // in a file of its own when nil
	between    func(gateway.Provider) gateway.Provider // the gateway and Dodo; optional
}

func newSite(t *testing.T, change func(*setting)) *site {
	t.Helper()
	set := setting{
		publicURL: public,
		returnTo:  []string{public + "/app?payment=success", "https://docs.example/done"},
		products:  catalog(),
		sold: []dodosim.Product{
			{ID: "pdt_pack10", Name: "Pack", Description: "Ten credits", Price: 999, Currency: "USD"},
			{ID: "pdt_pro", Name: "Pro", Price: 0, Currency: "EUR"},
			{ID: "pdt_secret", Price: 1, Currency: "USD"},
		},
		now:   newClock().now,
		store: openBolt,
	}
	if change != nil {
		change(&set)
	}
	s := &site{t: t, clock: &clock{now: set.now}, log: &lockedBuffer{}}
	s.webhook = cmp.Or(set.webhook, "/payments/webhook")
	s.simulate(set.sold)
	return s.over(set, set.store(t, s.clock))
}

func openBolt(t *testing.T, clock *clock) opened {
	t.Helper()
	s, err := boltstore.Open(filepath.Join(memory(t), "store.db"), boltstore.Options{Clock: clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return openStore(s)
}

// over puts the routes and the gateway over a store. The simulator's webhooks go
// on to whichever site was first.
func (s *site) over(set setting, over opened) *site {
	s.t.Helper()
	s.store = over
	s.gate = s.gateway(set)
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	s.api, err = s.gate.api(httpapi.Options{BasePath: set.basePath, Logger: logger, Bodies: set.bodies, ClientIP: set.clientIP, SignInURL: set.signIn, Metadata: set.metadata, Compat: set.compat})
	must(s.t, err)
	return s
}

func catalog() []config.Product {
	return []config.Product{
		{Name: "pack10", ID: "pdt_pack10", Credits: 10, Title: "Ten <credits> & more"},
		{
			Name: "pro", ID: "pdt_pro", Plan: "pro", Lasts: config.Duration(30 * 24 * time.Hour),
			Credits: 500, CreditsExpire: config.Duration(36 * time.Hour),
		},
		{Name: "unsold", ID: "pdt_unsold", Plan: "gold"},
		{Name: "secret", ID: "pdt_secret", Credits: 7, Hidden: true},
		{Name: "twin1", ID: "pdt_twin1", Credits: 99},
		{Name: "twin2", ID: "pdt_twin2", Credits: 99},
	}
}

// in is the site for a subtest.
func (s *site) in(t *testing.T) *site {
	sub := *s
	sub.t = t
	return &sub
}

// simulate starts a Dodo of the site's own.
func (s *site) simulate(sold []dodosim.Product) {
	t := s.t
	t.Helper()
	hooks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.api.ServeHTTP(w, r) }))
	t.Cleanup(hooks.Close)
	s.sim, s.sells = simtest.Serve(t, dodosim.Options{
		APIKey: apiKey, WebhookURL: hooks.URL + s.webhook, WebhookSecret: secret,
		PublicURL: "https://checkout.dodo.example",
		Products:  sold,
		Discounts: []dodosim.Discount{{Code: "HALF", BasisPoints: 5000}},
		Clock:     s.clock.Now,
		After:     func(time.Duration) <-chan time.Time { return nil }, // no retries, no delays
	})
	var err error
	s.dodo, err = dodo.New(dodo.Options{
		APIKey: apiKey, BaseURL: s.sells, Clock: s.clock.tick,
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	must(t, err)
	t.Cleanup(s.dodo.Close)
}

// gateway is the real one, over the store and the simulator.
func (s *site) gateway(set setting) *gate {
	s.t.Helper()
	var provider gateway.Provider = s.dodo
	if set.between != nil {
		provider = set.between(provider)
	}
	g, err := newGateway(set, s.store, provider, s.clock.Now)
	must(s.t, err)
	s.t.Cleanup(g.Close)
	return g
}

func newGateway(set setting, opened store.Store, provider gateway.Provider, clock func() time.Time) (*gate, error) {
	verifier, err1 := dodo.NewVerifier([]string{secret}, clock)
	prover, err2 := dodo.NewProver([][]byte{dodo.DeriveKey(apiKey)})
	catalog, err3 := config.NewCatalog(set.products)
	where, err4 := config.NewSite(set.publicURL, set.returnTo)
	g := new(gate)
	g.Shop, g.Events, g.Accounts = gateway.New(gateway.Options{
		SiteID: config.SiteID{ID: "site_test"}, Businesses: set.businesses,
		Catalog: catalog, Site: where, SignupCredits: set.signup, Store: opened, Provider: provider,
		Verifier: verifier, Prover: prover, Observer: deaf{}, Logger: slog.New(slog.DiscardHandler), Clock: clock,
	})
	return g, errors.Join(err1, err2, err3, err4)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deaf observes nothing.
type deaf struct{}

func (deaf) EventSettled(string, gateway.Outcome) {}
func (deaf) EventRefused(error)                   {}
func (deaf) CheckoutEnded(error)                  {}
func (deaf) EntitlementRead(cache.Result)         {}
func (deaf) ChargesDeferred(int)                  {}
func (deaf) ChangesHeard(bool)                    {}

// clock stands still until it is told otherwise.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	ticks time.Duration
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// tick is a microsecond after the last time it was asked for, so that of two reads at Dodo the
// later one is newer.
func (c *clock) tick() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ticks += time.Microsecond
	return c.now.Add(c.ticks)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// call is a request in the making.
type call struct {
	*http.Request
	site *site
}

// call makes a request of an anonymous visitor to the site.
func (s *site) call(method, target, body string) call {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "shop.example"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return call{r, s}
}

func (s *site) get(target string) call { return s.call("GET", target, "") }

func (s *site) post(target, body string) call { return s.call("POST", target, body) }

// by says who makes the request.
func (c call) by(account string) call {
	return c.as(gateway.Identity{Account: account})
}

// as says it with all that the site's login knows.
func (c call) as(who gateway.Identity) call {
	c.Request = c.WithContext(httpapi.WithIdentity(c.Context(), who))
	return c
}

// with adds a header line; Content-Type is replaced.
func (c call) with(name, value string) call {
	if name == "Content-Type" {
		c.Header.Del(name)
	}
	c.Header.Add(name, value)
	return c
}

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// asForm is what a browser sends for a form of the site.
func (c call) asForm() call {
	return c.with("Content-Type", "application/x-www-form-urlencoded").with("Accept", browser).
		with("Origin", public).with("Sec-Fetch-Site", "same-origin")
}

func (c call) asBrowser() call { return c.with("Accept", browser) }

func (c call) do() answer {
	w := httptest.NewRecorder()
	c.site.api.ServeHTTP(w, c.Request)
	return answer{c.site.t, w}
}

// answer is a response.
type answer struct {
	t *testing.T
	*httptest.ResponseRecorder
}

// json decodes the body of a response that must have the status.
func (a answer) json(status int) map[string]any {
	a.t.Helper()
	if a.Code != status {
		a.t.Fatalf("status %d, want %d: %s", a.Code, status, a.Body)
	}
	if got := a.Header().Get("Content-Type"); got != "application/json" {
		a.t.Errorf("Content-Type %q", got)
	}
	if got := a.Header().Get("X-Content-Type-Options"); got != "nosniff" {
		a.t.Errorf("X-Content-Type-Options %q", got)
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(a.Body.Bytes()))
	d.UseNumber()
	must(a.t, d.Decode(&m))
	return m
}

// problem checks that the response is a problem, and returns its members.
func (a answer) problem(status int, code string) map[string]any {
	a.t.Helper()
	if got := a.Header().Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("status %d, Content-Type %q, want a problem: %s", a.Code, got, a.Body)
	}
	var m map[string]any
	must(a.t, json.Unmarshal(a.Body.Bytes(), &m))
	if a.Code != status || m["code"] != code {
		a.t.Errorf("%d %v, want %d %s: %s", a.Code, m["code"], status, code, a.Body)
	}
	if m["status"] != float64(a.Code) || m["title"] != http.StatusText(a.Code) || m["detail"] == "" {
		a.t.Errorf("status %v, title %v, detail %v", m["status"], m["title"], m["detail"])
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := a.Header().Get(name); got != want {
			a.t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	return m
}

// page checks the headers of a page and returns its text.
func (a answer) page(status int) string {
	a.t.Helper()
	if got := a.Header().Get("Content-Type"); a.Code != status || got != "text/html; charset=utf-8" {
		a.t.Fatalf("status %d %q, want a page with %d: %s", a.Code, got, status, a.Body)
	}
	return a.Body.String()
}

// untouched runs f and fails when that made a call to Dodo or a change in the store.
func (s *site) untouched(f func()) {
	s.t.Helper()
	written := func() int { return int(s.store.Store.(*boltstore.Store).Stats().Operations) }
	calls, before := s.sim.Calls("", ""), written()
	f()
	if n := s.sim.Calls("", "") - calls; n != 0 {
		s.t.Errorf("%d calls to Dodo, want none", n)
	}
	if n := written() - before; n != 0 {
		s.t.Errorf("%d changes in the store, want none", n)
	}
}

// order checks out and returns what was answered.
func (s *site) order(account, body string) (orderID, sessionID string) {
	s.t.Helper()
	m := s.post("/payments/checkout", body).by(account).do().json(http.StatusCreated)
	return m["order_id"].(string), m["session_id"].(string)
}

// pay pays a session; its webhooks are delivered when pay returns, unless held.
func (s *site) pay(session, card string) dodosim.Attempt {
	s.t.Helper()
	attempt, err := s.sim.Pay(session, card)
	must(s.t, err)
	must(s.t, s.sim.Flush(s.t.Context()))
	return attempt
}

// signed is a webhook delivery, signed now.
func (s *site) signed(id, body string) call {
	s.t.Helper()
	key, err := standardwebhooks.NewWebhook(secret)
	must(s.t, err)
	signature, err := key.Sign(id, s.clock.Now(), []byte(body))
	must(s.t, err)
	return s.post("/payments/webhook", body).with("Webhook-Id", id).
		with("Webhook-Timestamp", strconv.FormatInt(s.clock.Now().Unix(), 10)).with("Webhook-Signature", signature)
}
