package caddymodule_test

import (
	"net/http"
	"testing"
)

// trusted_origins counts for our own routes as well.
func TestTrustedOriginsOfOwnRoutes(t *testing.T) {
	b := newBench(t)
	shop(t, b)
	b.mustLoad(caddyfile(planDodo, `
	dodo_gateway {
		account {http.request.header.X-Test-User}
		trusted_origins https://shop.example.com
	}`))
	buy := func(header ...string) answer {
		return b.do("POST", "/payments/checkout", `{"product":"pack10"}`, append(header, "Content-Type", "application/json", "X-Test-User", "alice")...)
	}
	b.problem(buy("Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"), 403, "cross_origin")
	b.problem(buy("Origin", "https://evil.example"), 403, "cross_origin")
	for _, header := range [][]string{
		nil, {"Origin", "https://shop.example.com", "Sec-Fetch-Site", "cross-site"}, {"Origin", "https://shop.example.com"},
	} {
		if a := buy(header...); a.status != http.StatusCreated {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
}
