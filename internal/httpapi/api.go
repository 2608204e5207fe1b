// Package httpapi serves the routes under the base path (DESIGN 5): one file for each route,
// each a thin layer over the use cases of package gateway. It imports net/http, but neither
// Caddy nor the stores.
//
//	request ─ reading.go, path.go: is it ours? ─ api.go: which route, is it allowed? ─ body.go, fields.go: decode
//	        ─ checkout.go, confirm.go, … : the use case ─ problem.go: errors
//
// The compat*.go files translate between the routes of older integrations and the same use
// cases.
//
// The host of an [API] calls [API.Owns] for every request, passes no request on that is ours,
// and sets the identity with [WithIdentity].
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
)

// DefaultBasePath is the base path unless [Options] set another.
const DefaultBasePath = "/payments"

// Options configure an [API].
type Options struct {
	// Shop, Events and Accounts run the use cases; [gateway.New] makes them. Required.
	Shop     *gateway.Shop
	Events   *gateway.Events
	Accounts *gateway.Accounts
	// BasePath is the address of the routes, such as "/payments" or "/api/billing": plain
	// segments of letters, digits, "-", "_", "~" and inner dots. Case does not matter.
	// Default: [DefaultBasePath].
	BasePath string
	// Site is where customers reach this API, if it differs from the shop's. Default: the
	// shop's.
	Site *config.Site
	// TrustedOrigins are other origins whose pages may send requests that change something,
	// and read the answers, written as browsers send them. Default: none.
	TrustedOrigins []string
	// NoBearer says that the login ignores bearer tokens, so that a token proves nothing about
	// the origin of a request. Default: the login may use them.
	NoBearer bool
	// Reading returns the possible readings of a request, for a host that rewrites requests or
	// asks more than once. Default: the request as it is.
	Reading func(*http.Request) Reading
	// Logger gets failures that the client did not cause. Default: none.
	Logger *slog.Logger
	// Bodies bounds the bodies that are read. All APIs of a process should share one. Default:
	// a new one with the default limits.
	Bodies *Bodies
	// ClientIP is the address of the client, if a proxy in front reports it; empty for the
	// peer's own. Default: always the peer's own.
	ClientIP func(*http.Request) string
	// SignInURL is where visitors sign in: an address, or a path of the site. Default:
	// none.
	SignInURL string
	// Metadata is sent to Dodo with checkouts. Default: none.
	Metadata Metadata
	// Compat also serves the routes of a hand-written integration. Default: none.
	Compat *config.Compat
	// Explained reports that the reason of a failed request is logged elsewhere, once for all
	// requests. It is called for each of them, whose own lines are for debugging then.
	// Default: none is.
	Explained func(error) bool
	// Around begins to measure the handling of an event, behind its body, and returns what
	// ends that. Default: nothing is measured.
	Around func(context.Context) (context.Context, func(error))
}

// API serves the routes under the base path. It is safe for concurrent use.
type API struct {
	shop     *gateway.Shop
	events   *gateway.Events
	accounts *gateway.Accounts
	base     basePath
	site     *config.Site
	reading  func(*http.Request) Reading
	routes   map[string]route // by the path below base
	compat   compat
	origins  *http.CrossOriginProtection
	trusted  []string // origins whose pages may read answers
	// noBearer: a bearer token does not exempt a request from the origin check.
	noBearer bool
	// refusalCache holds answers of [API.Refuse] for reuse.
	refusalCache *refusalCache
	// webhookRefusals limit the logging of refused webhooks, by code.
	webhookRefusals map[string]*rate.Limiter
	bodies          *Bodies
	clientIP        func(*http.Request) string
	signInURL       string // empty: none
	metadata        Metadata
	explained       func(error) bool
	around          func(context.Context) (context.Context, func(error))
	logger          *slog.Logger
}

