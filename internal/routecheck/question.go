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

// questions finds where a config asks about the account of a request: by our
// placeholders and matcher, and by these placeholders, which a map fills from ours.
type questions []string

// inText finds the first question in a document; empty is none.
func (q questions) inText(v any) (found string) {
	everyText(v, func(text string) {
		if found == "" {
			found = q.inOne(text)
		}
	})
	return found
}

func (q questions) inOne(text string) string {
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

// inMatcher finds the first question of a matcher set.
func (q questions) inMatcher(set map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if found := q.inOneMatcher(name, set[name]); found != "" {
			return found
		}
	}
	return ""
}

func (q questions) inOneMatcher(name string, v any) (found string) {
	switch name {
	case entitledMatcher:
		return entitledMatcher
	case "expression": // which may name a placeholder without braces
		everyText(v, func(text string) {
			if m := inCEL.FindString(text); m != "" {
				found = "{" + m + "}"
			}
		})
	case "not":
		sets, _ := v.([]any)
		for _, set := range sets {
			if set, ok := set.(map[string]any); ok && found == "" {
				found = q.inMatcher(set)
			}
		}
		return found
	}
	if found == "" {
		found = q.inText(v)
	}
	return found
}

// asked is the part of a handler that is read when a request reaches it. The rest
// is read later: when something asks for it, or on the way back.
func (h handler) asked() any {
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
