// Package routecheck reads the routes of HTTP servers, as Caddy's JSON config has
// them, and says what cannot work there: questions about an account that are asked
// before anything knows the account, requests that reach an app around the gateway,
// addresses that no site answers. It knows no Caddy; package caddymodule hands it
// the routes when a config is loaded.
//
// A refusal is given only for what no request can make right. Whatever may be right
// is a warning.
package routecheck

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// The names of our modules in the JSON config.
const (
	gatewayHandler  = "dodo_gateway"
	webhookHandler  = "dodo_webhook"
	requireHandler  = "dodo_require"
	chargeHandler   = "dodo_charge"
	stripHandler    = "dodo_strip"
	entitledMatcher = "dodo_entitled"
)

// Server is an HTTP server of the config.
type Server struct {
	Name   string
	Listen []string
	Routes []Route
	Errors []Route          // that answer errors
	Named  map[string]Route // for the handler invoke

	// TrustsProxies: another proxy stands in front.
	TrustsProxies bool
}

// Route is a route in the form of Caddy's JSON config.
type Route struct {
	Group    string                       `json:"group,omitempty"`
	Match    []map[string]json.RawMessage `json:"match,omitempty"`
	Handle   []json.RawMessage            `json:"handle,omitempty"`
	Terminal bool                         `json:"terminal,omitempty"`
}

// Settings is what the check must know of the rest of the config.
type Settings struct {
	// HeaderPrefix begins the entitlement headers of a gateway that names no prefix.
	HeaderPrefix string

	// PublicHost is the host of public_url; empty is none.
	PublicHost string

	// MatchEmail is what says an address that adopts purchases, and that it is verified.
	MatchEmail []string

	// NeedsPublicURL: the global option has no public_url.
	NeedsPublicURL bool

	// IsLive: customers pay with real money, so that no site is a trial.
	IsLive bool
}

// Report is what is wrong, in sentences for the operator.
type Report struct {
	Refusals []string // the config cannot work
	Warnings []string // the config may not do what it was written for
}

func (r *Report) refuse(text string) { r.Refusals = appendOnce(r.Refusals, text) }
func (r *Report) warn(text string)   { r.Warnings = appendOnce(r.Warnings, text) }

func appendOnce(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// Check reads all servers of a config.
func Check(servers []Server, settings Settings) Report {
	var (
		report Report
		sites  []site
		hooks  []hook
		past   upstreams
	)
	for i := range servers {
		w := newWalker(&servers[i], settings, &report)
		w.walk()
		sites = append(sites, w.sites...)
		hooks = append(hooks, w.hooks...)
		past.add(w.upstreams)
		checkLogins(&servers[i], w.sites, settings, &report)
	}
	checkQuestions(sites, &report)
	past.report(&report)
	checkAddresses(sites, settings, &report)
	checkHooks(hooks, &report)
	return report
}

// site is a place at which requests meet dodo_gateway or dodo_webhook.
type site struct {
	label   string
	hosts   []string // empty is any
	server  *Server
	at      string  // how a sentence about it ends: with the place in the Caddyfile
	claims  []claim // of the gateway about whoever makes a request
	asks    string  // the address that the gateway asks who a visitor is; empty for none
	part    bool    // only some requests for the hosts get there
	public  string  // the gateway's own public_url
	gateway bool
	login   reach    // that has run before it
	headers []string // that may have been set before it
}

// isLocal reports whether only this machine can reach the site.
func (s site) isLocal() bool {
	return all(s.hosts, isLoopbackHost) || all(s.server.Listen, isLoopbackListener)
}

func all(list []string, is func(string) bool) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(text string) bool { return !is(text) })
}

func isLoopbackHost(host string) bool {
	host = strings.ToLower(strings.Trim(host, "[]"))
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

func isLoopbackListener(address string) bool {
	if strings.HasPrefix(address, "unix") {
		return true
	}
	if _, rest, found := strings.Cut(address, "/"); found { // tcp/127.0.0.1:80
		address = rest
	}
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopbackHost(host)
}
