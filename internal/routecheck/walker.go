package routecheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// walker follows requests through a server.
type walker struct {
	server    *Server
	settings  Settings
	report    *Report
	sites     []site
	hooks     []hook
	upstreams upstreams

	sets     []map[string]any // the matchers of the route that is walked
	label    string           // of the site that is walked
	hosts    []string         // the same
	part     bool             // a matcher lets only some requests for the hosts in
	inErrors bool
	invoked  []string
	catching int // subroutes around this place that have error routes
}

func newWalker(s *Server, settings Settings, report *Report) *walker {
	return &walker{server: s, settings: settings, report: report}
}

func (w *walker) walk() {
	w.label = "server " + w.server.Name
	w.routes(w.server.Routes, flow{})
	w.inErrors = true
	w.routes(w.server.Errors, flow{gateway: perhaps})
}

// routes follows requests through a list of routes. at is what has happened to them
// before. It returns what the list does.
func (w *walker) routes(list []Route, at flow) flow {
	var (
		free   flow // what routes without a group do
		groups = map[string]flow{}
		names  []string
		moved  = map[string]bool{} // the groups of which each route so far replaces the path
	)
	for _, route := range list {
		now := at.then(free)
		for _, name := range names {
			if name != route.Group { // of a group, one route runs
				now = now.then(groups[name])
			}
		}
		does := w.route(route, now)
		moved[route.Group] = does.fixed && (moved[route.Group] || !slices.Contains(names, route.Group))
		switch isSometimes := len(route.Match) > 0 || route.Group != ""; {
		case route.Terminal && isSometimes: // a site of its own
			does = flow{}
		case isSometimes:
			does = does.orNot()
		}
		if route.Group == "" {
			free = free.then(does)
			continue
		}
		if !slices.Contains(names, route.Group) {
			names = append(names, route.Group)
		}
		group := groups[route.Group].then(does)
		if len(route.Match) == 0 { // this route or one before it runs
			group.fixed = moved[route.Group]
		}
		groups[route.Group] = group
	}
	for _, name := range names {
		free = free.then(groups[name])
	}
	if free.ends {
		return flow{ends: true}
	}
	return free
}

func (w *walker) route(route Route, at flow) flow {
	label, hosts, part := w.label, w.hosts, w.part
	defer func() { w.label, w.hosts, w.part = label, hosts, part }()
	handlers := make([]handler, 0, len(route.Handle))
	for _, raw := range route.Handle {
		handlers = append(handlers, decodeHandler(raw))
	}
	where := "a route"
	if len(handlers) > 0 {
		where = handlers[0].directive()
	}
	sets := matcherSets(route)
	w.sets = sets
	w.enterHosts(sets)
	w.part = w.part || !onlyHosts(sets)
	for _, set := range sets {
		if question := questions(at.mapped).inMatcher(set); question != "" {
			w.judge(question, "the matcher of "+where, where, entitledAt(set), true, at)
		}
	}
	var does flow
	for _, h := range handlers {
		w.sets = sets
		does = does.then(w.handler(h, at.then(does)))
	}
	does.ends = does.ends || route.Terminal
	return does
}

func matcherSets(route Route) []map[string]any {
	sets := make([]map[string]any, 0, len(route.Match))
	for _, raw := range route.Match {
		set := make(map[string]any, len(raw))
		for name, v := range raw {
			set[name] = decode(v)
		}
		sets = append(sets, set)
	}
	return sets
}

// onlyHosts reports whether matchers look at nothing but the host.
func onlyHosts(sets []map[string]any) bool {
	return !slices.ContainsFunc(sets, func(set map[string]any) bool { return len(set) != 1 || set["host"] == nil })
}

// enterHosts notes for which hosts a route is, if it is not for any.
func (w *walker) enterHosts(sets []map[string]any) {
	var hosts []string
	for _, set := range sets {
		list, _ := set["host"].([]any)
		if len(list) == 0 {
			return
		}
		for _, host := range list {
			if host, ok := host.(string); ok {
				hosts = append(hosts, host)
			}
		}
	}
	if len(hosts) > 0 {
		w.hosts, w.label = hosts, "site "+strings.Join(hosts, ", ")
	}
}

