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

// Strip removes what clients may not say, as `dodo_gateway` does: the entitlement
// headers in any spelling, and every `Upgrade` but that to a WebSocket. It does nothing
// more. It is for sites that pass requests to a server before `dodo_gateway` runs, such
// as that of `forward_auth`, or from `handle_errors`. It runs before all other
// directives, and needs no global option.
type Strip struct {
	Written

	// What the names of the entitlement headers begin with, as in `dodo_gateway`.
	// Default: `X-Entitlement-`.
	HeaderPrefix string `json:"header_prefix,omitempty"`

	// Protocols besides `websocket` that clients may switch to, as in `dodo_gateway`.
	// Default: none.
	Upgrades []string `json:"upgrades,omitempty"`

	claims claims
}

// CaddyModule returns the Caddy module information.
func (Strip) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_strip",
		New: func() caddy.Module { return new(Strip) },
	}
}

// Provision makes the rule.
func (h *Strip) Provision(caddy.Context) (err error) {
	h.claims, err = newClaims(h.HeaderPrefix, h.Upgrades)
	return err
}

func (h *Strip) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	h.claims.strip(r)
	if h.claims.upgrades.refuses(r) {
		refuseTunnel(w, r)
		return nil
	}
	return next.ServeHTTP(w, r)
}

// parseStrip sets up the handler from Caddyfile tokens. Syntax:
//
//	dodo_strip [<header prefix>] {
//		upgrades <protocol>...
//	}
//
// It takes no matcher, because a request that passes by it keeps what the client claims.
func parseStrip(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	strip := &Strip{Written: writtenAt(h.Dispenser)}
	switch args := h.RemainingArgs(); {
	case len(args) > 1:
		return nil, h.Errf("dodo_strip takes at most one argument, the prefix of the headers, not %d", len(args))
	case len(args) == 1:
		strip.HeaderPrefix = args[0]
	}
	once := seen{}
	for h.NextBlock(0) {
		if err := once.add(h.Dispenser); err != nil {
			return nil, err
		}
		if h.Val() != "upgrades" {
			return nil, unknown(h.Dispenser, "dodo_strip", "upgrades")
		}
		if err := readMany(h.Dispenser, &strip.Upgrades); err != nil {
			return nil, err
		}
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
