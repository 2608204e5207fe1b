package routecheck

import "cmp"

// Gateway is an address at which a gateway accepts requests.
type Gateway struct {
	Prefix string // stripped from the path before the gateway
	Base   string // its base path, below Prefix
	Compat string // the integration whose routes it also serves; empty for none
}

// Gateways are the gateways in routes. It skips a site of another host among the routes.
func Gateways(routes []Route) []Gateway { return gateways(routes, "") }

func gateways(routes []Route, prefix string) (list []Gateway) {
	for _, route := range routes {
		if route.Terminal && hasHost(route) {
			continue
		}
		for _, raw := range route.Handle {
			switch h := decodeHandler(raw); h.name() {
			case "rewrite":
				prefix += h.text("strip_path_prefix")
			case "subroute":
				list = append(list, gateways(h.routes("routes"), prefix)...)
			case gatewayHandler:
				list = append(list, Gateway{prefix, cmp.Or(h.text("base_path"), defaultBase), h.child("compat").text("style")})
			}
		}
	}
	return list
}

func hasHost(route Route) bool {
	for _, set := range route.Match {
		if set["host"] != nil {
			return true
		}
	}
	return false
}
