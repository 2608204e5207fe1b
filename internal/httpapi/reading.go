package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Reading answers what a request might be taken to ask for.
//
// A gate finds out by a path what it stands before, and the app behind it finds
// out by a path what it serves: a spelling that the two read differently gets past.
// So every question of ours about a path is put to each path that some reader might
// find in the request: readers that decode once, twice or not at all, resolve dots
// before or after that, drop what follows a semicolon, and so on, in any order; by
// the address as it arrived, by what a rewriting has made of it, or by a header.
// The price is that an odd spelling of something free may be taken for what is not.
//
// There are two questions. What might the request be? That one is for gates and for
// the base path, and is answered here. Which route is it? That one is strict, see
// basePath.
type Reading struct {
	request  *http.Request
	original *url.URL
	kept     func(*http.Request) *Spellings
}

// NewReading is the reading of a request as it is now. original is the address
// that it arrived with, before its host rewrote it. kept returns what is kept for
// the request between questions; it is asked only for a request that can be read in
// more ways than the usual one.
func NewReading(r *http.Request, original *url.URL, kept func(*http.Request) *Spellings) Reading {
	return Reading{request: r, original: original, kept: kept}
}

// readAnew is a reading for hosts that rewrite nothing and keep nothing.
func readAnew(r *http.Request) Reading {
	return NewReading(r, r.URL, func(*http.Request) *Spellings { return new(Spellings) })
}

// MatchPath reports whether a request that nobody has rewritten might be taken for
// one whose path one of the patterns matches.
func MatchPath(patterns []PathPattern, r *http.Request) bool {
	return readAnew(r).Matches(patterns)
}

// Matches reports whether the request might be taken for one whose path one of the
// patterns matches, also by a routing header.
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
	spellings := g.kept(g.request)
	spellings.seePaths(g)
	return spellings.paths.match(patterns)
}

// headerMatches asks the headers by which some app might route.
func (g Reading) headerMatches(patterns []PathPattern) bool {
	if !HasRoutingHeaders(g.request.Header) {
		return false
	}
	spellings := g.kept(g.request)
	if spellings.trusted {
		return false
	}
	spellings.seeHeaders(g)
	return spellings.headers.match(patterns)
}

func (g Reading) rewritten() bool { return !sameAddress(g.original, g.request.URL) }

func sameAddress(a, b *url.URL) bool {
	return a == b || a.Path == b.Path && a.RawPath == b.RawPath && a.Opaque == b.Opaque
}

// Spellings are the paths that some reader might find in one request. They are kept
// with it, so that it is read once however many gates ask; what changes meanwhile is
// added. The zero value has read nothing.
type Spellings struct {
	paths   spellingSet
	headers spellingSet
	trusted bool

	addresses []url.URL     // that paths has, without their queries
	lines     []routingLine // that headers has
}

// TrustHeaders says that a trusted proxy has set the routing headers of the request,
// so that no gate need ask them.
func (s *Spellings) TrustHeaders() { s.trusted = true }

// String is what a placeholder shows.
func (*Spellings) String() string { return "spellings" }

// Work is how many bytes were looked at to find the spellings.
func (s *Spellings) Work() int { return s.paths.work + s.headers.work }

// MostWork bounds [Spellings.Work].
const MostWork = 2 * mostWork

func (s *Spellings) seePaths(g Reading) {
	for _, u := range []*url.URL{g.original, g.request.URL} {
		if slices.ContainsFunc(s.addresses, func(seen url.URL) bool { return sameAddress(&seen, u) }) {
			continue
		}
		s.addresses = append(s.addresses, url.URL{Path: u.Path, RawPath: u.RawPath, Opaque: u.Opaque})
		if max(len(u.Path), len(u.RawPath), len(u.Opaque)) > longestOdd {
			s.paths.exhausted = true
			return
		}
		for _, spelling := range spellingsOf(u) {
			s.paths.add(spelling)
		}
	}
}

