package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// routingKind is how an app uses the value of a routing header.
type routingKind byte

const (
	// wholePath: the app uses the value as the request's path.
	wholePath routingKind = iota + 1
	// mountPath: the app uses the value as the place where it is mounted. It cuts the value
	// off the path, or puts it in front.
	mountPath
)

// routingHeaders are the headers by which known stacks route, in the form of [FoldName].
var routingHeaders = map[string]routingKind{
	"xoriginalurl":        wholePath, // IIS, Zend, Laminas, old Symfony, WordPress
	"xrewriteurl":         wholePath, // ISAPI_Rewrite, Zend, Laminas, Yii
	"xoriginaluri":        wholePath, // ingress-nginx, Istio
	"xoriginalpath":       wholePath,
	"xenvoyoriginalpath":  wholePath, // Envoy
	"xenvoyoriginalurl":   wholePath,
	"xmsoriginalurl":      wholePath, // Azure, and the adapters of Node frameworks for it
	"xwawsunencodedurl":   wholePath, // Azure
	"unencodedurl":        wholePath, // IIS, Zend
	"origpathinfo":        wholePath, // PHP
	"redirecturl":         wholePath, // Apache
	"requesturi":          wholePath,
	"pathinfo":            wholePath, // CGI, gunicorn
	"xrewritepath":        wholePath,
	"xrewriteuri":         wholePath,
	"xrealurl":            wholePath,
	"xrealuri":            wholePath,
	"xoverrideurl":        wholePath,
	"xproxyurl":           wholePath,
	"xrequesturi":         wholePath,
	"xrequesturl":         wholePath,
	"xforwardeduri":       wholePath, // Traefik, Caddy
	"xforwardedurl":       wholePath,
	"xforwardedpath":      wholePath,
	"xhttppath":           wholePath,
	"xhttppathoverride":   wholePath,
	"xhttpurloverride":    wholePath,
	"xhttpdestinationurl": wholePath,
	"xmatchedpath":        wholePath, // Next.js
	"xinvokepath":         wholePath, // Next.js
	"xmiddlewarerewrite":  wholePath, // Next.js
	"xforwardedprefix":    mountPath, // Spring, ASP.NET, Symfony, Werkzeug, Traefik
	"xforwardedpathbase":  mountPath, // ASP.NET
	"xforwardedbasepath":  mountPath,
	"xforwardedcontext":   mountPath, // Knox, NiFi
	"xproxycontextpath":   mountPath, // NiFi
	"xforwardedscript":    mountPath,
	"xscriptname":         mountPath, // the usual snippet for Flask and Django
	"scriptname":          mountPath, // CGI, gunicorn, Rack
	"xingresspath":        mountPath, // Home Assistant
	"xoutsideurl":         mountPath, // devpi
}

// routingStarts has, for the first byte of those names, a bit for each possible second
// letter, so that most other names are excluded quickly. routingShortest is the length of
// the shortest name.
var routingStarts, routingShortest = func() (starts [256]uint32, shortest int) {
	shortest = 1 << 10
	for name := range routingHeaders {
		starts[name[0]] |= 1 << (name[1] - 'a')
		shortest = min(shortest, len(name))
	}
	return starts, shortest
}()

// routingKindOf is 0 for a header by which no known stack routes.
func routingKindOf(name string) routingKind {
	if len(name) < routingShortest {
		return 0
	}
	first := byte(0)
	for i := range len(name) {
		c := FoldByte(name[i])
		switch {
		case c == 0:
			continue
		case first == 0 && routingStarts[c] != 0:
			first = c
			continue
		case first == 0, c < 'a', routingStarts[first]&(1<<(c-'a')) == 0:
			return 0
		}
		var buf [64]byte // so that the usual name costs no allocation
		return routingHeaders[string(FoldName(buf[:0], name))]
	}
	return 0
}

// HasRoutingHeaders reports whether there is a header by which some app routes.
func HasRoutingHeaders(h http.Header) bool {
	for name := range h {
		if routingKindOf(name) != 0 {
			return true
		}
	}
	return false
}

// RemoveRoutingHeaders removes every header by which some app routes.
func RemoveRoutingHeaders(h http.Header) {
	for name := range h {
		if routingKindOf(name) != 0 {
			delete(h, name)
		}
	}
}

// routingLine is one line of a routing header.
type routingLine struct {
	kind  routingKind
	value string
}

// routingLines are the lines of a request's routing headers. ambiguous reports that a name has
// several lines, and an app may use any of them.
func routingLines(h http.Header) (lines []routingLine, ambiguous bool) {
	var names []string
	for name, values := range h {
		kind := routingKindOf(name)
		if kind == 0 || len(values) == 0 {
			continue
		}
		folded := string(FoldName(nil, name))
		if len(values) > 1 || slices.Contains(names, folded) {
			return nil, true
		}
		names = append(names, folded)
		lines = append(lines, routingLine{kind, values[0]})
	}
	return lines, false
}

// mount is the value of a mountPath header as an app compares it. Some stacks accept a list
// and join it.
func (l routingLine) mount() string {
	value := strings.ReplaceAll(strings.ReplaceAll(l.value, ",", ""), " ", "")
	return strings.TrimRight(value, "/")
}
