package main

import (
	"strings"
	"testing"
)

// TestCollectorPace: the binary decides how often garbage is collected, within a
// quarter of the memory limit, and leaves it to whoever sets GOGC.
func TestCollectorPace(t *testing.T) {
	const budget = `"within_bytes":268435456`
	for _, c := range []struct {
		gogc string
		ours bool
	}{{"", true}, {"100", false}} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", "1GiB")
		d := newDemo(t, "")
		if got := strings.Contains(d.said(), budget); got != c.ours {
			t.Errorf("GOGC=%s: it says %s: %v\n%s", c.gogc, budget, got, d.said())
		}
	}
}