// New makes an API, or returns an error that names the unusable option.
func New(o Options) (*API, error) {
	if o.Shop == nil || o.Events == nil || o.Accounts == nil {
		return nil, errors.New("no shop, no events or no accounts")
	}
	if o.BasePath == "" {
		o.BasePath = DefaultBasePath
	}
	base, err := newBasePath(o.BasePath)
	if err != nil {
		return nil, err
	}
	if o.Site == nil {
		o.Site = o.Shop.Site()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Reading == nil {
		o.Reading = uncachedReading
	}
	if o.Bodies == nil {
		o.Bodies = NewBodies(BodyLimits{})
	}
	if o.ClientIP == nil {
		o.ClientIP = func(*http.Request) string { return "" }
	}
	if o.Explained == nil {
		o.Explained = func(error) bool { return false }
	}
	if o.Around == nil {
		o.Around = func(ctx context.Context) (context.Context, func(error)) { return ctx, func(error) {} }
	}
	a := &API{
		shop: o.Shop, events: o.Events, accounts: o.Accounts,
		base: base, site: o.Site, reading: o.Reading, origins: http.NewCrossOriginProtection(), trusted: o.TrustedOrigins, logger: o.Logger,
		refusalCache: newRefusalCache(), webhookRefusals: newRefusalLimits(), bodies: o.Bodies, clientIP: o.ClientIP,
		signInURL: o.SignInURL, noBearer: o.NoBearer,
		metadata: o.Metadata, explained: o.Explained, around: o.Around,
	}
	a.base.links = a.site.Path(base.path)
	a.routes = a.ownRoutes()
	if o.Compat != nil {
		if a.compat, err = a.newCompat(o.Compat); err != nil {
			return nil, err
		}
	}
	// Behind a proxy that rewrites Host, the site's own forms have the origin of public_url.
	if public := o.Site.Origin(); public != "" {
		if err := a.origins.AddTrustedOrigin(public); err != nil {
			return nil, fmt.Errorf("trust public_url: %w", err)
		}
	}
	for _, origin := range o.TrustedOrigins {
		if err := a.origins.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("trusted_origins: %w", err)
		}
	}
	return a, nil
}

// identityKey is the context key of [WithIdentity].
type identityKey struct{}

// WithIdentity sets who makes a request. A request without it is anonymous.
func WithIdentity(ctx context.Context, who gateway.Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// identityErrorKey is the context key of [WithDoubt].
type identityErrorKey struct{}

// WithDoubt sets the reason why the credentials of a request cannot be judged. Every route
// that needs an account returns this error.
func WithDoubt(ctx context.Context, reason error) context.Context {
	return context.WithValue(ctx, identityErrorKey{}, reason)
}

// signedIn is who makes the request. It returns [gateway.ErrAnonymous] if nobody is signed in,
// [gateway.ErrAccount] if the login gives an unusable account, and the error of [WithDoubt].
func signedIn(ctx context.Context) (gateway.Identity, error) {
	who, _ := ctx.Value(identityKey{}).(gateway.Identity)
	failed, _ := ctx.Value(identityErrorKey{}).(error)
	switch {
	case failed != nil:
		return gateway.Identity{}, failed
	case who.Account == "":
		return gateway.Identity{}, gateway.ErrAnonymous
	case len(who.Account) > gateway.MaxAccount:
		return gateway.Identity{}, gateway.ErrAccount
	}
	return who, nil
}

// route is one address below the base path.
type route struct {
	method string // GET includes HEAD
	// change: it changes something, so it must come from the site itself and must not be early
	// data, which anybody on the way can repeat.
	change       bool
	serve        func(http.ResponseWriter, *http.Request) error
	writeProblem problemWriter // nil: [WriteProblem]
}

// problemWriter writes a problem in the form that a route's clients expect.
type problemWriter func(http.ResponseWriter, *http.Request, Problem)

// allow lists the methods of a route for the header Allow.
func (at route) allow() string {
	if at.method == http.MethodGet {
		return "GET, HEAD"
	}
	return at.method
}

const webhookRoute = "/webhook"

func (a *API) ownRoutes() map[string]route {
	return map[string]route{
		cancelRoute:        {method: http.MethodPost, change: true, serve: a.cancel},
		changeRoute:        {method: http.MethodPost, change: true, serve: a.changePlan},
		checkoutRoute:      {method: http.MethodPost, change: true, serve: a.checkout},
		portalRoute:        {method: http.MethodPost, change: true, serve: a.portal},
		"/events":          {method: http.MethodGet, serve: a.stream},
		"/confirm":         {method: http.MethodPost, change: true, serve: a.confirm},
		"/history":         {method: http.MethodGet, serve: a.history},
		"/products":        {method: http.MethodGet, serve: a.products},
		"/return":          {method: http.MethodGet, serve: a.landing},
		"/status":          {method: http.MethodGet, serve: a.status},
		webhookRoute:       {method: http.MethodPost, serve: a.webhook(writeProblemJSON)},
		webhookRoute + "/": {method: http.MethodPost, serve: a.webhook(writeProblemJSON)},
	}
}

// ServeHTTP answers every request; 404 if it is not ours.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prepareAnswer(w, r)
	allowed := a.AllowOrigin(w.Header(), r)
	r, at, known := a.findRoute(r)
	if !known {
		a.fail(w, r, errNoRoute)
		return
	}
	if allowed && answerPreflight(w, r, at) {
		return
	}
	err := a.checkRequest(w, r, at)
	if err == nil {
		err = at.serve(w, r)
	}
	if err != nil {
		a.failAt(w, r, at, err)
	}
}

