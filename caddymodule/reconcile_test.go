package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
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
		Metadata: prover.Metadata("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "pack10"),
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
