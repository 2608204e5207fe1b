package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
)

func init() {
	caddy.RegisterModule(Require{})
}

// Require lets a request pass only if its account has paid, has a plan, has a feature or
// has credits. It charges nothing. It needs a `dodo_gateway` that runs before it. The
// config is refused if no request can pass a `dodo_gateway` first. If only some requests
// can, the others are answered with 500.
//
// Every other request is refused: with 401 if nobody is logged in, else with 402 and the
// products that would satisfy it. A browser gets a page with buy buttons, a gRPC call gets
// a `grpc-status`, and other clients get `application/problem+json`. With `refuse error`
// the site's own `handle_errors` answers. Before a 402, Dodo is asked about the account's
// unpaid orders and about subscriptions whose period is over, so that an account that has
// just paid is not refused.
//
// A CORS preflight passes, because it carries no login. Its answer keeps only the status
// and the `Access-Control-*` headers. A request that changes something and arrives as
// TLS early data is answered with 425.
//
// Answers to requests that pass go out with `Cache-Control: private`, unless the app
// sets one.
type Require struct {
	Entitlement
	Refusing
	Written

	app    *App
	logger *zap.Logger
}

// Entitlement is what an account must have. Exactly one of the four is set.
type Entitlement struct {
	// A payment in force, or a plan that gives access now. Default: false.
	Paid bool `json:"paid,omitempty"`

	// One of these plans, giving access now: an account can have several. Each is the
	// plan of a product in the catalog. Default: none.
	Plans []string `json:"plans,omitempty"`

	// One of these features, each by its `feature_id` at Dodo, in the same case. Dodo
	// grants and revokes them. Default: none.
	Features []string `json:"features,omitempty"`

	// At least so many credits that can be spent, 1 to 9007199254740991. None is
	// taken. Default: 0.
	Credits int64 `json:"credits,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Require) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_require",
		New: func() caddy.Module { return new(Require) },
	}
}

// Provision sets up the handler.
func (h *Require) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if err := h.Refusing.validate(); err != nil {
		return h.locate(err)
	}
	h.app, err = h.provision(ctx, h.Written)
	return err
}

func (h *Require) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	began := time.Now()
	v, err := visitOf(r, "dodo_require")
	if err != nil {
		return err
	}
	waited := v.waited
	if isEarly(r) && !isSafe(r.Method) {
		return h.fail(w, r, v, httpapi.ErrTooEarly)
	}
	view, err := v.read()
	if err != nil {
		return h.fail(w, r, v, err)
	}
	now := view.Snapshot
	if h.requirement().MetBy(now) {
		metrics.handled(timedRequire, time.Since(began)-(v.waited-waited))
		return servePrivate(w, r, next, nil)
	}
	if httpapi.IsPreflight(r) {
		return next.ServeHTTP(v.site.api.PreflightOnly(w, r), r)
	}
	var waiting []book.Order
	if v.account != "" {
		settled, orders, err := v.settle(r)
		switch {
		case err != nil:
			return h.fail(w, r, v, err)
		case h.requirement().MetBy(settled.Snapshot):
			metrics.handled(timedRequire, time.Since(began)-(v.waited-waited))
			return servePrivate(w, r, next, nil)
		case settled.Owed():
			return h.fail(w, r, v, gateway.ErrUnconfirmed)
		}
		now, waiting = settled.Snapshot, orders
	}
	return h.refuse(w, r, v, httpapi.Refusal{
		Account: v.account, Doubt: v.doubt, Needs: h.requirement(), Has: now, Pending: waiting, Target: targetOf,
	})
}

// fail answers a request that could not be judged.
func (h *Require) fail(w http.ResponseWriter, r *http.Request, v *visit, err error) error {
	logUnjudged(r, h.logger, err, h.app.store.watch)
	return h.Refusing.fail(w, r, v, err)
}

// logUnjudged logs why it is unknown whether a request may pass, unless the store is the
// reason, which has lines of its own.
func logUnjudged(r *http.Request, logger *zap.Logger, err error, store *watch) {
	p := httpapi.ProblemOf(err)
	level := zap.ErrorLevel
	if r.Context().Err() != nil || store.blames(err) || p.Status < http.StatusInternalServerError || httpapi.FillsLog(err) { // the client's doing
		level = zap.DebugLevel
	}
	logger.Log(level, "request could not be judged", zap.String("code", p.Code), zap.Error(err), traceOf(r))
}

// targetOf is what the client asked for, before anything was rewritten.
func targetOf(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return original.URL.RequestURI()
	}
	return r.URL.RequestURI()
}

// isEarly reports whether anybody on the way could send the request again, because
// the TLS handshake is not done, here or at a proxy in front (RFC 8470, 5.1).
func isEarly(r *http.Request) bool {
	return r.TLS != nil && !r.TLS.HandshakeComplete || len(r.Header["Early-Data"]) > 0
}

// isSafe reports whether a method changes nothing (RFC 9110, 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// requirement is the setting in the form that [entitlement.Requirement.MetBy] checks.
func (e Entitlement) requirement() entitlement.Requirement {
	return entitlement.Requirement{Paid: e.Paid, Plans: e.Plans, Features: e.Features, Credits: e.Credits}
}

// provision checks what is required against the catalog.
func (e Entitlement) provision(ctx caddy.Context, at Written) (*App, error) {
	if err := e.validate(); err != nil {
		return nil, at.locate(err)
	}
	app, err := configuredApp(ctx)
	if err != nil {
		return nil, err
	}
	return app, at.locate(e.checkSold(app.shop.Catalog().Ranking().Plans()))
}

// checkSold refuses a plan that nothing in the catalog gives.
func (e Entitlement) checkSold(sold []string) error {
	for _, plan := range e.Plans {
		if slices.Contains(sold, plan) {
			continue
		}
		switch len(sold) {
		case 0:
			return fmt.Errorf("no product of the catalog gives the plan %q, or any plan", plan)
		case 1:
			return fmt.Errorf("no product of the catalog gives the plan %q; there is %s", plan, sold[0])
		default:
			return fmt.Errorf("no product of the catalog gives the plan %q; there are %s", plan, strings.Join(sold, ", "))
		}
	}
	return nil
}

var errOneEntitlement = errors.New("one of paid, plan NAME..., feature NAME... and credits N is required, and only one")

// validate finds what is wrong with the setting itself.
func (e Entitlement) validate() error {
	given := 0
	for _, is := range []bool{e.Paid, len(e.Plans) > 0, len(e.Features) > 0, e.Credits != 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return errOneEntitlement
	}
	if e.Credits < 0 || e.Credits > config.MaxCredits {
		return fmt.Errorf("credits must be from 1 to %d", config.MaxCredits)
	}
	for i, plan := range e.Plans {
		if plan == entitlement.NoPlan || plan == "" {
			return fmt.Errorf("%q is not the name of a plan", plan)
		}
		if slices.Contains(e.Plans[:i], plan) {
			return fmt.Errorf("plan %s is named twice", plan)
		}
	}
	for i, feature := range e.Features {
		if feature == "" || len(feature) > dodo.MaxFeature {
			return fmt.Errorf("%q is not the name of a feature", feature)
		}
		if slices.Contains(e.Features[:i], feature) {
			return fmt.Errorf("feature %s is named twice", feature)
		}
	}
	return nil
}

// parse reads what the rest of the line requires: paid, plan NAME..., feature NAME... or
// credits N. d stands before it.
func (e *Entitlement) parse(d *caddyfile.Dispenser) error {
	directive := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes paid, plan NAME..., feature NAME... or credits N", directive)
	}
	switch word, rest := args[0], args[1:]; word {
	case "paid":
		if len(rest) != 0 {
			return d.Errf("paid takes no argument, not '%s'", rest[0])
		}
		e.Paid = true
	case "plan":
		if len(rest) == 0 {
			return d.Err("plan takes at least one name of a plan")
		}
		e.Plans = rest
	case "feature":
		if len(rest) == 0 {
			return d.Err("feature takes at least one name of a feature")
		}
		e.Features = rest
	case "credits":
		if len(rest) != 1 {
			return d.Errf("credits takes exactly one argument, not %d", len(rest))
		}
		n, err := strconv.ParseUint(rest[0], 10, 63)
		if err != nil || n == 0 || int64(n) > config.MaxCredits {
			return d.Errf("credits must be a whole number from 1 to %d, not '%s'", config.MaxCredits, rest[0])
		}
		e.Credits = int64(n)
	default:
		if i := slices.IndexFunc(rest, isKind); i >= 0 {
			line := slices.Concat([]string{directive, rest[i]}, args[:i+1], rest[i+1:])
			return d.Errf("what is required comes first: %s", strings.Join(line, " "))
		}
		return d.Errf("unrecognized word '%s'; there are paid, plan NAME..., feature NAME... and credits N", word)
	}
	if err := e.validate(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// isKind reports whether a word says what kind of thing is required.
func isKind(word string) bool { return slices.Contains([]string{"plan", "feature", "credits"}, word) }

// parseRequire sets up the handler from Caddyfile tokens. Syntax:
//
//	dodo_require [<matcher>] paid
//	dodo_require [<matcher>] plan <name>...
//	dodo_require [<matcher>] feature <name>...
//	dodo_require [<matcher>] credits <number>
//
// Each may be followed by a block:
//
//	{
//		refuse error
//	}
//
// A path for a matcher is read like that of `dodo_path`, in every spelling that some
// app might take for it. Without a matcher it is for every request that gets there.
func parseRequire(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	matchers, err := gateMatcher(h)
	if err != nil {
		return nil, err
	}
	if err := checkOrder(h.Dispenser); err != nil {
		return nil, err
	}
	handler := &Require{Written: writtenAt(h.Dispenser)}
	if err := handler.parse(h.Dispenser); err != nil {
		return nil, err
	}
	once := seen{}
	for h.NextBlock(0) {
		if err := once.add(h.Dispenser); err != nil {
			return nil, err
		}
		if h.Val() != "refuse" {
			return nil, unknown(h.Dispenser, "dodo_require", "refuse")
		}
		if err := handler.parseRefuse(h.Dispenser); err != nil {
			return nil, err
		}
	}
	return h.NewRoute(matchers, handler), nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Require)(nil)
	_ caddyhttp.MiddlewareHandler = (*Require)(nil)
)
