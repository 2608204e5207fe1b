package routecheck

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// walker follows requests through a server. The fields from matchers on describe the current
// place.
type walker struct {
	server    *Server
	settings  Settings
	report    *Report
	sites     []site
	webhooks  []webhookPlace
	upstreams upstreams

	matchers      []map[string]any // of the current route
	label         string           // of the current site
	hosts         []string         // of the current site
	isPartial     bool             // a matcher lets in only some requests for the hosts
	inErrors      bool
	invoked       []string
	errorHandlers int // number of enclosing subroutes with error routes
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

// routes follows requests through a list of routes. at is what has happened to them before. It
// returns the flow of the list.
func (w *walker) routes(list []Route, at flow) flow {
	var (
		free   flow // of the routes without a group
		groups = map[string]flow{}
		names  []string
		moved  = map[string]bool{} // the groups in which each route so far replaces the path
	)
	for _, route := range list {
		now := at.then(free)
		for _, name := range names {
			if name != route.Group { // only one route of a group runs
				now = now.then(groups[name])
			}
		}
		does := w.route(route, now)
		moved[route.Group] = does.pathFixed && (moved[route.Group] || !slices.Contains(names, route.Group))
		switch isSometimes := len(route.Match) > 0 || route.Group != ""; {
		case route.Terminal && isSometimes: // a site of its own
			does = flow{}
		case isSometimes:
			does = does.optional()
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
			group.pathFixed = moved[route.Group]
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
	label, hosts, part := w.label, w.hosts, w.isPartial
	defer func() { w.label, w.hosts, w.isPartial = label, hosts, part }()
	handlers := make([]handler, 0, len(route.Handle))
	for _, raw := range route.Handle {
		handlers = append(handlers, decodeHandler(raw))
	}
	where := "a route"
	if len(handlers) > 0 {
		where = handlers[0].directive()
	}
	sets := matcherSets(route)
	w.matchers = sets
	w.enterHosts(sets)
	w.isPartial = w.isPartial || !onlyHosts(sets)
	for _, set := range sets {
		if reference := accountRefs(at.mapped).findInMatcher(set); reference != "" {
			w.reportReference(reference, "the matcher of "+where, where, entitledAt(set), true, at)
		}
	}
	var does flow
	for _, h := range handlers {
		w.matchers = sets
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

// onlyHosts reports whether matchers look only at the host.
func onlyHosts(sets []map[string]any) bool {
	return !slices.ContainsFunc(sets, func(set map[string]any) bool { return len(set) != 1 || set["host"] == nil })
}

// enterHosts sets the hosts of a route, if it is not for any host.
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
	if reference := accountRefs(at.mapped).findInTexts(h.readOnArrival()); reference != "" {
		w.reportReference(reference, h.directive(), h.directive(), h.location(), h.isKnown(), at)
	}
	does := flow{ends: h.endsRequest()}
	w.checkUnreachable(h, at)
	switch h.name() {
	case gatewayHandler:
		w.recordGateway(h, at)
		does.gateway, does.basePath = surely, cmp.Or(h.text("base_path"), defaultBase)
		does.removedPrefixes = []string{w.prefix(h)}
	case webhookHandler:
		w.recordWebhook(at, h, webhookPaths(w.matchers)...)
		does.webhookTaken = true
		w.sites = append(w.sites, site{label: w.label, hosts: w.hosts, server: w.server})
	case stripHandler:
		if at.gateway == surely && !w.inErrors {
			w.report.refuse(w.label + ": dodo_strip runs after dodo_gateway and would remove its headers; write it before" + h.location())
		}
		does.removedPrefixes, does.noUpgrade = []string{w.prefix(h)}, true
		w.upstreams.strips = append(w.upstreams.strips, place{server: w.server.Name, hosts: w.hosts})
	case requireHandler, chargeHandler:
		if at.gateway == never {
			w.report.refuse(fmt.Sprintf("%s: no dodo_gateway runs before %s, so the account of a request is unknown; write dodo_gateway into the same site or block, and in a route block before it%s", w.label, h.name(), h.location()))
		}
		if h.text("refuse") == "error" && !w.catchesErrors() {
			w.report.warn(fmt.Sprintf("%s: %s says refuse error, but the site has no handle_errors, so that Caddy answers every refusal with an empty page; write handle_errors into the site, or leave refuse out%s", w.label, h.name(), h.location()))
		}
		does.gate = surely
	case "rewrite":
		does.pathFixed, does.strippedPrefix = fixesPath(h), h.text("strip_path_prefix")
	case "static_response":
		if h.directive() == "redir" {
			does.redirects = []redirect{{w.matchers, at.strippedPrefix}}
		}
	case "request_body":
		size, limited := h["max_size"].(float64)
		does.limitsBody = limited && size < maxEvent
	case "file_server":
		w.recordContent(h, []string{anyFiles}, at)
	case "headers":
		does.removedPrefixes, does.headers = removedPrefixes(h), setHeaders(h)
	case "authentication":
		does.login, does.loginGuard = surely, h.directive()
	case "vars":
		does.login = setsUser(h)
	case "map":
		does.mapped = mappedPlaceholders(h, at)
	case "subroute":
		does = w.subroute(h, at)
	case "invoke":
		does = w.invoke(h.text("name"), at)
	case "intercept": // runs with the response, after everything else
		for _, list := range h.responses() {
			w.routes(list, at.then(flow{gateway: surely}))
		}
	case "reverse_proxy":
		does.seenBy = w.recordUpstream(h, at)
		if isForwardAuth(h) {
			does.loginGuard = h.directive()
		}
		for _, list := range h.responses() {
			does = does.then(w.routes(list, at).optional())
		}
	default:
		if !h.isKnown() {
			does.gateway, does.login = pluginGateway(h), perhaps
		}
	}
	return does
}

// pluginGateway says whether a plug-in's handler contains a dodo_gateway.
func pluginGateway(h handler) (found certainty) {
	walkHandlers(map[string]any(h), func(inner handler) {
		if inner.name() == gatewayHandler {
			found = perhaps
		}
	})
	return found
}

// entitledAt ends a sentence about a matcher set with the place of its dodo_entitled.
func entitledAt(set map[string]any) string {
	own, _ := set[entitledMatcher].(map[string]any)
	return handler(own).location()
}

// reportReference reports a reference to the account before the account is known.
func (w *walker) reportReference(reference, where, directive, place string, certain bool, at flow) {
	remedy := fmt.Sprintf("Write dodo_gateway into the site, and %s into a handle or route block after it%s", directive, place)
	switch {
	case at.gateway == surely || w.inErrors:
	case at.gateway == perhaps && reference != entitledMatcher:
		w.report.warn(fmt.Sprintf("%s: %s asks for %s, which is empty for the requests that did not pass dodo_gateway before", w.label, where, reference))
	case at.gateway == perhaps: // requests without a gateway get a 500
	case reference == entitledMatcher:
		w.report.refuse(fmt.Sprintf("%s: %s is dodo_entitled, but no dodo_gateway has run there, and the account of a request is unknown. %s", w.label, where, remedy))
	case certain:
		w.report.refuse(fmt.Sprintf("%s: %s asks for %s, but no dodo_gateway has run there, so that it is always empty. %s", w.label, where, reference, remedy))
	default:
		w.report.warn(fmt.Sprintf("%s: %s asks for %s, which is empty unless it is read after dodo_gateway. %s", w.label, where, reference, remedy))
	}
}

func (w *walker) recordGateway(h handler, at flow) {
	if w.inErrors {
		return
	}
	w.sites = append(w.sites, site{
		label: w.label, hosts: w.hosts, server: w.server, location: h.location(),
		identityTexts: identityTextsOf(h), askURL: h.child("ask").text("url"), publicURL: h.text("public_url"),
		gateway: true, isPartial: w.isPartial, login: at.login, headers: at.headers,
	})
	base := cmp.Or(h.text("base_path"), defaultBase)
	w.recordWebhook(at, h, base+"/webhook")
	if taken := at.redirectedBase(base); taken != "" {
		w.report.warn(fmt.Sprintf("%s: redir answers requests for the payment routes below %s before dodo_gateway does, so that nobody can buy; except them from it, such as by `not path %s/*`%s", w.label, base, taken, h.location()))
	}
	w.upstreams.gateways = append(w.upstreams.gateways, place{server: w.server.Name, hosts: w.hosts})
	switch at.gateway {
	case surely:
		w.report.refuse(w.label + ": two dodo_gateway run for one request, and the second would undo the first; let one stand for the whole site, or put each into a handle block of its own" + h.location())
		return
	case perhaps:
		w.report.warn(w.label + ": a second dodo_gateway runs for some requests and undoes what the first did" + h.location())
	}
	for _, p := range at.seenBy {
		if !p.noUpgrade {
			for _, dial := range p.dials {
				w.upstreams.upgradable = append(w.upstreams.upgradable, contentSource{label: w.label, directive: p.directive, address: dial})
			}
		}
		if !slices.Contains(p.removedPrefixes, w.prefix(h)) {
			w.report.warn(fmt.Sprintf("%s: %s runs before dodo_gateway, so that its server sees the %s headers that the client wrote, and any Upgrade; write %s into the site, which removes them first%s",
				w.label, p.directive, w.prefix(h)+"*", w.stripLine(h), h.location()))
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
		w.errorHandlers++
	}
	does := w.routes(h.routes("routes"), at)
	if len(errorRoutes) > 0 {
		w.errorHandlers--
	}
	w.errorRoutes(errorRoutes, at)
	return does
}

// catchesErrors reports whether some route may answer an error of the current place. It
// ignores for which statuses the route is.
func (w *walker) catchesErrors() bool {
	return w.errorHandlers > 0 || !w.inErrors && slices.ContainsFunc(w.server.Errors, w.mayServe)
}

// mayServe reports whether a route may be for one of the current hosts.
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

// errorRoutes follows the error routes of a subroute. The failure may have happened before or
// after its gateway.
func (w *walker) errorRoutes(list []Route, at flow) {
	before := w.inErrors
	w.inErrors = true
	w.routes(list, flow{gateway: perhaps, removedPrefixes: at.removedPrefixes})
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
