package identity

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") || err == nil && addr.IsLoopback()
}

// cookieName is what a cookie may be called (RFC 6265, 4.1.1).
var cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,128}$")

func isCookieName(name string) bool { return cookieName.MatchString(name) }

// newTransport has a bound for everything that a server could make last long. It goes
// through the proxy of the environment only if that is wanted.
func newTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	const (
		patience = 5 * time.Second
		idle     = 90 * time.Second
	)
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: patience}).DialContext,
		TLSHandshakeTimeout:    patience,
		ResponseHeaderTimeout:  patience,
		IdleConnTimeout:        idle,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// withoutURL is the cause of a failed call, without its address, which may have a key in
// it.
func withoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}
