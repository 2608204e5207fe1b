package routecheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// login is what a server's handlers set about who makes a request.
type login struct {
	hasPlugin bool // a plug-in may set anything
	providers []string
	headers   map[string]bool // request headers that are set, in lower case
	vars      map[string]bool
	mapped    map[string]bool // set by the handler map
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
		l.hasPlugin = l.hasPlugin || !h.isKnown()
	}
}

var anyPlaceholder = regexp.MustCompile(`\{([^{}]+)\}`)

// checkLogins warns of identity settings that nothing ever fills in, or that any client can
// write.
func checkLogins(s *Server, sites []site, settings Settings, report *Report) {
	l := newLogin(s)
	if l.hasPlugin {
		return
	}
	for _, site := range sites {
		for _, c := range slices.Concat(site.identityTexts, settings.identityTextsOf(site)) {
			for _, m := range anyPlaceholder.FindAllStringSubmatch(c.text, -1) {
				if doubt := l.problemOf(m[1], site).sentence(c.setting); doubt != "" {
					report.warn(fmt.Sprintf("%s: %s is %s, but %s%s", site.label, c.setting, c.text, doubt, site.location))
				}
			}
		}
	}
}

// identityText is a setting with placeholders that says who makes a request.
type identityText struct{ setting, text string }

// identityTextsOf are the identity settings of a gateway.
func identityTextsOf(h handler) (list []identityText) {
	for _, setting := range []string{"account", "email", "email_verified", "name"} {
		list = append(list, identityText{setting, h.text(setting)})
	}
	return list
}

// identityTextsOf are the identity settings of the global option, which apply to every
// gateway.
func (s Settings) identityTextsOf(at site) (list []identityText) {
	for _, text := range s.MatchEmail {
		if at.gateway {
			list = append(list, identityText{"match_email", text})
		}
	}
	return list
}

// placeholderProblem is what is wrong with a placeholder; the zero value is nothing.
type placeholderProblem struct {
	reason, remedy string
	isForgeable    bool // a client chooses the value; else nothing fills it in
}

// sentence describes the problem for a setting that has the placeholder; empty if it does not
// matter there.
func (d placeholderProblem) sentence(setting string) string {
	isAccount := setting == "account"
	text := d.reason
	switch {
	case text == "", d.isForgeable && setting == "name": // a name only fills in a form
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

func (l login) problemOf(key string, s site) placeholderProblem {
	family, name := splitKey(key)
	switch family {
	case "http.auth.user.":
		return l.problemOfUser(key, name, s)
	case "http.auth.candidate.":
		return placeholderProblem{"that is somebody whose login has failed, and ", "use {http.auth.user.id}", true}
	case "http.dodo.":
		return placeholderProblem{reason: "that is known only after dodo_gateway has run", remedy: "use what the login fills in, such as {http.auth.user.id}"}
	case "http.vars.":
		if !l.vars[name] && !slices.Contains(caddyVars, name) {
			return placeholderProblem{reason: "no vars directive sets " + name}
		}
	case "http.request.header.":
		return l.problemOfHeader(strings.ToLower(name), s)
	case "http.request.uri.query.":
		return placeholderProblem{"in a query ", "use what the login fills in, such as {http.auth.user.id}", true}
	case "":
		if !l.mapped[key] {
			return placeholderProblem{reason: "nothing in this config fills in {" + key + "}", remedy: "is it misspelled?"}
		}
	}
	return placeholderProblem{}
}

// problemOfUser checks a placeholder of Caddy's logins.
func (l login) problemOfUser(key, name string, s site) placeholderProblem {
	switch {
	case l.vars[key]:
	case len(l.providers) == 0:
		return placeholderProblem{reason: "this server has no login that fills it in, such as basic_auth"}
	case name != "id" && !slices.ContainsFunc(l.providers, func(p string) bool { return p != "http_basic" }):
		return placeholderProblem{reason: "basic_auth fills in only {http.auth.user.id}"}
	case s.login == never:
		return placeholderProblem{
			reason: "no login runs before this dodo_gateway",
			remedy: "write both into a route block, the login first, or say in the global options that the login's directive is ordered before basic_auth",
		}
	}
	return placeholderProblem{}
}

func (l login) problemOfHeader(name string, s site) placeholderProblem {
	switch {
	case slices.Contains(s.headers, name), name == "authorization", s.isLocal():
		return placeholderProblem{}
	case l.headers[name]:
		return placeholderProblem{"the header is not set before this dodo_gateway, so that ", "write both into a route block, what sets it first", true}
	case s.server.TrustsProxies:
		return placeholderProblem{}
	}
	return placeholderProblem{
		"nothing in this config sets the header, so that ",
		"set it by forward_auth with copy_headers or by request_header before dodo_gateway, or let no request reach this server but through a proxy that sets it", true,
	}
}

var caddyVars = []string{"client_ip", "trusted_proxy", "start_time", "uuid", "original_request"}

// placeholderPrefixes are the beginnings of the placeholders that Caddy fills in. The more
// specific ones come first.
var placeholderPrefixes = []string{
	"http.auth.user.", "http.auth.candidate.", "http.dodo.", "http.vars.", "http.request.header.", "http.request.uri.query.",
	"http.request.cookie.", "http.request.tls.", "http.request.remote", "http.request.host", "http.request.local",
	"http.request.orig_uri", "http.request.uri", "http.request.method", "http.request.scheme", "http.request.port",
	"http.request.proto", "http.request.uuid", "http.request.body", "http.regexp.", "http.matchers.", "http.reverse_proxy.",
	"http.response.", "http.error", "http.request.orig_method", "env.", "file.", "system.", "time.", "tls.",
}

// splitKey is the known prefix of a placeholder, empty if Caddy does not know it, and the rest
// of its name.
func splitKey(key string) (family, name string) {
	for _, family := range placeholderPrefixes {
		if name, found := strings.CutPrefix(key, family); found {
			return family, name
		}
	}
	return "", key
}
