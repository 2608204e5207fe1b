// Package pathreaders knows how apps read the path of a request, each in its own
// way. It is for tests of gates, which must not be walked past by a spelling that
// some app reads differently.
package pathreaders

import (
	"net/url"
	"path"
	"regexp"
	"strings"
)

// Reader finds the path that an app goes by in a request target as it came in,
// without the query. It returns "" for a target that the app refuses.
type Reader func(target string) string

// Readers are those that are known, by what is like them.
var Readers = map[string]Reader{
	"net/http ServeMux":   goMux,
	"Express":             raw,
	"Express, decoded":    func(t string) string { return unescape(raw(t)) },
	"Node, new URL()":     browserURL,
	"WSGI":                func(t string) string { return unescape(raw(t)) },
	"WSGI, merged":        func(t string) string { return path.Clean(unescape(raw(t))) },
	"Tomcat":              tomcat,
	"Jetty, ambiguous":    func(t string) string { return unescape(tomcatDots(withoutParameters(raw(t)))) },
	"IIS":                 windows,
	"PHP-FPM":             script,
	"Laravel":             frontController("/index.php/"),
	"ASP.NET":             frontController("/default.aspx/"),
	"ColdFusion":          frontController("/index.cfm/"),
	"nginx in front":      func(t string) string { return unescape(path.Clean(unescape(raw(t)))) },
	"nginx, then servlet": func(t string) string { return tomcat(path.Clean(unescape(raw(t)))) },
	"RFC 3986":            func(t string) string { return unescape(tomcatDots(raw(t))) },
	"C strings":           func(t string) string { return before(unescape(raw(t)), "\x00") },
	"old UTF-8":           func(t string) string { return path.Clean("/" + shortest(unescape(raw(t)))) },
	"re-parsed":           func(t string) string { return before(unescape(raw(t)), "?#") },
}

// Paid reports whether an app of any kind would take the target for /paid or
// below, and of which kind. Upper and lower case are the same to it, and a slash
// at the end makes no difference.
func Paid(target string) (reader string, yes bool) {
	for name, read := range Readers {
		p := strings.TrimRight(strings.ToLower(read(target)), "/")
		if p == "/paid" || strings.HasPrefix(p, "/paid/") {
			return name, true
		}
	}
	return "", false
}

// Report reports whether a server of any kind would take the target for the page
// /report, by any name of its file, and of which kind.
func Report(target string) (reader string, yes bool) {
	for name, read := range Readers {
		p := strings.ToLower(path.Clean("/" + read(target)))
		for _, compressed := range []string{".gz", ".br", ".zst"} {
			p = strings.TrimSuffix(p, compressed)
		}
		switch p {
		case "/report", "/report.html", "/report/index.html", "/report/index.htm", "/report/index.php", "/report/default.aspx":
			return name, true
		}
	}
	return "", false
}

// shortest replaces ASCII that is written in two or three bytes, which is no UTF-8.
func shortest(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		continues := func(n int) bool { return i+n < len(s) && s[i+n]&0xc0 == 0x80 }
		switch c := s[i]; {
		case c&0xfe == 0xc0 && continues(1):
			b.WriteByte(c&1<<6 | s[i+1]&0x3f)
			i++
		case c == 0xe0 && continues(1) && s[i+1] < 0x82 && continues(2):
			b.WriteByte(s[i+1]&1<<6 | s[i+2]&0x3f)
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// raw is the path as it came in. In absolute form it is behind the host.
func raw(target string) string {
	target = before(target, "?#")
	if i := strings.Index(target, "://"); i > 0 && !strings.Contains(target[:i], "/") {
		target = target[i+3:]
		if i = strings.Index(target, "/"); i < 0 {
			return "/"
		}
		target = target[i:]
	}
	return target
}

func before(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

// unescape undoes what can be undone.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i] == '%' {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func goMux(target string) string { return path.Clean("/" + unescape(raw(target))) }

// browserURL is the WHATWG's parser with a base address: two slashes begin a host,
// a backslash is a slash, tabs and line ends are nothing, and encoded dots are dots.
func browserURL(target string) string {
	target = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(before(target, "?#"))
	if i := strings.Index(target, "://"); i > 0 && !strings.Contains(target[:i], "/") {
		target = target[i+1:]
	}
	if host, ok := strings.CutPrefix(target, "//"); ok {
		host = strings.TrimLeft(host, "/")
		i := strings.Index(host, "/")
		if i < 0 {
			return "/"
		}
		target = host[i:]
	}
	segments := strings.Split(target, "/")
	for i, s := range segments {
		switch dots := strings.ReplaceAll(strings.ToLower(s), "%2e", "."); dots {
		case ".", "..":
			segments[i] = dots
		}
	}
	return tomcatDots(strings.Join(segments, "/"))
}

func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = before(s, ";")
	}
	return strings.Join(segments, "/")
}

func tomcat(target string) string {
	return path.Clean(unescape(withoutParameters(raw(target))))
}

// tomcatDots resolves dots, and leaves empty segments alone.
func tomcatDots(p string) string {
	var kept []string
	for i, s := range strings.Split(p, "/") {
		switch {
		case s == ".." && len(kept) > 1:
			kept = kept[:len(kept)-1]
		case i > 0 && (s == "." || s == ".."):
		default:
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, "/")
}

// windows decodes twice where it is told to, and its files have no dots or spaces
// at the end.
func windows(target string) string {
	p := strings.ReplaceAll(unescape(unescape(raw(target))), `\`, "/")
	p = path.Clean("/" + p)
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = strings.TrimRight(s, ". ")
	}
	return strings.Join(segments, "/")
}

// frontController routes by what follows the script: /index.php/paid is /paid.
func frontController(script string) Reader {
	at := regexp.MustCompile("(?i)" + regexp.QuoteMeta(script))
	return func(target string) string {
		p := path.Clean("/" + unescape(raw(target)))
		if found := at.FindStringIndex(p); found != nil {
			return p[found[1]-1:]
		}
		return p
	}
}

// script runs /paid.php for all that is below it.
func script(target string) string {
	p := path.Clean("/" + unescape(raw(target)))
	if file, _, ok := strings.Cut(strings.ToLower(p)+"/", "/paid.php/"); ok && file == "" {
		return "/paid"
	}
	return p
}
