package httpapi

import (
	"net/http"
	"strings"
)

// CheckSpending returns [ErrCrossOrigin] for a request that a page of another site has a
// visitor's browser send, with a login that the browser adds by itself: a cookie, for
// one. [http.CrossOriginProtection] judges, as for our own routes.
//
// A bearer token is nothing that a browser adds by itself, so such a request passes. If the
// login looks at cookies only, the token is made up by the page, and the cookie counts.
// Methods that change nothing pass too, unless reads says otherwise; but a handshake
// for a WebSocket does not: it is a GET that any page may send, and no preflight asks
// before.
func (a *API) CheckSpending(r *http.Request, reads bool) error {
	if !a.noBearer && hasBearer(r.Header) {
		return nil
	}
	if reads || len(r.Header["Upgrade"]) > 0 {
		r = &http.Request{Method: http.MethodPost, Host: r.Host, URL: r.URL, Header: r.Header} // judged as if it changed something
	}
	if a.origins.Check(r) != nil {
		return ErrCrossOrigin
	}
	return nil
}

// hasBearer reports whether a request brings a token of its own (RFC 6750, 2.1).
func hasBearer(header http.Header) bool {
	lines := header["Authorization"]
	if len(lines) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}
