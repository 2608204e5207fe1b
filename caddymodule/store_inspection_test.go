package caddymodule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestDangerousSettings: the metrics and the log show a setting of Redis that becomes dangerous
// while it is in use.
func TestDangerousSettings(t *testing.T) {
	server := redistest.Start(t)
	b := newBench(t)
	config := caddyfile("\tmetrics\n"+off(strings.Replace(loggedDodo, "bolt {{Dir}}/dodogate.db", "redis "+server.URL(), 1)), usualProxy)
	b.mustLoad(config)
	wants := func(what string, values map[string]int) {
		t.Helper()
		eventually(t, what, func() string {
			text := b.metrics()
			for setting, value := range values {
				if line := fmt.Sprintf("dodogate_store_setting_dangerous{setting=%q} %d\n", setting, value); !strings.Contains(text, line) {
					return "no " + line
				}
			}
			return ""
		})
	}
	wants("safe", map[string]int{"cluster": 0, "eviction": 0, "persistence": 0, "replication": 0})
	server.MustDo("CONFIG", "SET", "appendonly", "no")
	b.mustLoad(strings.Replace(config, "signup_credits 3", "signup_credits 4", 1)) // which looks at once
	wants("dangerous", map[string]int{"cluster": 0, "eviction": 0, "persistence": 1, "replication": 0})
	if lines := b.logged("redis: a setting is dangerous"); len(lines) != 1 || lines[0]["setting"] != "persistence" || lines[0]["addr"] != server.Addr {
		t.Errorf("the log has %v", lines)
	}
	server.MustDo("CONFIG", "SET", "appendonly", "yes")
	b.mustLoad(config)
	wants("safe again", map[string]int{"persistence": 0})
	if lines := b.logged("redis: a setting is safe again"); len(lines) != 1 {
		t.Errorf("the log has %v", lines)
	}
}
