package caddymodule_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/config"
)

// validateJSON is `caddy validate` of a JSON config.
func validateJSON(t *testing.T, text string) error {
	t.Helper()
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(text), &cfg); err != nil {
		return err
	}
	return caddy.Validate(&cfg)
}

// jsonConfig has one site with a gateway and a webhook.
func jsonConfig(app, gateway string) string {
	apps := `"http": {"servers": {"site": {"listen": ["127.0.0.1:{{Port}}"], "automatic_https": {"disable": true}, "routes": [
		{"match": [{"path": ["/hook"]}], "handle": [{"handler": "dodo_webhook"}]},
		{"handle": [` + gateway + `, {"handler": "static_response", "body": "{http.dodo.credits}"}]}]}}}`
	if app != "" {
		apps += `, "dodo": ` + app
	}
	return `{"admin": {"disabled": true}, "apps": {` + apps + `}}`
}

const (
	jsonApp = `{
		"api_key": "key",
		"webhook_secrets": ["` + webhookSecret + `"],
		"products": [{"name": "pack10", "id": "pdt_1", "credits": 10, "credits_expire": "30d"}],
		"signup_credits": 7,
		"store": {"backend": "bolt", "file": "{{Dir}}/dodogate.db"}
	}`
	jsonGateway = `{"handler": "dodo_gateway", "account": "{http.request.header.X-Test-User}", "base_path": "/pay"}`
)

