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

// Two questions are asked about a path, and each has its own safe answer.
//
// Is it ours at all? The [Reading] of the request answers, which includes every
// interpretation by a server that might come after us. A request is ours if any of them
// could read its path as the base path or one below; it is then a 404 unless it is a route.
// The price is a 404 for paths like /payments/../x, which browsers and client libraries
// resolve before they send them.
//
// Which route is it? The path decides, decoded once, in lower case, with slashes merged and
// dots resolved: exactly what Caddy's own path matcher compares. So an operator's rule
// about /payments/checkout cannot be bypassed by another spelling (RELIABILITY 6.2). The
// rewritten path is tried first, then the original one.

// basePath is the base path in the forms that it is compared in.
type basePath struct {
	path    string        // as configured
	links   string        // as customers see it
	lower   string        // in lower case
	pattern []PathPattern // it and everything below it
}

var plainBase = regexp.MustCompile(`^(/[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*)+$`)

func newBasePath(p string) (basePath, error) {
	const limit = 256
	if len(p) > limit || !plainBase.MatchString(p) {
		return basePath{}, fmt.Errorf("base path %q must be like /payments: plain segments, no slash at the end", p)
	}
	pattern, err := NewPathPattern(p + "/*")
	if err != nil {
		return basePath{}, err
	}
	return basePath{path: p, links: p, lower: strings.ToLower(p), pattern: []PathPattern{pattern}}, nil
}

// Owns reports whether the request is for the base path or below, or for a route of
// [Options].Compat, in any spelling, original or rewritten. An app may still contain the code
// that a compat route replaces, so compat routes are also looked for in the headers by which
// some apps route. The API must answer such a request, if only with 404, and the host must
// never pass it on.
func (a *API) Owns(r *http.Request) bool {
	reading := a.reading(r)
	return reading.pathMatches(a.base.pattern) || len(a.compat.patterns) > 0 && reading.Matches(a.compat.patterns)
}

// findRoute returns the route of a request, and the request with the address that names it.
func (a *API) findRoute(r *http.Request) (*http.Request, route, bool) {
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

// maxRouteLength bounds the bytes of a path that can be a route, in any spelling. Base paths
// are much shorter. A longer path is refused without being normalized.
const maxRouteLength = 4 << 10

// routeAt is the route that a decoded path names.
func (a *API) routeAt(decoded string) (route, bool) {
	if len(decoded) > maxRouteLength {
		return route{}, false
	}
	if at, known := a.routes[a.base.route(decoded)]; known {
		return at, true
	}
	return a.compat.route(decoded)
}

// route is the part of a decoded path below the base path, with its leading slash; "" if the
// path is not below it.
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

// canonical is a decoded path as Caddy's path matcher compares it, without the trailing slash;
// directory reports whether it has one.
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

// WebhookAddress is the path where Dodo sends webhooks.
type WebhookAddress struct{ lower string }

// NewWebhookAddress reads a path such as /payments/webhook. It must be plain, decoded and
// without wildcards, as Dodo sends it.
func NewWebhookAddress(p string) (WebhookAddress, error) {
	clean := strings.TrimSuffix(p, "/")
	if !strings.HasPrefix(p, "/") || clean == "" || path.Clean(clean) != clean || strings.ContainsAny(p, "*%?#{}\\; ") {
		return WebhookAddress{}, fmt.Errorf("webhook path %q must be like %s%s: decoded, clean, without placeholders", p, DefaultBasePath, webhookRoute)
	}
	return WebhookAddress{strings.ToLower(clean)}, nil
}

// WebhookPaths are the webhook routes of an API with this base path and this integration,
// which may be empty.
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

// Names reports whether a request is for the address, with or without a trailing slash, by its
// current path or its original one.
func (a WebhookAddress) Names(r *http.Request, original *url.URL) bool {
	return a.is(r.URL.Path) || original.Path != r.URL.Path && a.is(original.Path)
}

func (a WebhookAddress) is(decoded string) bool {
	if len(decoded) > maxRouteLength {
		return false
	}
	clean, _ := canonical(decoded)
	return clean == a.lower
}

// link is the address of one of our routes on this site.
func (b basePath) link(name string, query url.Values) string {
	return b.links + name + "?" + query.Encode()
}
