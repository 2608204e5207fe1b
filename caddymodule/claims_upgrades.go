package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// upgrades decides which requests may leave HTTP on their connection. A client that
// gets a 101 talks to the app itself from then on, and nobody strips its headers or
// asks gates: a client that switches to HTTP/2 (`Upgrade: h2c`) can ask for everything.
//
// There are three ways out of HTTP: the header Upgrade (RFC 9110, 7.8), the method
// CONNECT with or without a protocol (RFC 9110, 9.3.6; RFC 8441; RFC 9220), and the
// first line of HTTP/2 on a connection of HTTP/1, which looks like the method PRI
// (RFC 9113, 3.4).
type upgrades struct {
	allowed []string // names of protocols, in lower case
	// barred are the names that a Connection line or a trailer of a request that stays
	// HTTP may not have.
	barred *ownNames
}

// newUpgrades makes the rule from the option upgrades. own are the names that are
// removed in any case.
func newUpgrades(more, own []string) (upgrades, error) {
	allowed, err := config.Upgrades(more)
	if err != nil {
		return upgrades{}, err
	}
	return upgrades{allowed: allowed, barred: newOwnNames(append(slices.Clone(own), "Upgrade", "HTTP2-Settings", "Connection"))}, nil
}

// settings is the header that goes with an upgrade to HTTP/2, which is removed unless
// that is allowed.
func (u upgrades) settings() []string {
	if slices.Contains(u.allowed, "h2c") {
		return nil
	}
	return []string{"HTTP2-Settings"}
}

// keep reports whether a request may ask for its upgrade. If it may not, or asks for
// none, the header Upgrade is gone. It must name one protocol on one line: proxies and
// apps differ in what they make of a list.
func (u upgrades) keep(header http.Header) bool {
	lines, found := header["Upgrade"]
	if !found {
		return false
	}
	if len(lines) == 1 && u.allows(lines[0]) {
		return true
	}
	delete(header, "Upgrade")
	return false
}

// allows compares as the Upgrade header is compared: without case, ASCII only.
func (u upgrades) allows(protocol string) bool {
	return slices.ContainsFunc(u.allowed, func(word string) bool {
		return len(word) == len(protocol) && strings.EqualFold(word, protocol)
	})
}

// refuses reports whether a request is for a tunnel that is not allowed. The protocol
// of a CONNECT is compared as reverse_proxy does: in lower case.
func (u upgrades) refuses(r *http.Request) bool {
	switch r.Method {
	case http.MethodConnect:
		return !slices.Contains(u.allowed, connectProtocol(r))
	case "PRI":
		return true
	}
	return false
}

// refuseTunnel answers a request that upgrades.refuses.
func refuseTunnel(w http.ResponseWriter, r *http.Request) {
	metrics.refusedWith(httpapi.ProblemOf(httpapi.ErrTunnel).Code)
	httpapi.WriteError(own(w), r, httpapi.ErrTunnel)
}

// connectProtocol is the protocol of an extended CONNECT; empty for any other. net/http
// has it in a header in HTTP/2, and quic-go in Proto in HTTP/3.
func connectProtocol(r *http.Request) string {
	switch r.ProtoMajor {
	case 2:
		return r.Header.Get(":protocol")
	case 3:
		return r.Proto
	}
	return ""
}
