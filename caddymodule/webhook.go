package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

func init() {
	caddy.RegisterModule(Webhook{})
	caddy.RegisterModule(new(MatchWebhook))
}

// Webhook takes Dodo's webhooks and nothing else, on sites whose login would turn
// Dodo away: it runs before the login and before every redirect and rewriting, but
// `dodo_gateway` runs after them. Every request of its route is answered as a
// webhook, so the route needs a matcher, such as `dodo_webhook`. It needs the global
// option `dodo` (the app of that name).
type Webhook struct {
	Written

	app     *App
	webhook http.Handler
}

// CaddyModule returns the Caddy module information.
func (Webhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_webhook",
		New: func() caddy.Module { return new(Webhook) },
	}
}

// Provision sets up the webhook.
func (h *Webhook) Provision(ctx caddy.Context) (err error) {
	if h.app, err = configuredApp(ctx); err != nil {
		return err
	}
	api, err := httpapi.New(httpapi.Options{Shop: h.app.shop, Events: h.app.events, Accounts: h.app.accounts, Logger: coreLogger(ctx.Logger()), Bodies: bodies, ClientIP: clientIP,
		Explained: h.app.store.watch.blames, Around: aroundEvent})
	if err != nil {
		return err
	}
	h.webhook = api.Webhook()
	return nil
}

func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	defer h.app.store.keep()()
	h.webhook.ServeHTTP(own(w), r)
	return nil
}

// MatchWebhook matches requests for the address that Dodo sends webhooks to, with or
// without a slash at the end, by the path as it arrived or by the path that a
// rewriting has made of it.
type MatchWebhook struct {
	// The path, such as `/payments/webhook`. Default: where the `dodo_gateway` of the same
	// site takes webhooks, which is `/webhook` below its base path and the path that its
	// compat has; `/payments/webhook` if there is none.
	Path string `json:"path,omitempty"`

	addresses []httpapi.WebhookAddress
}

// CaddyModule returns the Caddy module information.
func (*MatchWebhook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.dodo_webhook",
		New: func() caddy.Module { return new(MatchWebhook) },
	}
}

// Provision reads the path, or finds it.
func (m *MatchWebhook) Provision(ctx caddy.Context) error {
	paths := []string{m.Path}
	if m.Path == "" {
		paths = webhookPaths(ctx)
	}
	for _, path := range paths {
		address, err := httpapi.NewWebhookAddress(path)
		if err != nil {
			return err
		}
		m.addresses = append(m.addresses, address)
	}
	return nil
}

// MatchWithError reports whether a request is for the address. It has no errors.
func (m *MatchWebhook) MatchWithError(r *http.Request) (bool, error) {
	original := originalURL(r)
	return slices.ContainsFunc(m.addresses, func(a httpapi.WebhookAddress) bool { return a.Names(r, original) }), nil
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	dodo_webhook <path>
func (m *MatchWebhook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the matcher's name
	if err := readOne(d, &m.Path); err != nil {
		return err
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option '%s' of dodo_webhook, which has none", d.Val())
	}
	if d.Next() {
		return d.Err("dodo_webhook is given twice in one matcher")
	}
	if err := m.Provision(caddy.Context{}); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseWebhook sets up the webhook's route from Caddyfile tokens. Syntax:
//
//	dodo_webhook [<matcher>]
//
// Without a matcher it is for POST requests to where the site's dodo_gateway takes
// webhooks: /webhook below its base path, and the path that its compat has. Another path
// is written out:
//
//	dodo_webhook /billing/webhook
//
// A path is read like that of the matcher `dodo_webhook`: with or without a slash at
// the end, before and after rewriting. One with a star or a placeholder, and a named
// matcher, are Caddy's own.
func parseWebhook(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	at := writtenAt(h.Dispenser)
	if n := h.CountRemainingArgs(); n > 1 {
		return nil, h.Errf("dodo_webhook takes at most one argument, a matcher, not %d", n)
	}
	matchers, given, err := h.MatcherToken()
	switch path := h.Val(); {
	case err != nil:
		return nil, err
	case given && matchers == nil:
		return nil, h.Err("dodo_webhook * would answer every request of the site; name the webhook's path")
	case !given && path != "dodo_webhook":
		return nil, h.Errf("'%s' is not a matcher for dodo_webhook; a path begins with a slash", path)
	case !given:
		matchers = webhookAt("")
		matchers["method"] = caddyconfig.JSON(caddyhttp.MatchMethod{http.MethodPost}, nil)
	case strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "*{"):
		if _, err := httpapi.NewWebhookAddress(path); err != nil {
			return nil, h.WrapErr(err)
		}
		matchers = webhookAt(path)
	}
	if h.NextBlock(0) {
		return nil, h.Errf("unrecognized option '%s' of dodo_webhook, which has none", h.Val())
	}
	return h.NewRoute(matchers, &Webhook{Written: at}), nil
}

func webhookAt(path string) caddy.ModuleMap {
	return caddy.ModuleMap{"dodo_webhook": caddyconfig.JSON(MatchWebhook{Path: path}, nil)}
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*Webhook)(nil)
	_ caddyhttp.MiddlewareHandler       = (*Webhook)(nil)
	_ caddy.Provisioner                 = (*MatchWebhook)(nil)
	_ caddyfile.Unmarshaler             = (*MatchWebhook)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchWebhook)(nil)
)
