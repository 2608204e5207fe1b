package simcontrol

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// authorize returns why a request may not use the control API; nil if it may.
func (s *Server) authorize(r *http.Request) error {
	site := r.Header.Get("Sec-Fetch-Site")
	if s.origins.Check(r) != nil || site == "cross-site" || site == "same-site" {
		return &problem{http.StatusForbidden, "CROSS_SITE", "the control API takes no requests of other sites"}
	}
	if given := r.Header.Get("Authorization"); given != "" {
		if !s.hasKey(given) {
			return &problem{http.StatusUnauthorized, "UNAUTHORIZED", "the API key is wrong"}
		}
		return nil
	}
	if !isLocal(r) {
		return &problem{http.StatusUnauthorized, "UNAUTHORIZED", "from elsewhere, or by another name than localhost, the control API needs the API key"}
	}
	return nil
}

func (s *Server) hasKey(authorization string) bool {
	scheme, key, _ := strings.Cut(authorization, " ")
	return strings.EqualFold(scheme, "Bearer") &&
		subtle.ConstantTimeCompare([]byte(strings.TrimSpace(key)), []byte(s.options.APIKey)) == 1
}

// proxyHeaders are added by proxies and tunnels, which pass requests from elsewhere to this
// machine.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
	"Cf-Connecting-Ip", "True-Client-Ip", "X-Original-Forwarded-For", "Ngrok-Trace-Id",
}

// isLocal reports whether a request comes from this machine, and names it by a host name that
// nobody else can point to it.
func isLocal(r *http.Request) bool {
	for _, name := range proxyHeaders {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && peer.Addr().Unmap().IsLoopback() && loopbackName(r.Host)
}

func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
