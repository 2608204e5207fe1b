package routecheck

import (
	"slices"
	"strings"
)

// The effects of single handlers on requests that continue.

// removedPrefixes are the prefixes in `request_header -X-Something-*`.
func removedPrefixes(h handler) (prefixes []string) {
	list, _ := h.child("request")["delete"].([]any)
	for _, v := range list {
		name, _ := v.(string)
		if prefix, found := strings.CutSuffix(name, "*"); found && prefix != "" {
			prefixes = append(prefixes, strings.ToLower(prefix))
		}
	}
	return prefixes
}

// removesHeader reports whether the handler's header operations remove a request header.
func removesHeader(h handler, name string) bool {
	list, _ := h.child("request")["delete"].([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		deleted, _ := v.(string)
		return strings.EqualFold(deleted, name)
	})
}

// setHeaders are the request headers that the handler headers sets.
func setHeaders(h handler) (names []string) {
	for _, change := range []string{"set", "add"} {
		for name := range h.child("request").child(change) {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// setsUser says whether a vars handler sets who is logged in.
func setsUser(h handler) certainty {
	for name := range h {
		if strings.HasPrefix(name, "http.auth.user.") {
			return surely
		}
	}
	return never
}

// mappedPlaceholders are the placeholders that a map before any gateway fills from ours. A map
// evaluates ours only when its own are read, so it may come early if those are read late.
func mappedPlaceholders(h handler, at flow) []string {
	if at.gateway != never || accountRefs(at.mapped).findInTexts(h) == "" {
		return nil
	}
	return h.destinations()
}

// fixesPath reports whether a rewrite replaces the path by one that the client cannot choose.
func fixesPath(h handler) bool {
	path, _, _ := strings.Cut(h.text("uri"), "?")
	return path != "" && !strings.Contains(path, "{http.request.") && !strings.Contains(path, "{http.matchers.")
}
