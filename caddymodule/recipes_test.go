package caddymodule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oursWith is everything of ours in a site.
const oursWith = usualGateway + `
	dodo_webhook
	dodo_require /pro/* plan pro
	`

// files puts files below the folder of the bench.
func (b *bench) files(names ...string) {
	b.t.Helper()
	for _, name := range names {
		p := filepath.Join(b.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("file "+name), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// assertOurs fails if a site has taken one of our addresses away, which are below
// prefix.
func (b *bench) assertOurs(prefix string) {
	b.t.Helper()
	long := `{"text":"` + strings.Repeat("x", 3000) + `"}`
	for _, p := range []string{"/payments/webhook", "/payments/webhook/", "/Payments//webhook"} {
		if a := b.do("POST", prefix+p, long, "Content-Type", "application/json"); a.status != 401 || !strings.Contains(a.body, "webhook_signature_invalid") {
			b.t.Errorf("webhook at %s: %d %v %s", p, a.status, a.header["Location"], a.body)
		}
	}
	if a := b.do("GET", prefix+"/payments/status", "", "X-Test-User", "alice"); a.status != 200 || !strings.Contains(a.body, `"account":"alice"`) {
		b.t.Errorf("status: %d %v %s", a.status, a.header["Location"], a.body)
	}
	// What the query says arrives, too.
	if a := b.do("GET", prefix+"/payments/history?limit=nothing", "", "X-Test-User", "alice"); a.status != 400 {
		b.t.Errorf("history: %d %v %s", a.status, a.header["Location"], a.body)
	}
	b.assertGated(prefix + "/pro/page")
}

// assertGated wants 402, at the end of redirects of the site.
func (b *bench) assertGated(p string) {
	b.t.Helper()
	for range 3 {
		a := b.do("GET", p, "", "X-Test-User", "alice")
		if a.status == 402 {
			return
		}
		if a.status != 308 && a.status != 302 && a.status != 301 {
			b.t.Errorf("gate at %s: %d %s", p, a.status, a.body)
			return
		}
		p = a.header.Get("Location")
	}
	b.t.Errorf("%s: redirected for ever", p)
}

// The recipes of Caddy's documentation, most of them of its page of common patterns.
// Whatever they do to paths, our addresses stay ours, and gates stand.
func TestRecipesLeaveOurs(t *testing.T) {
	for name, site := range map[string]string{
		"static files":                  "root * {{Dir}}/www\n\tfile_server",
		"static files, clean addresses": "root * {{Dir}}/www\n\ttry_files {path} {path}.html {path}/index.html\n\tfile_server",
		"static files, or 404":          "root * {{Dir}}/www\n\thandle {\n\t\ttry_files {path} {path}.html =404\n\t\tfile_server\n\t}",
		"single-page app":               "root * {{Dir}}/www\n\tencode\n\ttry_files {path} /index.html\n\tfile_server",
		"single-page app with an API": `encode
	handle /api/* {
		reverse_proxy {{Upstream}}
	}
	handle {
		root * {{Dir}}/www
		try_files {path} /index.html
		file_server
	}`,
		"reverse proxy":                    "reverse_proxy {{Upstream}}",
		"reverse proxy, and static files":  "root * {{Dir}}/www\n\treverse_proxy /api/* {{Upstream}}\n\tfile_server",
		"front controller":                 "root * {{Dir}}/www\n\ttry_files {path} /index.php?{query}\n\treverse_proxy {{Upstream}}",
		"front controller by file matcher": "@nofile not file\n\trewrite @nofile /index.php?route={path}\n\treverse_proxy {{Upstream}}",
		"everything rewritten":             "rewrite * /app.php\n\treverse_proxy {{Upstream}}",
		"prefix added":                     "rewrite * /app{uri}\n\treverse_proxy {{Upstream}}",
		"prefix stripped":                  "uri strip_prefix /pro\n\treverse_proxy {{Upstream}}",
		"path replaced":                    "uri replace /pro/ /free/\n\turi replace /payments /x\n\treverse_proxy {{Upstream}}",
		"path replaced by expression":      "uri path_regexp (pro|payments) x\n\treverse_proxy {{Upstream}}",
		"slash added by rewriting":         "@noslash not path */ *.*\n\trewrite @noslash {path}/\n\treverse_proxy {{Upstream}}",
		"slash removed by rewriting":       "@slash path_regexp slash ^(.+)/$\n\trewrite @slash {re.slash.1}\n\treverse_proxy {{Upstream}}",
		"slash removed by redirect":        "@slash path_regexp slash ^(.+)/$\n\tredir @slash {re.slash.1} 308\n\treverse_proxy {{Upstream}}",
		"slash added by redirect, but for ours": `@noslash {
		not path */ *.* /payments/*
	}
	redir @noslash {uri}/ 308
	reverse_proxy {{Upstream}}`,
		"one page redirected": "redir /old /new permanent\n\treverse_proxy {{Upstream}}",
		"a login":             "@stranger not header X-Test-User *\n\troute @stranger {\n\t\t@hook not path /payments/webhook*\n\t\trespond @hook 401\n\t}\n\treverse_proxy {{Upstream}}",
		"small bodies":        "request_body {\n\t\tmax_size 1KB\n\t}\n\treverse_proxy {{Upstream}}",
		"error pages":         "root * {{Dir}}/www\n\tfile_server\n\thandle_errors {\n\t\trewrite * /{err.status_code}.html\n\t\tfile_server\n\t}",
		"maintenance":         "@away not remote_ip 192.0.2.0/24\n\trewrite @away /maintenance.html\n\troot * {{Dir}}/www\n\tfile_server",
		"methods rewritten":   "method @odd GET\n\t@odd method PURGE\n\treverse_proxy {{Upstream}}",
		"an app below a path": "handle_path /shop/* {\n\t\treverse_proxy {{Upstream}}\n\t}\n\treverse_proxy {{Upstream}}",
		"precompressed files": "root * {{Dir}}/www\n\tfile_server {\n\t\tprecompressed zstd br gzip\n\t}",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.files("www/index.html", "www/pro/page", "www/pro/page.html", "www/payments/status", "www/maintenance.html", "www/402.html")
			b.mustLoad(caddyfile(planDodo, oursWith+site))
			b.assertOurs("")
		})
	}
}

// Below a path, ours are there too, when they stand in its block.
func TestRecipeBelowPath(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, "\n\thandle_path /shop/* {"+oursWith+"\n\ttry_files {path} /index.php\n\treverse_proxy {{Upstream}}\n\t}\n\trespond \"the main site\" 404"))
	b.assertOurs("/shop")
	if a := b.do("GET", "/payments/status", ""); a.body != "the main site" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if d := b.seen(b.do("GET", "/shop/free", "")); d.Path != "/index.php" && d.Path != "/free" {
		t.Errorf("%+v", d)
	}
}

