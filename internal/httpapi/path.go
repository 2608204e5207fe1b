package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Two questions are asked about a path, and they have different safe answers.
//
// Which route is it? Answered from the path decoded once, in lower case, with
// slashes merged and dots resolved: exactly what Caddy's own path matcher
// compares, so that a rule of the operator about /payments/checkout cannot be
// walked around by another spelling of it (RELIABILITY 6.2).
//
// Is it ours at all? Answered for every reader that might come after us, also
// one that decodes twice, takes a backslash for a slash, drops what follows a
// semicolon, or resolves dots before it decodes. A request that any of them
// could take for one at or below the base path is ours, and then a 404 unless it
// is a route. The price is a 404 for detours like /payments/../x, which browsers
// and client libraries resolve before they send them.

// basePath is the base path in the forms that it is compared in.
type basePath struct {
	path     string   // as configured, for links
	lower    string   // in lower case
	segments []string // of lower
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*)+$`)

func newBasePath(p string) (basePath, error) {
	const most = 256
	if len(p) > most || !plainPath.MatchString(p) {
		return basePath{}, fmt.Errorf("base path %q must be like /payments: plain segments, no slash at the end", p)
	}
	lower := strings.ToLower(p)
	return basePath{path: p, lower: lower, segments: strings.Split(lower[1:], "/")}, nil
}

// Owns reports whether the request is for the base path or below, in whatever
// spelling. Such a request must be answered by the API, be it by a 404, and never
// be passed on.
func (a *API) Owns(r *http.Request) bool {
	u := r.URL
	switch {
	case a.base.contains(u.Path):
		return true
	case strings.Contains(u.Path, ";"):
		return a.base.contains(withoutParameters(u.EscapedPath()))
	default:
		return u.Opaque != "" && a.base.contains(u.Opaque)
	}
}

// withoutParameters drops what follows a semicolon in each segment, like servlets
// do, before anything is decoded: an encoded slash in there separates nothing.
func withoutParameters(raw string) string {
	segments := strings.Split(raw, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// route is the part of a decoded path below the base path, which begins with a
// slash; "" when there is none, and for every other path.
func (b basePath) route(decoded string) string {
	lower := strings.ToLower(decoded)
	clean := lower
	if !strings.HasPrefix(clean, "/") {
		clean = "/" + clean
	}
	clean = path.Clean(clean)
	switch lower[strings.LastIndexByte(lower, '/')+1:] {
	case "", ".", "..": // it names a directory
		clean += "/"
	}
	name, ok := strings.CutPrefix(clean, b.lower)
	if !ok || name != "" && name[0] != '/' {
		return ""
	}
	return name
}

// contains reports whether any reader might take the path for the base path or
// one below it.
func (b basePath) contains(p string) bool {
	p = fold(unescape(p))
	last := b.segments[len(b.segments)-1]
	if !strings.Contains(p, last) {
		return false
	}
	var (
		depth  int    // how many segments there were
		prefix = true // those agreed with the base path's
		climbs bool   // some segment is ".."
		named  bool   // some segment is the base path's last
	)
	for segment := range strings.SplitSeq(p, "/") {
		if i := strings.IndexAny(segment, ";?#"); i >= 0 {
			segment = segment[:i]
		}
		if segment == ".." {
			climbs = true
			continue
		}
		if segment = strings.TrimRight(segment, "."); segment == "" {
			continue
		}
		named = named || segment == last
		if depth < len(b.segments) {
			prefix = prefix && segment == b.segments[depth]
		}
		depth++
	}
	// Where a path with dots leads depends on who resolves them, and when.
	return climbs && named || prefix && depth >= len(b.segments)
}

// fold makes characters that some reader takes for the same the same, and drops
// those that some reader drops.
func fold(p string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\\':
			return '/'
		case c == 0: // where C ends a string
			return ';'
		case c <= ' ' || c == 0x7f:
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(c)) // so that ſ is s
	}, p)
}

// unescape undoes percent-encoding until none is left, in one pass: what it has
// just decoded may complete another escape. Anything else after a percent sign
// stays as it is.
func unescape(p string) string {
	if !strings.Contains(p, "%") {
		return p
	}
	out := make([]byte, 0, len(p))
	for i := range len(p) {
		out = append(out, p[i])
		for len(out) >= 3 && out[len(out)-3] == '%' {
			n := len(out)
			c, err := strconv.ParseUint(string(out[n-2:]), 16, 8)
			if err != nil {
				break
			}
			out = append(out[:n-3], byte(c))
		}
	}
	return string(out)
}

// link is an address of ours on this site, below the base path.
func (b basePath) link(name string, query url.Values) string {
	return b.path + name + "?" + query.Encode()
}
