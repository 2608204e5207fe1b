package caddymodule_test

import (
	"strings"
	"testing"
)

// A client can make its login as long as it likes, and must not fill the log with that.
func TestLongAccountsAreLoggedOnce(t *testing.T) {
	b := newBench(t)
	b.mustLoad(caddyfile(loggedDodo, usualGateway+"\n\treverse_proxy {{Upstream}}"))
	for range 20 {
		for _, path := range []string{"/free", "/payments/status"} {
			b.problem(b.do("GET", path, "", "X-Test-User", strings.Repeat("a", 300)), 500, "account_invalid")
		}
	}
	if lines := b.logged("entitlement could not be read"); len(lines) != 1 || lines[0]["level"] != "error" {
		t.Errorf("%d lines: %v", len(lines), lines)
	}
}
