package routecheck_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/routecheck"
)

const (
	basicAuth = `{"handler": "authentication", "providers": {"http_basic": {}}}`
	gate      = `{"handler": "dodo_gateway", "account": "{http.auth.user.id}"}`
	ask       = `{"handler": "static_response", "body": "{http.dodo.plan}"}`
	plugin    = `{"handler": "rate_limit", "key": "{http.dodo.account}"}`
	wrapped   = `{"handler": "cached", "routes": [{"handle": [` + gate + `]}]}`
	gated     = gate + `, {"handler": "subroute", "routes": [{"match": [{"path": ["/paid"]}], "handle": [{"handler": "dodo_charge", "credits": 1}]}]}`
	app       = `{"handler": "reverse_proxy", "upstreams": [{"dial": "app:3000"}]}`
	files     = `{"handler": "file_server"}`
	fixed     = `{"handler": "rewrite", "uri": "/{http.error.status_code}.html"}`
	around    = "reverse_proxy in handle_errors serves what is behind dodo_require or dodo_charge"
	errorPage = `{"handler": "reverse_proxy", "upstreams": [{"dial": "errors:3000"}]}`
)

// inSite is a site whose errors are handled, without the headers that clients write.
func inSite(handlers, onError string) string {
	return `[{"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "dodo_strip"}, ` + basicAuth + `, ` + handlers + `]}], "errors": {"routes": [{"handle": [` + onError + `]}]}}]}]`
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		routes   string
		refusals []string // parts, in order
		warnings []string
	}{
		"in order":         {`[{"handle": [` + basicAuth + `, ` + gate + `, ` + ask + `]}]`, nil, nil},
		"asked before":     {`[{"handle": [` + ask + `]}, {"handle": [` + basicAuth + `, ` + gate + `]}]`, []string{"respond asks for {http.dodo.plan}"}, nil},
		"no gateway":       {`[{"handle": [` + ask + `]}]`, []string{"respond asks for {http.dodo.plan}"}, nil},
		"another site":     {`[{"match": [{"host": ["a.example"]}], "handle": [` + basicAuth + `, ` + gate + `], "terminal": true}, {"handle": [` + ask + `]}]`, []string{"respond asks for"}, nil},
		"sometimes":        {`[{"match": [{"path": ["/a"]}], "handle": [` + basicAuth + `, ` + gate + `]}, {"handle": [` + ask + `]}]`, nil, []string{"empty for the requests that did not pass dodo_gateway"}},
		"sometimes, ended": {`[{"match": [{"path": ["/a"]}], "handle": [` + basicAuth + `, ` + gate + `, {"handler": "file_server"}]}, {"handle": [` + ask + `]}]`, []string{"respond asks for"}, nil},
		"the same group":   {`[{"group": "g", "match": [{"path": ["/a"]}], "handle": [` + basicAuth + `, ` + gate + `]}, {"group": "g", "handle": [` + ask + `]}]`, []string{"respond asks for"}, nil},
		"another group":    {`[{"group": "g", "match": [{"path": ["/a"]}], "handle": [` + basicAuth + `, ` + gate + `]}, {"group": "h", "handle": [{"handler": "dodo_require", "paid": true}]}]`, nil, nil},
		"between a group": {`[{"group": "g", "match": [{"path": ["/a"]}], "handle": [{"handler": "encode"}]}, {"handle": [` + basicAuth + `, ` + gate + `]},
			{"group": "g", "handle": [` + ask + `]}]`, nil, nil},

		"a plug-in asks":             {`[{"handle": [` + plugin + `, ` + gate + `]}]`, nil, []string{"rate_limit asks for {http.dodo.account}, which is empty unless it is read after dodo_gateway"}},
		"a plug-in's matcher":        {`[{"match": [{"geo": {"of": "{http.dodo.account}"}}], "handle": [{"handler": "encode"}]}, {"handle": [` + basicAuth + `, ` + gate + `]}]`, []string{"the matcher of encode asks for {http.dodo.account}"}, nil},
		"a gateway within a plug-in": {`[{"handle": [` + wrapped + `, {"handler": "dodo_require", "paid": true}]}]`, nil, nil},
		"a plug-in may log in":       {`[{"handle": [{"handler": "portal"}, {"handler": "dodo_gateway", "account": "{http.portal.user}"}]}]`, nil, nil},

		"nested not":       {`[{"match": [{"not": [{"not": [{"dodo_entitled": {"paid": true}}]}]}], "handle": [{"handler": "encode"}]}, {"handle": [` + basicAuth + `, ` + gate + `]}]`, []string{"the matcher of encode is dodo_entitled"}, nil},
		"CEL":              {`[{"match": [{"expression": "ph(req, 'http.dodo.plan') == 'pro'"}], "handle": [{"handler": "encode"}]}, {"handle": [` + basicAuth + `, ` + gate + `]}]`, []string{"the matcher of encode asks for {http.dodo.plan}"}, nil},
		"a text like ours": {`[{"handle": [{"handler": "static_response", "body": "read http.dodo.plan"}]}]`, nil, nil},
		"an escape":        {`[{"handle": [{"handler": "static_response", "body": "\u007bhttp.dodo.plan\u007d"}]}]`, []string{"respond asks for {http.dodo.plan}"}, nil},
		"not JSON":         {`[{"handle": [1, "x", null, {"handler": 5}, {"handler": "subroute", "routes": 7}]}]`, nil, nil},

		"errors of a subroute": {`[{"handle": [{"handler": "subroute", "routes": [{"handle": [` + basicAuth + `, ` + gate + `]}], "errors": {"routes": [{"handle": [` + errorPage + `]}]}}]}]`,
			nil, []string{"handle_errors passes requests to a server"}},
		"refused by error": {`[{"handle": [` + basicAuth + `, ` + gate + `, {"handler": "dodo_require", "paid": true, "refuse": "error"}]}]`,
			nil, []string{"dodo_require says refuse error, but the site has no handle_errors"}},
		"refused by error in a subroute that catches": {`[{"handle": [{"handler": "subroute", "routes": [{"handle": [` + basicAuth + `, ` + gate + `, {"handler": "dodo_charge", "credits": 1, "refuse": "error"}]}],
			"errors": {"routes": [{"handle": [{"handler": "static_response"}]}]}}]}]`, nil, nil},
		"asked for a refusal before": {`[{"handle": [{"handler": "static_response", "body": "{http.dodo.refusal.code}"}, ` + basicAuth + `, ` + gate + `]}]`,
			[]string{"respond asks for {http.dodo.refusal.code}"}, nil},
		"errors lead around a gate":           {inSite(gated+`, `+app, app), nil, []string{around}},
		"errors lead around, to PHP":          {inSite(gated+`, `+app, `{"handler": "rewrite", "uri": "{http.matchers.file.relative}"}, `+app), nil, []string{around}},
		"errors lead around, with a query":    {inSite(gated+`, `+app, `{"handler": "rewrite", "uri": "{http.request.uri.path}?error"}, `+app), nil, []string{around}},
		"errors lead around, to files":        {inSite(gated+`, `+files, files), nil, []string{"file_server in handle_errors serves what is behind"}},
		"errors lead around, sometimes":       {inSite(gated+`, `+app, `{"handler": "subroute", "routes": [{"match": [{"path": ["/a"]}], "handle": [`+fixed+`]}, {"handle": [`+app+`]}]}`), nil, []string{around}},
		"errors have a page of their own":     {inSite(gated+`, `+app, fixed+`, `+app), nil, nil},
		"errors have a page for each status":  {inSite(gated+`, `+app, `{"handler": "subroute", "routes": [{"group": "g", "match": [{"path": ["/a"]}], "handle": [`+fixed+`]}, {"group": "g", "handle": [`+fixed+`]}, {"handle": [`+app+`]}]}`), nil, nil},
		"errors have a page for one status":   {inSite(gated+`, `+app, `{"handler": "subroute", "routes": [{"group": "g", "match": [{"path": ["/a"]}], "handle": [`+fixed+`]}, {"handle": [`+app+`]}]}`), nil, []string{around}},
		"errors have a page for most":         {inSite(gated+`, `+app, `{"handler": "subroute", "routes": [{"group": "g", "match": [{"path": ["/a"]}], "handle": [{"handler": "encode"}]}, {"group": "g", "handle": [`+fixed+`]}, {"handle": [`+app+`]}]}`), nil, []string{around}},
		"errors have a gate":                  {inSite(gated+`, `+app, gate+`, {"handler": "dodo_require", "paid": true}, `+app), nil, nil},
		"errors have another server":          {inSite(gated+`, `+app, errorPage), nil, nil},
		"errors have files, and the app none": {inSite(gated+`, `+app, files), nil, nil},
		"nothing is gated":                    {inSite(gate+`, `+app, app), nil, nil},

		"invoked by itself": {`[{"handle": [{"handler": "invoke", "name": "loop"}]}]`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := routecheck.Server{Name: "a", Listen: []string{":443"}}
			if err := json.Unmarshal([]byte(tt.routes), &server.Routes); err != nil {
				t.Fatal(err)
			}
			server.Named = map[string]routecheck.Route{"loop": server.Routes[0]}
			report := routecheck.Check([]routecheck.Server{server, hookServer()}, routecheck.Settings{HeaderPrefix: "X-Entitlement-"})
			if !slices.EqualFunc(report.Refusals, tt.refusals, strings.Contains) {
				t.Errorf("refused by %q, want %q", report.Refusals, tt.refusals)
			}
			if !slices.EqualFunc(report.Warnings, tt.warnings, strings.Contains) {
				t.Errorf("warned by %q, want %q", report.Warnings, tt.warnings)
			}
		})
	}
}

