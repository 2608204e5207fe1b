// Package httpapi serves the routes under the base path (DESIGN 5): one file for
// each route, all of them thin over the use cases of package gateway. It knows
// net/http and neither Caddy nor the stores.
//
//	request ─ reading.go, path.go: is it ours? ─ api.go: which route, may it? ─ body.go, fields.go: what is asked
//	        ─ checkout.go, confirm.go, … : the use case ─ problem.go: what went wrong
//
// The compat*.go translate between the routes of older integrations and the same use cases.
//
// Whoever hosts an [API] asks [API.Owns] for every request, passes no request on
// that is ours, and says by [WithIdentity] who is asking.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
)

// DefaultBasePath is where the routes are unless [Options] say otherwise.
const DefaultBasePath = "/payments"

// Options are the parts of an [API].
type Options struct {
	// Shop, Events and Accounts run the use cases; [gateway.New] makes them. Required.
	Shop     *gateway.Shop
	Events   *gateway.Events
	Accounts *gateway.Accounts
	// BasePath is where the routes are, such as "/payments" or "/api/billing":
	// plain segments of letters, digits, "-", "_", "~" and inner dots. Upper and
	// lower case are the same. Default: [DefaultBasePath].
	BasePath string
	// Site is where customers reach this API, if not where the shop says. Default:
	// the shop's.
	Site *config.Site
	// TrustedOrigins are origins of other sites whose pages may send requests that
	// change something, and read the answers, as browsers write them. Default: none.
	TrustedOrigins []string
	// NoBearer says that the login does not look at bearer tokens, so that one says nothing
	// of where a request comes from. Default: it may.
	NoBearer bool
	// Reading is what a request might ask for, of a host that rewrites requests or
	// asks more often than once. Default: the request as it is.
	Reading func(*http.Request) Reading
	// Logger is told about failures that are not the client's. Default: none.
	Logger *slog.Logger
	// Bodies bounds the bodies that are read. Every API of a process should have the
	// same one. Default: one of its own, with the default limits.
	Bodies *Bodies
	// ClientIP is the address of the client, if a proxy in front tells it; empty
	// for the peer's own. Default: always the peer's own.
	ClientIP func(*http.Request) string
	// SignInURL is where visitors sign in: an address, or a path of the site. Default:
	// none.
	SignInURL string
	// Metadata goes along with checkouts. Default: nothing does.
	Metadata Metadata
	// Compat serves the routes of a hand-written integration too. Default: none.
	Compat *config.Compat
}

// API serves the routes under the base path. It may be used by many goroutines
// at once.
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
	trusted  []string // whose pages may read answers
	// noBearer: a bearer token exempts no request from origins.
	noBearer bool
	// refusals are the answers of [API.Refuse] that were made before.
	refusals *refusals
	// webhookRefusals say which refused webhooks are logged, by their code.
	webhookRefusals map[string]*rate.Limiter
	bodies          *Bodies
	clientIP        func(*http.Request) string
	signInURL       string // empty: none
	metadata        Metadata
	logger          *slog.Logger
}

// New makes an API, or says which option cannot be used.
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
		o.Reading = readAnew
	}
	if o.Bodies == nil {
		o.Bodies = NewBodies(BodyLimits{})
	}
	if o.ClientIP == nil {
		o.ClientIP = func(*http.Request) string { return "" }
	}
	a := &API{
		shop: o.Shop, events: o.Events, accounts: o.Accounts,
		base: base, site: o.Site, reading: o.Reading, origins: http.NewCrossOriginProtection(), trusted: o.TrustedOrigins, logger: o.Logger,
		refusals: newRefusals(), webhookRefusals: newRefusalLimits(), bodies: o.Bodies, clientIP: o.ClientIP,
		signInURL: o.SignInURL, noBearer: o.NoBearer,
		metadata: o.Metadata,
	}
	a.base.links = a.site.Path(base.path)
	a.routes = a.allRoutes()
	if o.Compat != nil {
		if a.compat, err = a.newCompat(o.Compat); err != nil {
			return nil, err
		}
	}
	// Behind a proxy that rewrites Host, a form of the site is known by public_url.
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

// WithIdentity says who makes a request. A request without it is anonymous.
func WithIdentity(ctx context.Context, who gateway.Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, who)
}

// doubtKey is the context key of [WithDoubt].
type doubtKey struct{}

// WithDoubt says why nobody can tell who makes a request that has credentials. It is the
// error of every route that needs an account.
func WithDoubt(ctx context.Context, doubt error) context.Context {
	return context.WithValue(ctx, doubtKey{}, doubt)
}

