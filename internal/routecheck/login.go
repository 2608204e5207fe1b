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

// checkLogins finds what says who makes a request and is never filled in, or can be
// written by any client.
func checkLogins(s *Server, sites []site, settings Settings, report *Report) {
	l := newLogin(s)
	if l.foreign {
		return
	}
	for _, site := range sites {
		for _, c := range slices.Concat(site.claims, settings.claimsOf(site)) {
			for _, m := range anyPlaceholder.FindAllStringSubmatch(c.text, -1) {
				if doubt := l.doubt(m[1], site).of(c.setting); doubt != "" {
					report.warn(fmt.Sprintf("%s: %s is %s, but %s%s", site.label, c.setting, c.text, doubt, site.at))
				}
			}
		}
	}
}

// claim is a text with placeholders that says something of whoever makes a request.
type claim struct{ setting, text string }

// claimsOf are those of a gateway.
func claimsOf(h handler) (list []claim) {
	for _, setting := range []string{"account", "email", "email_verified", "name"} {
		list = append(list, claim{setting, h.text(setting)})
	}
	return list
}

// claimsOf are those that the global option makes at every gateway.
func (s Settings) claimsOf(at site) (list []claim) {
	for _, text := range s.MatchEmail {
		if at.gateway {
			list = append(list, claim{"match_email", text})
		}
	}
	return list
}

// doubt is what is wrong with a placeholder; the zero value is nothing.
type doubt struct {
	reason, remedy string
	isForgeable    bool // a client chooses the value; else nothing fills it in
}

// of is the doubt in words, for a setting that the placeholder is in; empty for none.
func (d doubt) of(setting string) string {
	isAccount := setting == "account"
	text := d.reason
	switch {
	case text == "", d.isForgeable && setting == "name": // which only fills in a form
		return ""
	case d.isForgeable && isAccount:
		text += "a client can write the name of any account there"
	case d.isForgeable:
		text += "a client can write any value there"
	case isAccount:
		text += ", so that nobody is logged in"
	default:
		text += ", so that it is always empty"
	}
	if d.remedy != "" {
		text += "; " + d.remedy
	}
	return text
}

func (l login) doubt(key string, s site) doubt {
	family, name := splitKey(key)
	switch family {
	case "http.auth.user.":
		return l.doubtUser(key, name, s)
	case "http.auth.candidate.":
		return doubt{"that is somebody whose login has failed, and ", "use {http.auth.user.id}", true}
	case "http.dodo.":
		return doubt{reason: "that is known only after dodo_gateway has run", remedy: "use what the login fills in, such as {http.auth.user.id}"}
	case "http.vars.":
		if !l.vars[name] && !slices.Contains(varsOfCaddy, name) {
			return doubt{reason: "no vars directive sets " + name}
		}
	case "http.request.header.":
		return l.doubtHeader(strings.ToLower(name), s)
	case "http.request.uri.query.":
		return doubt{"in a query ", "use what the login fills in, such as {http.auth.user.id}", true}
	case "":
		if !l.mapped[key] {
			return doubt{reason: "nothing in this config fills in {" + key + "}", remedy: "is it misspelled?"}
		}
	}
	return doubt{}
}

// doubtUser doubts a placeholder of Caddy's logins.
func (l login) doubtUser(key, name string, s site) doubt {
	switch {
	case l.vars[key]:
	case len(l.providers) == 0:
		return doubt{reason: "this server has no login that fills it in, such as basic_auth"}
	case name != "id" && !slices.ContainsFunc(l.providers, func(p string) bool { return p != "http_basic" }):
		return doubt{reason: "basic_auth fills in only {http.auth.user.id}"}
	case s.login == never:
		return doubt{
			reason: "no login runs before this dodo_gateway",
			remedy: "write both into a route block, the login first, or say in the global options that the login's directive is ordered before basic_auth",
		}
	}
	return doubt{}
}

func (l login) doubtHeader(name string, s site) doubt {
	switch {
	case slices.Contains(s.headers, name), name == "authorization", s.isLocal():
		return doubt{}
	case l.headers[name]:
		return doubt{"the header is not set before this dodo_gateway, so that ", "write both into a route block, what sets it first", true}
	case s.server.TrustsProxies:
		return doubt{}
	}
	return doubt{
		"nothing in this config sets the header, so that ",
		"set it by forward_auth with copy_headers or by request_header before dodo_gateway, or let no request reach this server but through a proxy that sets it", true,
	}
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