// TestRefuseErrorOfSites: the error routes of one site do not answer for another.
func TestRefuseErrorOfSites(t *testing.T) {
	const site = `{"match": [{"host": ["a.example"]}], "handle": [` + gate + `, {"handler": "dodo_require", "paid": true, "refuse": "error"}], "terminal": true}`
	const page = `"handle": [{"handler": "static_response"}]`
	for name, tt := range map[string]struct {
		errors string
		warns  bool
	}{
		"none":         {`[]`, true},
		"every site":   {`[{` + page + `}]`, false},
		"this site":    {`[{"match": [{"host": ["A.example"]}], ` + page + `}]`, false},
		"a wildcard":   {`[{"match": [{"host": ["*.example"]}], ` + page + `}]`, false},
		"another site": {`[{"match": [{"host": ["b.example"]}], ` + page + `}]`, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := routecheck.Server{Name: "a", Listen: []string{":443"}}
			for text, routes := range map[string]*[]routecheck.Route{"[" + site + "]": &server.Routes, tt.errors: &server.Errors} {
				if err := json.Unmarshal([]byte(text), routes); err != nil {
					t.Fatal(err)
				}
			}
			report := routecheck.Check([]routecheck.Server{server}, routecheck.Settings{HeaderPrefix: "X-Entitlement-"})
			warned := slices.ContainsFunc(report.Warnings, func(text string) bool {
				return strings.Contains(text, "site a.example: dodo_require says refuse error")
			})
			if warned != tt.warns {
				t.Errorf("warned by %q, want %v", report.Warnings, tt.warns)
			}
		})
	}
}

