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
			report := routecheck.Check([]routecheck.Server{server}, routecheck.Settings{HeaderPrefix: "X-Entitlement-"})
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
