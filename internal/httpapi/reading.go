package httpapi

import (
	"net/http"
	"net/url"
	"strings"
)

// Reading is the set of paths that a request might be read as asking for.
//
// A gate decides by a path what it protects, and the app behind it decides by a path what it
// serves. A spelling that the two read differently would bypass the gate. So our checks look
// at each path that some server might find in the request: servers that decode once, twice or
// not at all, resolve dots before or after that, drop what follows a semicolon, and so on, in
// any order. They look at the original address, the rewritten one, and routing headers. The
// price is that an unusual spelling of something free may be treated as protected.
//
// There are two questions. Which paths might the request mean? Gates and the base path need
// that, and Reading answers it. Which route is it? That check is strict, see basePath.
type Reading struct {
	request  *http.Request
	original *url.URL
	cached   func(*http.Request) *Spellings
}

// NewReading is the reading of a request in its current state. original is the address before
// the host rewrote it. cached returns what is kept for the request between calls; it is called
// only for a request that can be read in more than one way.
func NewReading(r *http.Request, original *url.URL, cached func(*http.Request) *Spellings) Reading {
	return Reading{request: r, original: original, cached: cached}
}

// uncachedReading is a reading for hosts that rewrite nothing and cache nothing.
func uncachedReading(r *http.Request) Reading {
	return NewReading(r, r.URL, func(*http.Request) *Spellings { return new(Spellings) })
}

// MatchPath reports whether one of the patterns matches a path that a request, which nobody
// has rewritten, might mean.
func MatchPath(patterns []PathPattern, r *http.Request) bool {
	return uncachedReading(r).Matches(patterns)
}

// Matches reports whether one of the patterns matches a path that the request might mean, by
// its addresses or a routing header.
func (g Reading) Matches(patterns []PathPattern) bool {
	return g.pathMatches(patterns) || g.headerMatches(patterns)
}

// pathMatches is [Reading.Matches] without the headers.
func (g Reading) pathMatches(patterns []PathPattern) bool {
	now, isPlain := plainPath(g.request.URL)
	if g.rewritten() && isPlain {
		var original string
		original, isPlain = plainPath(g.original)
		if isPlain && plainMatches(patterns, original) {
			return true
		}
	}
	if isPlain {
		return plainMatches(patterns, now)
	}
	spellings := g.cached(g.request)
	spellings.addPaths(g)
	return spellings.paths.match(patterns)
}

// headerMatches checks the headers by which some apps route.
func (g Reading) headerMatches(patterns []PathPattern) bool {
	if !HasRoutingHeaders(g.request.Header) {
		return false
	}
	spellings := g.cached(g.request)
	if spellings.trusted {
		return false
	}
	spellings.addHeaders(g)
	return spellings.headers.match(patterns)
}

func (g Reading) rewritten() bool { return !sameAddress(g.original, g.request.URL) }

func sameAddress(a, b *url.URL) bool {
	return a == b || a.Path == b.Path && a.RawPath == b.RawPath && a.Opaque == b.Opaque
}

// plainPath is the path of an address in lower case. isPlain reports whether it can be read in
// only one way, apart from [withoutSidecar] and [withoutIndex].
func plainPath(u *url.URL) (p string, isPlain bool) {
	if u.Opaque != "" || u.RawPath != "" || u.Path == "" || u.Path[0] != '/' {
		return "", false
	}
	p = u.Path
	upper, lastDot := false, -1
	for i := range len(p) {
		switch c := p[i]; plainClass[c] {
		case letter:
		case capital:
			upper = true
		case fullStop:
			lastDot = i
		case slash:
			if i == 0 {
				continue
			}
			if p[i-1] == '/' || p[i-1] == '.' || lastDot >= 0 && isScript(strings.ToLower(p[lastDot+1:i])) {
				return "", false
			}
			lastDot = -1
		default:
			return "", false
		}
	}
	if p[len(p)-1] == '.' {
		return "", false
	}
	if upper {
		return strings.ToLower(p), true
	}
	return p, true
}

// The classes of bytes in a plain path.
const (
	letter = iota + 1
	capital
	fullStop
	slash
)

var plainClass = func() (of [256]byte) {
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789-_~@:+,=!$&'()*" {
		of[c] = letter
	}
	for c := 'A'; c <= 'Z'; c++ {
		of[c] = capital
	}
	of['.'], of['/'] = fullStop, slash
	return of
}()

// plainMatches applies the two rewrites that may still change a plain path.
func plainMatches(patterns []PathPattern, p string) bool {
	for !matchesAny(patterns, p) {
		next := withoutSidecar(p)
		if next == p {
			next = withoutIndex(p)
		}
		if next == p {
			return false
		}
		p = next
	}
	return true
}
