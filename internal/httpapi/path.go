package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/dodogate/dodogate/config"
)

// Two questions are asked about a path, and they have different safe answers.
//
// Is it ours at all? Answered by the [Reading] of the request, which knows every
// reader that might come after us. A request that any of them could take for one at
// or below the base path is ours, and then a 404 unless it is a route. The price is
// a 404 for detours like /payments/../x, which browsers and client libraries resolve
// before they send them.
//
// Which route is it? Answered from the path decoded once, in lower case, with
// slashes merged and dots resolved: exactly what Caddy's own path matcher
// compares, so that a rule of the operator about /payments/checkout cannot be
// walked around by another spelling of it (RELIABILITY 6.2). The path is the one
// that the host's rewriting has left; if that is no route, the one that arrived.

// basePath is the base path in the forms that it is compared in.
type basePath struct {
	path    string        // as configured
	links   string        // where customers find it
	lower   string        // in lower case
	pattern []PathPattern // it and all below it
}

var plainBase = regexp.MustCompile(`^(/[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*)+$`)

func newBasePath(p string) (basePath, error) {
	const most = 256
	if len(p) > most || !plainBase.MatchString(p) {
		return basePath{}, fmt.Errorf("base path %q must be like /payments: plain segments, no slash at the end", p)
	}
	pattern, err := NewPathPattern(p + "/*")
	if err != nil {
		return basePath{}, err
	}
	return basePath{path: p, links: p, lower: strings.ToLower(p), pattern: []PathPattern{pattern}}, nil
}

// Owns reports whether the request is for the base path or below, or for a route of
// [Options].Compat, in whatever spelling, as it arrived or as it was rewritten. An app may
// still have the code that a compat route replaces, so those are also looked for in the
// headers by which some apps route. Such a request must be answered by
// the API, be it by a 404, and never be passed on.
func (a *API) Owns(r *http.Request) bool {
	reading := a.reading(r)
	return reading.pathMatches(a.base.pattern) || len(a.compat.patterns) > 0 && reading.Matches(a.compat.patterns)
}

// find is the route of a request, and the request with the address that names it.
func (a *API) find(r *http.Request) (*http.Request, route, bool) {
	if at, known := a.routeAt(r.URL.Path); known {
		return r, at, true
	}
	original := a.reading(r).original
	at, known := a.routeAt(original.Path)
	if !known {
		return r, route{}, false
	}
	if original != r.URL {
		arrived := *r
		arrived.URL = original
		r = &arrived
	}
	return r, at, true
}

// longestRoute is the most bytes that a path of a route of ours may have in any spelling.
// Base paths are shorter by far, and what is longer need not be made clean to be refused.
const longestRoute = 4 << 10

// routeAt is the route that a decoded path names.
func (a *API) routeAt(decoded string) (route, bool) {
	if len(decoded) > longestRoute {
		return route{}, false
	}
	if at, known := a.routes[a.base.route(decoded)]; known {
		return at, true
	}
	return a.compat.route(decoded)
}

// route is the part of a decoded path below the base path, which begins with a
// slash; "" when there is none, and for every other path.
func (b basePath) route(decoded string) string {
	clean, directory := canonical(decoded)
	name, ok := strings.CutPrefix(clean, b.lower)
	switch {
	case !ok || name != "" && name[0] != '/':
		return ""
	case directory:
		return name + "/"
	}
	return name
}

// canonical is a decoded path as Caddy's path matcher compares it, but for the slash
// at its end, which a directory has.
func canonical(decoded string) (clean string, directory bool) {
	lower := strings.ToLower(decoded)
	switch lower[strings.LastIndexByte(lower, '/')+1:] {
	case "", ".", "..":
		directory = true
	}
	if !strings.HasPrefix(lower, "/") {
		lower = "/" + lower
	}
	return path.Clean(lower), directory
}

// WebhookAddress is where Dodo sends webhooks.
type WebhookAddress struct{ lower string }

// NewWebhookAddress reads a path such as /payments/webhook, which is written as Dodo
// sends it: plain, decoded, without wildcards.
func NewWebhookAddress(p string) (WebhookAddress, error) {
	clean := strings.TrimSuffix(p, "/")
	if !strings.HasPrefix(p, "/") || clean == "" || path.Clean(clean) != clean || strings.ContainsAny(p, "*%?#{}\\; ") {
		return WebhookAddress{}, fmt.Errorf("webhook path %q must be like %s%s: decoded, clean, without placeholders", p, DefaultBasePath, webhookRoute)
	}
	return WebhookAddress{strings.ToLower(clean)}, nil
}

// WebhookPaths are where an API with a base path, and perhaps the routes of an older
// integration, takes webhooks.
func WebhookPaths(basePath string, style config.CompatStyle) []string {
	paths := []string{basePath + webhookRoute}
	switch style {
	case config.Express:
		paths = append(paths, expressWebhook)
	case config.FastAPI:
		paths = append(paths, fastAPIWebhook)
	}
	return paths
}

// Names reports whether a request is for the address, with or without a slash at the
// end, by its path now or by that of the address that it arrived with.
func (a WebhookAddress) Names(r *http.Request, original *url.URL) bool {
	return a.is(r.URL.Path) || original.Path != r.URL.Path && a.is(original.Path)
}

func (a WebhookAddress) is(decoded string) bool {
	if len(decoded) > longestRoute {
		return false
	}
	clean, _ := canonical(decoded)
	return clean == a.lower
}

// link is an address of ours on this site, below the base path.
func (b basePath) link(name string, query url.Values) string {
	return b.links + name + "?" + query.Encode()
}