// hookServer takes webhooks, so that no other place needs to.
func hookServer() routecheck.Server {
	return routecheck.Server{Name: "hooks", Listen: []string{":8443"}, Routes: []routecheck.Route{{Handle: []json.RawMessage{[]byte(`{"handler": "dodo_webhook"}`)}}}}
}

// Webhooks have no login, and Dodo follows no redirect.
func TestLostWebhooks(t *testing.T) {
	const (
		hook     = `{"match": [{"dodo_webhook": {"path": "/payments/webhook"}}], "handle": [{"handler": "dodo_webhook"}]}`
		redirect = `"handle": [{"handler": "static_response", "status_code": 308, "headers": {"Location": ["/x"]}}]`
		gateway  = `{"handle": [{"handler": "dodo_gateway", "account": "{http.request.header.Authorization}"}]}`
		login    = `{"handle": [` + basicAuth + `]}`
		asks     = `{"handle": [{"handler": "reverse_proxy", "rewrite": {"uri": "/verify"}, "handle_response": [{"routes": []}], "upstreams": [{"dial": "auth:9000"}]}]}`
	)
	const taken, away, small = "redir answers Dodo's webhooks", "turns Dodo's webhooks away", "request_body refuses Dodo's webhooks"
	matched := func(matchers, rest string) string { return `{"match": [` + matchers + `], ` + rest + `}` }
	for name, tt := range map[string]struct{ routes, want string }{
		"nothing before":                 {gateway, ""},
		"a login":                        {login + "," + gateway, "basic_auth " + away},
		"a login by another server":      {asks + "," + gateway, "forward_auth " + away},
		"a login, after the webhook":     {hook + "," + login + "," + gateway, ""},
		"a login before the webhook":     {login + "," + hook + "," + gateway, "basic_auth " + away},
		"a login for some":               {matched(`{"path": ["/admin/*"]}`, `"handle": [`+basicAuth+`]`) + "," + gateway, ""},
		"a login within a block":         {`{"handle": [{"handler": "subroute", "routes": [` + login + "," + gateway + `]}]}`, "basic_auth " + away},
		"small bodies":                   {`{"handle": [{"handler": "request_body", "max_size": 1000}]},` + gateway, small},
		"large bodies":                   {`{"handle": [{"handler": "request_body", "max_size": 10000000}]},` + gateway, ""},
		"small bodies, after":            {hook + `,{"handle": [{"handler": "request_body", "max_size": 1000}]},` + gateway, ""},
		"a slash is added":               {matched(`{"not": [{"path": ["*/", "*.*"]}]}`, redirect) + "," + gateway, taken},
		"a slash is added, but to ours":  {matched(`{"not": [{"path": ["*/", "*.*", "/Payments/*"]}]}`, redirect) + "," + gateway, ""},
		"a slash is added, after":        {hook + "," + matched(`{"not": [{"path": ["*/", "*.*"]}]}`, redirect) + "," + gateway, ""},
		"a slash, before the webhook":    {matched(`{"not": [{"path": ["*/"]}]}`, redirect) + "," + hook + "," + gateway, taken},
		"by the protocol":                {matched(`{"header": {"X-Forwarded-Proto": ["http"]}}`, redirect) + "," + gateway, taken},
		"by another protocol":            {matched(`{"not": [{"header": {"X-Forwarded-Proto": ["https"]}}]}`, redirect) + "," + gateway, taken},
		"by the protocol, after":         {hook + "," + matched(`{"header": {"X-Forwarded-Proto": ["http"]}}`, redirect) + "," + gateway, ""},
		"one page":                       {matched(`{"path": ["/old"]}`, redirect) + "," + gateway, ""},
		"by a method":                    {matched(`{"method": ["GET"]}`, redirect) + "," + gateway, ""},
		"by a path in the middle":        {matched(`{"path": ["*ments*"]}`, redirect) + "," + gateway, taken},
		"by a path with a star":          {matched(`{"path": ["/*/webhook"]}`, redirect) + "," + gateway, taken},
		"an answer that is none":         {matched(`{"path": ["/payments/*"]}`, `"handle": [{"handler": "static_response", "body": "x"}]`) + "," + gateway, ""},
		"another site takes the webhook": {`{"match": [{"host": ["hooks.example"]}], "handle": [{"handler": "dodo_webhook"}], "terminal": true},` + login + "," + gateway, ""},
		"only this machine takes it":     {`{"match": [{"host": ["localhost"]}], "handle": [{"handler": "dodo_webhook"}], "terminal": true},` + login + "," + gateway, "basic_auth " + away},
	} {
		t.Run(name, func(t *testing.T) {
			server := routecheck.Server{Name: "a", Listen: []string{":443"}}
			if err := json.Unmarshal([]byte("["+tt.routes+"]"), &server.Routes); err != nil {
				t.Fatal(err)
			}
			report := routecheck.Check([]routecheck.Server{server}, routecheck.Settings{HeaderPrefix: "X-Entitlement-"})
			var lost []string
			for _, warning := range report.Warnings {
				if strings.Contains(warning, "Dodo's webhooks") {
					lost = append(lost, warning)
				}
			}
			if tt.want == "" && len(lost) > 0 || tt.want != "" && (len(lost) != 1 || !strings.Contains(lost[0], "server a: "+tt.want)) {
				t.Errorf("warned by %q, want %q", lost, tt.want)
			}
		})
	}
}
