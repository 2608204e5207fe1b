package caddymodule_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

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
