package routecheck

import (
	"cmp"
	"slices"
)

// certainty says whether something has happened to a request when it reaches a place.
type certainty int

const (
	never certainty = iota
	perhaps
	surely
)

// flow is what a part of a config does to the requests that continue after it.
type flow struct {
	gateway         certainty       // a dodo_gateway has run
	login           certainty       // something that handles logins has run
	gate            certainty       // a dodo_require or dodo_charge has run
	loginGuard      string          // the directive of a login that refuses every request without one
	limitsBody      bool            // bodies as large as a webhook are certainly refused
	webhookTaken    bool            // a dodo_webhook comes before this place
	basePath        string          // the base path of the gateway that has certainly run
	strippedPrefix  string          // what has certainly been stripped from the path
	pathFixed       bool            // the path has certainly been replaced, so that the client does not choose it
	removedPrefixes []string        // the prefixes of headers that have certainly been removed
	noUpgrade       bool            // upgrades have certainly been removed, so that it stays HTTP
	headers         []string        // request headers that may have been set, in lower case
	mapped          []string        // placeholders that a map fills from ours when they are read
	redirects       []redirect      // redirects that may have answered the request
	seenBy          []earlyUpstream // the servers that have seen the request before any gateway
	ends            bool            // no request continues after it
}

// earlyUpstream is a server that sees a request before a gateway; the request continues
// afterwards.
type earlyUpstream struct {
	directive       string
	dials           []string
	removedPrefixes []string
	noUpgrade       bool
}

// then is the flow of f followed by g.
func (f flow) then(g flow) flow {
	return flow{
		basePath:        cmp.Or(g.basePath, f.basePath),
		gateway:         max(f.gateway, g.gateway),
		login:           max(f.login, g.login),
		gate:            max(f.gate, g.gate),
		loginGuard:      cmp.Or(f.loginGuard, g.loginGuard),
		limitsBody:      f.limitsBody || g.limitsBody,
		webhookTaken:    f.webhookTaken || g.webhookTaken,
		redirects:       slices.Concat(f.redirects, g.redirects),
		strippedPrefix:  f.strippedPrefix + g.strippedPrefix,
		pathFixed:       f.pathFixed || g.pathFixed,
		removedPrefixes: slices.Concat(f.removedPrefixes, g.removedPrefixes),
		noUpgrade:       f.noUpgrade || g.noUpgrade,
		headers:         slices.Concat(f.headers, g.headers),
		mapped:          slices.Concat(f.mapped, g.mapped),
		seenBy:          slices.Concat(f.seenBy, g.seenBy),
		ends:            f.ends || g.ends,
	}
}

// optional is the flow of a part that only some requests reach.
func (f flow) optional() flow {
	if f.ends { // a request that reaches it does not continue
		return flow{seenBy: f.seenBy, webhookTaken: f.webhookTaken, redirects: f.redirects}
	}
	f.gateway, f.login, f.gate = min(f.gateway, perhaps), min(f.login, perhaps), min(f.gate, perhaps)
	f.removedPrefixes, f.noUpgrade, f.pathFixed, f.loginGuard, f.limitsBody, f.basePath, f.strippedPrefix = nil, false, false, "", false, "", ""
	return f
}
