package routecheck

import "cmp"

// BasePaths are those of all gateways in routes, with the prefixes that are stripped from
// the path before. A site of another host among the routes is left out.
func BasePaths(routes []Route) []string { return basePaths(routes, "") }

func basePaths(routes []Route, prefix string) (paths []string) {
	for _, route := range routes {
		if route.Terminal && hasHost(route) {
			continue
		}
		for _, raw := range route.Handle {
			switch h := decodeHandler(raw); h.name() {
			case "rewrite":
				prefix += h.text("strip_path_prefix")
			case "subroute":
				paths = append(paths, basePaths(h.routes("routes"), prefix)...)
			case gatewayHandler:
				paths = appendOnce(paths, prefix+cmp.Or(h.text("base_path"), defaultBase))
			}
		}
	}
	return paths
}

func hasHost(route Route) bool {
	for _, set := range route.Match {
		if set["host"] != nil {
			return true
		}
	}
	return false
}
