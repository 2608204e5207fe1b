package httpapi

import (
	"strings"
)

// A habit is what some readers do to a path. It returns the path itself if it
// changes nothing. All paths are in lower case, and what follows a path in an
// address is cut off only if it was encoded.
type habit struct {
	// needs are characters without which the habit changes nothing.
	needs marks
	// light says that the habit costs little unless it changes something.
	light bool
	read  func(string) string
}

// marks say which unusual characters a path has.
type marks uint8

const (
	percent marks = 1 << iota
	backslash
	semicolon
	endMark // of a C string, or what ends the path of an address
	blank   // control characters and spaces
	dot
	colon
	always // every path
)

var markOf = func() (of [256]marks) {
	for c := range 0x21 {
		of[c] = blank
	}
	of[0x7f] = blank
	of[0] |= endMark
	of['?'], of['#'] = endMark, endMark
	of['%'], of['\\'], of[';'], of['.'], of[':'] = percent, backslash, semicolon, dot, colon
	return of
}()

func marksOf(p string) marks {
	has := always
	for i := range len(p) {
		has |= markOf[p[i]]
	}
	return has
}

// habits are applied one after the other in any order.
var habits = []habit{
	{needs: percent, read: decodeAll},
	{needs: percent, light: true, read: decodeBytes},
	{needs: percent, light: true, read: decodeButSlashes},
	{needs: backslash, read: func(p string) string { return strings.ReplaceAll(p, `\`, "/") }},
	{needs: semicolon, light: true, read: func(p string) string { return cut(p, ";") }},
	{needs: endMark, light: true, read: func(p string) string { return cut(p, "\x00?#") }},
	{needs: semicolon, read: withoutParameters},      // servlets
	{needs: blank, read: withoutBlanks},              // browsers' parsers, and readers that trim
	{needs: dot | blank, read: trimSegments},         // Windows
	{needs: always, light: true, read: mergeSlashes}, // nearly all
	{needs: dot, read: scriptOf},                     // CGI: the rest is PATH_INFO,
	{needs: dot, read: pathInfo},                     // by which front controllers go
	{needs: dot, read: resolveDots},
	{needs: always, light: true, read: rooted},
	{needs: dot, light: true, read: withoutSidecar},
	{needs: always, light: true, read: withoutIndex},
}

func cut(p, at string) string {
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

// foldCase makes letters the same that some reader takes for the same.
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

// decodeAll undoes one layer of percent-encoding.
func decodeAll(p string) string { return decode(p, "", true) }

// decodeBytes is for readers that leave bytes alone which are no UTF-8.
func decodeBytes(p string) string {
	for _, lead := range []string{"%c0", "%c1", "%e0", "%f0"} {
		if strings.Contains(p, lead) {
			return decode(p, "", false)
		}
	}
	return p // the same as decodeAll
}

// decodeButSlashes is for readers that keep an encoded slash apart from others.
func decodeButSlashes(p string) string {
	for _, kept := range []string{"%2f", "%5c", "%25"} {
		if strings.Contains(p, kept) {
			return decode(p, `/\%`, true)
		}
	}
	return p // the same as decodeAll
}

func decode(p, except string, overlong bool) string {
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if p[i] != '%' {
			out = append(out, p[i])
			continue
		}
		c, ok := escape(p[i:])
		if !ok || strings.IndexByte(except, c) >= 0 {
			out = append(out, p[i])
			continue
		}
		length := escapeLength
		if overlong && c >= 0xc0 {
			if ascii, n := overlongASCII(p[i:]); n > 0 {
				c, length = ascii, n
			}
		}
		i += length - 1
		out = append(out, c)
	}
	return string(out)
}

const escapeLength = len("%2f")

// escape reads what one is at the beginning of p.
func escape(p string) (byte, bool) {
	if len(p) < escapeLength || p[0] != '%' {
		return 0, false
	}
	high, low := hexValue[p[1]], hexValue[p[2]]
	return high<<4 | low&0xf, high < 16 && low < 16
}

// hexValue is 0xff for what is no digit.
var hexValue = func() (of [256]byte) {
	for c := range of {
		of[c] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		of[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		of[c] = byte(i) + 10
	}
	return of
}()

// overlongASCII reads an ASCII character that is written in two to four bytes, which
// old decoders of UTF-8 accept. It returns the length of its escapes, or 0.
func overlongASCII(p string) (c byte, length int) {
	lead, _ := escape(p)
	var bytes int
	switch {
	case lead&0xfe == 0xc0:
		bytes = 2
	case lead == 0xe0:
		bytes = 3
	case lead == 0xf0:
		bytes = 4
	default:
		return 0, 0
	}
	value := int(lead & 0x1 << 6)
	if bytes > 2 {
		value = 0
	}
	for i := 1; i < bytes; i++ {
		if len(p) < (i+1)*escapeLength {
			return 0, 0
		}
		next, ok := escape(p[i*escapeLength:])
		if !ok || next&0xc0 != 0x80 {
			return 0, 0
		}
		if bytes == 2 {
			value |= int(next & 0x3f)
		} else {
			value = value<<6 | int(next&0x3f)
		}
	}
	if value >= 0x80 {
		return 0, 0
	}
	return byte(value), bytes * escapeLength
}

// withoutParameters drops what follows a semicolon in each segment.
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
		if markOf[p[i]]&blank == 0 {
			out = append(out, p[i])
		}
	}
	return string(out)
}

// trimSegments drops dots and spaces at the end of each segment but "." and "..".
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

// scriptOf is the script that a CGI server runs for a path.
func scriptOf(p string) string {
	if end := scriptEnd(p); end >= 0 {
		return p[:end]
	}
	return p
}

// pathInfo is what the script of a path is told to serve.
func pathInfo(p string) string {
	if end := scriptEnd(p); end >= 0 {
		return p[end:]
	}
	return p
}

// scriptEnd is where the first script of a path ends that has something below it,
// or -1.
func scriptEnd(p string) int {
	lastDot := -1
	for i := range len(p) {
		switch p[i] {
		case '.':
			lastDot = i
		case '/':
			if lastDot >= 0 && isScript(p[lastDot+1:i]) {
				return i
			}
			lastDot = -1
		}
	}
	return -1
}

// isScript reports whether files of this ending are run, and have paths below them.
func isScript(ending string) bool {
	if len(ending) > longestEnding {
		return false
	}
	switch ending {
	case "php", "phtml", "phar", "cgi", "fcgi", "pl", "py", "rb", "lua", "asp", "aspx", "ashx", "asmx", "svc", "cfm", "cfc":
		return true
	}
	return len(ending) == 4 && ending[:3] == "php" && '0' <= ending[3] && ending[3] <= '9'
}

const longestEnding = len("phtml")

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

// schemeLength is the length of a scheme and its colon; 0 is none.
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

// withoutSidecar is the file that a compressed one beside it stands for.
func withoutSidecar(p string) string {
	p2 := strings.TrimRight(p, "/")
	for _, ending := range []string{".gz", ".br", ".zst"} {
		if file, ok := strings.CutSuffix(p2, ending); ok && file != "" && file[len(file)-1] != '/' {
			return file
		}
	}
	return p
}

// withoutIndex is the directory that a file is served for.
func withoutIndex(p string) string {
	p2 := strings.TrimRight(p, "/")
	i := strings.LastIndexByte(p2, '/') + 1
	if i > 0 && isIndex(p2[i:]) {
		return p2[:i]
	}
	return p
}

// isIndex reports whether some server serves a file of this name for its directory:
// index.html, index.de.html, index.php, default.aspx, and so on.
func isIndex(name string) bool {
	stem, endings, dotted := strings.Cut(name, ".")
	switch stem {
	case "index":
		if !dotted {
			return true // of routers that add the ending
		}
	case "default", "iisstart":
	default:
		return false
	}
	for ending := range strings.SplitSeq(endings, ".") {
		if isPage(ending) {
			return true
		}
		switch ending {
		case "txt", "xml", "json", "md":
			return true
		}
	}
	return false
}

// isPage reports whether files of this ending are pages, or are run to make one.
func isPage(ending string) bool {
	switch ending {
	case "html", "htm", "xhtml", "xhtm", "shtml", "shtm", "jsp", "jspx", "jsf", "do", "action":
		return true
	}
	return isScript(ending)
}
