package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// severalPlans sells a yearly plan, a monthly one and one for 30 days. ranking is a line
// of the global option.
func severalPlans(store, ranking string) string {
	return `
	dodo {
		api_key        test_api_key
		base_url       {{Dodo}}
		webhook_secret ` + webhookSecret + `
		store          ` + store + `
		` + ranking + `
		product basic {
			id   pdt_basic
			plan basic
		}
		product pro {
			id   pdt_pro
			plan pro
		}
		product pass {
			id    pdt_pass
			plan  day
			lasts 30d
		}
	}`
}

// buys has a user buy a product, and waits until its webhooks are heard.
func (b *bench) buys(sim *dodosim.Simulator, user, product string) (paymentID string) {
	b.t.Helper()
	a := b.do("POST", "/payments/checkout", fmt.Sprintf(`{"product":%q}`, product), "Content-Type", "application/json", "X-Test-User", user)
	var order struct {
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &order); err != nil || a.status != http.StatusCreated {
		b.t.Fatalf("checkout: %d %s", a.status, a.body)
	}
	attempt, err := sim.Pay(order.SessionID, dodosim.CardVisa)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := sim.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return attempt.PaymentID
}

// An account with several plans has all of them at once, regardless of which ends last.
// Gates, the matcher, offers, the app's headers, the account's status and the operator's
// commands all agree on that.
func TestTwoPlans(t *testing.T) {
	for backend, store := range map[string]func(*testing.T) string{
		"bolt":  func(*testing.T) string { return "bolt {{Dir}}/dodogate.db" },
		"redis": func(t *testing.T) string { return "redis " + redistest.Start(t).URL() },
	} {
		t.Run(backend, func(t *testing.T) {
			b := newBench(t)
			var sim *dodosim.Simulator
			sim, b.Dodo = simtest.Serve(t, dodosim.Options{
				APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
				Products: []dodosim.Product{
					{ID: "pdt_basic", Price: 9900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Year}},
					{ID: "pdt_pro", Price: 1900, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Month}},
					{ID: "pdt_pass", Price: 500, Currency: "USD"},
				},
			})
			b.mustLoad(caddyfile(severalPlans(store(t), "plans day basic pro"), usualGateway+`
	dodo_require /basic/* plan basic
	dodo_require /pro/* plan pro
	dodo_require /either/* plan pro day
	@pro dodo_entitled plan pro
	respond /placeholder "{http.dodo.plan} {http.dodo.plans}|"
	handle /matched {
		respond @pro "pro"
		respond "other"
	}
	reverse_proxy {{Upstream}}`))

			b.do("GET", "/payments/products", "") // from here on prices are known, and the cheapest stands first
			b.holds("alice", "", "/basic/x basic; /pro/x pro; /either/x pass pro")
			b.buys(sim, "alice", "basic")
			b.holds("alice", "basic", "/pro/x change:pro pro; /either/x change:pro pass pro")
			b.buys(sim, "alice", "pass")
			b.holds("alice", "basic day", "/pro/x change:pro pro")
			pro := b.buys(sim, "alice", "pro")
			b.holds("alice", "pro basic day", "")
			b.holds("bob", "", "/basic/x basic; /pro/x pro; /either/x pass pro")
			if _, err := sim.Refund(pro, 0); err != nil {
				t.Fatal(err)
			}
			if err := sim.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.holds("alice", "basic day", "/pro/x manage:pro pro")
		})
	}
}

