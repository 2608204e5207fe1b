package httpapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Pages of trusted_origins may read our answers with the visitor's login (CORS; Fetch,
// 3.3). Pages of other origins get no CORS headers, and "*" and "null" are never allowed:
// a sandboxed frame of any site has the origin "null".

// exposedHeaders are our response headers that a page may read in addition to the simple ones.
var exposedHeaders = []string{"ETag, Location, Retry-After, Grpc-Status, Grpc-Message"}

// preflightAge is how long, in seconds, a browser may cache the answer to a preflight.
const preflightAge = "600"

// AllowOrigin lets the page that sent the request read our answer, if its origin is trusted.
// It reports whether it is.
func (a *API) AllowOrigin(h http.Header, r *http.Request) bool {
	if len(a.trusted) == 0 {
		return false
	}
	if !slices.Contains(h.Values("Vary"), "Origin") {
		h.Add("Vary", "Origin")
	}
	origin := r.Header["Origin"]
	if len(origin) != 1 || !slices.Contains(a.trusted, origin[0]) {
		return false
	}
	h["Access-Control-Allow-Origin"] = []string{origin[0]}
	h["Access-Control-Allow-Credentials"] = []string{"true"}
	h["Access-Control-Expose-Headers"] = exposedHeaders[:1:1]
	return true
}

// answerPreflight answers a preflight for one of our routes, after the origin was allowed. It
// reports whether the request was one.
func answerPreflight(w http.ResponseWriter, r *http.Request, at route) bool {
	if !IsPreflight(r) {
		return false
	}
	h := w.Header()
	h["Access-Control-Allow-Methods"] = []string{at.allow()}
	allowRequest(h, r)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// allowRequest allows the headers that a page wants to send. All are fine: the origin is
// trusted, and each route reads only the headers that it knows.
func allowRequest(h http.Header, r *http.Request) {
	delete(h, "Access-Control-Expose-Headers") // for answers that have content
	if asked := r.Header.Get("Access-Control-Request-Headers"); len(asked) <= maxHeaderNames && headerNames.MatchString(asked) {
		h["Access-Control-Allow-Headers"] = []string{asked}
	}
	h["Access-Control-Max-Age"] = []string{preflightAge}
}

// maxHeaderNames is the longest accepted list of names, in bytes.
const maxHeaderNames = 2048

var (
	headerNames = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+(, ?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*$")
	methodName  = regexp.MustCompile(`^[A-Za-z-]{1,32}$`)
)

// allowPreflight turns an app's answer to a preflight, whose headers are given, into one that
// allows a trusted origin, unless the app has decided itself. It reports whether it did.
func (a *API) allowPreflight(h http.Header, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if hasAccessControl(h) || !methodName.MatchString(method) || !a.AllowOrigin(h, r) {
		return false
	}
	h["Access-Control-Allow-Methods"] = []string{method}
	allowRequest(h, r)
	return true
}

// hasAccessControl reports whether an app has set CORS headers.
func hasAccessControl(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			return true
		}
	}
	return false
}
