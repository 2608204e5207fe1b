package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// parseMetadata reads:
//
//	checkout_metadata <name> [<placeholder>]
//
// The shorthands of placeholders work, although Caddy knows them in sites only.
func parseMetadata(d *caddyfile.Dispenser, target *[]config.MetadataField) error {
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 2 {
		return d.Errf("checkout_metadata takes a name and a placeholder, not %d arguments", len(args))
	}
	field := config.MetadataField{Name: args[0]}
	if err := config.CheckMetadata([]config.MetadataField{field}); err != nil {
		return d.WrapErr(err)
	}
	if len(args) == 2 {
		if !hasPlaceholder(args[1]) {
			return d.Errf("checkout_metadata %s: '%s' has no placeholder in it, so that it would say nothing of a customer", args[0], args[1])
		}
		segment := caddyfile.Segment{caddyfile.Token{Text: args[1]}}
		httpcaddyfile.NewShorthandReplacer().ApplyToSegment(&segment)
		field.Value = segment[0].Text
	}
	fields := append(*target, field)
	if err := config.CheckMetadata(fields); err != nil {
		return d.WrapErr(err)
	}
	*target = fields
	return nil
}

// checkoutMetadata is what goes along with the checkouts of every site.
func (a *App) checkoutMetadata() httpapi.Metadata {
	if len(a.CheckoutMetadata) == 0 {
		return httpapi.Metadata{}
	}
	var names []string
	values := make(map[string]blank)
	for _, f := range a.CheckoutMetadata {
		names = append(names, f.Name)
		if f.Value != "" {
			values[f.Name] = newBlank(f.Value)
		}
	}
	return httpapi.Metadata{Names: names, Of: func(r *http.Request) map[string]string {
		repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
		known := make(map[string]string, len(values))
		for name, value := range values {
			known[name] = value.fill(repl)
		}
		return known
	}}
}
