package caddymodule_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

// planDodo has a product for everything that can be required.
const planDodo = `
	dodo {
		api_key        test_api_key
		base_url       {{Dodo}}
		webhook_secret ` + webhookSecret + `
		store          bolt {{Dir}}/dodogate.db
		signup_credits 3
		product pack10 {
			id      pdt_pack10
			credits 10
		}
		product pro {
			id    pdt_pro
			plan  pro
			lasts 30d
			title "Pro for a month"
		}
	}
	metrics`

// shop sells both. Its webhooks are lost.
func shop(t *testing.T, b *bench) *dodosim.Simulator {
	t.Helper()
	sim, api := simtest.Serve(t, dodosim.Options{
		APIKey:        "test_api_key",
		WebhookURL:    "http://127.0.0.1:" + b.Port + "/payments/webhook",
		WebhookSecret: webhookSecret,
		Products: []dodosim.Product{
			{ID: "pdt_pack10", Name: "Ten credits", Price: 500, Currency: "USD"},
			{ID: "pdt_pro", Name: "Pro", Price: 1900, Currency: "USD"},
			{ID: "pdt_your_basic", Name: "Basic, monthly", Price: 900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
			{ID: "pdt_your_pro", Name: "Pro, monthly", Price: 1900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
		},
	})
	sim.HoldWebhooks(true)
	b.Dodo = api
	return sim
}

// payLost buys a product for a user, whose webhook does not come.
func (b *bench) payLost(sim *dodosim.Simulator, user, product string) {
	b.t.Helper()
	a := b.do("POST", "/payments/checkout", fmt.Sprintf(`{"product":%q}`, product), "Content-Type", "application/json", "X-Test-User", user)
	var order struct {
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &order); err != nil || a.status != http.StatusCreated {
		b.t.Fatalf("checkout: %d %s", a.status, a.body)
	}
	if _, err := sim.Pay(order.SessionID, "4242424242424242"); err != nil {
		b.t.Fatal(err)
	}
}

// problem reads a problem, and wants its status and code.
func (b *bench) problem(a answer, status int, code string) map[string]any {
	b.t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil || a.status != status || m["code"] != code ||
		a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
		b.t.Fatalf("%d %v %s, want %d %s", a.status, a.header, a.body, status, code)
	}
	return m
}

func TestRequire(t *testing.T) {
	b := newBench(t)
	sim := shop(t, b)
	b.mustLoad(caddyfile(planDodo, usualGateway+`
	dodo_require /paid/* paid
	dodo_require /pro/* plan pro
	dodo_require /many/* credits 13
	dodo_require /few/* credits 3
	reverse_proxy {{Upstream}}`))
	b.payLost(sim, "buyer", "pack10")
	b.payLost(sim, "member", "pro")
	for _, tt := range []struct {
		user, path, code string // no code: the app answers
	}{
		{"", "/free", ""},
		{"", "/paid/x", "unauthenticated"},
		{"", "/pro/x", "unauthenticated"},
		{"", "/few/x", "unauthenticated"},
		{"alice", "/free", ""},
		{"alice", "/paid/x", "payment_required"},
		{"alice", "/paid", "payment_required"},
		{"alice", "/pro/x", "plan_required"},
		{"alice", "/many/x", "insufficient_credits"},
		{"alice", "/few/x", ""},
		{"buyer", "/paid/x", ""},
		{"buyer", "/many/x", ""},
		{"buyer", "/pro/x", "plan_required"},
		{"member", "/pro/x", ""},
		{"member", "/paid/x", ""},
		{"member", "/many/x", "insufficient_credits"},
	} {
		header := []string{"X-Entitlement-Has-Paid", "true", "X-Entitlement-Plan", "pro", "X-Entitlement-Credits", "99"}
		if tt.user != "" {
			header = append(header, "X-Test-User", tt.user)
		}
		a := b.do("GET", tt.path, "", header...)
		status := http.StatusPaymentRequired
		switch tt.code {
		case "":
			if d := b.seen(a); d.Path != tt.path {
				t.Errorf("the app saw %s", d.Path)
			}
			continue
		case "unauthenticated":
			status = http.StatusUnauthorized
		}
		b.problem(a, status, tt.code)
	}
	m := b.problem(b.do("POST", "/many/x", "{}", "X-Test-User", "alice"), 402, "insufficient_credits")
	if m["required"] != 13.0 || m["available"] != 3.0 || len(m["offers"].([]any)) != 1 || len(m["pending"].([]any)) != 0 {
		t.Errorf("%v", m)
	}
	text := b.metrics()
	for _, code := range []string{"payment_required", "plan_required", "insufficient_credits", "unauthenticated"} {
		if !strings.Contains(text, `dodogate_requests_refused_total{code="`+code+`"}`) {
			t.Errorf("%s is not counted", code)
		}
	}
}

// Whoever has just paid passes before any webhook, and from that request on the app
// and the placeholders know.
func TestJustPaid(t *testing.T) {
	b := newBench(t)
	sim := shop(t, b)
	b.mustLoad(caddyfile(planDodo, usualGateway+`
	dodo_require paid
	header >X-Left {http.dodo.credits}
	reverse_proxy {{Upstream}}`))
	b.payLost(sim, "alice", "pack10")
	var requests sync.WaitGroup
	for range 100 {
		requests.Go(func() {
			if a, err := b.try("GET", "/app", "alice"); err != nil || a.status != http.StatusOK {
				t.Errorf("%d %s %v", a.status, a.body, err)
			}
		})
	}
	requests.Wait()
	if n := sim.Calls("GET", "/checkouts/{id}"); n != 1 {
		t.Errorf("Dodo was asked %d times", n)
	}

	b.payLost(sim, "bob", "pack10")
	a := b.do("GET", "/app", "", "X-Test-User", "bob")
	paid := newcomer("bob")
	paid["Credits"], paid["Has-Paid"] = "13", "true"
	assertEntitlement(t, b.seen(a), paid)
	if got := a.header.Get("X-Left"); got != "13" {
		t.Errorf("the placeholder says %q", got)
	}
}

// A Dodo that does not answer is no reason to let anybody pass, but the order is
// named.
func TestJustPaidWithoutDodo(t *testing.T) {
	b := newBench(t)
	sim := shop(t, b)
	b.mustLoad(caddyfile(planDodo, usualGateway+"\n\tdodo_require paid\n\treverse_proxy {{Upstream}}"))
	b.payLost(sim, "alice", "pack10")
	sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 100)
	m := b.problem(b.do("GET", "/app", "", "X-Test-User", "alice"), 402, "payment_required")
	if pending := m["pending"].([]any); len(pending) != 1 || !strings.HasPrefix(pending[0].(string), "ord_") {
		t.Errorf("%v", m)
	}
}

