package routecheck

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// What happens to Dodo's webhooks before something of ours takes them. They have no login,
// Dodo follows no redirect, and it takes any 2xx for delivered.

// maxEvent is the most that a webhook may have, in bytes.
const maxEvent = 1 << 20

// defaultBase is the base path of a gateway that names none.
const defaultBase = "/payments"

// hook is a place that takes webhooks.
type hook struct {
	site
	trouble string // what keeps them away; empty is nothing
}

// hook notes a place that takes webhooks at these paths.
func (w *walker) hook(at flow, h handler, paths ...string) {
	if at.hooked || w.inErrors { // dodo_webhook has taken them
		return
	}
	w.hooks = append(w.hooks, hook{
		site:    site{label: w.label, hosts: w.hosts, server: w.server, at: h.at()},
		trouble: at.trouble(paths),
	})
}

// trouble is what keeps webhooks for these paths from a place.
func (f flow) trouble(paths []string) string {
	taken := func(r redirect) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return !r.takes(f.stripped + p) })
	}
	switch {
	case slices.ContainsFunc(f.redirects, taken):
		return "redir answers Dodo's webhooks with a redirect, which Dodo does not follow"
	case f.guard != "":
		return f.guard + " turns Dodo's webhooks away, because they have no login: Dodo sees 401, or the answer of handle_errors, and they are lost"
	case f.small:
		return "request_body refuses Dodo's webhooks that are larger than it allows (they may have 1MiB)"
	}
	return ""
}

// checkHooks says where webhooks are lost, unless another place takes them.
func checkHooks(hooks []hook, report *Report) {
	for _, h := range hooks {
		other := func(o hook) bool { return o.trouble == "" && (!o.isLocal() || h.isLocal()) }
		if h.trouble == "" || slices.ContainsFunc(hooks, other) {
			continue
		}
		report.warn(fmt.Sprintf("%s: %s. Write dodo_webhook into the site; in a route block, before that%s", h.label, h.trouble, h.at))
	}
}

// webhookPaths are those of a route with the matcher dodo_webhook or path.
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

// redirected is the base path as a redirect sees it that takes the payment routes below
// away; empty for none. A browser follows a redirect to https, so that one takes nothing.
func (f flow) redirected(base string) string {
	base = f.stripped + base
	for _, r := range f.redirects {
		if !r.isByProtocol() && r.takes(base+"/checkout") && r.takes(base+"/status") {
			return strings.TrimPrefix(base, r.stripped)
		}
	}
	return ""
}

// redirect is a route that redirects requests.
type redirect struct {
	sets     []map[string]any
	stripped string // what has been taken off the front of the path before
}

// isByProtocol reports whether it is for requests that did not come by https.
func (r redirect) isByProtocol() bool {
	return slices.ContainsFunc(r.sets, func(set map[string]any) bool {
		list, _ := set["not"].([]any)
		return set["protocol"] != nil || isForwardedProto(set["header"]) || slices.ContainsFunc(list, func(v any) bool {
			inner, _ := v.(map[string]any)
			return inner["protocol"] != nil || isForwardedProto(inner["header"])
		})
	})
}

// isForwardedProto reports whether a matcher header is about X-Forwarded-Proto alone.
func isForwardedProto(v any) bool {
	fields, _ := v.(map[string]any)
	return len(fields) == 1 && fields["X-Forwarded-Proto"] != nil
}

// takes reports whether it redirects a request for a path, as far as its matchers tell. A
// matcher on X-Forwarded-Proto counts as one that matches.
func (r redirect) takes(p string) bool {
	p = strings.TrimPrefix(p, r.stripped)
	return len(r.sets) == 0 || slices.ContainsFunc(r.sets, func(set map[string]any) bool { return matchesPath(set, p) == surely })
}

// matchesPath says whether a matcher set is for requests for a path.
func matchesPath(set map[string]any, p string) reach {
	result := surely
	for name, v := range set {
		result = min(result, matcherMatches(name, v, p))
	}
	return result
}

func matcherMatches(name string, v any, p string) reach {
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

func notMatches(v any, p string) reach {
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

// matchesPattern is what Caddy's matcher path does.
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
