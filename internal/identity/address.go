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

// cookieName is the form of a cookie's name (RFC 6265, 4.1.1).
var cookieName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,128}$")

func isCookieName(name string) bool { return cookieName.MatchString(name) }

// newTransport makes a transport with time-outs and limits. It uses the proxy function that is
// given; nil is no proxy.
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

// stripURL is the cause of a failed call without its address, which may contain a key.
func stripURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	}
	return err
}