func (w *walker) handler(h handler, at flow) flow {
	if question := questions(at.mapped).inText(h.asked()); question != "" {
		w.judge(question, h.directive(), h.directive(), h.at(), h.isOfCaddy(), at)
	}
	does := flow{ends: h.endsRequest()}
	w.unreached(h, at)
	switch h.name() {
	case gatewayHandler:
		w.gateway(h, at)
		does.gateway, does.base = surely, cmp.Or(h.text("base_path"), defaultBase)
		does.clean = []string{w.prefix(h)}
	case webhookHandler:
		w.hook(at, h, webhookPaths(w.sets)...)
		does.hooked = true
		w.sites = append(w.sites, site{label: w.label, hosts: w.hosts, server: w.server})
	case stripHandler:
		if at.gateway == surely && !w.inErrors {
			w.report.refuse(w.label + ": dodo_strip runs after dodo_gateway and would remove its headers; write it before" + h.at())
		}
		does.clean, does.stays = []string{w.prefix(h)}, true
		w.upstreams.strips = append(w.upstreams.strips, place{server: w.server.Name, hosts: w.hosts})
	case requireHandler, chargeHandler:
		if at.gateway == never {
			w.report.refuse(fmt.Sprintf("%s: no dodo_gateway runs before %s, so that nobody can say whose request it is; write dodo_gateway into the same site or block, and in a route block before it%s", w.label, h.name(), h.at()))
		}
		if h.text("refuse") == "error" && !w.catchesErrors() {
			w.report.warn(fmt.Sprintf("%s: %s says refuse error, but the site has no handle_errors, so that Caddy answers every refusal with an empty page; write handle_errors into the site, or leave refuse out%s", w.label, h.name(), h.at()))
		}
		does.gate = surely
	case "rewrite":
		does.fixed, does.stripped = fixesPath(h), h.text("strip_path_prefix")
	case "static_response":
		if h.directive() == "redir" {
			does.redirects = []redirect{{w.sets, at.stripped}}
		}
	case "request_body":
		size, limited := h["max_size"].(float64)
		does.small = limited && size < maxEvent
	case "file_server":
		w.content(h, []string{anyFiles}, at)
	case "headers":
		does.clean, does.headers = removedPrefixes(h), setHeaders(h)
	case "authentication":
		does.login, does.guard = surely, h.directive()
	case "vars":
		does.login = setsUser(h)
	case "map":
		does.mapped = mapped(h, at)
	case "subroute":
		does = w.subroute(h, at)
	case "invoke":
		does = w.invoke(h.text("name"), at)
	case "intercept": // on the way back, when everything has happened
		for _, list := range h.responses() {
			w.routes(list, at.then(flow{gateway: surely}))
		}
	case "reverse_proxy":
		does.asked = w.upstream(h, at)
		if isForwardAuth(h) {
			does.guard = h.directive()
		}
		for _, list := range h.responses() {
			does = does.then(w.routes(list, at).orNot())
		}
	default:
		if !h.isOfCaddy() {
			does.gateway, does.login = hidden(h), perhaps
		}
	}
	return does
}

// hidden says whether a handler of a plug-in has a dodo_gateway somewhere in it.
func hidden(h handler) (found reach) {
	everyHandler(map[string]any(h), func(inner handler) {
		if inner.name() == gatewayHandler {
			found = perhaps
		}
	})
	return found
}

// entitledAt ends a sentence about a matcher set with where its dodo_entitled is.
func entitledAt(set map[string]any) string {
	own, _ := set[entitledMatcher].(map[string]any)
	return handler(own).at()
}

// judge says what it means to ask about an account at this place.
func (w *walker) judge(question, where, directive, place string, certain bool, at flow) {
	remedy := fmt.Sprintf("Write dodo_gateway into the site, and %s into a handle or route block after it%s", directive, place)
	switch {
	case at.gateway == surely || w.inErrors:
	case at.gateway == perhaps && question != entitledMatcher:
		w.report.warn(fmt.Sprintf("%s: %s asks for %s, which is empty for the requests that did not pass dodo_gateway before", w.label, where, question))
	case at.gateway == perhaps: // those requests are answered with 500
	case question == entitledMatcher:
		w.report.refuse(fmt.Sprintf("%s: %s is dodo_entitled, but no dodo_gateway has run there, and nobody can say whose request it is. %s", w.label, where, remedy))
	case certain:
		w.report.refuse(fmt.Sprintf("%s: %s asks for %s, but no dodo_gateway has run there, so that it is always empty. %s", w.label, where, question, remedy))
	default:
		w.report.warn(fmt.Sprintf("%s: %s asks for %s, which is empty unless it is read after dodo_gateway. %s", w.label, where, question, remedy))
	}
}

