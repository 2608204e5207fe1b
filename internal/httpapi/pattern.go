package httpapi

import (
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// PathPattern says what a gate stands before.
//
// The gate finds out by a path where it stands, and the app behind it finds out by
// a path what it serves: whoever has a spelling that the two read differently gets
// past. So a pattern matches a request when any reader might take its path for one
// that matches: readers that decode once, twice or not at all, resolve dots before
// or after that, drop what follows a semicolon, take a backslash for a slash, and
// so on, in any order. The price is that who spells the path of something free like
// that may be taken to ask for something that is not.
type PathPattern struct {
	text string // folded
	kind patternKind
	glob *regexp.Regexp
}

type patternKind int

const (
	exactPath patternKind = iota
	pathPrefix
	pathSuffix
	pathGlob
)

var plainPattern = regexp.MustCompile(`^[/*][^\x00-\x20\x7f%\\{}?#;\[\]]*$`)

// NewPathPattern reads a pattern. Upper and lower case are the same in all.
//
//	/report     the path, also with a slash at the end
//	/paid/*     the path /paid and all below it
//	*.mp4       paths that end so
//	/a/*/b      a star between is text without a slash
func NewPathPattern(text string) (PathPattern, error) {
	if !plainPattern.MatchString(text) {
		return PathPattern{}, fmt.Errorf("path %q: it begins with / or *, is written decoded, and * is the only wildcard", text)
	}
	plain := strings.ReplaceAll(text, "*", "x")
	if clean := path.Clean(plain); clean != plain && clean+"/" != plain {
		return PathPattern{}, fmt.Errorf("path %q is not clean: double slashes and dots lead to nothing", text)
	}
	p := PathPattern{text: foldCase(text)}
	switch stars := strings.Count(text, "*"); {
	case stars == 0:
		p.text = strings.TrimRight(p.text, "/")
	case stars == 1 && strings.HasSuffix(text, "*"):
		p.kind, p.text = pathPrefix, strings.TrimSuffix(p.text, "*")
	case stars == 1 && text[0] == '*':
		p.kind, p.text = pathSuffix, strings.TrimRight(p.text[1:], "/")
	case text[0] == '*':
		return PathPattern{}, fmt.Errorf("path %q: with more than one * it begins with /", text)
	default:
		p.kind = pathGlob
		glob := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(p.text, "/")), `\*`, "[^/]*")
		if below, ok := strings.CutSuffix(glob, "/[^/]*"); ok {
			glob = below + "(/.*)?"
		}
		p.glob = regexp.MustCompile("(?s)^" + glob + "$")
	}
	return p, nil
}

// matches compares one reading.
func (p PathPattern) matches(reading string) bool {
	reading = strings.TrimRight(reading, "/")
	switch p.kind {
	case pathPrefix:
		return strings.HasPrefix(reading+"/", p.text)
	case pathSuffix:
		return strings.HasSuffix(reading, p.text)
	case pathGlob:
		return p.glob.MatchString(reading)
	default:
		return reading == p.text
	}
}

// MatchPath reports whether a request might be taken for one whose path one of the
// patterns matches.
func MatchPath(patterns []PathPattern, r *http.Request) bool {
	match := func(reading string) bool {
		return slices.ContainsFunc(patterns, func(p PathPattern) bool { return p.matches(reading) })
	}
	switch u := r.URL; {
	case u.Opaque != "":
		if anyReading(u.Opaque, match) {
			return true
		}
	case u.RawPath == "" && plain(u.Path):
		if match(foldCase(u.Path)) {
			return true
		}
	case anyReading(u.EscapedPath(), match):
		return true
	// As it came in: EscapedPath encodes anew what is not encoded as it should be,
	// and a slash that was encoded is like any other then.
	case u.RawPath != "" && anyReading(u.RawPath, match):
		return true
	}
	// Some frameworks believe these instead.
	for _, name := range []string{"X-Original-Url", "X-Rewrite-Url"} {
		if slices.ContainsFunc(r.Header[name], func(value string) bool { return anyReading(value, match) }) {
			return true
		}
	}
	return false
}

// plain reports whether a path in which nothing was encoded can be read in one way
// only.
func plain(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	before, dots := byte(0), false
	for i := range len(p) {
		c := p[i]
		dots = dots || c == '.'
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_~@:+,=!$&'()*", c) >= 0:
		case (c == '/' || c == '.') && before != '/' && before != '.':
		default:
			return false
		}
		before = c
	}
	return before != '.' && (!dots || !belowScript.MatchString(p))
}

