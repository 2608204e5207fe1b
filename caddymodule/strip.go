package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Strip{})
}

// Strip removes the entitlement headers that the client sent, in any spelling, as
// `dodo_gateway` does, and nothing more. It is for sites that pass requests to a server
// before `dodo_gateway` runs, such as that of `forward_auth`, or from `handle_errors`.
// It runs before all other directives, and needs no global option.
type Strip struct {
	// What the names of the entitlement headers begin with, as in `dodo_gateway`.
	// Default: `X-Entitlement-`.
	HeaderPrefix string `json:"header_prefix,omitempty"`

	headers entitlementHeaders
}

// CaddyModule returns the Caddy module information.
func (Strip) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_strip",
		New: func() caddy.Module { return new(Strip) },
	}
}

// Provision makes the names.
func (h *Strip) Provision(caddy.Context) (err error) {
	h.headers, err = newEntitlementHeaders(h.HeaderPrefix, nil)
	return err
}

func (h *Strip) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.headers.strip(r)
	return next.ServeHTTP(w, r)
}

// parseStrip sets up the handler from Caddyfile tokens. Syntax:
//
//	dodo_strip [<header prefix>]
//
// It takes no matcher, because a request that passes by it keeps what the client claims.
func parseStrip(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	strip := new(Strip)
	switch args := h.RemainingArgs(); {
	case len(args) > 1:
		return nil, h.Errf("dodo_strip takes at most one argument, the prefix of the headers, not %d", len(args))
	case len(args) == 1:
		strip.HeaderPrefix = args[0]
	}
	if h.NextBlock(0) {
		return nil, h.Errf("unrecognized option '%s' of dodo_strip, which has none", h.Val())
	}
	if err := strip.Provision(caddy.Context{}); err != nil {
		return nil, h.WrapErr(err)
	}
	return h.NewRoute(nil, strip), nil
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Strip)(nil)
	_ caddyhttp.MiddlewareHandler = (*Strip)(nil)
)
