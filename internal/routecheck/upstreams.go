package routecheck

import (
	"fmt"
	"slices"
)

// upstreams are the servers that requests reach, with and without a gateway before.
type upstreams struct {
	behind     []string        // addresses of the servers behind a gateway
	bypassing  []contentSource // reached without a gateway, so that they see headers that clients write
	errors     []contentSource // the same, from error routes
	upgradable []contentSource // a client may upgrade the connection before the gateway
	gateways   []place         // places with a gateway
	strips     []place         // places with a dodo_strip
	gated      []contentSource // behind a dodo_require or dodo_charge
	unguarded  []contentSource // in error routes, without such a gate and with a path that the client chooses
}

// place is a part of a server: for some hosts, or for any.
type place struct {
	server string
	hosts  []string
}

// contentSource is a reverse_proxy or a file_server.
type contentSource struct {
	place
	label, directive, address string
}

// anyFiles stands for the address of a file_server.
const anyFiles = "files"

func (u *upstreams) add(other upstreams) {
	u.behind = append(u.behind, other.behind...)
	u.bypassing = append(u.bypassing, other.bypassing...)
	u.errors = append(u.errors, other.errors...)
	u.upgradable = append(u.upgradable, other.upgradable...)
	u.gateways = append(u.gateways, other.gateways...)
	u.strips = append(u.strips, other.strips...)
	u.gated = append(u.gated, other.gated...)
	u.unguarded = append(u.unguarded, other.unguarded...)
}

// recordContent records what serves content behind gates, and what does so in error routes,
// where the gates of the site do not run.
func (w *walker) recordContent(h handler, dials []string, at flow) {
	to := contentSource{place: place{w.server.Name, w.hosts}, label: w.label, directive: h.directive()}
	for _, to.address = range dials {
		switch {
		case !w.inErrors && at.gate != never:
			w.upstreams.gated = append(w.upstreams.gated, to)
		case w.inErrors && at.gate == never && !at.pathFixed:
			w.upstreams.unguarded = append(w.upstreams.unguarded, to)
		}
	}
}

// recordUpstream records the servers to which a reverse_proxy passes requests. It returns
// those that see the request before any gateway.
func (w *walker) recordUpstream(h handler, at flow) []earlyUpstream {
	w.recordContent(h, h.dials(), at)
	clean := slices.Concat(at.removedPrefixes, removedPrefixes(h.child("headers")))
	to := contentSource{place: place{w.server.Name, w.hosts}, label: w.label, directive: h.directive()}
	switch {
	case at.gateway == surely:
		w.upstreams.behind = append(w.upstreams.behind, h.dials()...)
	case len(clean) > 0:
	case w.inErrors:
		w.upstreams.errors = append(w.upstreams.errors, to)
	case at.gateway == never && !isForwardAuth(h):
		for _, to.address = range h.dials() {
			w.upstreams.bypassing = append(w.upstreams.bypassing, to)
		}
	}
	if at.gateway != never {
		return nil
	}
	return []earlyUpstream{{
		directive: to.directive, dials: h.dials(), removedPrefixes: clean,
		noUpgrade: at.noUpgrade || removesHeader(h.child("headers"), "Upgrade"),
	}}
}

func (u *upstreams) report(report *Report) {
	for _, p := range u.upgradable {
		if slices.Contains(u.behind, p.address) {
			report.refuse(fmt.Sprintf("%s: %s passes requests to %s before dodo_gateway, and %s is also the app behind it: a client could leave HTTP there (Upgrade: h2c) and reach everything. Write dodo_strip into the site",
				p.label, p.directive, p.address, p.address))
		}
	}
	for _, p := range u.bypassing {
		if slices.Contains(u.behind, p.address) {
			report.warn(fmt.Sprintf("%s: requests reach %s here without dodo_gateway, and elsewhere behind it: the app would believe entitlement headers that a client wrote. Write dodo_gateway or dodo_strip before this %s",
				p.label, p.address, p.directive))
		}
	}
	for _, p := range u.errors {
		if slices.ContainsFunc(u.gateways, p.overlaps) && !slices.ContainsFunc(u.strips, p.overlaps) {
			report.warn(fmt.Sprintf("%s: handle_errors passes requests to a server by %s. After an error before dodo_gateway, such as a failed login, they have the entitlement headers that the client wrote. Begin handle_errors with dodo_gateway or dodo_strip, or write dodo_strip into the site",
				p.label, p.directive))
		}
	}
	for _, p := range u.unguarded {
		if slices.ContainsFunc(u.gated, p.servesLike) {
			report.warn(fmt.Sprintf("%s: %s in handle_errors serves what is behind dodo_require or dodo_charge elsewhere, and neither runs there: a client that causes an error, such as a failed login, gets it for nothing. Write `rewrite * /error.html` (the page to show) before this %s",
				p.label, p.directive, p.directive))
		}
	}
}

// servesLike reports whether both serve the same content of the same place.
func (p contentSource) servesLike(other contentSource) bool {
	return p.address == other.address && p.overlaps(other.place)
}

// overlaps reports whether a request can be for both.
func (p place) overlaps(other place) bool {
	if p.server != other.server {
		return false
	}
	if len(p.hosts) == 0 || len(other.hosts) == 0 {
		return true
	}
	return slices.ContainsFunc(p.hosts, func(host string) bool { return slices.Contains(other.hosts, host) })
}
