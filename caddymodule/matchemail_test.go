package caddymodule_test

import (
	"strings"
	"testing"
	"time"
)

// TestMatchEmail: a purchase past the checkout is adopted at the first request for which
// the login vouches for exactly its address, and this request sees it already.
func TestMatchEmail(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(strings.Replace(off(usualDodo), "dodo {",
		"dodo {\n\t\tmatch_email {http.request.header.X-Test-Email} verified {http.request.header.X-Test-Verified}", 1), usualProxy))
	at := time.Now().UTC().Format(time.RFC3339)
	b.webhook("msg_1", strings.ReplaceAll(`{"business_id": "bus_1", "type": "payment.succeeded", "timestamp": "AT", "data": {
		"payload_type": "Payment", "payment_id": "pay_1", "status": "succeeded", "total_amount": 500, "tax": 0, "currency": "USD",
		"created_at": "AT", "product_cart": [{"product_id": "pdt_pack10", "quantity": 1}], "subscription_id": null, "metadata": {},
		"customer": {"customer_id": "cus_1", "email": "buyer@example.com", "name": "Buyer"}, "business_id": "bus_1"}}`, "AT", at))
	for _, tt := range []struct{ user, email, verified, want string }{
		{"ann", "buyer@example.com", "false", "3"},
		{"ann", "buyer@example.com", "", "3"},
		{"ann", "BUYER@example.com", "true", "3"},
		{"", "buyer@example.com", "true", "0"},
		{"ann", "buyer@example.com", "true", "13"},
		{"bob", "buyer@example.com", "true", "3"},
		{"ann", "", "", "13"},
	} {
		got := b.seen(b.do("GET", "/", "", "X-Test-User", tt.user, "X-Test-Email", tt.email, "X-Test-Verified", tt.verified))
		if credits := got.Header.Get("X-Entitlement-Credits"); credits != tt.want {
			t.Errorf("%+v: %s credits", tt, credits)
		}
	}
}