// A browser gets a page whose buttons buy.
func TestRefusalInBrowser(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	b.mustLoad(caddyfile(planDodo, `
	dodo_gateway /billing {
		account {http.request.header.X-Test-User}
	}
	rewrite /old/* /new{uri}
	dodo_require plan pro
	reverse_proxy {{Upstream}}`))
	a := b.do("GET", "/old/report?a=1&b=2", "", "X-Test-User", "alice", "Accept", "text/html")
	for _, want := range []string{
		`action="/billing/checkout"`, `name="product" value="pro"`, "Pro for a month",
		`name="return_to" value="http://127.0.0.1:` + b.Port + `/old/report?a=1&amp;b=2"`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("there is no %s: %s", want, a.body)
		}
	}
	if a.status != 402 || strings.Contains(a.body, "pack10") {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = b.do("POST", "/billing/checkout", "product=pro", "X-Test-User", "alice", "Accept", "text/html",
		"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), b.Dodo) {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

// A refusal is a refusal whatever else the request asks for: no parts of it, no "you
// have it already", and for HEAD nothing but headers.
func TestRefusalOfOddRequests(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, usualGateway+"\n\tdodo_require paid\n\treverse_proxy {{Upstream}}"))
	for _, header := range [][]string{
		{"Range", "bytes=0-0"}, {"If-None-Match", "*"}, {"If-Modified-Since", "Sat, 01 Jan 2050 00:00:00 GMT"},
		{"If-Match", `"x"`}, {"If-Range", `"x"`, "Range", "bytes=0-0"}, {"Expect", "100-continue"},
		{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Version", "13", "Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"} {
			a := b.do(method, "/app", "", append(header, "X-Test-User", "alice")...)
			b.problem(a, 402, "payment_required")
			if a.header.Get("ETag")+a.header.Get("Last-Modified")+a.header.Get("Accept-Ranges")+a.header.Get("Content-Range") != "" {
				t.Errorf("%v: %v", header, a.header)
			}
		}
		get, head := b.do("GET", "/app", "", append(header, "X-Test-User", "alice")...), b.do("HEAD", "/app", "", append(header, "X-Test-User", "alice")...)
		if head.status != 402 || head.body != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD: %d %v %q", head.status, head.header, head.body)
		}
	}
}

