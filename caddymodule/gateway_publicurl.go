package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
)

// siteAt is the part of the site that customers reach at a public_url of its own; nil is
// the site itself, if there is none.
func (a *App) siteAt(publicURL string) (*config.Site, error) {
	if publicURL == "" {
		return nil, nil //nolint:nilnil // the app's own
	}
	r := newResolver()
	resolved := r.text("public_url", publicURL)
	if r.err != nil {
		return nil, r.err
	}
	site, err := a.shop.Site().Under(resolved)
	if err != nil {
		return nil, fmt.Errorf("public_url of dodo_gateway: %w", err)
	}
	return &site, nil
}

// parsePublicURL reads the option public_url, on which d stands.
func (g *Gateway) parsePublicURL(d *caddyfile.Dispenser) error {
	if err := readOne(d, &g.PublicURL); err != nil {
		return err
	}
	return checkSite(d, g.PublicURL)
}
