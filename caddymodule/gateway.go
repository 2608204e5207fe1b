package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/identity"
)

func init() {
	caddy.RegisterModule(Gateway{})
}

// Gateway tells the app behind it what each visitor has paid for, and serves the
// payment routes. It needs the global option `dodo` (the app of that name).
//
// On every request it removes the entitlement headers that the client sent, in
// any spelling, and sets its own: `X-Entitlement-User`, `-Credits`, `-Has-Paid`,
// `-Plan`, `-Plans`, `-Plan-Status`, `-Plan-Expires-At`, `-Features` and `-Stale`, each with
// exactly one value, and `-Seats` if the catalog has any. Accounts are remembered, and read from the store only when something has
// changed. A request of somebody whose account cannot be read is answered with
// 503; one without a login passes without asking the store.
//
// Requests for the base path and for the routes of compat, in any spelling, are answered
// here and never passed on.
//
// A client may leave HTTP for a WebSocket only, or for what upgrades allows: any other
// `Upgrade` is removed, and a request for any other tunnel is answered with 501. The
// app sees a CORS preflight as nobody's.
//
// Placeholders, for all handlers after this one and for access logs:
//
// Placeholder | Description
// ------------|------------
// `{http.dodo.account}` | The account's id, percent-encoded like the header and also where HTML or templates would read more into it; empty for anonymous
// `{http.dodo.credits}` | Credits that can be spent
// `{http.dodo.has_paid}` | `true` or `false`
// `{http.dodo.plan}` | The highest plan that gives access, or `none`
// `{http.dodo.plans}` | All plans that give access, the highest first, with commas between them; empty for none
// `{http.dodo.plan_status}` | `active`, `trialing`, `past_due`, `on_hold`, `paused`, `cancelled`, `expired` or `none`
// `{http.dodo.plan_expires_at}` | RFC 3339 in UTC, or empty
// `{http.dodo.features}` | The features that Dodo granted, sorted, with commas between them and percent-encoded like the account; empty for none
// `{http.dodo.seats}` | How many seats the account has
type Gateway struct {
	Written

	// Where the payment routes are, such as `/payments`: plain segments, no slash
	// at the end. Default: `/payments`.
	BasePath string `json:"base_path,omitempty"`

	// The account's id, such as `{http.auth.user.id}`. It may be longer text with
	// placeholders in it; if any of them is unknown or empty, nobody is logged in.
	// An id of more than 256 bytes is refused. Exactly one of account, jwt and ask is
	// required.
	Account string `json:"account,omitempty"`

	// Signed tokens say who makes a request.
	JWT *JWT `json:"jwt,omitempty"`

	// The app itself is asked who makes a request.
	Ask *Ask `json:"ask,omitempty"`

	// The customer's e-mail address, which Dodo's checkout is filled in with. If the
	// login vouches for it and the customer pays with exactly this address, later purchases
	// of Dodo's customer that carry no proof of ours are the account's. With account only.
	// Default: none.
	Email string `json:"email,omitempty"`

	// Says `true` when the login vouches for the e-mail address. Needs email.
	// Default: it does not.
	EmailVerified string `json:"email_verified,omitempty"`

	// The customer's name, which Dodo's checkout is filled in with. With account only.
	// Default: none.
	Name string `json:"name,omitempty"`

	// Where visitors sign in: an address, or a path of the site. Pages that refuse an
	// anonymous visitor lead there, and so does the page after a checkout. Default: they
	// only say that one has to sign in.
	SignInURL string `json:"sign_in_url,omitempty"`

	// Where customers reach this part of the site, such as `https://shop.example.com` or
	// `https://example.com/shop`, if several hosts or paths share the app `dodo`.
	// Placeholders such as `{env.NAME}` are allowed. Default: the app's public_url.
	PublicURL string `json:"public_url,omitempty"`

	// What the names of the entitlement headers begin with: letters, digits and
	// `-`, with `-` at the end. Default: `X-Entitlement-`.
	HeaderPrefix string `json:"header_prefix,omitempty"`

	// Which of the entitlement headers the app gets, by their names without the prefix,
	// such as `User` and `Plans`. What clients send under the others is removed all the
	// same. Default: all of them.
	Headers []string `json:"headers,omitempty"`

	// Origins of pages that may have a visitor's browser change something or spend
	// credits here, each as browsers write it, such as `https://shop.example.com`.
	// They may read our answers, too (CORS). Pages of the site itself, and of public_url,
	// always may. Default: none.
	TrustedOrigins []string `json:"trusted_origins,omitempty"`

	// Protocols that clients may switch to by the header `Upgrade` (or an extended
	// CONNECT), besides `websocket`. What is said there is between the client and the
	// app: no header is removed or set, and no gate is asked. `h2c` lets every client
	// pass by everything. Default: none.
	Upgrades []string `json:"upgrades,omitempty"`

	// How to treat headers by which some apps choose a route, such as `X-Original-URL`
	// and `X-Forwarded-Prefix`. `gate` passes them on, and a gate with a path checks the
	// paths in them, too. `strip` removes them from every request. `trust` passes them on
	// unchecked, because a proxy in front sets or removes all of them. Default: `gate`.
	RoutingHeaders string `json:"routing_headers,omitempty"`

	// Serves the routes of a hand-written integration too, so that its front end keeps
	// working. Default: none.
	Compat *config.Compat `json:"compat,omitempty"`

	app     *App
	api     *httpapi.API
	source  identity.Source
	claims  claims
	headers entitlementHeaders
	logger  *zap.Logger

	sourceKey string // in the pool of logins; empty for none
	outages   *rate.Limiter
}

