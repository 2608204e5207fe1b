package dodo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"
)

// Mode is one of Dodo's two environments, each with its own keys, products and webhook
// secrets.
type Mode string

// The modes.
const (
	TestMode Mode = "test_mode"
	LiveMode Mode = "live_mode"
)

func (m Mode) baseURL() string {
	switch m {
	case "", TestMode:
		return "https://test.dodopayments.com"
	case LiveMode:
		return "https://live.dodopayments.com"
	default:
		return ""
	}
}

// Options of a [Client]. Only APIKey is required.
type Options struct {
	// APIKey is sent as a bearer token. It never appears in a log or an error.
	APIKey string
	// Mode decides BaseURL if that is empty; the default is [TestMode].
	Mode Mode
	// BaseURL is the API's address, for a simulator.
	BaseURL string
	// Timeout bounds an operation with all its attempts; default 10 s. One attempt takes at
	// most half of it, so that there is time for another after a lost connection.
	Timeout time.Duration
	// Transport replaces the client's own connections.
	Transport http.RoundTripper
	// Logger gets a line for each repeated attempt; nil discards.
	Logger *slog.Logger
	// Clock gives the time of a read of a subscription, unless the Dates of answers contradict it;
	// nil is [time.Now].
	Clock func() time.Time
	// Sleep waits between attempts until d has passed or ctx ends; nil waits in real time.
	Sleep func(ctx context.Context, d time.Duration) error
	// Admit is called before each attempt. Its error ends the operation before the attempt is
	// made and is wrapped in the error returned; before a repeated attempt, the error of the
	// attempt before is returned instead. nil admits all.
	Admit func(ctx context.Context) error
	// Jitter returns a number in [0,1), so that many clients do not retry together; nil is
	// random.
	Jitter func() float64
}

// Client calls Dodo's API. Dodo's SDK provides addresses, authentication and, except for
// checkouts, request bodies. Answers are read by a lenient reader of this package, and
// attempts are repeated here: the SDK would obey any Retry-After and fail on numbers that come
// as strings (FACTS 1.7, 3.9). It is safe for concurrent use.
type Client struct {
	sdk           dodopayments.Client // for calls whose bodies we write; its services are not set
	checkouts     *dodopayments.CheckoutSessionService
	payments      *dodopayments.PaymentService
	products      *dodopayments.ProductService
	subscriptions *dodopayments.SubscriptionService
	refunds       *dodopayments.RefundService
	disputes      *dodopayments.DisputeService
	entitlements  *dodopayments.EntitlementService
	portal        *dodopayments.CustomerCustomerPortalService
	connections   connections
	plainHTTP     bool // the API itself uses http: a simulator
	timeout       time.Duration
	log           *slog.Logger
	clock         func() time.Time
	dodos         *serverClock
	sleep         func(context.Context, time.Duration) error
	admit         func(context.Context) error
	jitter        func() float64
}

// New returns a client, or an error that names the unusable option. It makes no call.
func New(o Options) (*Client, error) {
	base, err := parseBaseURL(o)
	if err != nil {
		return nil, err
	}
	c := &Client{
		connections: connections{o.Transport, new(atomic.Pointer[[]string])},
		plainHTTP:   base.Scheme == "http",
		timeout:     o.Timeout,
		log:         o.Logger,
		clock:       o.Clock,
		dodos:       new(serverClock),
		sleep:       o.Sleep,
		admit:       o.Admit,
		jitter:      o.Jitter,
	}
	if err := c.SetAPIKey(o.APIKey); err != nil {
		return nil, err
	}
	c.setDefaults()
	// The services are made one by one because dodopayments.NewClient adds what
	// it finds in DODO_PAYMENTS_* variables, and a header from there would be sent.
	opts := []option.RequestOption{
		option.WithHTTPClient(c.connections),
		option.WithBaseURL(base.String()),
		option.WithMaxRetries(0),
	}
	c.sdk.Options = opts
	c.checkouts = dodopayments.NewCheckoutSessionService(opts...)
	c.payments = dodopayments.NewPaymentService(opts...)
	c.products = dodopayments.NewProductService(opts...)
	c.subscriptions = dodopayments.NewSubscriptionService(opts...)
	c.refunds = dodopayments.NewRefundService(opts...)
	c.disputes = dodopayments.NewDisputeService(opts...)
	c.entitlements = dodopayments.NewEntitlementService(opts...)
	c.portal = dodopayments.NewCustomerCustomerPortalService(opts...)
	return c, nil
}

// SetAPIKey sends another key, from the next attempt of a call on. It refuses a key that
// cannot be sent; then the key stays as it is.
func (c *Client) SetAPIKey(key string) error {
	key = strings.TrimSpace(key)
	if key == "" {
		return errors.New("no api key")
	}
	if !isVisible(key) {
		return errors.New("the api key has characters that a header cannot carry")
	}
	c.connections.authorization.Store(&[]string{"Bearer " + key})
	return nil
}

func (c *Client) setDefaults() {
	if c.timeout <= 0 {
		c.timeout = 10 * time.Second
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	if c.sleep == nil {
		c.sleep = sleep
	}
	if c.admit == nil {
		c.admit = func(context.Context) error { return nil }
	}
	if c.jitter == nil {
		c.jitter = rand.Float64 // a pause need not be secret
	}
	if c.connections.RoundTripper == nil {
		c.connections.RoundTripper = newTransport()
	}
}

// Close closes idle connections. Calls in progress continue.
func (c *Client) Close() {
	if t, ok := c.connections.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// connections is the part of [http.Client] that the SDK needs. It does not follow redirects,
// for which http.Client copies the headers of each request, and it keeps no cookies, because
// Dodo sets none.
type connections struct {
	http.RoundTripper
	// authorization is the header with the key. The SDK would keep the key that it was
	// made with.
	authorization *atomic.Pointer[[]string]
}

// Do sends a request, which the SDK has made for this attempt alone.
func (c connections) Do(r *http.Request) (*http.Response, error) {
	r.Header["Authorization"] = *c.authorization.Load()
	return c.RoundTrip(r)
}

// maxConns bounds the connections to Dodo, and so the concurrent calls if each takes a
// connection of its own. Dodo allows a few dozen calls a second (FACTS 1.4), so there are this
// many only when it is slow; then the first callers must not take all, and nobody should wait
// longer for a connection than for Dodo. Over HTTP/2, which Dodo speaks, all calls share one
// or two connections.
const maxConns = 1024

// newTransport keeps enough idle connections for bursts of checkouts. It honours the usual
// proxy variables of the environment, like Caddy.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxConns,
		MaxIdleConnsPerHost:    maxConns,
		MaxConnsPerHost:        maxConns,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// parseBaseURL returns the API's address. Its errors do not quote the address, which may
// contain a password.
func parseBaseURL(o Options) (*url.URL, error) {
	address := o.BaseURL
	if address == "" {
		address = o.Mode.baseURL()
	}
	if address == "" {
		return nil, fmt.Errorf("mode is %q, want %q or %q", o.Mode, TestMode, LiveMode)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return nil, errors.New("base url is not an absolute http or https address")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, errors.New("base url may not have a user, query or fragment")
	}
	return u, nil
}

// isVisible reports whether s consists of visible ASCII.
func isVisible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
