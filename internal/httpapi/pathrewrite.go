package httpapi

import (
	"strings"
)

// pathRewrite is a change that some servers make to a path. It returns the path itself if it
// changes nothing. All paths are in lower case. The part after a path in an address is cut off
// only if it was encoded.
type pathRewrite struct {
	// needs are characters without which the rewrite changes nothing.
	needs charClasses
	// cheap: it costs little if it changes nothing.
	cheap bool
	apply func(string) string
}

// charClasses are the kinds of unusual characters in a path.
type charClasses uint8

const (
	percent charClasses = 1 << iota
	backslash
	semicolon
	terminator // NUL, and the characters that end the path in an address
	blank      // control characters and spaces
	dot
	colon
	always // every path
)

var classOf = func() (of [256]charClasses) {
	for c := range 0x21 {
		of[c] = blank
	}
	of[0x7f] = blank
	of[0] |= terminator
	of['?'], of['#'] = terminator, terminator
	of['%'], of['\\'], of[';'], of['.'], of[':'] = percent, backslash, semicolon, dot, colon
	return of
}()

func classesOf(p string) charClasses {
	has := always
	for i := range len(p) {
		has |= classOf[p[i]]
	}
	return has
}

// pathRewrites are applied one after the other, in every order.
var pathRewrites = []pathRewrite{
	{needs: percent, apply: decodeAll},
	{needs: percent, cheap: true, apply: decodeBytes},
	{needs: percent, cheap: true, apply: decodeButSlashes},
	{needs: backslash, apply: func(p string) string { return strings.ReplaceAll(p, `\`, "/") }},
	{needs: semicolon, cheap: true, apply: func(p string) string { return cutAt(p, ";") }},
	{needs: terminator, cheap: true, apply: func(p string) string { return cutAt(p, "\x00?#") }},
	{needs: semicolon, apply: withoutParameters},      // servlets
	{needs: blank, apply: withoutBlanks},              // browsers' parsers, and servers that trim
	{needs: dot | blank, apply: trimSegments},         // Windows
	{needs: always, cheap: true, apply: mergeSlashes}, // nearly all
	{needs: dot, apply: scriptOf},                     // CGI: the rest is PATH_INFO,
	{needs: dot, apply: pathInfo},                     // by which front controllers go
	{needs: dot, apply: resolveDots},
	{needs: always, cheap: true, apply: pathOfAddress},
	{needs: dot, cheap: true, apply: withoutSidecar},
	{needs: always, cheap: true, apply: withoutIndex},
}

func cutAt(p, at string) string {
	if i := strings.IndexAny(p, at); i >= 0 {
		return p[:i]
	}
	return p
}

func isASCII(p string) bool {
	for i := range len(p) {
		if p[i] >= 0x80 {
			return false
		}
	}
	return true
}

// foldCase makes letters equal that some server treats as equal.
func foldCase(p string) string {
	upper := false
	for i := range len(p) {
		switch c := p[i]; {
		case c >= 0x80:
			return strings.ToLower(strings.ToUpper(p)) // so that ſ is s
		case 'A' <= c && c <= 'Z':
			upper = true
		}
	}
	if !upper {
		return p
	}
	return strings.ToLower(p)
}

// withoutParameters drops everything after a semicolon in each segment.
func withoutParameters(p string) string {
	out, dropping := make([]byte, 0, len(p)), false
	for i := range len(p) {
		switch c := p[i]; {
		case c == ';':
			dropping = true
		case c == '/':
			dropping = false
			out = append(out, c)
		case !dropping:
			out = append(out, c)
		}
	}
	return string(out)
}

func withoutBlanks(p string) string {
	out := make([]byte, 0, len(p))
	for i := range len(p) {
		if classOf[p[i]]&blank == 0 {
			out = append(out, p[i])
		}
	}
	return string(out)
}

// trimSegments drops trailing dots and spaces of each segment, except in "." and "..".
func trimSegments(p string) string {
	out := make([]byte, 0, len(p))
	start := 0 // of the segment in out
	trim := func() {
		segment := out[start:]
		end := len(segment)
		for end > 0 && (segment[end-1] == '.' || segment[end-1] == ' ') {
			end--
		}
		if text := string(segment); text != "." && text != ".." {
			out = out[:start+end]
		}
	}
	for i := range len(p) {
		if p[i] == '/' {
			trim()
			out = append(out, '/')
			start = len(out)
			continue
		}
		out = append(out, p[i])
	}
	trim()
	if len(out) == len(p) {
		return p
	}
	return string(out)
}

func mergeSlashes(p string) string {
	if !strings.Contains(p, "//") {
		return p
	}
	out := make([]byte, 0, len(p))
	for i := range len(p) {
		if p[i] != '/' || i == 0 || p[i-1] != '/' {
			out = append(out, p[i])
		}
	}
	return string(out)
}

// resolveDots is remove_dot_segments of RFC 3986, 5.2.4. It treats an empty segment like any
// other.
func resolveDots(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	segments := strings.Split(p, "/")
	kept := segments[:1]
	for i, segment := range segments[1:] {
		last := i == len(segments)-2
		switch segment {
		case "..":
			if len(kept) > 1 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		case ".":
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, segment)
		}
	}
	return strings.Join(kept, "/")
}

// pathOfAddress drops //host and scheme://host before a path: some servers see an address
// where others see slashes. It adds a leading slash if there is none.
func pathOfAddress(p string) string {
	if i := schemeLength(p); i > 0 {
		p = p[i:]
	}
	if host, ok := strings.CutPrefix(p, "//"); ok {
		_, below, _ := strings.Cut(strings.TrimLeft(host, "/"), "/")
		return "/" + below
	}
	if !strings.HasPrefix(p, "/") {
		return "/" + p
	}
	return p
}

// schemeLength is the length of a scheme and its colon; 0 for none.
func schemeLength(p string) int {
	for i := range len(p) {
		switch c := p[i]; {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '.' || c == '-'):
		case i > 0 && c == ':':
			return i + 1
		default:
			return 0
		}
	}
	return 0
}