func (w *walker) gateway(h handler, at flow) {
	if w.inErrors {
		return
	}
	w.sites = append(w.sites, site{
		label: w.label, hosts: w.hosts, server: w.server, at: h.at(),
		claims: claimsOf(h), asks: h.child("ask").text("url"), public: h.text("public_url"),
		gateway: true, part: w.part, login: at.login, headers: at.headers,
	})
	base := cmp.Or(h.text("base_path"), defaultBase)
	w.hook(at, h, base+"/webhook")
	if taken := at.redirected(base); taken != "" {
		w.report.warn(fmt.Sprintf("%s: redir answers requests for the payment routes below %s before dodo_gateway does, so that nobody can buy; except them from it, such as by `not path %s/*`%s", w.label, base, taken, h.at()))
	}
	w.upstreams.gates = append(w.upstreams.gates, place{server: w.server.Name, hosts: w.hosts})
	switch at.gateway {
	case surely:
		w.report.refuse(w.label + ": two dodo_gateway run for one request, and the second would undo the first; let one stand for the whole site, or put each into a handle block of its own" + h.at())
		return
	case perhaps:
		w.report.warn(w.label + ": a second dodo_gateway runs for some requests and undoes what the first did" + h.at())
	}
	for _, p := range at.asked {
		if !p.stays {
			for _, dial := range p.dials {
				w.upstreams.asked = append(w.upstreams.asked, passage{label: w.label, directive: p.directive, dial: dial})
			}
		}
		if !slices.Contains(p.clean, w.prefix(h)) {
			w.report.warn(fmt.Sprintf("%s: %s runs before dodo_gateway, so that its server sees the %s headers that the client wrote, and any Upgrade; write %s into the site, which removes them first%s",
				w.label, p.directive, w.prefix(h)+"*", w.stripLine(h), h.at()))
		}
	}
}

// prefix begins the headers that a gateway sets or dodo_strip removes.
func (w *walker) prefix(h handler) string {
	if prefix := h.text("header_prefix"); prefix != "" {
		return strings.ToLower(prefix)
	}
	return strings.ToLower(w.settings.HeaderPrefix)
}

func (w *walker) stripLine(h handler) string {
	return strings.TrimSpace(stripHandler + " " + h.text("header_prefix"))
}

func (w *walker) subroute(h handler, at flow) flow {
	errorRoutes := routesOf(h.child("errors")["routes"])
	if len(errorRoutes) > 0 {
		w.catching++
	}
	does := w.routes(h.routes("routes"), at)
	if len(errorRoutes) > 0 {
		w.catching--
	}
	w.errorRoutes(errorRoutes, at)
	return does
}

// catchesErrors reports whether some route may answer an error of the place that is
// walked. It does not read for which statuses the route is.
func (w *walker) catchesErrors() bool {
	return w.catching > 0 || !w.inErrors && slices.ContainsFunc(w.server.Errors, w.mayServe)
}

// mayServe reports whether a route may be for one of the hosts that are walked.
func (w *walker) mayServe(route Route) bool {
	sets := matcherSets(route)
	if len(sets) == 0 || len(w.hosts) == 0 {
		return true
	}
	return slices.ContainsFunc(sets, func(set map[string]any) bool {
		list, _ := set["host"].([]any)
		return len(list) == 0 || slices.ContainsFunc(list, func(v any) bool {
			host, _ := v.(string)
			return strings.ContainsAny(host, "*{") || slices.ContainsFunc(w.hosts, func(mine string) bool { return strings.EqualFold(mine, host) })
		})
	})
}

// errorRoutes are those of a subroute: something may have failed before or after its
// gateway.
func (w *walker) errorRoutes(list []Route, at flow) {
	before := w.inErrors
	w.inErrors = true
	w.routes(list, flow{gateway: perhaps, clean: at.clean})
	w.inErrors = before
}

func (w *walker) invoke(name string, at flow) flow {
	route, found := w.server.Named[name]
	if !found || slices.Contains(w.invoked, name) {
		return flow{}
	}
	w.invoked = append(w.invoked, name)
	defer func() { w.invoked = w.invoked[:len(w.invoked)-1] }()
	return w.routes([]Route{route}, at)
}
