package routecheck

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// What may happen to Dodo's webhooks before they reach our handlers. They have no login,
// Dodo follows no redirect, and it treats any 2xx as delivered.

// maxEvent is the largest body of a webhook, in bytes.
const maxEvent = 1 << 20

// defaultBase is the default base path of a gateway.
const defaultBase = "/payments"

// webhookPlace is a place that handles webhooks.
type webhookPlace struct {
	site
	obstacle string // what keeps webhooks from it; empty if nothing does
}

// recordWebhook records a place that handles webhooks at these paths.
func (w *walker) recordWebhook(at flow, h handler, paths ...string) {
	if at.webhookTaken || w.inErrors { // dodo_webhook has already handled them
		return
	}
	w.webhooks = append(w.webhooks, webhookPlace{
		site:     site{label: w.label, hosts: w.hosts, server: w.server, location: h.location()},
		obstacle: at.obstacle(paths),
	})
}

// obstacle is what keeps webhooks for these paths from a place.
func (f flow) obstacle(paths []string) string {
	taken := func(r redirect) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return !r.appliesTo(f.strippedPrefix + p) })
	}
	switch {
	case slices.ContainsFunc(f.redirects, taken):
		return "redir answers Dodo's webhooks with a redirect, which Dodo does not follow"
	case f.loginGuard != "":
		return f.loginGuard + " turns Dodo's webhooks away, because they have no login: Dodo sees 401, or the answer of handle_errors, and they are lost"
	case f.limitsBody:
		return "request_body refuses Dodo's webhooks that are larger than it allows (they may have 1MiB)"
	}
	return ""
}

// checkWebhooks warns of places where webhooks are lost, unless another place handles them.
func checkWebhooks(hooks []webhookPlace, report *Report) {
	for _, h := range hooks {
		other := func(o webhookPlace) bool { return o.obstacle == "" && (!o.isLocal() || h.isLocal()) }
		if h.obstacle == "" || slices.ContainsFunc(hooks, other) {
			continue
		}
		report.warn(fmt.Sprintf("%s: %s. Write dodo_webhook into the site; in a route block, before that%s", h.label, h.obstacle, h.location))
	}
}

// webhookPaths are the paths of a route with the matcher dodo_webhook or path.
func webhookPaths(sets []map[string]any) (paths []string) {
	for _, set := range sets {
		if own, ok := set[webhookHandler].(map[string]any); ok {
			if p := handler(own).text("path"); p != "" {
				paths = append(paths, p)
			}
		}
	}
	if len(paths) == 0 {
		paths = []string{defaultBase + "/webhook"}
	}
	return paths
}

// redirectedBase is the base path, as a redirect sees it, if that redirect answers the payment
// routes below it; else empty. A redirect to https does not count, because browsers follow it.
func (f flow) redirectedBase(base string) string {
	base = f.strippedPrefix + base
	for _, r := range f.redirects {
		if !r.isByProtocol() && r.appliesTo(base+"/checkout") && r.appliesTo(base+"/status") {
			return strings.TrimPrefix(base, r.strippedPrefix)
		}
	}
	return ""
}

// redirect is a route that redirects requests.
type redirect struct {
	matchers       []map[string]any
	strippedPrefix string // stripped from the path before
}

// isByProtocol reports whether it is only for requests that did not use https.
func (r redirect) isByProtocol() bool {
	return slices.ContainsFunc(r.matchers, func(set map[string]any) bool {
		list, _ := set["not"].([]any)
		return set["protocol"] != nil || isForwardedProto(set["header"]) || slices.ContainsFunc(list, func(v any) bool {
			inner, _ := v.(map[string]any)
			return inner["protocol"] != nil || isForwardedProto(inner["header"])
		})
	})
}

// isForwardedProto reports whether a header matcher is only about X-Forwarded-Proto.
func isForwardedProto(v any) bool {
	fields, _ := v.(map[string]any)
	return len(fields) == 1 && fields["X-Forwarded-Proto"] != nil
}

// appliesTo reports whether it certainly redirects a request for a path. A matcher on
// X-Forwarded-Proto counts as matching.
func (r redirect) appliesTo(p string) bool {
	p = strings.TrimPrefix(p, r.strippedPrefix)
	return len(r.matchers) == 0 || slices.ContainsFunc(r.matchers, func(set map[string]any) bool { return matchesPath(set, p) == surely })
}

// matchesPath says whether a matcher set matches requests for a path.
func matchesPath(set map[string]any, p string) certainty {
	result := surely
	for name, v := range set {
		result = min(result, matcherMatches(name, v, p))
	}
	return result
}

func matcherMatches(name string, v any, p string) certainty {
	switch name {
	case "host":
		return surely
	case "path":
		patterns, _ := v.([]any)
		if slices.ContainsFunc(patterns, func(pattern any) bool { return matchesPattern(pattern, p) }) {
			return surely
		}
		return never
	case "header":
		if isForwardedProto(v) {
			return surely
		}
	case "not":
		return notMatches(v, p)
	}
	return perhaps
}

func notMatches(v any, p string) certainty {
	sets, _ := v.([]any)
	result := surely
	for _, inner := range sets {
		set, _ := inner.(map[string]any)
		if len(set) == 1 && set["header"] != nil {
			result = min(result, matcherMatches("header", set["header"], p))
			continue
		}
		result = min(result, surely-matchesPath(set, p))
	}
	return result
}

// matchesPattern works like Caddy's path matcher.
func matchesPattern(v any, p string) bool {
	pattern, _ := v.(string)
	pattern, p = strings.ToLower(pattern), strings.ToLower(p)
	inner, isPrefix := strings.CutSuffix(pattern, "*")
	inner, isSuffix := strings.CutPrefix(inner, "*")
	switch {
	case strings.Contains(inner, "*"):
		matched, err := path.Match(pattern, p)
		return err == nil && matched
	case isPrefix && isSuffix:
		return strings.Contains(p, inner)
	case isPrefix:
		return strings.HasPrefix(p, inner)
	case isSuffix:
		return strings.HasSuffix(p, inner)
	}
	return p == pattern
}
