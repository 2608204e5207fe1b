package routecheck

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// handler is a handler of the JSON config, with its name under "handler".
type handler map[string]any

func decode(raw json.RawMessage) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil // Caddy refuses it
	}
	return v
}

func decodeHandler(raw json.RawMessage) handler {
	h, _ := decode(raw).(map[string]any)
	return h
}

func (h handler) text(name string) string {
	text, _ := h[name].(string)
	return text
}

func (h handler) name() string { return h.text("handler") }

// location ends a sentence about the handler with its place in the Caddyfile, in the form that
// Caddy's own parser uses.
func (h handler) location() string {
	if at := h.text("caddyfile"); at != "" {
		return ", at " + at
	}
	return ""
}

func (h handler) child(name string) handler {
	child, _ := h[name].(map[string]any)
	return child
}

// routes are the routes in a member of the handler.
func (h handler) routes(name string) []Route { return routesOf(h[name]) }

func routesOf(v any) []Route {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var routes []Route
	if json.Unmarshal(raw, &routes) != nil {
		return nil
	}
	return routes
}

// responses are the lists of routes with which the handler treats answers.
func (h handler) responses() (lists [][]Route) {
	list, _ := h["handle_response"].([]any)
	for _, v := range list {
		if response, ok := v.(map[string]any); ok {
			lists = append(lists, routesOf(response["routes"]))
		}
	}
	return lists
}

// without is the handler without some members.
func (h handler) without(names ...string) handler {
	rest := maps.Clone(h)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// dials are the addresses of the servers behind a reverse_proxy, except those with
// placeholders.
func (h handler) dials() (dials []string) {
	list, _ := h["upstreams"].([]any)
	for _, v := range list {
		upstream, _ := v.(map[string]any)
		if dial := handler(upstream).text("dial"); dial != "" && !strings.Contains(dial, "{") {
			dials = append(dials, dial)
		}
	}
	return dials
}

// destinations are the placeholders that a map fills, without braces.
func (h handler) destinations() (names []string) {
	list, _ := h["destinations"].([]any)
	for _, v := range list {
		if name, ok := v.(string); ok {
			names = append(names, strings.Trim(name, "{}"))
		}
	}
	return names
}

// directive is the handler's name in a Caddyfile.
func (h handler) directive() string {
	switch name := h.name(); name {
	case "vars":
		if _, ok := h["root"]; ok && len(h) == 2 {
			return "root"
		}
		return "vars"
	case "headers":
		if h["request"] != nil {
			return "request_header"
		}
		return "header"
	case "rewrite":
		switch {
		case h["uri"] != nil:
			return "rewrite or try_files"
		case h["method"] != nil:
			return "method"
		}
		return "uri"
	case "static_response":
		if h.child("headers")["Location"] != nil {
			return "redir"
		}
		return "respond"
	case "authentication":
		return "basic_auth"
	case "subroute":
		return "the block"
	case "reverse_proxy":
		switch {
		case h.child("transport")["protocol"] == "fastcgi":
			return "php_fastcgi"
		case isForwardAuth(h):
			return "forward_auth"
		}
		return name
	default:
		return name
	}
}

// isForwardAuth reports whether a reverse_proxy asks another server and then lets the request
// continue.
func isForwardAuth(h handler) bool { return len(h.responses()) > 0 && h["rewrite"] != nil }

// endsRequest reports whether the handler never calls the next one.
func (h handler) endsRequest() bool {
	switch h.name() {
	case "static_response", "error", webhookHandler, "dodo_simulator":
		return true
	case "reverse_proxy":
		return len(h.responses()) == 0
	case "file_server":
		return h["pass_thru"] != true
	}
	return false
}

// knownHandlers are the handlers whose behaviour this package knows completely: Caddy's own,
// and ours.
var knownHandlers = []string{
	"acme_server", "authentication", "copy_response", "copy_response_headers", "encode", "error", "file_server", "headers",
	"intercept", "invoke", "log_append", "map", "metrics", "push", "request_body", "reverse_proxy", "rewrite",
	"static_response", "subroute", "templates", "timeouts", "tracing", "vars",
	gatewayHandler, webhookHandler, requireHandler, chargeHandler, stripHandler, "dodo_simulator",
}

func (h handler) isKnown() bool { return slices.Contains(knownHandlers, h.name()) }

// walkHandlers calls do with each handler in a document, at any depth.
func walkHandlers(v any, do func(handler)) {
	switch v := v.(type) {
	case map[string]any:
		if h := handler(v); h.name() != "" {
			do(h)
		}
		for _, member := range v {
			walkHandlers(member, do)
		}
	case []any:
		for _, member := range v {
			walkHandlers(member, do)
		}
	}
}

// handlers are all handlers of a server.
func (s *Server) handlers() (list []handler) {
	add := func(h handler) { list = append(list, h) }
	routes := slices.Concat(s.Routes, s.Errors, slices.Collect(maps.Values(s.Named)))
	for _, route := range routes {
		for _, raw := range route.Handle {
			walkHandlers(decode(raw), add)
		}
	}
	return list
}

// walkTexts calls do with each string of a document, including the names of members.
func walkTexts(v any, do func(string)) {
	switch v := v.(type) {
	case string:
		do(v)
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			do(name)
			walkTexts(v[name], do)
		}
	case handler:
		walkTexts(map[string]any(v), do)
	case []any:
		for _, member := range v {
			walkTexts(member, do)
		}
	}
}
