package caddymodule

import (
	"net/http"

	"github.com/dodogate/dodogate/config"
)

// claims are what a client may not say: what an account may do, and that it leaves HTTP.
type claims struct {
	own      *ownNames
	upgrades upgrades
}

// newClaims makes the rule from the prefix of our headers and the option upgrades.
func newClaims(prefix string, moreUpgrades []string) (claims, error) {
	names, err := config.NewHeaderNames(prefix)
	if err != nil {
		return claims{}, err
	}
	upgrades, err := newUpgrades(moreUpgrades, names.All())
	if err != nil {
		return claims{}, err
	}
	return claims{own: newOwnNames(append(names.All(), upgrades.settings()...)), upgrades: upgrades}, nil
}

// strip removes all claims from a request: our headers and declared trailers in any
// spelling, trailers that arrive with the end of the body, upgrades that are not
// allowed, and the names of all these on Connection lines, by which a client could have
// the proxy drop what we set (RELIABILITY 0.3, 0.4, 6.1).
//
// It returns the guard that it puts before the body, or nil if there is no body. Caddy
// hands on an empty body as one, but in HTTP/1 nothing follows a request of length 0,
// neither body nor trailers.
func (c claims) strip(r *http.Request) *trailerGuard {
	tokens := c.upgrades.barred
	if c.upgrades.keep(r.Header) {
		tokens = c.own
	}
	c.own.removeFrom(r.Header)
	tokens.removeTokens(r.Header, "Connection")
	c.upgrades.barred.removeFrom(r.Trailer)
	if r.Body == nil || r.Body == http.NoBody || r.ProtoMajor == 1 && r.ContentLength == 0 {
		return nil
	}
	guard := &trailerGuard{ReadCloser: r.Body, request: r, own: c.upgrades.barred}
	r.Body = guard
	return guard
}
