package caddymodule_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/caddymodule"
)

// TestFeatures: what Dodo grants reaches the app, and nobody else's.
func TestFeatures(t *testing.T) {
	b := newBench(t)
	sim := newSimulator(t, b, "")
	b.mustLoad(caddyfile(strings.ReplaceAll(usualDodo, "pdt_pack10", "pdt_gated"), usualGateway+`
	respond /placeholder "{http.dodo.features}|"
	reverse_proxy {{Upstream}}`))
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
	paid := newcomer("alice")
	maps.Copy(paid, map[string]string{"Credits": "13", "Has-Paid": "true", "Features": `a%2Cb%20%25%20{x}%20"%C3%B6",reports`})
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "alice", "X-Entitlement-Features", "admin")), paid)
	assertEntitlement(t, b.seen(b.do("GET", "/app", "", "X-Test-User", "bob", "X-Entitlement-Features", "admin")), newcomer("bob"))
	if got, want := b.do("GET", "/placeholder", "", "X-Test-User", "alice").body, "a%2Cb%20%25%20%7Bx%7D%20%22%C3%B6%22,reports|"; got != want {
		t.Errorf("the placeholder is %s, want %s", got, want)
	}
	var status struct{ Features []string }
	if err := json.Unmarshal([]byte(b.do("GET", "/payments/status", "", "X-Test-User", "alice").body), &status); err != nil ||
		!slices.Equal(status.Features, []string{`a,b % {x} "ö"`, "reports"}) {
		t.Errorf("the status has %q, %v", status.Features, err)
	}
}

func TestEncodeFeatures(t *testing.T) {
	for name, names := range map[string][]string{
		"none": nil, "one": {"reports"}, "odd": {",", "%2C", "a b", "\x00\r\n", "größer"},
		"as long as may be": {strings.Repeat("a", 4000), strings.Repeat("b", 95)},
	} {
		var decoded []string
		text := caddymodule.EncodeFeatures(names)
		for part := range strings.SplitSeq(text, ",") {
			plain, err := url.PathUnescape(part)
			if err != nil {
				t.Fatal(err)
			}
			if text != "" {
				decoded = append(decoded, plain)
			}
		}
		if !slices.Equal(decoded, names) || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("%s: %q is written %q and read %q", name, names, text, decoded)
		}
	}
	long := []string{strings.Repeat("a", 3000), strings.Repeat("b", 1096), "c"}
	if got := caddymodule.EncodeFeatures(long); got != long[0] {
		t.Errorf("%d bytes of a list that is too long", len(got))
	}
}
