package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/httpapi"
)

func init() {
	caddy.RegisterModule(Webhook{})
}

// Webhook takes Dodo's webhooks and nothing else, on sites whose login would turn
// Dodo away: it runs before the login, where `dodo_gateway` runs after it. Every
// request of its route is answered as a webhook, so the route needs a matcher. It
// needs the global option `dodo` (the app of that name).
type Webhook struct {
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
	api, err := httpapi.New(httpapi.Options{Gateway: h.app.gateway, Logger: logger(ctx)})
	if err != nil {
		return err
	}
	h.webhook = api.Webhook()
	return nil
}

func (h *Webhook) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	defer h.app.store.keep()()
	h.webhook.ServeHTTP(w, r)
	return nil
}

// parseWebhook sets up the webhook's route from Caddyfile tokens. Syntax:
//
//	dodo_webhook [<matcher>]
//
// Without a matcher it is for POST requests to /payments/webhook, with or without
// a slash at the end. A site with another base path names its own:
//
//	dodo_webhook /billing/webhook
func parseWebhook(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	if n := h.CountRemainingArgs(); n > 1 {
		return nil, h.Errf("dodo_webhook takes at most one argument, a matcher, not %d", n)
	}
	matchers, given, err := h.MatcherToken()
	switch {
	case err != nil:
		return nil, err
	case given && matchers == nil:
		return nil, h.Err("dodo_webhook * would answer every request of the site; name the webhook's path")
	case !given && h.Val() != "dodo_webhook":
		return nil, h.Errf("'%s' is not a matcher for dodo_webhook; a path begins with a slash", h.Val())
	case !given:
		matchers = defaultWebhook()
	}
	if h.NextBlock(0) {
		return nil, h.Errf("unrecognized option '%s' of dodo_webhook, which has none", h.Val())
	}
	return h.NewRoute(matchers, new(Webhook)), nil
}

func defaultWebhook() caddy.ModuleMap {
	path := httpapi.DefaultBasePath + "/webhook"
	return caddy.ModuleMap{
		"method": caddyconfig.JSON(caddyhttp.MatchMethod{http.MethodPost}, nil),
		"path":   caddyconfig.JSON(caddyhttp.MatchPath{path, path + "/"}, nil),
	}
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Webhook)(nil)
	_ caddyhttp.MiddlewareHandler = (*Webhook)(nil)
)
