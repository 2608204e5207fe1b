package routecheck

import (
	"fmt"
	"slices"
)

// upstreams are the servers that requests reach, with and without a gateway before.
type upstreams struct {
	behind []string  // the addresses of those behind a gateway
	around []passage // to those that see what clients write
	errors []passage // the same, from error routes
	asked  []passage // to those that a client may upgrade to before the gateway
	gates  []place   // that have a gateway
	strips []place   // that have a dodo_strip
	gated  []passage // to those behind a dodo_require or dodo_charge
	open   []passage // from error routes, without such a gate and with the client's path
}

// place is a part of a server: what is for some hosts, or for any.
type place struct {
	server string
	hosts  []string
}

// passage is a reverse_proxy or a file_server.
type passage struct {
	place
	label, directive, dial string
}

// anyFiles is the address of file_server.
const anyFiles = "files"

func (u *upstreams) add(other upstreams) {
	u.behind = append(u.behind, other.behind...)
	u.around = append(u.around, other.around...)
	u.errors = append(u.errors, other.errors...)
	u.asked = append(u.asked, other.asked...)
	u.gates = append(u.gates, other.gates...)
	u.strips = append(u.strips, other.strips...)
	u.gated = append(u.gated, other.gated...)
	u.open = append(u.open, other.open...)
}

// content notes what serves content behind gates, and what does so in error routes, where
// the gates of the site do not run.
func (w *walker) content(h handler, dials []string, at flow) {
	to := passage{place: place{w.server.Name, w.hosts}, label: w.label, directive: h.directive()}
	for _, to.dial = range dials {
		switch {
		case !w.inErrors && at.gate != never:
			w.upstreams.gated = append(w.upstreams.gated, to)
		case w.inErrors && at.gate == never && !at.fixed:
			w.upstreams.open = append(w.upstreams.open, to)
		}
	}
}

// upstream notes to which servers a reverse_proxy passes requests. It returns what
// has seen the request before any gateway.
func (w *walker) upstream(h handler, at flow) []passed {
	w.content(h, h.dials(), at)
	clean := slices.Concat(at.clean, removedPrefixes(h.child("headers")))
	to := passage{place: place{w.server.Name, w.hosts}, label: w.label, directive: h.directive()}
	switch {
	case at.gateway == surely:
		w.upstreams.behind = append(w.upstreams.behind, h.dials()...)
	case len(clean) > 0:
	case w.inErrors:
		w.upstreams.errors = append(w.upstreams.errors, to)
	case at.gateway == never && !isForwardAuth(h):
		for _, to.dial = range h.dials() {
			w.upstreams.around = append(w.upstreams.around, to)
		}
	}
	if at.gateway != never {
		return nil
	}
	return []passed{{
		directive: to.directive, dials: h.dials(), clean: clean,
		stays: at.stays || removesHeader(h.child("headers"), "Upgrade"),
	}}
}

func (u *upstreams) report(report *Report) {
	for _, p := range u.asked {
		if slices.Contains(u.behind, p.dial) {
			report.refuse(fmt.Sprintf("%s: %s passes requests to %s before dodo_gateway, and %s is also the app behind it: a client could leave HTTP there (Upgrade: h2c) and reach everything. Write dodo_strip into the site",
				p.label, p.directive, p.dial, p.dial))
		}
	}
	for _, p := range u.around {
		if slices.Contains(u.behind, p.dial) {
			report.warn(fmt.Sprintf("%s: requests reach %s here without dodo_gateway, and elsewhere behind it: the app would believe entitlement headers that a client wrote. Write dodo_gateway or dodo_strip before this %s",
				p.label, p.dial, p.directive))
		}
	}
	for _, p := range u.errors {
		if slices.ContainsFunc(u.gates, p.overlaps) && !slices.ContainsFunc(u.strips, p.overlaps) {
			report.warn(fmt.Sprintf("%s: handle_errors passes requests to a server by %s. After an error before dodo_gateway, such as a failed login, they have the entitlement headers that the client wrote. Begin handle_errors with dodo_gateway or dodo_strip, or write dodo_strip into the site",
				p.label, p.directive))
		}
	}
	for _, p := range u.open {
		if slices.ContainsFunc(u.gated, p.servesLike) {
			report.warn(fmt.Sprintf("%s: %s in handle_errors serves what is behind dodo_require or dodo_charge elsewhere, and neither runs there: a client that causes an error, such as a failed login, gets it for nothing. Write `rewrite * /error.html` (the page to show) before this %s",
				p.label, p.directive, p.directive))
		}
	}
}

// servesLike reports whether both serve the same content of the same place.
func (p passage) servesLike(other passage) bool {
	return p.dial == other.dial && p.overlaps(other.place)
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
