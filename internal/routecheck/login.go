package routecheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// login is what a server's handlers fill in of who makes a request.
type login struct {
	foreign   bool // a plug-in may fill in whatever it likes
	providers []string
	headers   map[string]bool // request headers that are set, in lower case
	vars      map[string]bool
	mapped    map[string]bool // by the handler map
}

func newLogin(s *Server) login {
	l := login{headers: map[string]bool{}, vars: map[string]bool{}, mapped: map[string]bool{}}
	for _, h := range s.handlers() {
		l.add(h)
	}
	return l
}

func (l *login) add(h handler) {
	switch h.name() {
	case "authentication":
		for provider := range h.child("providers") {
			l.providers = append(l.providers, provider)
		}
	case "headers":
		for _, name := range setHeaders(h) {
			l.headers[name] = true
		}
	case "vars":
		for name := range h {
			l.vars[name] = true
		}
	case "map":
		for _, name := range h.destinations() {
			l.mapped[name] = true
		}
	default:
		l.foreign = l.foreign || !h.isOfCaddy()
	}
}

var anyPlaceholder = regexp.MustCompile(`\{([^{}]+)\}`)

// checkLogins finds accounts that nothing fills in, and those that any client can
// write.
func checkLogins(s *Server, sites []site, report *Report) {
	l := newLogin(s)
	if l.foreign {
		return
	}
	for _, site := range sites {
		for _, m := range anyPlaceholder.FindAllStringSubmatch(site.account, -1) {
			if doubt := l.doubt(m[1], site); doubt != "" {
				report.warn(fmt.Sprintf("%s: account is %s, but %s%s", site.label, site.account, doubt, site.at))
			}
		}
	}
}

// doubt is what is wrong with a placeholder of an account; empty is nothing.
func (l login) doubt(key string, s site) string {
	family, name := splitKey(key)
	switch family {
	case "http.auth.user.":
		return l.doubtUser(key, name, s)
	case "http.auth.candidate.":
		return "that is somebody whose login has failed; use {http.auth.user.id}"
	case "http.dodo.":
		return "that is known only after dodo_gateway has run; use what the login fills in, such as {http.auth.user.id}"
	case "http.vars.":
		if !l.vars[name] && !slices.Contains(varsOfCaddy, name) {
			return "no vars directive sets " + name + ", so that nobody is logged in"
		}
	case "http.request.header.":
		return l.doubtHeader(strings.ToLower(name), s)
	case "http.request.uri.query.":
		return "a client can write the name of any account there; use what the login fills in, such as {http.auth.user.id}"
	case "":
		if !l.mapped[key] {
			return "nothing in this config fills in {" + key + "}, so that nobody is logged in; is it misspelled?"
		}
	}
	return ""
}

// doubtUser doubts a placeholder of Caddy's logins.
func (l login) doubtUser(key, name string, s site) string {
	switch {
	case l.vars[key]:
	case len(l.providers) == 0:
		return "this server has no login that fills it in, such as basic_auth, so that nobody is logged in"
	case name != "id" && !slices.ContainsFunc(l.providers, func(p string) bool { return p != "http_basic" }):
		return "basic_auth fills in only {http.auth.user.id}, so that nobody is logged in"
	case s.login == never:
		return "no login runs before this dodo_gateway, so that nobody is logged in; write both into a route block, the login first, or say in the global options that the login's directive is ordered before basic_auth"
	}
	return ""
}

func (l login) doubtHeader(name string, s site) string {
	switch {
	case slices.Contains(s.headers, name), name == "authorization", s.isLocal():
		return ""
	case l.headers[name]:
		return "the header is not set before this dodo_gateway, so that a client can write the name of any account there; write both into a route block, what sets it first"
	case s.server.TrustsProxies:
		return ""
	}
	return "nothing in this config sets the header, so that a client can write the name of any account there; set it by forward_auth with copy_headers or by request_header before dodo_gateway, or let no request reach this server but through a proxy that sets it"
}

var varsOfCaddy = []string{"client_ip", "trusted_proxy", "start_time", "uuid", "original_request"}

// families are the placeholders that Caddy fills in, by how they begin. Those of a
// request's address end the list, because more is told apart of them.
var families = []string{
	"http.auth.user.", "http.auth.candidate.", "http.dodo.", "http.vars.", "http.request.header.", "http.request.uri.query.",
	"http.request.cookie.", "http.request.tls.", "http.request.remote", "http.request.host", "http.request.local",
	"http.request.orig_uri", "http.request.uri", "http.request.method", "http.request.scheme", "http.request.port",
	"http.request.proto", "http.request.uuid", "http.request.body", "http.regexp.", "http.matchers.", "http.reverse_proxy.",
	"http.response.", "http.error", "http.request.orig_method", "env.", "file.", "system.", "time.", "tls.",
}

// splitKey is the family of a placeholder, empty for one that Caddy does not know, and
// the rest of its name.
func splitKey(key string) (family, name string) {
	for _, family := range families {
		if name, found := strings.CutPrefix(key, family); found {
			return family, name
		}
	}
	return "", key
}
