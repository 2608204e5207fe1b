package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(MatchEntitled{})
}

// MatchEntitled matches requests of accounts that have paid, have a plan, have a feature
// or have credits: what `dodo_require` lets pass. It refuses nobody, and asks Dodo nothing.
//
// It needs a `dodo_gateway` before it in the request, so it is for directives that
// run later. Elsewhere the config is refused, or the request is answered with 500.
//
// Whatever it finds, the answer to a request that it was asked about goes out with
// `Cache-Control: private`, unless the app sets one.
type MatchEntitled struct {
	Entitlement
	Written
}

// CaddyModule returns the Caddy module information.
func (MatchEntitled) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.dodo_entitled",
		New: func() caddy.Module { return new(MatchEntitled) },
	}
}

// Provision checks what is required.
func (m *MatchEntitled) Provision(ctx caddy.Context) error {
	app, err := m.provision(ctx, m.Written)
	if err == nil {
		app.asksByMatcher = true
	}
	return err
}

// MatchWithError reports whether the request's account is entitled.
func (m *MatchEntitled) MatchWithError(r *http.Request) (bool, error) {
	v, err := visitOf(r, "dodo_entitled")
	if err != nil {
		return false, err
	}
	v.judged = true
	now, err := v.read()
	if err != nil {
		return false, caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	return m.requirement().MetBy(now.Snapshot), nil
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	dodo_entitled paid
//	dodo_entitled plan <name>...
//	dodo_entitled feature <name>...
//	dodo_entitled credits <number>
func (m *MatchEntitled) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the matcher's name
	m.Written = writtenAt(d)
	if err := m.parse(d); err != nil {
		return err
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized option '%s' of dodo_entitled, which has none", d.Val())
	}
	if d.Next() {
		return d.Err("dodo_entitled is given twice in one matcher")
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*MatchEntitled)(nil)
	_ caddyfile.Unmarshaler             = (*MatchEntitled)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchEntitled)(nil)
)