// signedIn is who makes the request, [gateway.ErrAnonymous] when nobody says,
// and [gateway.ErrAccount] for a login that names no account.
func signedIn(ctx context.Context) (gateway.Identity, error) {
	who, _ := ctx.Value(identityKey{}).(gateway.Identity)
	doubt, _ := ctx.Value(doubtKey{}).(error)
	switch {
	case doubt != nil:
		return gateway.Identity{}, doubt
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
	// change: it changes something, so it must come from the site itself and not
	// be a replay of somebody else's request.
	change bool
	serve  func(http.ResponseWriter, *http.Request) error
	say    wording // nil: [WriteProblem]
}

// wording writes what went wrong, in the words of a route's clients.
type wording func(http.ResponseWriter, *http.Request, Problem)

// allow names the methods of a route, as the header Allow does.
func (at route) allow() string {
	if at.method == http.MethodGet {
		return "GET, HEAD"
	}
	return at.method
}

const webhookRoute = "/webhook"

func (a *API) allRoutes() map[string]route {
	return map[string]route{
		cancelRoute:        {method: http.MethodPost, change: true, serve: a.cancel},
		changeRoute:        {method: http.MethodPost, change: true, serve: a.changePlan},
		checkoutRoute:      {method: http.MethodPost, change: true, serve: a.checkout},
		portalRoute:        {method: http.MethodPost, change: true, serve: a.portal},
		"/confirm":         {method: http.MethodPost, change: true, serve: a.confirm},
		"/history":         {method: http.MethodGet, serve: a.history},
		"/products":        {method: http.MethodGet, serve: a.products},
		"/return":          {method: http.MethodGet, serve: a.landing},
		"/status":          {method: http.MethodGet, serve: a.status},
		webhookRoute:       {method: http.MethodPost, serve: a.webhook(sayJSON)},
		webhookRoute + "/": {method: http.MethodPost, serve: a.webhook(sayJSON)},
	}
}

// ServeHTTP answers every request, those that are not ours with a 404.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin(w, r)
	allowed := a.AllowOrigin(w.Header(), r)
	r, at, known := a.find(r)
	if !known {
		a.fail(w, r, errNoRoute)
		return
	}
	if allowed && answerPreflight(w, r, at) {
		return
	}
	err := a.admit(w, r, at)
	if err == nil {
		err = at.serve(w, r)
	}
	if err != nil {
		a.failAt(w, r, at, err)
	}
}

// begin prepares what every answer has. Caches that the site's own headers invite to keep
// its pages must not keep ours.
func begin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	forbidCaches(h)
	h.Set("X-Content-Type-Options", "nosniff")
	leaveUnread(w, r)
}

// admit judges what can be judged before anything is read.
func (a *API) admit(w http.ResponseWriter, r *http.Request, at route) error {
	if r.Method != at.method && (r.Method != http.MethodHead || at.method != http.MethodGet) {
		w.Header().Set("Allow", at.allow())
		return errMethod
	}
	if !at.change {
		return nil
	}
	// Early data can be sent again by anybody on the way. Whatever the header
	// says, it says that (RFC 8470, 5.1).
	if len(r.Header.Values("Early-Data")) > 0 {
		return ErrTooEarly
	}
	if a.origins.Check(r) != nil {
		return ErrCrossOrigin
	}
	return nil
}

// fail answers with what went wrong, and logs what is not the client's doing.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problemOf(err)
	a.logFailure(r, p, err)
	if held, ok := errors.AsType[*gateway.SubscriptionsError](err); ok && errors.Is(err, gateway.ErrSubscribed) && wantsPage(r) {
		a.writeSubscribed(w, p, held)
		return
	}
	WriteProblem(w, r, p)
}

// problemOf is [ProblemOf] with what only this site knows: its links, and the requests that
// manage subscriptions.
func (a *API) problemOf(err error) Problem {
	p := ProblemOf(err)
	if held, ok := errors.AsType[*gateway.SubscriptionsError](err); ok {
		p.Members = a.membersOf(held)
	}
	return a.withLinks(p)
}

// withLinks adds the places of the site that the page of a problem leads to.
func (a *API) withLinks(p Problem) Problem {
	p.Home = a.site.Path("/")
	if p.Code == codeAnonymous || p.Code == codeCredentials {
		p.SignIn = a.signInURL
	}
	return p
}

// failAt is fail in the words of a route.
func (a *API) failAt(w http.ResponseWriter, r *http.Request, at route, err error) {
	if at.say == nil {
		a.fail(w, r, err)
		return
	}
	p := a.problemOf(err)
	a.logFailure(r, p, err)
	at.say(w, r, p)
}

func (a *API) logFailure(r *http.Request, p Problem, err error) {
	if p.Status < http.StatusInternalServerError {
		return
	}
	level := slog.LevelError
	if r.Context().Err() != nil || FillsLog(err) { // the client left, and that is why
		level = slog.LevelDebug
	}
	name := a.base.route(r.URL.Path)
	if _, known := a.routes[name]; !known {
		name = a.compat.name(r.URL.Path)
	}
	a.logger.Log(r.Context(), level, "request failed", "route", name, "code", p.Code, "error", err)
}

// FillsLog reports that clients can cause an error as fast as they ask: they hold all
// places, or have credentials that nobody can judge. The host that asks the login says
// once that it cannot.
func FillsLog(err error) bool {
	return errors.Is(err, ErrTooManyBodies) || errors.Is(err, gateway.ErrTooManyWaiting) || errors.Is(err, gateway.ErrLoginUnavailable)
}

// serveJSON runs a use case for whoever is signed in, and answers with what it
// returns.
func serveJSON[Answer any](w http.ResponseWriter, r *http.Request, use func(context.Context, gateway.Identity) (Answer, error)) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	answer, err := use(r.Context(), who)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

// change is a state-changing route: what it takes, what it does, and where the
// sender of a form goes then.
type change[Answer any] struct {
	takes  fields
	run    func(context.Context, gateway.Identity) (Answer, error)
	status int
	next   func(Answer) string
}

// serveChange answers JSON with JSON, and a form with a redirect.
func serveChange[Answer any](a *API, w http.ResponseWriter, r *http.Request, c change[Answer]) error {
	who, err := signedIn(r.Context())
	if err != nil {
		return err
	}
	isForm, err := a.readFields(w, r, c.takes)
	if err != nil {
		return err
	}
	answer, err := c.run(r.Context(), who)
	if err != nil {
		return err
	}
	if !isForm {
		return writeJSON(w, c.status, answer)
	}
	redirect(w, c.next(answer))
	return nil
}

// redirect leads a browser on.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// writeJSON writes an answer that nobody may keep, unless its route said so.
func writeJSON(w http.ResponseWriter, status int, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	writeBody(w, status, append(body, '\n'))
	return nil
}

// writeBody is writeJSON for what is JSON already.
func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