// prepareAnswer sets what every answer has. The site's own headers may tell caches to keep its
// pages; they must not keep ours.
func prepareAnswer(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	forbidCaches(h)
	h.Set("X-Content-Type-Options", "nosniff")
	prepareUnreadBody(w, r)
}

// checkRequest checks everything that does not need the body.
func (a *API) checkRequest(w http.ResponseWriter, r *http.Request, at route) error {
	if r.Method != at.method && (r.Method != http.MethodHead || at.method != http.MethodGet) {
		w.Header().Set("Allow", at.allow())
		return errMethod
	}
	if !at.change {
		return nil
	}
	// Anybody on the way can send early data again. Any value of the header means early
	// data (RFC 8470, 5.1).
	if len(r.Header.Values("Early-Data")) > 0 {
		return ErrTooEarly
	}
	if a.origins.Check(r) != nil {
		return ErrCrossOrigin
	}
	return nil
}

// fail answers with the problem of an error, and logs it if the client did not cause it.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problemOf(err)
	a.logFailure(r, p, err)
	if held, ok := errors.AsType[*gateway.SubscriptionsError](err); ok && errors.Is(err, gateway.ErrSubscribed) && wantsPage(r) {
		a.writeSubscribed(w, p, held)
		return
	}
	WriteProblem(w, r, p)
}

// problemOf is [ProblemOf] with details of this site: its links, and the requests that manage
// subscriptions.
func (a *API) problemOf(err error) Problem {
	p := ProblemOf(err)
	if held, ok := errors.AsType[*gateway.SubscriptionsError](err); ok {
		p.Members = a.membersOf(held)
	}
	return a.withLinks(p)
}

// withLinks adds the links for the page of a problem.
func (a *API) withLinks(p Problem) Problem {
	p.Home = a.site.Path("/")
	if p.Code == codeAnonymous || p.Code == codeCredentials {
		p.SignIn = a.signInURL
	}
	return p
}

// failAt is fail in the form that the route's clients expect.
func (a *API) failAt(w http.ResponseWriter, r *http.Request, at route, err error) {
	if at.writeProblem == nil {
		a.fail(w, r, err)
		return
	}
	p := a.problemOf(err)
	a.logFailure(r, p, err)
	at.writeProblem(w, r, p)
}

func (a *API) logFailure(r *http.Request, p Problem, err error) {
	if p.Status < http.StatusInternalServerError {
		return
	}
	level := slog.LevelError
	if r.Context().Err() != nil || FillsLog(err) || a.explained(err) { // or the client disconnected, which caused it
		level = slog.LevelDebug
	}
	name := a.base.route(r.URL.Path)
	if _, known := a.routes[name]; !known {
		name = a.compat.name(r.URL.Path)
	}
	a.logger.Log(r.Context(), level, "request failed", "route", name, "code", p.Code, "error", err)
}

// FillsLog reports whether clients can cause an error as fast as they send requests: they use
// up all places, or send credentials while the login is down. Whoever asks the login logs its
// failure once.
func FillsLog(err error) bool {
	return errors.Is(err, ErrTooManyBodies) || errors.Is(err, gateway.ErrTooManyWaiting) || errors.Is(err, gateway.ErrLoginUnavailable)
}
