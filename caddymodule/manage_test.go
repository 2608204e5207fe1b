package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

// TestManageThroughCaddy: a customer cancels, goes on and changes plan, and the app's very
// next request has the headers of what Dodo says then.
func TestManageThroughCaddy(t *testing.T) {
	b := newBench(t)
	month := dodosim.Period{Count: 1, Interval: dodosim.Month}
	var sim *dodosim.Simulator
	sim, b.Dodo = simtest.Serve(t, dodosim.Options{
		APIKey: "test_api_key", WebhookURL: "http://127.0.0.1:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
		Products: []dodosim.Product{
			{ID: "pdt_basic", Price: 900, Currency: "USD", Every: month},
			{ID: "pdt_pro", Price: 1900, Currency: "USD", Every: month},
			{ID: "pdt_pass", Price: 500, Currency: "USD"},
		},
	})
	b.mustLoad(caddyfile(severalPlans("bolt {{Dir}}/dodogate.db", ""), usualGateway+`
	reverse_proxy {{Upstream}}`))
	b.buys(sim, "alice", "basic")
	sim.HoldWebhooks(true) // nothing below waits for one
	post := func(path, body string) answer {
		return b.do("POST", "/payments"+path, body, "Content-Type", "application/json", "X-Test-User", "alice")
	}
	plan := func() string {
		return b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header.Get("X-Entitlement-Plan")
	}
	for _, step := range []struct {
		path, body string
		status     int
		says, plan string
	}{
		{"/checkout", `{"product":"basic"}`, http.StatusConflict, `"already_subscribed"`, "basic"},
		{"/subscription/cancel", `{}`, http.StatusOK, `"cancel_at_period_end":true`, "basic"},
		{"/subscription/cancel", `{"undo":true}`, http.StatusOK, `"cancel_at_period_end":false`, "basic"},
		{"/subscription/change", `{"product":"pro"}`, http.StatusOK, `"state":"preview"`, "basic"},
		{"/subscription/change", `{"product":"pro","confirm":true}`, http.StatusOK, `"state":"changed"`, "pro"},
		{"/subscription/change", `{"product":"pro","confirm":true}`, http.StatusOK, `"state":"unchanged"`, "pro"},
		{"/portal", `{}`, http.StatusOK, `"portal_url"`, "pro"},
	} {
		a := post(step.path, step.body)
		if a.status != step.status || !strings.Contains(a.body, step.says) {
			t.Errorf("%s %s: %d %s", step.path, step.body, a.status, a.body)
		}
		if got := plan(); got != step.plan {
			t.Errorf("after %s %s the app sees %s, want %s", step.path, step.body, got, step.plan)
		}
	}
}