// mostWork bounds what a path can cost: the lengths of its readings together.
const mostWork = 32 << 10

// anyReading tries every reading of a path: all that come of the readers' habits,
// one after the other in any order. A path that has too many of them is not spelled
// like that by accident, and matches.
func anyReading(spelling string, match func(string) bool) bool {
	first := foldCase(spelling)
	seen := map[string]bool{first: true}
	work := 0
	for queue := []string{first}; len(queue) > 0; queue = queue[1:] {
		const each = 64
		if work += len(queue[0]) + each; work > mostWork || match(queue[0]) {
			return true
		}
		for _, habit := range habits {
			if reading := habit(queue[0]); !seen[reading] {
				seen[reading] = true
				queue = append(queue, reading)
			}
		}
	}
	return false
}

// habits are what readers of paths do to them. All is in lower case by then, and
// what follows a path in an address is cut off only where it was encoded.
var habits = []func(string) string{
	decodeAll,
	decodeBytes,
	decodeButSlashes,
	func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
	func(p string) string { return cut(p, ";") },
	func(p string) string { return cut(p, "\x00?#") },
	replacer(";", `;[^/]*`, ""),                  // servlets: parameters
	replacer("", `[\x00-\x20\x7f]+`, ""),         // browsers' parsers, and those who trim
	replacer(". ", `([^/. ])[. ]+(/|$)`, "$1$2"), // Windows
	replacer("/", `//+`, "/"),                    // nearly all
	replacer(".", `(?s)(`+scripts+`)/.*`, "$1"),  // CGI: the rest is PATH_INFO,
	replacer(".", `(?s)^.*?`+scripts+`/`, "/"),   // by which front controllers go
	resolveDots,
	rooted,
}

const scripts = `\.(?:php\d?|phtml|phar|f?cgi|pl|py|rb|lua|aspx?|ashx|asmx|svc|cfm|cfc)`

var (
	belowScript  = regexp.MustCompile(`(?i)` + scripts + `/`)
	schemePrefix = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:`)
)

// replacer replaces what a pattern finds in paths that have one of the characters.
func replacer(having, pattern, with string) func(string) string {
	what := regexp.MustCompile(pattern)
	return func(p string) string {
		if having != "" && !strings.ContainsAny(p, having) {
			return p
		}
		return what.ReplaceAllString(p, with)
	}
}

func cut(p, at string) string {
	if i := strings.IndexAny(p, at); i >= 0 {
		return p[:i]
	}
	return p
}

// foldCase makes letters the same that some reader takes for the same.
func foldCase(p string) string { return strings.ToLower(strings.ToUpper(p)) }

// decodeAll undoes one layer of percent-encoding.
func decodeAll(p string) string { return decode(p, "", true) }

// decodeBytes is for readers that leave bytes alone which are no UTF-8.
func decodeBytes(p string) string { return decode(p, "", false) }

// decodeButSlashes is for readers that keep an encoded slash apart from others.
func decodeButSlashes(p string) string { return decode(p, `/\%`, true) }

func decode(p, except string, overlong bool) string {
	if !strings.Contains(p, "%") {
		return p
	}
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		c, ok := escape(p[i:])
		if !ok || strings.IndexByte(except, c) >= 0 {
			out = append(out, p[i])
			continue
		}
		i += escapeLength - 1
		// Old decoders of UTF-8 take two bytes for an ASCII character.
		if second, ok := escape(p[i+1:]); overlong && ok && c&0xfe == 0xc0 && second&0xc0 == 0x80 {
			c = c&1<<6 | second&0x3f
			i += escapeLength
		}
		out = append(out, c)
	}
	return foldCase(string(out))
}

const escapeLength = len("%2f")

// escape reads what one is at the beginning of p.
func escape(p string) (byte, bool) {
	if len(p) < escapeLength || p[0] != '%' {
		return 0, false
	}
	c, err := strconv.ParseUint(p[1:escapeLength], 16, 8)
	return byte(c), err == nil
}

// resolveDots is remove_dot_segments of RFC 3986, 5.2.4, which takes an empty
// segment for one.
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

// rooted drops what stands before the path in an address: //host and
// scheme://host, which some readers of request targets see where others see
// slashes. It puts a slash in front of a path that has none.
func rooted(p string) string {
	if schemePrefix.MatchString(p) {
		p = p[strings.Index(p, ":")+1:]
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
