// Package routecheck reads the routes of HTTP servers in Caddy's JSON config, and reports what
// cannot work: references to an account before the account is known, requests that bypass the
// gateway on their way to an app, addresses that no site serves. It does not import Caddy;
// package caddymodule passes it the routes when a config is loaded.
//
// It refuses only what no request can make right. Anything else is a warning.
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
	Errors []Route          // error routes
	Named  map[string]Route // for the handler invoke

	// TrustsProxies: another proxy is in front of it.
	TrustsProxies bool
}

// Route is a route in the form of Caddy's JSON config.
type Route struct {
	Group    string                       `json:"group,omitempty"`
	Match    []map[string]json.RawMessage `json:"match,omitempty"`
	Handle   []json.RawMessage            `json:"handle,omitempty"`
	Terminal bool                         `json:"terminal,omitempty"`
}

// Settings are the parts of the config outside the routes that the check needs.
type Settings struct {
	// HeaderPrefix begins the entitlement headers of gateways without a prefix of their own.
	HeaderPrefix string

	// PublicHost is the host of public_url; empty for none.
	PublicHost string

	// MatchEmail are the placeholders of match_email: the address that adopts purchases, and
	// whether it is verified.
	MatchEmail []string

	// NeedsPublicURL: the global option has no public_url.
	NeedsPublicURL bool

	// IsLive: customers pay with real money, so no site is a trial.
	IsLive bool
}

// Report lists what is wrong, in sentences for the operator.
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
		hooks  []webhookPlace
		all    upstreams
	)
	for i := range servers {
		w := newWalker(&servers[i], settings, &report)
		w.walk()
		sites = append(sites, w.sites...)
		hooks = append(hooks, w.webhooks...)
		all.add(w.upstreams)
		checkLogins(&servers[i], w.sites, settings, &report)
	}
	checkAskLoops(sites, &report)
	all.report(&report)
	checkAddresses(sites, settings, &report)
	checkWebhooks(hooks, &report)
	return report
}

// site is a place where requests reach dodo_gateway or dodo_webhook.
type site struct {
	label         string
	hosts         []string // empty for any
	server        *Server
	location      string         // ends a sentence about it with its place in the Caddyfile
	identityTexts []identityText // the gateway's settings that say who makes a request
	askURL        string         // the address at which the gateway asks who a visitor is; empty for none
	isPartial     bool           // only some requests for the hosts reach it
	publicURL     string         // the gateway's own public_url
	gateway       bool
	login         certainty // whether a login has run before it
	headers       []string  // request headers that may have been set before it
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