// A preflight passes, but for what it is for: the app's CORS headers.
func TestPreflight(t *testing.T) {
	b := newBench(t)
	sim := shop(t, b)
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://other.example")
		w.Header().Set("Location", "https://cdn.example/signed")
		_, _ = io.WriteString(w, "paid content, whatever the method, for "+r.Header.Get("X-Entitlement-User"))
	})
	b.mustLoad(caddyfile(planDodo, usualGateway+"\n\tdodo_require paid\n\treverse_proxy "+app))
	preflight := []string{"Origin", "https://other.example", "Access-Control-Request-Method", "GET"}
	for _, who := range [][]string{nil, {"X-Test-User", "alice"}} {
		a := b.do("OPTIONS", "/app", "", append(who, preflight...)...)
		if a.status != 200 || a.body != "" || a.header.Get("Access-Control-Allow-Origin") != "https://other.example" || a.header.Get("Location") != "" {
			t.Errorf("%v: %d %v %q", who, a.status, a.header, a.body)
		}
	}
	b.problem(b.do("OPTIONS", "/app", "", "Origin", "https://other.example"), 401, "unauthenticated")
	b.problem(b.do("OPTIONS", "/app", "body", preflight...), 401, "unauthenticated")
	b.payLost(sim, "buyer", "pack10")
	b.do("GET", "/app", "", "X-Test-User", "buyer")
	if a := b.do("OPTIONS", "/app", "", append(preflight, "X-Test-User", "buyer")...); a.status != 200 || a.body != "" || a.header.Get("Location") != "" {
		t.Errorf("a preflight of who has paid is answered %d %v %q", a.status, a.header, a.body)
	}
}

// Early data can be repeated by anybody on the way: what it changes must wait.
func TestRequireEarlyData(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, usualGateway+"\n\tdodo_require credits 3\n\treverse_proxy {{Upstream}}"))
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	for _, tt := range []struct {
		method string
		done   bool
		header string
		want   int
	}{
		{"POST", false, "", 425}, {"DELETE", false, "", 425}, {"POST", true, "1", 425}, {"POST", true, "", 200},
		{"GET", false, "", 200}, {"HEAD", false, "", 200}, {"GET", true, "1", 200},
	} {
		r := httptest.NewRequest(tt.method, "https://127.0.0.1:"+b.Port+"/app", nil)
		r.Header.Set("X-Test-User", "alice")
		if tt.header != "" {
			r.Header.Set("Early-Data", tt.header)
		}
		r.TLS = &tls.ConnectionState{HandshakeComplete: tt.done}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s, handshake complete %v, Early-Data %q: %d, want %d", tt.method, tt.done, tt.header, w.Code, tt.want)
		}
	}
}

