package caddymodule

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// Modules that Caddy has loaded, as the JSON that they were loaded from. Caddy empties
// the fields of guest modules when it loads those, so that whatever holds routes,
// matchers or logins is put together again here. What plug-ins hold is lost.

func matcherSetsJSON(sets caddyhttp.MatcherSets) (list []map[string]json.RawMessage) {
	for _, set := range sets {
		members := map[string]json.RawMessage{}
		for _, matcher := range set {
			if module, ok := matcher.(caddy.Module); ok {
				members[caddy.GetModuleName(module)] = matcherJSON(matcher)
			}
		}
		list = append(list, members)
	}
	return list
}

func matcherJSON(matcher any) json.RawMessage {
	if not, ok := matcher.(*caddyhttp.MatchNot); ok {
		return encode(matcherSetsJSON(not.MatcherSets))
	}
	return encode(matcher)
}

func handlerJSON(handler caddyhttp.MiddlewareHandler) json.RawMessage {
	members := map[string]json.RawMessage{}
	_ = json.Unmarshal(encode(handler), &members) // of one that has no JSON, the name will do
	if members == nil {
		members = map[string]json.RawMessage{}
	}
	if module, ok := handler.(caddy.Module); ok {
		members["handler"] = encode(caddy.GetModuleName(module))
	}
	switch handler := handler.(type) {
	case *caddyhttp.Subroute:
		members["routes"] = encode(checkedRoutes(handler.Routes))
		if handler.Errors != nil {
			members["errors"] = encode(map[string]any{"routes": checkedRoutes(handler.Errors.Routes)})
		}
	case *reverseproxy.Handler:
		members["handle_response"] = responsesJSON(handler.HandleResponse)
		if module, ok := handler.Transport.(caddy.Module); ok {
			members["transport"] = encode(map[string]string{"protocol": caddy.GetModuleName(module)})
		}
	case *intercept.Intercept:
		members["handle_response"] = responsesJSON(handler.HandleResponse)
	case *caddyauth.Authentication:
		providers := map[string]any{}
		for _, name := range slices.Collect(maps.Keys(handler.Providers)) {
			providers[name] = struct{}{}
		}
		members["providers"] = encode(providers)
	}
	return encode(members)
}

func responsesJSON(responses []caddyhttp.ResponseHandler) json.RawMessage {
	list := []any{}
	for _, response := range responses {
		list = append(list, map[string]any{"routes": checkedRoutes(response.Routes)})
	}
	return encode(list)
}

// encode is empty for what has no JSON.
func encode(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}
