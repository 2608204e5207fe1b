package routecheck

import (
	"cmp"
	"slices"
)

// reach says whether something has happened when a request gets to a place.
type reach int

const (
	never reach = iota
	perhaps
	surely
)

// flow is what a part of a config does to requests that go on behind it.
type flow struct {
	gateway   reach      // a dodo_gateway has run
	login     reach      // something that knows logins has run
	gate      reach      // a dodo_require or dodo_charge has run
	guard     string     // a login that refuses every request without one: its directive
	small     bool       // bodies as large as a webhook are refused for certain
	hooked    bool       // a dodo_webhook stands before this place
	base      string     // the base path of the gateway that has run for certain
	stripped  string     // what has been taken off the front of the path for certain
	fixed     bool       // the path has been replaced for certain, so that the client does not choose it
	clean     []string   // the prefixes of headers that have been removed for certain
	stays     bool       // upgrades have been removed for certain, so that it stays HTTP
	headers   []string   // request headers that may have been set, in lower case
	mapped    []string   // placeholders that a map fills from ours, when they are asked for
	redirects []redirect // that may have ended the request
	asked     []passed   // the servers that have seen the request, before any gateway
	ends      bool       // nothing goes on behind it
}

// passed is a server that has seen a request, which then goes on.
type passed struct {
	directive string
	dials     []string
	clean     []string
	stays     bool
}

func (f flow) then(g flow) flow {
	return flow{
		base:      cmp.Or(g.base, f.base),
		gateway:   max(f.gateway, g.gateway),
		login:     max(f.login, g.login),
		gate:      max(f.gate, g.gate),
		guard:     cmp.Or(f.guard, g.guard),
		small:     f.small || g.small,
		hooked:    f.hooked || g.hooked,
		redirects: slices.Concat(f.redirects, g.redirects),
		stripped:  f.stripped + g.stripped,
		fixed:     f.fixed || g.fixed,
		clean:     slices.Concat(f.clean, g.clean),
		stays:     f.stays || g.stays,
		headers:   slices.Concat(f.headers, g.headers),
		mapped:    slices.Concat(f.mapped, g.mapped),
		asked:     slices.Concat(f.asked, g.asked),
		ends:      f.ends || g.ends,
	}
}

// orNot is the flow of a part that not every request gets to.
func (f flow) orNot() flow {
	if f.ends { // a request that gets there goes nowhere else
		return flow{asked: f.asked, hooked: f.hooked, redirects: f.redirects}
	}
	f.gateway, f.login, f.gate = min(f.gateway, perhaps), min(f.login, perhaps), min(f.gate, perhaps)
	f.clean, f.stays, f.fixed, f.guard, f.small, f.base, f.stripped = nil, false, false, "", false, "", ""
	return f
}
