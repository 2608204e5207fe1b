package caddymodule_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// quietDodo says nothing at load that is not about the routes.
const quietDodo = `
	log {
		output file {{Dir}}/caddy.log
	}
	dodo {
		` + loadSettings + `
		site site_test
		signup_credits 3
	}`

// oursInSite is what each site of the matrix has of ours.
const oursInSite = `dodo_webhook
	dodo_gateway {
		account {http.request.header.X-Test-User}
	}
	dodo_require /pro/* plan pro
	`

// appOfSites says "app" at every address. It knows who may pass a forward_auth.
func appOfSites(t *testing.T) string {
	return strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "app")
	}), "http://")
}

// socketOfSites is the same behind a unix socket.
func socketOfSites(t *testing.T, b *bench) string {
	t.Helper()
	path := filepath.Join(b.Dir, "app.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "app") })}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return path
}

// Sites of real life. Each loads without a word, and its app, its gate, its webhook and
// the payment routes answer.
func TestSitesOfRealLife(t *testing.T) {
	const auth = "{{Auth}}"
	for name, tt := range map[string]struct{ before, site, after string }{
		"a proxy":              {site: oursInSite + "reverse_proxy {{Upstream}}"},
		"a unix socket":        {site: oursInSite + "reverse_proxy unix/{{Socket}}"},
		"gRPC":                 {site: oursInSite + "reverse_proxy /grpc.Service/* h2c://{{Upstream}}\n\treverse_proxy {{Upstream}}"},
		"WebSockets":           {site: oursInSite + "@ws {\n\t\theader Connection *Upgrade*\n\t\theader Upgrade websocket\n\t}\n\treverse_proxy @ws {{Upstream}}\n\treverse_proxy {{Upstream}}"},
		"streams":              {site: oursInSite + "reverse_proxy {{Upstream}} {\n\t\tflush_interval -1\n\t\tstream_close_delay 5m\n\t}"},
		"uploads":              {site: oursInSite + "request_body /upload/* {\n\t\tmax_size 100MB\n\t}\n\trequest_body {\n\t\tmax_size 10KB\n\t}\n\treverse_proxy {{Upstream}} {\n\t\trequest_buffers 4k\n\t}"},
		"handle_response":      {site: oursInSite + "reverse_proxy {{Upstream}} {\n\t\t@error status 5xx\n\t\thandle_response @error {\n\t\t\trespond \"sorry\" 503\n\t\t}\n\t}"},
		"replace_status":       {site: oursInSite + "reverse_proxy {{Upstream}} {\n\t\t@gone status 410\n\t\treplace_status @gone 404\n\t}"},
		"intercept":            {site: oursInSite + "intercept {\n\t\t@error status 404\n\t\thandle_response @error {\n\t\t\trespond \"nothing here\" 404\n\t\t}\n\t}\n\treverse_proxy {{Upstream}}"},
		"forward_auth":         {site: "dodo_strip\n\tforward_auth " + auth + " {\n\t\turi /verify\n\t\tcopy_headers Remote-User\n\t}\n\t" + oursInSite + "reverse_proxy {{Upstream}}"},
		"forward_auth of some": {site: "forward_auth /admin/* " + auth + " {\n\t\turi /verify\n\t}\n\tdodo_strip\n\t" + oursInSite + "reverse_proxy {{Upstream}}"},
		"snippets":             {before: "(ours) {\n\t" + oursInSite + "\n}\n(app) {\n\treverse_proxy {args[0]}\n}\n", site: "import ours\n\timport app {{Upstream}}"},
		"an imported file":     {site: "import {{Dir}}/ours.caddy\n\treverse_proxy {{Upstream}}"},
		"a named route":        {before: "&(app) {\n\treverse_proxy {{Upstream}}\n}\n", site: oursInSite + "invoke app"},
		"static files":         {site: oursInSite + "root * {{Dir}}/www\n\tfile_server"},
		"files with browsing":  {site: oursInSite + "root * {{Dir}}/www\n\tfile_server browse {\n\t\thide .git\n\t\tprecompressed br gzip\n\t}"},
		"a single-page app":    {site: oursInSite + "root * {{Dir}}/www\n\ttry_files {path} /index.html\n\tfile_server"},
		"an SPA with an API":   {site: oursInSite + "handle /api/* {\n\t\treverse_proxy {{Upstream}}\n\t}\n\thandle {\n\t\troot * {{Dir}}/www\n\t\ttry_files {path} /index.html\n\t\tfile_server\n\t}"},
		"templates":            {site: oursInSite + "root * {{Dir}}/www\n\ttemplates\n\tfile_server"},
		"compression":          {site: oursInSite + "encode zstd gzip\n\treverse_proxy {{Upstream}}"},
		"handle_path":          {site: oursInSite + "handle_path /v2/* {\n\t\trewrite * /api{uri}\n\t\treverse_proxy {{Upstream}}\n\t}\n\treverse_proxy {{Upstream}}"},
		"several upstreams":    {site: oursInSite + "reverse_proxy {{Upstream}} {{Auth}} {\n\t\tlb_policy first\n\t\tlb_try_duration 1s\n\t\tfail_duration 10s\n\t}"},
		"dynamic upstreams":    {site: oursInSite + "reverse_proxy {\n\t\tdynamic a 127.0.0.1 {{AppPort}}\n\t}"},
		"upstream by header":   {site: oursInSite + "map {header.X-Tenant} {backend} {\n\t\tred {{Upstream}}\n\t\tdefault {{Upstream}}\n\t}\n\treverse_proxy {backend}"},
		"two hosts":            {site: oursInSite + "reverse_proxy {{Upstream}}", after: "http://b.localhost:{{Port}} {\n\t" + oursInSite + "reverse_proxy {{Upstream}}\n}\nhttp://static.localhost:{{Port}} {\n\trespond static\n}\n"},
		"www":                  {site: oursInSite + "reverse_proxy {{Upstream}}", after: "http://www.localhost:{{Port}} {\n\tredir http://127.0.0.1:{{Port}}{uri} permanent\n}\n"},
		"redirects":            {site: oursInSite + "@noslash not path */ *.*  /payments/* /free /pro/*\n\tredir @noslash {uri}/ 308\n\tredir /old /free permanent\n\treverse_proxy {{Upstream}}"},
		"the TLS of a proxy":   {site: oursInSite + "@plain header X-Forwarded-Proto http\n\tredir @plain https://{host}{uri}\n\treverse_proxy {{Upstream}}"},
		"security headers":     {site: oursInSite + "header {\n\t\tStrict-Transport-Security max-age=31536000\n\t\tX-Frame-Options DENY\n\t\t-Server\n\t\tdefer\n\t}\n\treverse_proxy {{Upstream}}"},
		"a login for some":     {site: oursInSite + "basic_auth /admin/* {\n\t\talice $2a$04$ruQbIl8vnhMcV5ar88NZZemwlmIkjQDG8J37iTcFSlWYwKLLkUNnS\n\t}\n\treverse_proxy {{Upstream}}"},
		"error pages":          {site: oursInSite + "reverse_proxy {{Upstream}}\n\thandle_errors {\n\t\trewrite * /error.html\n\t\troot * {{Dir}}/www\n\t\tfile_server\n\t}"},
		"blocked addresses":    {site: oursInSite + "@blocked remote_ip 192.0.2.0/24\n\trespond @blocked 403\n\t@secret path /.git/* /.env\n\terror @secret 404\n\treverse_proxy {{Upstream}}"},
		"a plan's matcher":     {site: oursInSite + "@pro dodo_entitled plan pro\n\thandle @pro {\n\t\trespond pro\n\t}\n\thandle {\n\t\treverse_proxy {{Upstream}}\n\t}"},
		"logs and metrics":     {site: oursInSite + "log\n\tlog_append account {http.dodo.account}\n\tlog_skip /health\n\trespond /health 200\n\treverse_proxy {{Upstream}}"},
		"a route block":        {site: "route {\n\t\tdodo_webhook\n\t\tdodo_gateway {\n\t\t\taccount {http.request.header.X-Test-User}\n\t\t}\n\t\tdodo_require /pro/* plan pro\n\t\tencode\n\t\treverse_proxy {{Upstream}}\n\t}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DODOGATE_TEST_API_KEY", "test_api_key")
			t.Setenv("DODOGATE_TEST_WEBHOOK_SECRET", webhookSecret)
			b := newBench(t)
			b.Upstream = appOfSites(t)
			_, port, _ := net.SplitHostPort(b.Upstream)
			for _, file := range []string{"www/free", "www/index.html", "www/error.html"} {
				b.files(file)
			}
			b.write("www/free", "app")
			b.write("ours.caddy", oursInSite)
			text := "{\n\tadmin {{Admin}}\n\tauto_https off\n\tskip_install_trust\n" + quietDodo + "\n}\n" + tt.before +
				"http://127.0.0.1:{{Port}} {\n\t" + tt.site + "\n}\n" + tt.after
			socket := ""
			if strings.Contains(text, "{{Socket}}") {
				socket = socketOfSites(t, b)
			}
			b.mustLoad(strings.NewReplacer("{{Auth}}", appOfSites(t), "{{AppPort}}", port, "{{Socket}}", socket).Replace(text))
			b.assertWarnings(nil)
			if a := b.do("GET", "/free", ""); a.status != 200 || a.body != "app" {
				t.Errorf("app: %d %s", a.status, a.body)
			}
			b.problem(b.do("GET", "/pro/x", ""), 401, "unauthenticated")
			b.problem(b.do("GET", "/pro/x", "", "X-Test-User", "alice"), 402, "plan_required")
			b.problem(b.do("POST", "/payments/webhook", strings.Repeat("x", 20_000)), 401, "webhook_signature_invalid")
			b.webhook(fmt.Sprintf("evt_%d", len(name)), `{"type":"payment.processing","business_id":"bus_1","timestamp":"2026-01-01T00:00:00Z","data":{"payload_type":"Payment","payment_id":"pay_1"}}`)
			if a := b.do("GET", "/payments/status", "", "X-Test-User", "alice"); a.status != 200 || !strings.Contains(a.body, `"account":"alice"`) {
				t.Errorf("status: %d %s", a.status, a.body)
			}
		})
	}
}