// Without a dodo_gateway the account of a request is unknown. If no request can pass a
// dodo_gateway before the gate, the config is refused.
func TestRequireWithoutGateway(t *testing.T) {
	for name, tt := range map[string]struct{ site, want string }{
		"no gateway":                      {"dodo_require paid\n\trespond paid", "no dodo_gateway runs before dodo_require"},
		"no gateway for the matcher":      {"@x dodo_entitled paid\n\trespond @x paid", "the matcher of respond is dodo_entitled"},
		"no gateway for what is not":      {"@x not dodo_entitled paid\n\trespond @x paid", "the matcher of respond is dodo_entitled"},
		"the gateway is in another block": {"handle /other {\n" + usualGateway + "\n\t}\n\thandle {\n\t\tdodo_require paid\n\t\trespond paid\n\t}", "no dodo_gateway runs before dodo_require"},
		"the gateway comes later":         {"route {\n\tdodo_require paid\n" + usualGateway + "\n\trespond paid\n\t}", "no dodo_gateway runs before dodo_require"},
		"the matcher comes earlier":       {"@x dodo_entitled paid\n\trewrite @x /paid\n" + usualGateway + "\n\trespond paid", "the matcher of rewrite or try_files is dodo_entitled"},
	} {
		t.Run(name, func(t *testing.T) {
			assertRefused(t, newBench(t).load(caddyfile(planDodo, tt.site)), tt.want)
		})
	}
}

// If only some requests pass a dodo_gateway, the others are answered with 500, and the
// log tells the operator why.
func TestRequireAroundGateway(t *testing.T) {
	const some = "route /app/* {\n" + usualGateway + "\n\t}\n\t"
	for name, site := range map[string]string{
		"require": some + "dodo_require paid\n\trespond paid",
		"matcher": some + "@x dodo_entitled paid\n\trespond @x paid",
		"not":     some + "@x not dodo_entitled paid\n\trespond @x paid",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(caddyfile(planDodo+"\n\tlog {\n\t\toutput file {{Dir}}/caddy.log\n\t}", "route {\n\t"+site+"\n\t}"))
			a := b.do("GET", "/", "", "X-Test-User", "alice")
			if a.status != http.StatusInternalServerError || strings.Contains(a.body, "paid") {
				t.Errorf("%d %s", a.status, a.body)
			}
			log, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log"))
			if err != nil || !strings.Contains(string(log), "needs a dodo_gateway that runs earlier in the request") {
				t.Errorf("%v %s", err, log)
			}
		})
	}
}

