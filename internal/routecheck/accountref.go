package routecheck

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	placeholder = regexp.MustCompile(`\{(http\.dodo\.[a-z_.]+)\}`)
	inCEL       = regexp.MustCompile(`http\.dodo\.[a-z_.]+`)
)

// accountRefs finds references to the account of a request in a config: our placeholders, our
// matcher, and the listed placeholders, which a map fills from ours.
type accountRefs []string

// findInTexts finds the first reference in a document; empty for none.
func (q accountRefs) findInTexts(v any) (found string) {
	walkTexts(v, func(text string) {
		if found == "" {
			found = q.findInText(text)
		}
	})
	return found
}

func (q accountRefs) findInText(text string) string {
	if m := placeholder.FindString(text); m != "" {
		return m
	}
	for _, name := range q {
		if strings.Contains(text, "{"+name+"}") {
			return "{" + name + "}"
		}
	}
	return ""
}

// findInMatcher finds the first reference in a matcher set.
func (q accountRefs) findInMatcher(set map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if found := q.findInOneMatcher(name, set[name]); found != "" {
			return found
		}
	}
	return ""
}

func (q accountRefs) findInOneMatcher(name string, v any) (found string) {
	switch name {
	case entitledMatcher:
		return entitledMatcher
	case "expression": // it may name a placeholder without braces
		walkTexts(v, func(text string) {
			if m := inCEL.FindString(text); m != "" {
				found = "{" + m + "}"
			}
		})
	case "not":
		sets, _ := v.([]any)
		for _, set := range sets {
			if set, ok := set.(map[string]any); ok && found == "" {
				found = q.findInMatcher(set)
			}
		}
		return found
	}
	if found == "" {
		found = q.findInTexts(v)
	}
	return found
}

// readOnArrival is the part of a handler that is evaluated when a request reaches it. The rest
// is evaluated later: when something reads it, or with the response.
func (h handler) readOnArrival() any {
	switch h.name() {
	case "log_append":
		if h["early"] != true {
			return nil
		}
	case "headers":
		if response := h.child("response"); response["deferred"] == true || response["require"] != nil {
			return h["request"]
		}
	case "reverse_proxy":
		return h.without("handle_response")
	case "map", "templates", "encode", "intercept", "subroute", "invoke", gatewayHandler:
		return nil
	}
	return h
}