// CaddyModule returns the Caddy module information.
func (Gateway) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_gateway",
		New: func() caddy.Module { return new(Gateway) },
	}
}

// Provision sets up the gateway.
func (g *Gateway) Provision(ctx caddy.Context) (err error) {
	g.logger = ctx.Logger()
	if err := g.validate(); err != nil {
		return g.locate(err)
	}
	g.outages = rate.NewLimiter(outageLines, 1)
	if g.source, g.sourceKey, err = g.newSource(); err != nil {
		return g.locate(err)
	}
	if g.app, err = configuredApp(ctx); err != nil {
		return err
	}
	g.warnOfNoAddress()
	// Whoever waits for a change must not keep a server from shutting down.
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		server.RegisterOnShutdown(g.app.accounts.EndWaiting)
	}
	return g.locate(g.provisionAnswers())
}

// provisionAnswers makes what answers requests.
func (g *Gateway) provisionAnswers() (err error) {
	if g.claims, err = newClaims(g.HeaderPrefix, g.Upgrades); err != nil {
		return err
	}
	if g.headers, err = newEntitlementHeaders(g.HeaderPrefix, g.Headers, g.app.shop.Catalog().HasSeats()); err != nil {
		return err
	}
	site, err := g.app.siteAt(g.PublicURL)
	if err != nil {
		return err
	}
	g.api, err = httpapi.New(httpapi.Options{
		Shop: g.app.shop, Events: g.app.events, Accounts: g.app.accounts,
		Site: site, BasePath: g.BasePath, TrustedOrigins: g.TrustedOrigins, Reading: readingOf,
		Logger: coreLogger(g.logger), Bodies: bodies, ClientIP: clientIP, SignInURL: g.SignInURL,
		Metadata: g.app.checkoutMetadata(), Compat: g.Compat, NoBearer: g.JWT != nil && g.JWT.Bearer == off,
		Explained: g.app.store.watch.blames, Around: aroundEvent,
	})
	return err
}

// validate finds what is wrong with the settings themselves, at adapt time where
// there is a file and a line to name.
func (g *Gateway) validate() error {
	if err := g.validateIdentity(); err != nil {
		return err
	}
	if err := validateRoutingHeaders(g.RoutingHeaders); err != nil {
		return err
	}
	names, err := config.NewHeaderNames(g.HeaderPrefix)
	if err != nil {
		return err
	}
	if _, err := names.Chosen(g.Headers); err != nil {
		return err
	}
	if _, err := config.Upgrades(g.Upgrades); err != nil {
		return err
	}
	if g.Compat != nil {
		if err := httpapi.CheckCompat(g.BasePath, g.Compat); err != nil {
			return err
		}
	}
	return config.CheckOrigins(g.TrustedOrigins)
}

// configuredApp is the app that the global option sets up. A config without it
// is refused, instead of getting an empty one.
func configuredApp(ctx caddy.Context) (*App, error) {
	app, err := ctx.AppIfConfigured("dodo")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, fmt.Errorf("the global option dodo { … } is missing (apps.dodo in JSON): %w", err)
	}
	if err != nil {
		return nil, err
	}
	a := app.(*App)
	return a, a.checkRoutes(ctx)
}

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	began := time.Now()
	body := g.claims.strip(r)
	if g.claims.upgrades.refuses(r) {
		refuseTunnel(w, r)
		return nil
	}
	g.treatRoutingHeaders(r)
	isOurs := g.api.Owns(r)
	who, doubt := g.identify(r, isOurs || g.app.emailMatch != nil)
	if g.Ask != nil {
		began = time.Now() // that was the app's time
	}
	if doubt != nil && !passesFree(doubt) {
		g.refuse(w, r, doubt)
		return nil
	}
	g.app.vouch(r, who)
	v := &visit{ctx: r.Context(), site: g, account: who.Account, doubt: doubt, body: body}
	v.enter(r)
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Map(v.placeholder)
	if isOurs {
		g.serveAPI(w, r, who, doubt)
		return nil
	}
	view := nobody
	if who.Account != "" {
		var err error
		if view, err = v.read(); err != nil {
			g.refuse(w, r, err)
			return nil
		}
	}
	metrics.visited(who.Account)
	g.headers.set(r.Header, &v.headers, view)
	metrics.handled(timedGateway, time.Since(began)-v.waited)
	if g.app.asksByMatcher {
		return servePrivate(w, r, next, &v.judged)
	}
	return next.ServeHTTP(w, r)
}

