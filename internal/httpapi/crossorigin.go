package httpapi

import (
	"net/http"
	"strings"
)

// CheckSpending returns [ErrCrossOrigin] if a page of another site made a visitor's browser
// send the request, with a login that the browser adds automatically, such as a cookie.
// [http.CrossOriginProtection] decides, as for our own routes.
//
// A browser never adds a bearer token automatically, so a request with one passes. If the
// login looks at cookies only, a page could invent the token, so the cookie counts. Methods
// that change nothing pass too, unless reads is true. A WebSocket handshake does not: it is a
// GET that any page may send without a preflight.
func (a *API) CheckSpending(r *http.Request, reads bool) error {
	if !a.noBearer && hasBearer(r.Header) {
		return nil
	}
	if reads || len(r.Header["Upgrade"]) > 0 {
		r = &http.Request{Method: http.MethodPost, Host: r.Host, URL: r.URL, Header: r.Header} // check it like a request that changes something
	}
	if a.origins.Check(r) != nil {
		return ErrCrossOrigin
	}
	return nil
}

// hasBearer reports whether a request has a bearer token (RFC 6750, 2.1).
func hasBearer(header http.Header) bool {
	lines := header["Authorization"]
	if len(lines) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}
