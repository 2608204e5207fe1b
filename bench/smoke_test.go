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
	sections, err := measure(t.Context(), options{
		command: "the test", dodogate: os.Args[0], dodogateEnv: []string{roleVariable + "=" + roleCaddy},
		rounds: 1, burst: 100 * time.Millisecond, connections: 8, accounts: 50, rate: 200,
		events: 50, customers: 20, changes: 20, purchases: 30, download: 8 << 20, seed: 1,
		patience: 30 * time.Second, // the machine may be busy
	}, parts())
	if err != nil {
		t.Fatal(err)
	}
	text := report("", sections)
	wanted := []string{"### Goals\n"}
	for _, p := range parts() {
		wanted = append(wanted, "## "+p.title+"\n")
	}
	for _, j := range jobs { // each with its floor in the first row
		wanted = append(wanted, "### "+j.title+"\n\nFloor: "+j.does)
	}
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("the results have no %q", want)
		}
	}
	for _, table := range tablesOf(text) {
		if strings.Contains(table[0], "× floor") && !strings.Contains(table[2], "| **floor:**") {
			t.Errorf("a table does not begin with its floor: %s", table[2])
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

// tablesOf are the lines of each table.
func tablesOf(text string) (tables [][]string) {
	var table []string
	for line := range strings.Lines(text + "\n") {
		if strings.HasPrefix(line, "|") {
			table = append(table, line)
		} else if table != nil {
			tables, table = append(tables, table), nil
		}
	}
	return tables
}

// TestSectionsAreReplaced measures one part again: the others stay as they were.
func TestSectionsAreReplaced(t *testing.T) {
	first := report("", map[string]string{"Webhooks": "one\n\n### Goals\n\n- a\n", "Checkouts": "two\n"})
	second := report(first, map[string]string{"Webhooks": "three\n"})
	want := preamble + "\n## Webhooks\n\nthree\n\n## Checkouts\n\ntwo\n"
	if second != want {
		t.Errorf("got\n%s\nwant\n%s", second, want)
	}
	if again := report(second, nil); again != second {
		t.Errorf("nothing was measured, and\n%s\nbecame\n%s", second, again)
	}
	if first == second || !strings.Contains(first, "one\n\n### Goals\n\n- a\n\n## Checkouts") {
		t.Errorf("first was\n%s", first)
	}
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