// passesFree reports whether a request whose credentials are doubted goes on, with the
// headers of an anonymous one: gates and our own routes refuse it, and a page that is free
// for everybody stays there.
func passesFree(doubt error) bool {
	return errors.Is(doubt, gateway.ErrCredentials) || errors.Is(doubt, gateway.ErrLoginUnavailable)
}

// serveAPI answers a request for the base path, and keeps the store open until
// that is done.
func (g *Gateway) serveAPI(w http.ResponseWriter, r *http.Request, who gateway.Identity, doubt error) {
	defer g.app.store.keep()()
	if r.TLS != nil && !r.TLS.HandshakeComplete {
		// HTTP/3 lets requests in before the handshake is done, and anybody on the
		// way can repeat those. This is how a proxy would tell (RFC 8470).
		r.Header.Set("Early-Data", "1")
	}
	ctx := httpapi.WithIdentity(withAddress(r), who)
	if doubt != nil {
		ctx = httpapi.WithDoubt(ctx, doubt)
	}
	g.api.ServeHTTP(own(w), r.WithContext(ctx))
}

// refuse answers a request whose account is not usable or cannot be read.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	metrics.unread(err)
	level := zap.ErrorLevel
	// The client left, and that is why; or its login is too long, which it can send at will; or
	// the log has one line for all of them.
	if r.Context().Err() != nil || g.app.store.watch.blames(err) || errors.Is(err, gateway.ErrAccount) && !g.app.invalidAccounts.Allow() {
		level = zap.DebugLevel
	}
	g.logger.Log(level, "entitlement could not be read", zap.Error(err), traceOf(r))
	g.api.Answer(own(w), r, httpapi.ProblemOf(err))
}

// parseGateway sets up the gateway of a site from Caddyfile tokens. The fields of
// [Gateway] say what each option means. Syntax:
//
//	dodo_gateway [<base path>] {
//		account         <placeholder>
//		jwt             { … }
//		ask             <url> { … }
//		email           <placeholder>
//		email_verified  <placeholder>
//		name            <placeholder>
//		sign_in_url     <url>
//		public_url      <url>
//		header_prefix   <prefix>
//		headers         <name>...
//		trusted_origins <origin>...
//		upgrades        <protocol>...
//		routing_headers gate | strip | trust
//		compat          express | fastapi [{ … }]
//	}
//
// It takes no matcher, because it must see every request of the site: a request
// that passes by it keeps what the client claims to have paid for.
func parseGateway(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	g := &Gateway{Written: writtenAt(h.Dispenser)}
	switch args := h.RemainingArgs(); {
	case len(args) > 1:
		return nil, h.Errf("dodo_gateway takes at most one argument, the base path, not %d", len(args))
	case len(args) == 1:
		g.BasePath = args[0]
		if err := checkBasePath(g.BasePath); err != nil {
			return nil, h.WrapErr(err)
		}
	}
	once := seen{}
	for h.NextBlock(0) {
		if err := once.add(h.Dispenser); err != nil {
			return nil, err
		}
		if err := g.parseOption(h); err != nil {
			return nil, err
		}
	}
	if err := g.validate(); err != nil {
		return nil, h.WrapErr(err)
	}
	return h.NewRoute(nil, g), nil
}

func (g *Gateway) parseOption(h httpcaddyfile.Helper) error {
	switch h.Val() {
	case "account":
		return readOne(h.Dispenser, &g.Account)
	case "jwt":
		g.JWT = new(JWT)
		return g.JWT.parse(h.Dispenser)
	case "ask":
		g.Ask = new(Ask)
		return g.Ask.parse(h.Dispenser)
	case "email":
		return readOne(h.Dispenser, &g.Email)
	case "email_verified":
		return readOne(h.Dispenser, &g.EmailVerified)
	case "name":
		return readOne(h.Dispenser, &g.Name)
	case "sign_in_url":
		return readOne(h.Dispenser, &g.SignInURL)
	case "public_url":
		return g.parsePublicURL(h.Dispenser)
	case "header_prefix":
		return readOne(h.Dispenser, &g.HeaderPrefix)
	case "headers":
		return readMany(h.Dispenser, &g.Headers)
	case "trusted_origins":
		return readMany(h.Dispenser, &g.TrustedOrigins)
	case "upgrades":
		return readMany(h.Dispenser, &g.Upgrades)
	case "routing_headers":
		return readOne(h.Dispenser, &g.RoutingHeaders)
	case "compat":
		return parseCompat(h.Dispenser, &g.Compat)
	default:
		return unknown(h.Dispenser, "dodo_gateway", "account", "jwt", "ask", "email", "email_verified", "name", "sign_in_url", "public_url", "header_prefix", "headers", "trusted_origins", "upgrades", "routing_headers", "compat")
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Gateway)(nil)
	_ caddy.CleanerUpper          = (*Gateway)(nil)
	_ caddyhttp.MiddlewareHandler = (*Gateway)(nil)
)