// spellingsOf are an address' path as it came in, and encoded as it should be.
func spellingsOf(u *url.URL) []string {
	switch {
	case u.Opaque != "":
		return []string{u.Opaque}
	case u.RawPath == "":
		return []string{u.EscapedPath()}
	}
	// EscapedPath encodes anew what is not encoded as it should be, and a slash that
	// was encoded is like any other then.
	return []string{u.EscapedPath(), u.RawPath}
}

// seeHeaders reads the routing headers. When they have changed, they are read anew.
func (s *Spellings) seeHeaders(g Reading) {
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
			s.seeMount(g, l.mount())
		}
	}
}

// seeMount adds the request's paths above and below a place where the app might take
// itself to be mounted. What it takes to write them out is spent before that is done:
// each of many such headers does it anew.
func (s *Spellings) seeMount(g Reading, mount string) {
	if mount == "" {
		return
	}
	s.headers.mounts = append(s.headers.mounts, foldCase(mount))
	s.seeMounted(g.original, mount)
	if g.rewritten() {
		s.seeMounted(g.request.URL, mount)
	}
}

func (s *Spellings) seeMounted(u *url.URL, mount string) {
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

// mostWork bounds what one set of spellings can cost: the bytes that are looked at.
// A request that needs more is not spelled like that by accident, and matches.
const mostWork = 64 << 10

// longestOdd is the most bytes of a path that is read in every way. Almost every longer
// one would need more than mostWork, and is not written out to find that out.
const longestOdd = mostWork / 8

const (
	// eachWork is the work of a spelling besides its bytes.
	eachWork = 256
	// foldWork is how much dearer a byte is to fold if the text is not ASCII.
	foldWork = 8
	// lightWork is how much cheaper a byte is to a habit that only searches.
	lightWork = 8
)

// spellingSet is what comes of some spellings by the readers' habits, in any order.
type spellingSet struct {
	list   []string
	seen   map[string]struct{} // the list
	read   int                 // how many of the list were put to every habit
	mounts []string            // that an app might cut off
	work   int
	// exhausted: there are more than mostWork allows.
	exhausted bool
}

// spend reports whether so many bytes may still be looked at.
func (s *spellingSet) spend(bytes int) bool {
	if s.exhausted || bytes > mostWork-s.work {
		s.exhausted = true
		return false
	}
	s.work += bytes
	return true
}

func (s *spellingSet) add(spelling string) {
	if !s.spend(len(spelling)+eachWork) || !isASCII(spelling) && !s.spend(len(spelling)*foldWork) {
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

// match reports whether one of the patterns matches a spelling. It looks for more of
// them only until one matches.
func (s *spellingSet) match(patterns []PathPattern) bool {
	for i := 0; ; i++ {
		for i == len(s.list) {
			if s.exhausted || s.read == len(s.list) {
				return s.exhausted
			}
			s.readNext()
		}
		if s.exhausted || matchesAny(patterns, s.list[i]) {
			return true
		}
	}
}

// readNext puts the next spelling to every habit.
func (s *spellingSet) readNext() {
	p := s.list[s.read]
	s.read++
	if !s.spend(len(p)) {
		return
	}
	has := marksOf(p)
	for _, h := range habits {
		if has&h.needs == 0 {
			continue
		}
		cost := len(p)
		if h.light {
			cost /= lightWork
		}
		if !s.spend(cost) {
			return
		}
		if q := h.read(p); q != p {
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

// plainPath is the path of an address in lower case, if it can be read in one way
// only but for [withoutSidecar] and [withoutIndex].
func plainPath(u *url.URL) (p string, isPlain bool) {
	if u.Opaque != "" || u.RawPath != "" || u.Path == "" || u.Path[0] != '/' {
		return "", false
	}
	p = u.Path
	upper, lastDot := false, -1
	for i := range len(p) {
		switch c := p[i]; plainByte[c] {
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

// What a byte is in a plain path.
const (
	letter = iota + 1
	capital
	fullStop
	slash
)

var plainByte = func() (of [256]byte) {
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789-_~@:+,=!$&'()*" {
		of[c] = letter
	}
	for c := 'A'; c <= 'Z'; c++ {
		of[c] = capital
	}
	of['.'], of['/'] = fullStop, slash
	return of
}()

// plainMatches puts a plain path to the two habits that may still change it.
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