func TestJSON(t *testing.T) {
	b := newBench(t)
	config := b.fill(jsonConfig(jsonApp, jsonGateway))
	if err := validateJSON(t, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	if a := b.do("GET", "/", "", "X-Test-User", "alice"); a.body != "7" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.do("POST", "/hook", "{}"); a.status != 401 || !strings.Contains(a.body, "webhook_signature_invalid") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.do("GET", "/pay/status", "", "X-Test-User", "alice"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestPolicies: what is set is what the gateway goes by.
func TestPolicies(t *testing.T) {
	b := newBench(t)
	app := strings.Replace(jsonApp, `"signup_credits": 7`, `"refund_policy": "floor", "dispute_policy": "ignore"`, 1)
	t.Cleanup(func() { _ = caddy.Stop() })
	if err := caddy.Load([]byte(b.fill(jsonConfig(app, jsonGateway))), true); err != nil {
		t.Fatal(err)
	}
	running, err := caddy.ActiveContext().App("dodo")
	if err != nil {
		t.Fatal(err)
	}
	refunds, disputes := running.(*caddymodule.App).Policies()
	if refunds != config.RefundFloor || disputes != config.DisputeIgnore {
		t.Errorf("the policies are %q and %q", refunds, disputes)
	}
}

// The app with one setting changed.
func appWith(t *testing.T, setting string, value any) string {
	t.Helper()
	var app map[string]any
	if err := json.Unmarshal([]byte(jsonApp), &app); err != nil {
		t.Fatal(err)
	}
	app[setting] = value
	if value == nil {
		delete(app, setting)
	}
	text, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAppSettings(t *testing.T) {
	t.Setenv("DODOGATE_TEST_ENV", "live_mode")
	t.Setenv("DODOGATE_TEST_JUNK", "production")
	t.Setenv("DODOGATE_TEST_ID", "pdt_1")
	product := func(members map[string]any) []any {
		p := map[string]any{"name": "a", "id": "pdt_1", "credits": 1}
		for k, v := range members {
			p[k] = v
		}
		return []any{p}
	}
	for name, tt := range map[string]struct {
		setting string
		value   any
		want    string // empty: accepted
	}{
		"unknown refund policy":   {"refund_policy", "forgive", `refund_policy must be debt or floor, not "forgive"`},
		"unknown setting":         {"api_kye", "x", `unknown field "api_kye"`},
		"unknown product setting": {"products", product(map[string]any{"price": 5}), `unknown field "price"`},
		"unknown store setting":   {"store", map[string]any{"backend": "bolt", "path": "x"}, `unknown field "path"`},
		"unknown store":           {"store", map[string]any{"backend": "mongo"}, "dodo.stores.mongo"},
		"store without backend":   {"store", map[string]any{"file": "x"}, "backend"},
		"default store":           {"store", nil, ""},
		"no api key":              {"api_key", nil, "api_key is required"},
		"no webhook secret":       {"webhook_secrets", nil, "webhook_secret is required"},
		"an empty webhook secret": {"webhook_secrets", []string{""}, "webhook_secret 1 is required"},
		"weak webhook secret":     {"webhook_secrets", []string{"whsec_"}, "webhook_secret: webhook secret 1: empty"},
		"no products":             {"products", nil, "no product is configured"},
		"id from the environment": {"products", product(map[string]any{"id": "{env.DODOGATE_TEST_ID}"}), ""},
		"id of nothing":           {"products", product(map[string]any{"id": "{env.DODOGATE_TEST_UNSET}"}), "id of product a: {env.DODOGATE_TEST_UNSET} is unset"},
		"two products of one id":  {"products", append(product(nil), product(map[string]any{"name": "b"})...), "id pdt_1 is product a already"},
		"a product of nothing":    {"products", product(map[string]any{"credits": 0}), "gives nothing"},
		"negative credits":        {"signup_credits", -1, "signup_credits must be between 0"},
		"too many credits":        {"signup_credits", int64(1) << 53, "signup_credits must be between 0"},
		"public_url with a query": {"public_url", "https://a.example/x?x", "public_url must be an address"},
		"public_url":              {"public_url", "https://a.example", ""},
		"return_to of another":    {"return_to", []string{"javascript:alert(1)"}, "return_to must begin with http"},
		"proof secret":            {"proof_secrets", []string{strings.Repeat("x", 24)}, ""},
		"short proof secret":      {"proof_secrets", []string{"x"}, "proof_secret: proof secret 1: too short"},

		"keep events":            {"keep_events", map[string]any{"period": "30d", "redact": true}, ""},
		"keep events by default": {"keep_events", map[string]any{"redact": true}, ""},
		"keep events for a day":  {"keep_events", map[string]any{"period": "1d"}, "keep_events must be at least 30d, not 1d"},
		"keep events too long":   {"keep_events", map[string]any{"period": "900000h"}, "keep_events must be at most 100 years"},
		"keep events otherwise":  {"keep_events", map[string]any{"drop": true}, `unknown field "drop"`},

		"grace":          {"grace", "2h", ""},
		"grace too long": {"grace", "31d", "grace must be at most 30d"},
		"negative grace": {"grace", "-1h", "grace must be at most 30d"},

		"metadata":                {"checkout_metadata", []map[string]string{{"name": "ref", "value": "{http.request.cookie.ref}"}, {"name": "utm"}}, ""},
		"metadata of ours":        {"checkout_metadata", []map[string]string{{"name": "dodogate_order"}}, "names that begin with dodogate_ are dodogate's own"},
		"metadata of a long name": {"checkout_metadata", []map[string]string{{"name": strings.Repeat("x", 41)}}, "a name has up to 40 letters"},
		"metadata otherwise":      {"checkout_metadata", []map[string]string{{"name": "ref", "from": "x"}}, `unknown field "from"`},

		"words of the environment":   {"environment_words", map[string]string{"production": "live_mode"}, ""},
		"words for nothing":          {"environment_words", map[string]string{"production": "live"}, "production must stand for test_mode or live_mode, not 'live'"},
		"words for a mode":           {"environment_words", map[string]string{"test_mode": "live_mode"}, "test_mode means itself"},
		"live mode":                  {"environment", "live_mode", ""},
		"environment of a variable":  {"environment", "{env.DODOGATE_TEST_ENV}", ""},
		"unknown environment":        {"environment", "live", "environment must be test_mode or live_mode"},
		"environment of a bad value": {"environment", "{env.DODOGATE_TEST_JUNK}", "environment must be test_mode or live_mode"},

		"loopback api":           {"base_url", "http://127.0.0.1:4000", ""},
		"loopback api by name":   {"base_url", "http://dodo.localhost:4000", ""},
		"loopback api over IPv6": {"base_url", "http://[::1]:4000", ""},
		"https api":              {"base_url", "https://dodo.example", ""},
		"http api":               {"base_url", "http://10.0.0.1:4000", "base_url must begin with https://"},
		"http api by name":       {"base_url", "http://localhost.example.com", "base_url must begin with https://"},
		"live api in test mode":  {"base_url", "https://LIVE.dodopayments.com", "base_url is Dodo's live_mode, but the environment is test_mode"},
		"relative api":           {"base_url", "/dodo", "base_url is not an absolute"},
		"ftp api":                {"base_url", "ftp://127.0.0.1", "base url is not an absolute http or https address"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			assertRefused(t, validateJSON(t, b.fill(jsonConfig(appWith(t, tt.setting, tt.value), jsonGateway))), tt.want)
		})
	}
}

func TestGatewaySettings(t *testing.T) {
	for name, tt := range map[string]struct{ gateway, want string }{
		"no account":        {`{"handler": "dodo_gateway"}`, "one of account, jwt and ask is required"},
		"fixed account":     {`{"handler": "dodo_gateway", "account": "alice"}`, "account must have a placeholder"},
		"unknown setting":   {`{"handler": "dodo_gateway", "acount": "{x}"}`, `unknown field "acount"`},
		"base path":         {`{"handler": "dodo_gateway", "account": "{x}", "base_path": "/a b"}`, `base path "/a b"`},
		"base path of all":  {`{"handler": "dodo_gateway", "account": "{x}", "base_path": "/"}`, `base path "/"`},
		"header prefix":     {`{"handler": "dodo_gateway", "account": "{x}", "header_prefix": "Proxy-"}`, "header_prefix must not begin with"},
		"compat":            {`{"handler": "dodo_gateway", "account": "{x}", "compat": {"style": "fastapi", "processing": "wait"}}`, ""},
		"compat of nothing": {`{"handler": "dodo_gateway", "account": "{x}", "compat": {}}`, "compat must be express or fastapi"},
		"compat otherwise":  {`{"handler": "dodo_gateway", "account": "{x}", "compat": {"style": "express", "words": []}}`, `unknown field "words"`},
		"compat base path":  {`{"handler": "dodo_gateway", "account": "{x}", "base_path": "/api", "compat": {"style": "express"}}`, "choose another base path"},
		"setting of a hook": {jsonGateway + `, {"handler": "dodo_webhook", "path": "/x"}`, `unknown field "path"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			assertRefused(t, validateJSON(t, b.fill(jsonConfig(jsonApp, tt.gateway))), tt.want)
		})
	}
}

// The directives without the global option are a clear error, not an empty app.
func TestGlobalOptionIsMissing(t *testing.T) {
	b := newBench(t)
	const want = "the global option dodo { … } is missing"
	assertRefused(t, validateJSON(t, b.fill(jsonConfig("", jsonGateway))), want)
	assertRefused(t, b.validate(caddyfile("", usualGateway)), want)
	assertRefused(t, b.validate(caddyfile("", "dodo_webhook")), want)
}

// What is wrong with the app is said, all of it, and not that a site could not find it.
func TestBrokenAppIsNamed(t *testing.T) {
	b := newBench(t)
	assertRefused(t, b.validate(caddyfile("\n\tdodo", usualGateway)), "provision dodo: api_key is required; webhook_secret is required")
	assertRefused(t, b.validate(caddyfile("\n\tdodo {\napi_key {env.DODOGATE_TEST_UNSET}\nproduct a {\nid {env.DODOGATE_TEST_UNSET}\ncredits 1\n}\n}", usualGateway)),
		"provision dodo: api_key: {env.DODOGATE_TEST_UNSET} is unset or empty; webhook_secret is required; id of product a: {env.DODOGATE_TEST_UNSET} is unset or empty")
}

func assertRefused(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("refused by %v, want %q", err, want)
	}
}
