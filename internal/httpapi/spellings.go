package httpapi

import (
	"net/url"
	"slices"
	"strings"
)

// Spellings are the paths that some server might find in one request. They are kept with the
// request, so that it is read once however many gates ask; later changes of the request are
// added. The zero value is empty.
type Spellings struct {
	paths   spellingSet
	headers spellingSet
	trusted bool

	addresses []url.URL     // already in paths, without their queries
	lines     []routingLine // already in headers
}

// TrustHeaders says that a trusted proxy has set the routing headers of the request, so that
// gates can ignore them.
func (s *Spellings) TrustHeaders() { s.trusted = true }

// String is the value of a placeholder.
func (*Spellings) String() string { return "spellings" }

// Work is the number of bytes that were examined to find the spellings.
func (s *Spellings) Work() int { return s.paths.work + s.headers.work }

// MaxWork bounds [Spellings.Work].
const MaxWork = 2 * maxWork

func (s *Spellings) addPaths(g Reading) {
	for _, u := range []*url.URL{g.original, g.request.URL} {
		if slices.ContainsFunc(s.addresses, func(seen url.URL) bool { return sameAddress(&seen, u) }) {
			continue
		}
		s.addresses = append(s.addresses, url.URL{Path: u.Path, RawPath: u.RawPath, Opaque: u.Opaque})
		if max(len(u.Path), len(u.RawPath), len(u.Opaque)) > maxUnusualPath {
			s.paths.exhausted = true
			return
		}
		for _, spelling := range spellingsOf(u) {
			s.paths.add(spelling)
		}
	}
}

// spellingsOf are an address's path as received, and in its normal encoding.
func spellingsOf(u *url.URL) []string {
	switch {
	case u.Opaque != "":
		return []string{u.Opaque}
	case u.RawPath == "":
		return []string{u.EscapedPath()}
	}
	// EscapedPath replaces an encoding that is not normal; an encoded slash then becomes a
	// plain one.
	return []string{u.EscapedPath(), u.RawPath}
}

// addHeaders reads the routing headers. If they have changed, they are all read again.
func (s *Spellings) addHeaders(g Reading) {
	lines, ambiguous := routingLines(g.request.Header)
	if ambiguous {
		s.headers.exhausted = true
		return
	}
	isNew := func(l routingLine) bool { return !slices.Contains(s.lines, l) }
	if !slices.ContainsFunc(lines, isNew) {
		return
	}
	for _, l := range lines {
		if isNew(l) {
			s.lines = append(s.lines, l)
		}
	}
	work := s.headers.work
	s.headers = spellingSet{work: work}
	for _, l := range s.lines {
		s.headers.add(l.value)
		if l.kind == mountPath && !s.headers.exhausted {
			s.addMount(g, l.mount())
		}
	}
}

// addMount adds the request's paths above and below a place where the app might be mounted.
// The work is counted before it is done, because a request may have many such headers.
func (s *Spellings) addMount(g Reading, mount string) {
	if mount == "" {
		return
	}
	s.headers.mounts = append(s.headers.mounts, foldCase(mount))
	s.addMounted(g.original, mount)
	if g.rewritten() {
		s.addMounted(g.request.URL, mount)
	}
}

func (s *Spellings) addMounted(u *url.URL, mount string) {
	if !s.headers.spend(len(u.Path) + len(u.RawPath)) {
		return
	}
	for _, spelling := range spellingsOf(u) {
		if !s.headers.spend(len(mount) + len(spelling)) {
			return
		}
		s.headers.add(spelling)
		s.headers.add(mount + spelling)
	}
}

// maxWork bounds the bytes that are examined for one set of spellings. A request that needs
// more is not spelled like that by accident, and counts as a match.
const maxWork = 64 << 10

// maxUnusualPath is the longest path that is read in every way. Almost every longer one would
// exceed maxWork.
const maxUnusualPath = maxWork / 8

const (
	// spellingWork is the fixed work of a spelling, in addition to its bytes.
	spellingWork = 256
	// foldWork is the factor for folding a byte of text that is not ASCII.
	foldWork = 8
	// cheapDivisor reduces the work of a byte for a rewrite that only searches.
	cheapDivisor = 8
)

// spellingSet is the closure of some spellings under the rewrites, in any order.
type spellingSet struct {
	list     []string
	seen     map[string]struct{} // the elements of list
	expanded int                 // number of elements of list to which all rewrites were applied
	mounts   []string            // prefixes that an app might cut off
	work     int
	// exhausted: maxWork was exceeded.
	exhausted bool
}

// spend counts bytes, and reports whether they may still be examined.
func (s *spellingSet) spend(bytes int) bool {
	if s.exhausted || bytes > maxWork-s.work {
		s.exhausted = true
		return false
	}
	s.work += bytes
	return true
}

func (s *spellingSet) add(spelling string) {
	if !s.spend(len(spelling)+spellingWork) || !isASCII(spelling) && !s.spend(len(spelling)*foldWork) {
		return
	}
	folded := foldCase(spelling)
	if _, known := s.seen[folded]; known {
		return
	}
	if s.seen == nil {
		s.seen = make(map[string]struct{})
	}
	s.seen[folded] = struct{}{}
	s.list = append(s.list, folded)
}

// match reports whether one of the patterns matches a spelling. It expands spellings only
// until one matches.
func (s *spellingSet) match(patterns []PathPattern) bool {
	for i := 0; ; i++ {
		for i == len(s.list) {
			if s.exhausted || s.expanded == len(s.list) {
				return s.exhausted
			}
			s.expandNext()
		}
		if s.exhausted || matchesAny(patterns, s.list[i]) {
			return true
		}
	}
}

// expandNext applies every rewrite to the next spelling.
func (s *spellingSet) expandNext() {
	p := s.list[s.expanded]
	s.expanded++
	if !s.spend(len(p)) {
		return
	}
	has := classesOf(p)
	for _, h := range pathRewrites {
		if has&h.needs == 0 {
			continue
		}
		cost := len(p)
		if h.cheap {
			cost /= cheapDivisor
		}
		if !s.spend(cost) {
			return
		}
		if q := h.apply(p); q != p {
			s.add(q)
		}
	}
	for _, mount := range s.mounts {
		if !s.spend(len(p)) {
			return
		}
		if _, below, found := strings.Cut(p, mount); found {
			s.add(below)
		}
	}
}
