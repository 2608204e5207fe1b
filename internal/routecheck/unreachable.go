package routecheck

import (
	"fmt"
	"slices"
	"strings"
)

// checkUnreachable reports handlers for addresses below the base path of an earlier gateway,
// which answers those addresses itself.
func (w *walker) checkUnreachable(h handler, at flow) {
	if at.basePath == "" || w.inErrors || !belowBase(w.matchers, at.basePath) {
		return
	}
	switch h.name() {
	case requireHandler, chargeHandler:
		w.report.refuse(fmt.Sprintf("%s: %s is for addresses below %s, which is the base path of dodo_gateway: no request there reaches it. dodo_gateway takes no matcher; leave %s out there, so that the payment routes are below %s, or write %s%s",
			w.label, h.name(), at.basePath, at.basePath, defaultBase, at.basePath+defaultBase, h.location()))
	case "reverse_proxy", "file_server", "static_response", "subroute":
		w.report.warn(fmt.Sprintf("%s: %s is for addresses below %s, which is the base path of dodo_gateway: no request there reaches it. dodo_gateway takes no matcher",
			w.label, h.directive(), at.basePath))
	}
}

// belowBase reports whether the matcher sets match only requests at or below a base path.
func belowBase(sets []map[string]any, base string) bool {
	below := func(pattern any) bool {
		text, _ := pattern.(string)
		rest, found := strings.CutPrefix(strings.ToLower(text), strings.ToLower(base))
		return found && (rest == "" || rest[0] == '/' || rest == "*")
	}
	return len(sets) > 0 && !slices.ContainsFunc(sets, func(set map[string]any) bool {
		patterns, _ := set["path"].([]any)
		if own, ok := set["dodo_path"].(map[string]any); ok {
			patterns, _ = own["paths"].([]any)
		}
		return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p any) bool { return !below(p) })
	})
}
