package caddymodule_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/dodosim/simtest"
)

// From "not paid" to "paid", through a real Caddy, a simulated Dodo and a signed
// webhook. What a client claims on the way changes nothing.
func TestPurchase(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	b.mustLoad(caddyfile(usualDodo+"\n\tmetrics", usualProxy))
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))

	a := b.do("POST", "/payments/checkout", `{"product":"pack10","quantity":2}`, "Content-Type", "application/json",
		"X-Test-User", "alice", "X-Entitlement-Credits", "999")
	var order struct {
		ID          string `json:"order_id"`
		SessionID   string `json:"session_id"`
		CheckoutURL string `json:"checkout_url"`
	}
	if err := json.Unmarshal([]byte(a.body), &order); err != nil || a.status != http.StatusCreated {
		t.Fatalf("checkout: %d %s", a.status, a.body)
	}
	if _, err := sim.Pay(order.SessionID, "4242424242424242"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := sim.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	paid := newcomer("alice")
	maps.Copy(paid, map[string]string{"Credits": "23", "Has-Paid": "true"})
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), paid)
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "bob")), newcomer("bob"))

	for _, e := range sim.Events() {
		if _, err := sim.Redeliver(ctx, e.ID); err != nil {
			t.Fatal(err)
		}
	}
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), paid)
	assertMetrics(t, b.metrics())
}

// On a site whose login protects everything else, the webhook comes in by
// dodo_webhook.
func TestPurchaseBehindALogin(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "/hooks/dodo")
	b.mustLoad(caddyfile(usualDodo, `
	@stranger not header X-Test-User *
	route {
		dodo_webhook /hooks/dodo
		respond @stranger "who are you?" 401
		dodo_gateway {
			account {http.request.header.X-Test-User}
		}
		reverse_proxy {{Upstream}}
	}`))
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), newcomer("alice"))
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := sim.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	paid := newcomer("alice")
	maps.Copy(paid, map[string]string{"Credits": "13", "Has-Paid": "true"})
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")), paid)
}

func newSimulator(t *testing.T, b *bench, webhook string) *dodosim.Simulator {
	t.Helper()
	if webhook == "" {
		webhook = "/payments/webhook"
	}
	sim, api := simtest.Serve(t, dodosim.Options{
		APIKey:        "test_api_key",
		WebhookURL:    "http://127.0.0.1:" + b.Port + webhook,
		WebhookSecret: webhookSecret,
		Products: []dodosim.Product{
			{ID: "pdt_pack10", Price: 500, Currency: "USD"},
			{ID: "pdt_other", Price: 100, Currency: "USD"},
			{ID: "pdt_gated", Price: 500, Currency: "USD", Features: []string{"reports", `a,b % {x} "ö"`}},
		},
	})
	b.Dodo = api
	return sim
}

// metrics reads what the admin API shows to Prometheus.
func (b *bench) metrics() string {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+b.Admin+"/metrics", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send(req).body
}

// assertMetrics: all that must be counted is, and no label is from outside.
func assertMetrics(t *testing.T, text string) {
	t.Helper()
	for _, want := range []string{
		`dodogate_events_total{outcome="applied",type="payment.succeeded"}`,
		`dodogate_events_total{outcome="duplicate",type="payment.succeeded"}`,
		`dodogate_checkouts_total{result="ok"}`,
		`dodogate_requests_total{account="known"}`,
		`dodogate_cache_requests_total{result="hit"}`,
		`dodogate_cache_requests_total{result="miss"}`,
		"dodogate_changes_heard 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	word := regexp.MustCompile(`^dodogate_[a-z_]+(\{(([a-z]+="[a-z_.]+"|le="[0-9.e+Inf-]+"),?)+\})? [0-9.e+-]+$`)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "dodogate_") && !word.MatchString(line) {
			t.Errorf("odd: %s", line)
		}
		if strings.Contains(line, "alice") || strings.Contains(line, "ord_") {
			t.Errorf("names somebody: %s", line)
		}
	}
}

// Whoever can sign could otherwise fill the metrics with event types.
func TestUnknownEventTypeIsOneLabel(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(usualDodo+"\n\tmetrics", usualProxy))
	for i, kind := range []string{"alice.bought", "payment.alice"} {
		b.webhook(fmt.Sprintf("evt_%d", i), fmt.Sprintf(`{"business_id":"bus_1","type":%q,"timestamp":%q,"data":{}}`, kind, time.Now().UTC().Format(time.RFC3339)))
	}
	if text := b.metrics(); !strings.Contains(text, `dodogate_events_total{outcome="ignored",type="other"}`) || strings.Contains(text, "alice") {
		t.Errorf("metrics: %s", text)
	}
}

// webhook delivers a signed event and wants it acknowledged.
func (b *bench) webhook(id, body string, header ...string) {
	b.t.Helper()
	if a := b.deliver(webhookSecret, id, body, header...); a.status != http.StatusOK {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
}

// deliver sends an event that is signed with a secret.
func (b *bench) deliver(secret, id, body string, header ...string) answer {
	b.t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		b.t.Fatal(err)
	}
	now := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, now, body)
	return b.do("POST", "/payments/webhook", body, append(header, "Webhook-Id", id, "Webhook-Timestamp", now,
		"Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))...)
}
