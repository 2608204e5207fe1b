package httpapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Pages of trusted_origins may read our answers with the visitor's login (CORS; Fetch,
// 3.3). Pages of any other origin get no such header, and "*" and "null" are never
// allowed: a sandboxed frame of any site has the origin "null".

// The response headers of ours that a page may read besides the simple ones.
var exposedHeaders = []string{"ETag, Location, Retry-After, Grpc-Status, Grpc-Message"}

// preflightAge is for how long, in seconds, a browser may remember the answer to a
// preflight.
const preflightAge = "600"

// AllowOrigin lets the page that sent the request read an answer of ours, if its origin
// is trusted. It reports whether that is so.
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

// answerPreflight answers a preflight for one of our routes, if the origin of the page
// that asks was allowed. It reports whether it did.
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

// allowRequest allows the headers that a page wants to send. Which ones they are does
// not matter here: the origin is trusted, and each route reads only what it knows.
func allowRequest(h http.Header, r *http.Request) {
	delete(h, "Access-Control-Expose-Headers") // for answers that have content
	if asked := r.Header.Get("Access-Control-Request-Headers"); len(asked) <= mostHeaderNames && headerNames.MatchString(asked) {
		h["Access-Control-Allow-Headers"] = []string{asked}
	}
	h["Access-Control-Max-Age"] = []string{preflightAge}
}

// mostHeaderNames is how long a list of names may be, in bytes.
const mostHeaderNames = 2048

var (
	headerNames = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+(, ?[A-Za-z0-9!#$%&'*+.^_`|~-]+)*$")
	methodName  = regexp.MustCompile(`^[A-Za-z-]{1,32}$`)
)

// allowPreflight turns an app's answer to a preflight, whose headers are given, into one
// that allows a trusted origin, unless the app has decided that itself. It reports
// whether it did.
func (a *API) allowPreflight(h http.Header, r *http.Request) bool {
	method := r.Header.Get("Access-Control-Request-Method")
	if hasAccessControl(h) || !methodName.MatchString(method) || !a.AllowOrigin(h, r) {
		return false
	}
	h["Access-Control-Allow-Methods"] = []string{method}
	allowRequest(h, r)
	return true
}

// hasAccessControl reports whether an app knows CORS.
func hasAccessControl(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			return true
		}
	}
	return false
}
