package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// promql runs queries by Prometheus' engine. It is built once.
type promql struct {
	t       *testing.T
	program string
}

func newPromQL(t *testing.T) promql {
	t.Helper()
	p := promql{t, filepath.Join(t.TempDir(), "promql")}
	build := exec.Command("go", "build", "-o", p.program, ".")
	build.Dir = "../internal/testing/promql"
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v: %s", err, out)
		}
		t.Skipf("Prometheus' engine cannot be built: %v: %s", err, out)
	}
	return p
}

type scrape struct {
	At     int64             `json:"at"`
	Labels map[string]string `json:"labels"`
	Text   string            `json:"text"`
}

type promAnswer struct {
	Query, Error string
	Asks         []struct{ Metric, Label, Value string }
	Found        []struct {
		Labels map[string]string
		Value  string
	}
}

// run runs queries as if the target had shown before for an hour, and after for the last
// minutes.
func (p promql) run(before, after string, queries []string) []promAnswer {
	p.t.Helper()
	now := time.Now()
	request := struct {
		Scrapes []scrape `json:"scrapes"`
		Queries []string `json:"queries"`
		At      int64    `json:"at"`
	}{Queries: queries, At: now.UnixMilli()}
	for minute := 70; minute >= 0; minute-- {
		text := before
		if minute < 3 {
			text = after
		}
		request.Scrapes = append(request.Scrapes, scrape{
			now.Add(-time.Duration(minute) * time.Minute).UnixMilli(), map[string]string{"job": "dodogate", "instance": "a:2019"}, text,
		})
	}
	input, err := json.Marshal(request)
	if err != nil {
		p.t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(p.t.Context(), p.program)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &stderr
	if err := cmd.Run(); err != nil {
		p.t.Fatalf("%v: %s", err, &stderr)
	}
	var answers []promAnswer
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil {
		p.t.Fatal(err)
	}
	return answers
}

type alert struct {
	Alert, Expr, For string
	Labels           struct{ Severity string }
	Annotations      map[string]string
}

func readAlerts(t *testing.T) (alerts []alert) {
	t.Helper()
	text, err := os.ReadFile("../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		alerts = append(alerts, g.Rules...)
	}
	return alerts
}

// readDashboard returns the queries of the dashboard by their panel.
func readDashboard(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	panels := make(map[string][]string)
	for _, p := range dashboard.Panels {
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || panels[p.Title] != nil {
			t.Errorf("panel %q has no query, or another one has its title", p.Title)
		}
		for _, target := range p.Targets {
			panels[p.Title] = append(panels[p.Title], strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	return panels
}

// exercise makes a gateway show something in every panel.
func exercise(b *bench, sim *dodosim.Simulator) {
	b.t.Helper()
	b.pay(sim, "alice", "pdt_pack10")
	b.pay(sim, "alice", "pdt_other") // is parked
	for range 20 {
		b.do("GET", "/", "", "X-Test-User", "alice")
		b.do("GET", "/paid/", "", "X-Test-User", "alice")
		b.do("GET", "/pro/", "", "X-Test-User", "alice")
	}
	b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice")
	b.do("POST", "/payments/webhook", "{}")
	b.runs("/dodo/reconcile")
	if a := b.admin("POST", "/dodo/redrive"); a.status != 200 {
		b.t.Fatal(a.body)
	}
}

// with is an exposition in which series have other values.
func with(t *testing.T, text string, values map[string]float64) string {
	t.Helper()
	for series, value := range values {
		changed := regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(series)+` .*$`).ReplaceAllLiteralString(text, series+" "+strconv.FormatFloat(value, 'g', -1, 64))
		if changed == text {
			t.Errorf("there is no %s, or it is %v already", series, value)
		}
		text = changed
	}
	return text
}

// Every query of the dashboard and of the alerts runs in Prometheus' engine over what a
// gateway shows: every panel finds something, no alert fires while all is well, and each
// fires if it should.
func TestDashboardAndAlerts(t *testing.T) {
	prom := newPromQL(t)
	b := newBench(t)
	sim := newSimulator(t, b, "")
	b.mustLoad(caddyfile(off(usualDodo)+"\n\tmetrics", usualGateway+"\n\tdodo_charge /paid/* 1\n\tdodo_require /pro/* credits 1\n\treverse_proxy {{Upstream}}"))
	eventually(t, "the store was checked", func() string {
		if text := b.metrics(); !strings.Contains(text, "\ndodogate_store_writable 1\n") {
			return text
		}
		return ""
	})
	before := b.metrics()
	exercise(b, sim)
	b.leaves("alice", 0)
	well := with(t, b.metrics(), map[string]float64{`dodogate_charges_total{result="replayed"}`: 1e3})

	panels, alerts := readDashboard(t), readAlerts(t)
	var queries []string
	for _, a := range alerts {
		queries = append(queries, a.Expr)
	}
	for _, title := range slices.Sorted(maps.Keys(panels)) {
		queries = append(queries, panels[title]...)
	}
	answers := prom.run(before, well, queries)
	checkAsked(t, answers)
	parked := map[string]bool{"DodogateEventsParked": true}
	for i, a := range alerts {
		if fires := len(answers[i].Found) > 0; fires != parked[a.Alert] {
			t.Errorf("%s fires: %v: %v", a.Alert, fires, answers[i].Found)
		}
	}
	for _, a := range answers[len(alerts):] {
		isSome := slices.ContainsFunc(a.Found, func(f struct {
			Labels map[string]string
			Value  string
		}) bool {
			v, err := strconv.ParseFloat(f.Value, 64)
			return err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
		})
		if !isSome {
			t.Errorf("the dashboard's %s finds nothing: %v", a.Query, a.Found)
		}
	}
	checkFiring(t, prom, alerts, before, well)
}

// checkAsked: queries ask for metrics, labels and values that there are.
func checkAsked(t *testing.T, answers []promAnswer) {
	t.Helper()
	golden := goldenMetrics(t)
	for _, a := range answers {
		if a.Error != "" || len(a.Asks) == 0 {
			t.Errorf("%s: %s", a.Query, a.Error)
		}
		for _, asked := range a.Asks {
			name := asked.Metric
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if base := strings.TrimSuffix(name, suffix); golden[base] != nil {
					name = base
				}
			}
			labels, known := golden[name]
			if !known {
				t.Errorf("%s: there is no %s", a.Query, asked.Metric)
			}
			for word := range strings.SplitSeq(asked.Value, "|") {
				if asked.Label != "" && !slices.Contains(labels[asked.Label], word) {
					t.Errorf("%s: %s has no %s %q", a.Query, asked.Metric, asked.Label, word)
				}
			}
		}
	}
}

// checkFiring: each alert fires over what the gateway shows in the trouble that it is for,
// and has a runbook.
func checkFiring(t *testing.T, prom promql, alerts []alert, before, well string) {
	t.Helper()
	now := float64(time.Now().Unix())
	slow := make(map[string]float64)
	for _, le := range []string{"5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25"} {
		slow[`dodogate_handler_seconds_bucket{handler="dodo_charge",le="`+le+`"}`] = 0.5 // of those that are there
	}
	trouble := map[string]map[string]float64{
		"DodogateStoreUnreachable":  {"dodogate_store_reachable": 0, "dodogate_store_writable": 0},
		"DodogateStoreReadOnly":     {"dodogate_store_writable": 0},
		"DodogateStoreSetting":      {`dodogate_store_setting_dangerous{setting="persistence"}`: 1},
		"DodogateRequestsFail":      {`dodogate_requests_total{account="store_unavailable"}`: 1e6},
		"DodogateChangesUnheard":    {"dodogate_changes_heard": 0},
		"DodogateListFails":         {`dodogate_reconcile_failing{list="disputes"}`: 1},
		"DodogateChargesDeferred":   {"dodogate_deferred_charges": 3},
		"DodogateReconcileLate":     {"dodogate_reconcile_success_timestamp_seconds": now - 4000},
		"DodogateReconcileFails":    {`dodogate_reconciliations_total{result="ok"}`: valueOf(t, before, `dodogate_reconciliations_total{result="ok"}`), `dodogate_reconciliations_total{result="dodo_unavailable"}`: 1e6},
		"DodogateEventsParked":      {`dodogate_parked_events{reason="underpaid"}`: 7},
		"DodogateWebhooksRefused":   {`dodogate_events_refused_total{reason="signature"}`: 1e6},
		"DodogateWebhooksNotStored": {`dodogate_events_refused_total{reason="store_unavailable"}`: 1e6},
		"DodogateChargesLost":       {`dodogate_charges_total{result="lost"}`: 1e6},
		"DodogateCheckoutsFail":     {`dodogate_checkouts_total{result="dodo_unauthorized"}`: 1e6},
		"DodogateSlow":              slow,
	}
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := make(map[string]bool)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(manual), -1) {
		anchors[regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(heading[1]), "")] = true
	}
	for _, a := range alerts {
		page, anchor, _ := strings.Cut(a.Annotations["runbook_url"], "#")
		if !strings.HasSuffix(page, "/docs/operations.md") || !anchors[strings.ReplaceAll(anchor, "-", " ")] && !anchors[anchor] {
			t.Errorf("%s: there is no %s", a.Alert, a.Annotations["runbook_url"])
		}
		if a.For == "" || a.Labels.Severity == "" || a.Annotations["summary"] == "" || a.Annotations["description"] == "" || !strings.Contains(string(manual), "`"+a.Alert+"`") {
			t.Errorf("%s is not complete, or not in docs/operations.md", a.Alert)
		}
		first, last := before, well
		switch values, ok := trouble[a.Alert]; {
		case a.Alert == "DodogateDown":
			first, last = "up 0\n", "up 0\n"
		case !ok:
			t.Errorf("nothing is known that %s is for", a.Alert)
		case a.Alert == "DodogateWebhooksRefused": // and no other arrives
			last = with(t, before, values)
		default:
			last = with(t, well, values)
		}
		if answer := prom.run(first, last, []string{a.Expr})[0]; len(answer.Found) == 0 {
			t.Errorf("%s does not fire: %s", a.Alert, fmt.Sprint(answer))
		}
	}
}

// valueOf is the value of a series.
func valueOf(t *testing.T, text, series string) float64 {
	t.Helper()
	line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(text)
	if line == nil {
		t.Fatalf("there is no %s", series)
	}
	v, err := strconv.ParseFloat(line[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
