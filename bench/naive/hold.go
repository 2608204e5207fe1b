package naive

import (
	"context"
	"crypto/rand"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Hold sets one credit of the account in `X-User` aside, and spends it in the background
// once the answer is written.
type Hold struct {
	// [Scripts], [Batched], [Whole] or [File].
	How string `json:"how,omitempty"`
	// Host and port of Redis, or the file.
	Where string `json:"where,omitempty"`

	holder Holder
}

// CaddyModule returns the Caddy module information.
func (Hold) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.naive_hold", New: func() caddy.Module { return new(Hold) }}
}

// Provision opens the holder.
func (n *Hold) Provision(ctx caddy.Context) (err error) {
	n.holder, err = NewHolder(ctx, n.How, n.Where)
	return err
}

// Cleanup closes it.
func (n *Hold) Cleanup() error {
	if n.holder == nil {
		return nil
	}
	return n.holder.Close()
}

// parse reads the directive's arguments:
//
//	naive_hold scripts|batched|whole|file <where>
func (n *Hold) parse(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&n.How, &n.Where) {
		return d.ArgErr()
	}
	return nil
}

func (n *Hold) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	user, id := r.Header.Get("X-User"), rand.Text()
	left, err := n.holder.Hold(r.Context(), user, id)
	switch {
	case err != nil:
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	case left < 0:
		return caddyhttp.Error(http.StatusPaymentRequired, nil)
	}
	r.Header.Set("X-Entitlement-User", user)
	r.Header.Set("X-Entitlement-Credits", strconv.FormatInt(left, 10))
	err = next.ServeHTTP(w, r)
	go func() { _ = n.holder.Capture(context.WithoutCancel(r.Context()), user, id) }()
	return err
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Hold)(nil)
	_ caddy.CleanerUpper          = (*Hold)(nil)
	_ caddyhttp.MiddlewareHandler = (*Hold)(nil)
)