// In a route block, too, where everything runs in the order in which it is written.
func TestOursBehindRewriting(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, "\n\troute {\n\trewrite * /index.php"+oursWith+"\n\treverse_proxy {{Upstream}}\n\t}"))
	b.assertOurs("")
	if d := b.seen(b.do("GET", "/free", "")); d.Path != "/index.php" {
		t.Errorf("%+v", d)
	}
}

// A redirect that adds a slash to every address leaves the webhook alone. Other
// routes have no slash at the end, so it must not be for them (docs/caddyfile.md).
func TestSlashRedirect(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, "\n\t@noslash not path */ *.*\n\tredir @noslash {uri}/ 308"+oursWith+"\n\treverse_proxy {{Upstream}}"))
	if a := b.do("POST", "/payments/webhook", "{}"); a.status != 401 {
		t.Errorf("webhook: %d %v", a.status, a.header)
	}
	b.assertGated("/pro/page")
}

// What the operator rewrites to our addresses is ours.
func TestRewrittenToOurs(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, "\n\trewrite /balance /payments/status\n\trewrite /vip /pro/x"+oursWith+"\n\treverse_proxy {{Upstream}}"))
	if a := b.do("GET", "/balance", "", "X-Test-User", "alice"); !strings.Contains(a.body, `"account":"alice"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	b.assertGated("/vip")
}

// phpPage routes by the address as PHP has it, or by a header, as front controllers
// do.
const phpPage = `<?php
foreach (["REQUEST_URI", "HTTP_X_ORIGINAL_URL", "HTTP_X_REWRITE_URL", "PATH_INFO", "SCRIPT_NAME"] as $name) {
	$path = rawurldecode(explode("?", $_SERVER[$name] ?? "")[0]);
	$path = "/" . ltrim(preg_replace('~^(/+index\.php)~i', "", preg_replace('~/+~', "/", $path)), "/");
	if (preg_match('~^/paid(/|$)~i', $path)) die("PAID by $name");
}
echo "free " . $_SERVER["REQUEST_URI"];`

// The sites of real PHP apps: WordPress, Laravel and what is moved over from nginx.
func TestPHPFronts(t *testing.T) {
	for name, site := range map[string]string{
		"WordPress": `encode
	@disallowed path /xmlrpc.php *.sql /wp-content/uploads/*.php
	rewrite @disallowed /index.php
	php_fastcgi %s
	file_server`,
		"Laravel": "encode\n\tphp_fastcgi %s\n\tfile_server",
		"by try_files": `try_files {path} /index.php?{query}
	php_fastcgi %s
	file_server`,
		"by rewrite": `@nofile not file
	rewrite @nofile /index.php?{query}
	php_fastcgi %s`,
		"without directories": `php_fastcgi %s {
		try_files {path} index.php
	}
	file_server`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			php := startPHP(t, b, phpPage)
			servers := "\n\tservers {\n\t\texpected_underscore_headers x_original_url x_rewrite_url\n\t}"
			b.mustLoad(caddyfile(planDodo+servers, oursWith+"dodo_require /paid/* paid\n\troot * {{Dir}}\n\t"+strings.ReplaceAll(site, "%s", php)))
			b.assertOurs("")
			for _, p := range []string{"/paid", "/paid/x", "/PAID/x", "//paid/x", "/paid/x?y", "/%70aid/x", "/index.php/paid/x", "/index.php/paid", "/paid/index.php", "/x/..%2fpaid", "/paid%2fx"} {
				if a := b.do("GET", p, "", "X-Test-User", "alice"); a.status != 402 {
					t.Errorf("%s: %d %s", p, a.status, a.body)
				}
			}
			for _, header := range []string{"x_original_url", "x_rewrite_url", "X_Original_URL"} {
				if a := b.rawAnswer(lines("GET /free HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close", "X-Test-User: alice", header+": /paid/x", "")); a.status != 402 {
					t.Errorf("%s: %d %s", header, a.status, a.body)
				}
			}
			if a := b.do("GET", "/free?x=y", "", "X-Test-User", "alice"); a.body != "free /free?x=y" {
				t.Errorf("free: %d %s", a.status, a.body)
			}
		})
	}
}

// Files that a server serves under several names are gated under all of them.
func TestIndexFilesAndSidecars(t *testing.T) {
	b := newBench(t)
	b.files("www/report/index.html", "www/v.mp4", "www/v.mp4.gz", "www/page.html", "www/free.html")
	b.mustLoad(caddyfile(planDodo, usualGateway+`
	dodo_require /report paid
	dodo_require /page paid
	@films dodo_path *.mp4
	dodo_require @films paid
	root * {{Dir}}/www
	file_server {
		precompressed gzip
	}`))
	for _, p := range []string{"/report", "/report/", "/report/index.html", "/report/%69ndex.html", "/report//index.html", "/v.mp4", "/v.mp4.gz", "/v.mp4%2egz", "/page.html"} {
		if a := b.do("GET", p, "", "X-Test-User", "alice", "Accept-Encoding", "gzip"); a.status != 402 {
			t.Errorf("%s: %d %s", p, a.status, a.body)
		}
	}
	if a := b.do("GET", "/free.html", ""); a.status != 200 {
		t.Errorf("free: %d %s", a.status, a.body)
	}
}

func TestRoutingHeaderOption(t *testing.T) {
	for option, want := range map[string]struct {
		status  int
		arrives bool
	}{
		"":                      {402, true},
		"routing_headers gate":  {402, true},
		"routing_headers strip": {200, false},
		"routing_headers trust": {200, true},
	} {
		t.Run(option, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(planDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		`+option+`
	}
	dodo_require /pro/* plan pro
	reverse_proxy {{Upstream}}`))
			for _, header := range []string{"X-Original-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix"} {
				a := b.do("GET", "/free", "", "X-Test-User", "alice", header, "/pro/x")
				if a.status != want.status {
					t.Errorf("%s: %d %s", header, a.status, a.body)
				} else if a.status == 200 && (len(b.seen(a).claims(header)) > 0) != want.arrives {
					t.Errorf("%s: the app sees %v", header, b.seen(a).Header)
				}
			}
			b.assertGated("/pro/x")
		})
	}
}
