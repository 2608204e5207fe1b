package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/routecheck"
)

// webhookPaths are where Dodo sends webhooks to the site that a module is loaded for: to
// the routes of each dodo_gateway in the nearest block around the module that has any.
func webhookPaths(ctx caddy.Context) (paths []string) {
	modules := ctx.Modules()
	for _, module := range slices.Backward(modules) {
		var routes caddyhttp.RouteList
		switch block := module.(type) {
		case *caddyhttp.Subroute:
			routes = block.Routes
		case *caddyhttp.App:
			if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
				routes = server.Routes
			}
		}
		for _, g := range routecheck.Gateways(checkedRoutes(routes)) {
			for _, path := range httpapi.WebhookPaths(g.Base, config.CompatStyle(g.Compat)) {
				// What cannot be an address is for the gateway, or the rewriting, to refuse.
				if _, err := httpapi.NewWebhookAddress(g.Prefix + path); err == nil {
					paths = append(paths, g.Prefix+path)
				}
			}
		}
		if len(paths) > 0 {
			return paths
		}
	}
	return []string{httpapi.DefaultBasePath + "/webhook"}
}
