package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

const notSold = "Dodo does not sell this product, so nobody can buy it: compare its id with the dashboard's, of the same environment"

// TestParkedProduct: what is sold before the catalog has it counts as parked, and
// is applied soon after a config with the product is loaded. That Dodo does not sell
// what the catalog has instead is logged without anybody asking for it.
func TestParkedProduct(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	global := loggedDodo + "\n\tmetrics"
	without := strings.ReplaceAll(global, "pack10", "pack9")
	b.mustLoad(caddyfile(strings.Replace(without, "dodo {", "dodo {\n\t\treconcile off", 1), usualProxy))
	client, err := dodo.New(dodo.Options{APIKey: "test_api_key", BaseURL: b.Dodo})
	if err != nil {
		t.Fatal(err)
	}
	prover, err := dodo.NewProver([][]byte{dodo.DeriveKey("test_api_key")})
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.CreateCheckout(t.Context(), &dodo.Checkout{
		ProductID: "pdt_pack10", Quantity: 1, ReturnURL: "http://localhost:8080/",
		Metadata: prover.Metadata(dodo.Claim{Site: "site_test", Order: "ord_AAAAAAAAAAAAAAAAAAAAAA", Account: "alice", Product: "pack10"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Pay(session.ID, "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	if err := sim.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	credits := func() string {
		return b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header["X-Entitlement-Credits"][0]
	}
	counted := func(n int) func() string {
		return func() string {
			if want := fmt.Sprintf("dodogate_parked_events{reason=\"unknown_product\"} %d\n", n); !strings.Contains(b.metrics(), want) {
				return "there is no " + want
			}
			return ""
		}
	}
	b.mustLoad(caddyfile(without, usualProxy))
	eventually(t, "parked", counted(1))
	if got := credits(); got != "3" {
		t.Fatalf("without the product alice has %s credits", got)
	}
	eventually(t, "a wrong product is named", func() string {
		lines := b.logged(notSold)
		if len(lines) == 1 && lines[0]["product"] == "pack9" && lines[0]["id"] == "pdt_pack9" {
			return ""
		}
		return fmt.Sprint(lines)
	})
	b.mustLoad(caddyfile(global, usualProxy))
	eventually(t, "applied", counted(0))
	if lines := b.logged(notSold); len(lines) != 1 {
		t.Errorf("with the right product: %v", lines)
	}
	if got := credits(); got != "13" {
		t.Errorf("with the product alice has %s credits", got)
	}
}

// TestReconcile: a payment of which no webhook comes is found soon after the
// config is loaded.
func TestReconcile(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	sim.HoldWebhooks(true)
	off := strings.Replace(usualDodo, "dodo {", "dodo {\n\t\treconcile off", 1)
	b.mustLoad(caddyfile(off, usualProxy))
	a := b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	var order struct {
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &order); err != nil {
		t.Fatalf("checkout: %d %s", a.status, a.body)
	}
	if _, err := sim.Pay(order.SessionID, "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	credits := func() string {
		return b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header["X-Entitlement-Credits"][0]
	}
	if got := credits(); got != "3" {
		t.Fatalf("without a webhook alice has %s credits", got)
	}
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	for range 200 {
		if credits() == "13" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("alice still has %s credits", credits())
}

// TestWebhookToNoSite: Caddy itself answers a webhook to a host that no site has, with an
// empty 200. Dodo takes that for delivered and never sends it again; reconcile finds the
// payment.
func TestWebhookToNoSite(t *testing.T) {
	b := newBench(t)
	sim, api := simtest.Serve(t, dodosim.Options{
		APIKey: "test_api_key", WebhookURL: "http://localhost:" + b.Port + "/payments/webhook", WebhookSecret: webhookSecret,
		Products: []dodosim.Product{{ID: "pdt_pack10", Price: 500, Currency: "USD"}},
	})
	b.Dodo = api
	b.mustLoad(caddyfile(off(usualDodo), usualProxy))
	a := b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	var order struct {
		SessionID string `json:"session_id"`
	}
	if err := json.Unmarshal([]byte(a.body), &order); err != nil {
		t.Fatalf("checkout: %d %s", a.status, a.body)
	}
	if _, err := sim.Pay(order.SessionID, "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	if err := sim.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := sim.Deliveries(); len(d) == 0 || !d[0].Acknowledged() {
		t.Fatalf("deliveries %+v", d)
	}
	credits := func() string {
		return b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header["X-Entitlement-Credits"][0]
	}
	if got := credits(); got != "3" {
		t.Fatalf("before the pass alice has %s credits", got)
	}
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	eventually(t, "healed", func() string {
		if got := credits(); got != "13" {
			return "alice has " + got
		}
		return ""
	})
}

// TestSiteOfTheConfig: a config whose site is not the store's is refused, and the one
// before goes on.
func TestSiteOfTheConfig(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	err := b.load(caddyfile(strings.Replace(usualDodo, "site_test", "site_other", 1), usualProxy))
	if err == nil || !strings.Contains(err.Error(), "its site is site_test, and the config says site site_other") {
		t.Errorf("another site: %v", err)
	}
	if got := b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header["X-Entitlement-Credits"][0]; got != "3" {
		t.Errorf("alice has %s credits", got)
	}
	for setting, want := range map[string]string{
		"business \"{env.DODOGATE_TEST_WORD}\"": "is not an id of a business", "site \"{env.DODOGATE_TEST_WORD}\"": "must be 1 to 64 letters",
	} {
		t.Setenv("DODOGATE_TEST_WORD", "two words")
		without := strings.Replace(usualDodo, "		site           site_test\n", "\t\t"+setting+"\n", 1)
		if err := b.load(caddyfile(without, usualProxy)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", setting, err, want)
		}
	}
}
