package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestStoreOfTheOtherEnvironment: a config of live mode cannot use the store of test mode. The
// config before goes on, and live mode works with a store of its own.
func TestStoreOfTheOtherEnvironment(t *testing.T) {
	server := redistest.Start(t)
	redis := strings.Replace(usualDodo, "bolt {{Dir}}/dodogate.db", "redis "+server.URL(), 1)
	for name, test := range map[string]struct{ config, apart string }{
		"bolt":  {usualDodo, strings.Replace(usualDodo, "dodogate.db", "live.db", 1)},
		"redis": {redis, strings.Replace(redis, server.URL(), server.URL()+"/1", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			live := func(config string) string {
				return caddyfile(strings.Replace(config, "dodo {", "dodo {\n\t\tenvironment live_mode\n\t\tpublic_url http://127.0.0.1:{{Port}}\n\t\treconcile off", 1), usualProxy)
			}
			credits := func() string {
				return b.seen(b.do("GET", "/app", "", "X-Test-User", "alice")).Header["X-Entitlement-Credits"][0]
			}
			b.mustLoad(caddyfile(off(test.config), usualProxy))
			if got := credits(); got != "3" {
				t.Fatalf("alice has %s credits", got)
			}
			err := b.load(live(test.config))
			if err == nil || !strings.Contains(err.Error(), "it has the accounts and credits of test_mode, and the config says environment live_mode") {
				t.Errorf("in live mode: %v", err)
			}
			if got := credits(); got != "3" {
				t.Errorf("after the refusal alice has %s credits", got)
			}
			b.mustLoad(live(test.apart))
			if got := credits(); got != "3" { // sign-up credits of the other store
				t.Errorf("in the store of live mode alice has %s credits", got)
			}
		})
	}
}
