package caddymodule_test

import (
	"strings"
	"testing"
)

// dodo_webhook without a path is where the site's dodo_gateway would take webhooks.
func TestWebhookFollowsBasePath(t *testing.T) {
	const login, gateway = "\n\trespond /login 401\n\trequest_body {\n\t\tmax_size 10\n\t}", " {\n\t\taccount {http.request.header.X-Test-User}\n\t}"
	const refusesAll = "\n\tredir * /elsewhere 308"
	for name, tt := range map[string]struct{ site, path, other string }{
		"by default":                {"dodo_webhook" + refusesAll + "\n\tdodo_gateway" + gateway, "/payments/webhook", "/billing/webhook"},
		"another base path":         {"dodo_gateway /billing" + gateway + "\n\tdodo_webhook" + refusesAll, "/billing/webhook", "/payments/webhook"},
		"a deeper base path":        {"dodo_webhook" + refusesAll + "\n\tdodo_gateway /api/v1/billing" + gateway, "/api/v1/billing/webhook", "/payments/webhook"},
		"below a path":              {"dodo_webhook" + refusesAll + "\n\thandle_path /shop/* {\n\tdodo_gateway" + gateway + "\n\t}", "/shop/payments/webhook", "/payments/webhook"},
		"in the block":              {"handle_path /shop/* {\n\tdodo_webhook" + refusesAll + "\n\tdodo_gateway" + gateway + "\n\t}", "/shop/payments/webhook", "/shop/billing/webhook"},
		"in a route block":          {"route {\n\tdodo_webhook" + refusesAll + "\n\tdodo_gateway /pay" + gateway + "\n\t}", "/pay/webhook", "/payments/webhook"},
		"below a path, with compat": {"dodo_webhook" + refusesAll + "\n\thandle_path /shop/* {\n\tdodo_gateway" + strings.Replace(gateway, "{\n", "{\n\t\tcompat express\n", 1) + "\n\t}", "/shop/api/payments/webhook", "/api/payments/webhook"},
		"the routes of FastAPI":     {"dodo_webhook" + refusesAll + "\n\tdodo_gateway" + strings.Replace(gateway, "{\n", "{\n\t\tcompat fastapi\n", 1), "/payment/webhook", "/api/payments/webhook"},
		"without a gateway":         {"dodo_webhook" + refusesAll, "/payments/webhook", "/billing/webhook"},
		"a path of its own":         {"dodo_webhook /hook" + refusesAll + "\n\tdodo_gateway /billing" + gateway, "/hook", "/billing/webhook"},
		"the gateway in a block":    {"dodo_webhook" + refusesAll + "\n\thandle {\n\t\troute {\n\tdodo_gateway /pay" + gateway + "\n\t}\n\t}", "/pay/webhook", "/payments/webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(usualDodo, "\n\t"+tt.site))
			for _, path := range []string{tt.path, tt.path + "/"} {
				// At the addresses of compat it is said in the words of that integration.
				if a := b.do("POST", path, "{}"); a.status != 401 && a.status != 400 || !strings.Contains(a.body, "signature") {
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
			}
			if a := b.do("POST", tt.other, "{}"); a.status != 308 {
				t.Errorf("%s: %d %s", tt.other, a.status, a.body)
			}
			if a := b.do("GET", tt.path, ""); tt.path != "/hook" && a.status != 308 {
				t.Errorf("GET: %d %s", a.status, a.body)
			}
		})
	}
	// Each site follows its own.
	b := newBench(t)
	site := func(host, base string) string {
		return "http://" + host + ":{{Port}} {\n\tdodo_webhook\n\trespond /webhook-of-the-app 200\n\tdodo_gateway " + base + gateway + login + "\n}\n"
	}
	b.mustLoad("{\n\tadmin {{Admin}}\n\tauto_https off\n" + usualDodo + "\n}\n" + site("a.test", "/one") + site("b.test", "/two"))
	long := `{"text":"longer than the site allows"}`
	for host, path := range map[string]string{"a.test": "/one/webhook", "b.test": "/two/webhook"} {
		b.problem(b.at(host, "POST", path, long), 401, "webhook_signature_invalid")
	}
}
