package main

import (
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/dodogate/dodogate/caddymodule"
	_ "github.com/dodogate/dodogate/caddymodule/simulator"
)

// TestMain lets the test binary be every program that takes part.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	os.Exit(m.Run())
}

// TestSmoke runs every part of the benchmark for as short as it can be, but the
// Express handler, which needs npm. That all answers are right and all counts add
// up is checked by the benchmark itself, which fails otherwise; how fast it was is
// nobody's business here.
func TestSmoke(t *testing.T) {
	text, err := results(t.Context(), options{
		command: "the test", dodogate: os.Args[0], dodogateEnv: []string{roleVariable + "=" + roleCaddy},
		rounds: 1, burst: 100 * time.Millisecond, connections: 8, accounts: 50, rate: 200,
		events: 50, customers: 20, changes: 20, download: 8 << 20, seed: 1,
		patience: 30 * time.Second, // the machine may be busy
	}, parts())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"bare Caddy", "dodogate, headers only, Redis", "dodogate, headers only, embedded", "one Redis read", "deduction script",
		"## The stores alone", "group commit", "## Webhooks", "dodogate, Redis", "dodogate, embedded",
		"## From one gateway to another", "## Checkouts", "## Long answers",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the results have no %q", want)
		}
	}
	for line := range strings.Lines(text) {
		for _, nonsense := range []string{"NaN", "Inf", "%!"} {
			if strings.Contains(line, nonsense) {
				t.Errorf("the results have %s: %s", nonsense, line)
			}
		}
	}
	t.Log("\n" + text)
}

func TestPartsAreChosenByName(t *testing.T) {
	chosen, err := choose("streams,proxy")
	if err != nil || len(chosen) != 2 || chosen[0].name != "streams" || chosen[1].name != "proxy" {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose("proxy,,"); err == nil {
		t.Error("a part without a name is known")
	}
	if all, err := choose(""); err != nil || len(all) != len(parts()) {
		t.Errorf("%d parts, %v", len(all), err)
	}
}