// holds wants a user to have these plans, the highest first, and to be refused at these
// gates with these offers: "path product...; path product...".
func (b *bench) holds(user, plans, refused string) {
	b.t.Helper()
	names := strings.Fields(plans)
	offers := make(map[string]string)
	for gate := range strings.SplitSeq(refused, "; ") {
		path, products, _ := strings.Cut(gate, " ")
		offers[path] = products
	}
	for _, path := range []string{"/basic/x", "/pro/x", "/either/x"} {
		a := b.do("GET", path, "", "X-Test-User", user)
		want, isRefused := offers[path]
		if !isRefused {
			b.seen(a)
			continue
		}
		var got []string
		for _, o := range b.problem(a, http.StatusPaymentRequired, "plan_required")["offers"].([]any) {
			m := o.(map[string]any)
			name := m["product"].(string)
			if action := m["action"]; action != "buy" {
				name = fmt.Sprintf("%s:%s", action, name)
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != want {
			b.t.Errorf("%s with %v is offered %v, want %s", path, names, got, want)
		}
	}
	highest := append(slices.Clone(names), "none")[0]
	h := b.seen(b.do("GET", "/app", "", "X-Test-User", user, "X-Entitlement-Plans", "pro,basic,day")).Header
	if got, want := h["X-Entitlement-Plans"], strings.Join(names, ","); len(got) != 1 || got[0] != want {
		b.t.Errorf("the app sees the plans %q, want %s", got, want)
	}
	if got := h["X-Entitlement-Plan"]; len(got) != 1 || got[0] != highest {
		b.t.Errorf("the app sees the plan %q, want %s", got, highest)
	}
	if got, want := b.do("GET", "/placeholder", "", "X-Test-User", user).body, highest+" "+strings.Join(names, ",")+"|"; got != want {
		b.t.Errorf("placeholders say %q, want %q", got, want)
	}
	if got := b.do("GET", "/matched", "", "X-Test-User", user).body; (got == "pro") != slices.Contains(names, "pro") {
		b.t.Errorf("with %v the matcher leads to %s", names, got)
	}
	var status struct {
		Plan    string
		Plans   []string
		HasPaid bool   `json:"has_paid"`
		Expires string `json:"plan_expires_at"`
	}
	text := b.do("GET", "/payments/status", "", "X-Test-User", user).body
	if err := json.Unmarshal([]byte(text), &status); err != nil || status.Plan != highest || status.Plans == nil || !slices.Equal(status.Plans, names) ||
		status.HasPaid != (len(names) > 0) || !strings.HasPrefix(status.Expires, strings.TrimSuffix(h.Get("X-Entitlement-Plan-Expires-At"), "Z")) {
		b.t.Errorf("the status of %v says %s, %v", names, text, err)
	}
	operator := adminJSON[struct {
		Plan  string
		Plans []struct{ Plan, Status string }
	}](b, "GET", "/dodo/accounts/"+user)
	var told []string
	for _, p := range operator.Plans {
		if told = append(told, p.Plan); p.Status != "active" {
			b.t.Errorf("the operator is told %+v", p)
		}
	}
	if operator.Plan != highest || !slices.Equal(told, names) {
		b.t.Errorf("the operator of %v is told %+v", names, operator)
	}
}

// Without a line that ranks plans, the catalog does; a config that is loaded later ranks
// anew, and each site sees what its config says.
func TestPlansAreRankedByTheCatalog(t *testing.T) {
	b := newBench(t)
	var sim *dodosim.Simulator
	sim, b.Dodo = simtest.Serve(t, dodosim.Options{
		APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
		Products: []dodosim.Product{
			{ID: "pdt_basic", Price: 9900, Currency: "USD"}, {ID: "pdt_pro", Price: 1900, Currency: "USD"}, {ID: "pdt_pass", Price: 500, Currency: "USD"},
		},
	})
	for i, tt := range []struct{ ranking, want string }{
		{"", "day,pro,basic"},
		{"plans pro day basic", "basic,day,pro"},
		{"plans basic", "basic,day,pro"},
		{"", "day,pro,basic"},
	} {
		b.mustLoad(caddyfile(severalPlans("bolt {{Dir}}/dodogate.db", tt.ranking), usualProxy))
		if i == 0 {
			for _, product := range []string{"pro", "basic", "pass"} {
				b.buys(sim, "alice", product)
			}
		}
		h := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header
		highest, _, _ := strings.Cut(tt.want, ",")
		if got := h.Get("X-Entitlement-Plans"); got != tt.want || h.Get("X-Entitlement-Plan") != highest {
			t.Errorf("with %q the plan is %s of %s, want %s", tt.ranking, h.Get("X-Entitlement-Plan"), got, tt.want)
		}
	}
	for ranked, want := range map[string]string{`["pro"]`: "", `["gold"]`: `no product or add-on gives the plan "gold"; there are pro`} {
		app := strings.Replace(jsonApp, `"products": [{`, `"plans": `+ranked+`, "products": [{"plan": "pro", `, 1)
		assertRefused(t, validateJSON(t, b.fill(jsonConfig(app, jsonGateway))), want)
	}
}

// A site that chooses some headers gets only these. Headers that a client sends under
// the other names are still removed.
func TestChosenHeaders(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		headers plans User
	}
	reverse_proxy {{Upstream}}`))
	for user, want := range map[string]map[string][]string{
		"":      {"User": {""}, "Plans": {""}},
		"alice": {"User": {"alice"}, "Plans": {""}},
	} {
		request := lines("GET /app HTTP/1.1", "Host: 127.0.0.1:"+b.Port, "Connection: close")
		if user != "" {
			request += lines("X-Test-User: " + user)
		}
		names := []string{"User", "Credits", "Has-Paid", "Plan", "Plans", "Plan-Status", "Plan-Expires-At", "Features", "Stale", "Seats", "Token"}
		for _, name := range names {
			request += lines("X-Entitlement-"+name+": 999", "x~entitlement~"+name+": 998")
		}
		d := b.raw(request + "\r\n")
		for _, name := range names {
			if got := d.claims("X-Entitlement-" + name); !slices.Equal(got, want[name]) {
				t.Errorf("%q: X-Entitlement-%s is %q, want %q", user, name, got, want[name])
			}
		}
	}
	gateway := `{"handler": "dodo_gateway", "account": "{http.auth.user.id}", "headers": %s}`
	for headers, want := range map[string]string{
		`[]`: "", `["Plan-Status", "has-paid"]`: "", `["Token"]`: `headers: there is no "Token"`, `["User", "USER"]`: "headers: User is named twice",
	} {
		assertRefused(t, validateJSON(t, b.fill(jsonConfig(appWith(t, "signup_credits", 1), fmt.Sprintf(gateway, headers)))), want)
	}
}

// Features that Dodo granted open gates, and the product that grants one is offered.
func TestRequireFeature(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	products := strings.ReplaceAll(usualDodo, "\t\tproduct pack10 {", "\t\tproduct gated {\n\t\t\tid pdt_gated\n\t\t\tcredits 1\n\t\t}\n\t\tproduct pack10 {")
	b.mustLoad(caddyfile(products+"\n\tmetrics", usualGateway+`
	dodo_require /reports/* feature reports
	dodo_require /odd/* feature export "a,b % {x} \"ö\""
	dodo_require /export/* feature export
	@able {
		path /matched
		dodo_entitled feature reports
	}
	respond @able able
	reverse_proxy {{Upstream}}`))
	b.do("GET", "/payments/products", "") // which asks Dodo what it sells
	b.problem(b.do("GET", "/reports/x", ""), http.StatusUnauthorized, "unauthenticated")
	m := b.problem(b.do("GET", "/reports/x", "", "X-Test-User", "alice", "X-Entitlement-Features", "reports"), http.StatusPaymentRequired, "feature_required")
	offers := m["offers"].([]any)
	if fmt.Sprint(m["required"], m["available"]) != "[reports] []" || len(offers) != 1 || offers[0].(map[string]any)["product"] != "gated" {
		t.Errorf("%v", m)
	}
	page := b.do("GET", "/reports/x", "", "X-Test-User", "alice", "Accept", "text/html")
	if page.status != http.StatusPaymentRequired || !strings.Contains(page.body, "This needs the feature reports.") || !strings.Contains(page.body, `value="gated"`) {
		t.Errorf("%d %s", page.status, page.body)
	}
	b.buys(sim, "alice", "gated")
	for path, passes := range map[string]bool{"/reports/x": true, "/odd/x": true, "/export/x": false} {
		if a := b.do("GET", path, "", "X-Test-User", "alice"); passes {
			b.seen(a)
		} else if m := b.problem(a, http.StatusPaymentRequired, "feature_required"); len(m["offers"].([]any)) != 0 || len(m["available"].([]any)) != 2 {
			t.Errorf("%v", m)
		}
	}
	if got := b.do("GET", "/matched", "", "X-Test-User", "alice").body; got != "able" {
		t.Errorf("the matcher leads to %s", got)
	}
	b.seen(b.do("GET", "/matched", "", "X-Test-User", "bob"))
	if text := b.metrics(); !strings.Contains(text, `dodogate_requests_refused_total{code="feature_required"}`) {
		t.Errorf("refusals are not counted: %s", text)
	}
	paid := newcomer("alice")
	maps.Copy(paid, map[string]string{"Credits": "4", "Has-Paid": "true", "Features": `a%2Cb%20%25%20{x}%20"%C3%B6",reports`})
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), paid)
}