// In error routes the account is still known.
func TestEntitledInErrorRoutes(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, usualGateway+`
	error /broken 500
	handle_errors {
		@rich dodo_entitled credits 3
		respond @rich "sorry, {http.dodo.account}"
		respond "sorry"
	}`))
	if a := b.do("GET", "/broken", "", "X-Test-User", "alice"); a.body != "sorry, alice" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := b.do("GET", "/broken", ""); a.body != "sorry" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRequireSettings(t *testing.T) {
	b := newBench(t)
	for name, tt := range map[string]struct{ handler, want string }{
		"paid":              {`{"handler": "dodo_require", "paid": true}`, ""},
		"plan":              {`{"handler": "dodo_require", "plans": ["pro"]}`, ""},
		"feature":           {`{"handler": "dodo_require", "features": ["reports", "a, b"]}`, ""},
		"credits":           {`{"handler": "dodo_require", "credits": 5}`, ""},
		"nothing":           {`{"handler": "dodo_require"}`, "one of paid, plan NAME..., feature NAME... and credits N is required"},
		"two things":        {`{"handler": "dodo_require", "paid": true, "credits": 5}`, "and only one"},
		"plan and feature":  {`{"handler": "dodo_require", "plans": ["pro"], "features": ["reports"]}`, "and only one"},
		"an empty feature":  {`{"handler": "dodo_require", "features": [""]}`, `"" is not the name of a feature`},
		"a long feature":    {`{"handler": "dodo_require", "features": ["` + strings.Repeat("x", 257) + `"]}`, "is not the name of a feature"},
		"a feature twice":   {`{"handler": "dodo_require", "features": ["a", "b", "a"]}`, "feature a is named twice"},
		"negative credits":  {`{"handler": "dodo_require", "credits": -5}`, "credits must be from 1"},
		"too many credits":  {`{"handler": "dodo_require", "credits": 9007199254740992}`, "credits must be from 1"},
		"no plan":           {`{"handler": "dodo_require", "plans": []}`, "is required"},
		"an empty plan":     {`{"handler": "dodo_require", "plans": [""]}`, `"" is not the name of a plan`},
		"a plan twice":      {`{"handler": "dodo_require", "plans": ["pro", "pro"]}`, "plan pro is named twice"},
		"a plan of nothing": {`{"handler": "dodo_require", "plans": ["pro", "gold"]}`, `no product of the catalog gives the plan "gold"`},
		"unknown setting":   {`{"handler": "dodo_require", "plan": "pro"}`, `unknown field "plan"`},

		"matcher":              {matching(`{"dodo_entitled": {"plans": ["pro"]}}`), ""},
		"matcher of a feature": {matching(`{"dodo_entitled": {"features": ["reports"]}}`), ""},
		"matcher of nothing":   {matching(`{"dodo_entitled": {}}`), "is required"},
		"matcher of no plan":   {matching(`{"dodo_entitled": {"plans": ["gold"]}}`), `no product of the catalog gives the plan "gold"`},
		"matcher with a typo":  {matching(`{"dodo_entitled": {"piad": true}}`), `unknown field "piad"`},
		"path":                 {matching(`{"dodo_path": {"paths": ["/a/*"]}}`), ""},
		"path of nothing":      {matching(`{"dodo_path": {}}`), "dodo_path takes at least one path"},
		"path that is no path": {matching(`{"dodo_path": {"paths": ["a"]}}`), `path "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			products := []any{map[string]any{"name": "pro", "id": "pdt_1", "plan": "pro"}}
			assertRefused(t, validateJSON(t, b.fill(jsonConfig(appWith(t, "products", products), jsonGateway+", "+tt.handler))), tt.want)
		})
	}
	assertRefused(t, validateJSON(t, b.fill(jsonConfig("", `{"handler": "dodo_require", "paid": true}`))), "the global option dodo { … } is missing")
	assertRefused(t, b.validate(caddyfile(planDodo, usualGateway+"\n\tdodo_require plan gold")), `no product of the catalog gives the plan "gold"`)
}

func matching(matcher string) string {
	return `{"handler": "subroute", "routes": [{"match": [` + matcher + `], "handle": [{"handler": "static_response"}]}]}`
}

// A store that fails between the reading and the judging is 503, never 402.
func TestRequireStoreFails(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(planDodo, "route {\n"+usualGateway+"\n\ttest_break_stores\n\tdodo_require paid\n\trespond paid\n\t}"))
	a := b.do("GET", "/app", "", "X-Test-User", "alice")
	b.problem(a, 503, "store_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a.header)
	}
}

// storeBreaker is a handler that breaks the stores behind the backs of the others.
type storeBreaker struct{}

func (storeBreaker) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_break_stores", New: func() caddy.Module { return new(storeBreaker) }}
}

func (storeBreaker) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	caddymodule.BreakStores()
	return next.ServeHTTP(w, r)
}

func init() {
	caddy.RegisterModule(storeBreaker{})
	httpcaddyfile.RegisterHandlerDirective("test_break_stores", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		h.Next()
		return storeBreaker{}, nil
	})
}
