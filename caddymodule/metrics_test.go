package caddymodule_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/store"
)

// shapeOf is what dashboards and alerts depend on: names, types, help and labels, but no values.
func shapeOf(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var shape bytes.Buffer
	for _, f := range families {
		fmt.Fprintf(&shape, "%s %s\n\t%s\n", f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp())
		labels := make(map[string]map[string]bool)
		for _, m := range f.GetMetric() {
			for _, pair := range m.GetLabel() {
				if labels[pair.GetName()] == nil {
					labels[pair.GetName()] = make(map[string]bool)
				}
				labels[pair.GetName()][pair.GetValue()] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			fmt.Fprintf(&shape, "\t%s: %s\n", name, strings.Join(slices.Sorted(maps.Keys(labels[name])), " "))
		}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			fmt.Fprint(&shape, "\tbuckets:")
			for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
				fmt.Fprint(&shape, " ", b.GetUpperBound())
			}
			fmt.Fprintln(&shape)
		}
	}
	return shape.String()
}

// The words that anybody could try to bring into a label.
var foreignWords = []string{"", "alice", "ord_1", "card declined", "ok\nfake 1", strings.Repeat("x", 300)}

// Names, types, help and labels of the metrics change only together with
// testdata/metrics.golden, and no word from outside gets into them.
func TestMetricsAreFrozen(t *testing.T) {
	m, registry := caddymodule.NewMeters(), prometheus.NewRegistry()
	if err := m.Register(registry); err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]int)
	for i, reason := range append(slices.Clone(gateway.Reasons), foreignWords...) {
		reasons[reason] = i
	}
	for _, kind := range append(dodo.KnownTypes(), foreignWords...) {
		for _, outcome := range []gateway.Outcome{gateway.Applied, gateway.Duplicate, gateway.Ignored, gateway.Parked, gateway.Foreign} {
			m.EventSettled(kind, outcome)
		}
	}
	for _, word := range foreignWords {
		for _, err := range []error{nil, errors.New(word), store.ErrUnavailable, gateway.ErrAccount, dodo.ErrSignature, dodo.ErrRejected, gateway.ErrQuantity} {
			m.EventRefused(err)
			m.CheckoutEnded(err)
			m.Drive(word, err, reasons)
		}
	}
	for _, r := range []cache.Result{cache.Hit, cache.Miss, cache.Bypass, cache.Stale} {
		m.EntitlementRead(r)
	}
	m.ChangesHeard(true)
	m.ChargesDeferred(1)

	const file = "testdata/metrics.golden"
	got := shapeOf(t, registry)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the metrics are\n%s\nwant\n%s", got, want)
	}
}

// goldenMetrics are the metrics of testdata/metrics.golden: their labels, with the values.
func goldenMetrics(t *testing.T) map[string]map[string][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/metrics.golden")
	if err != nil {
		t.Fatal(err)
	}
	golden := make(map[string]map[string][]string)
	var labels map[string][]string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "\t") {
			labels = make(map[string][]string)
			golden[strings.Fields(line)[0]] = labels
		} else if name, values, ok := strings.Cut(strings.TrimPrefix(line, "\t"), ": "); ok && !strings.Contains(name, " ") && name != "buckets" {
			labels[name] = strings.Fields(values)
		}
	}
	return golden
}

// seriesOf are the series of ours in an exposition, without their values.
func seriesOf(text string) (series []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "dodogate_") {
			series = append(series, line[:strings.LastIndexByte(line, ' ')])
		}
	}
	slices.Sort(series)
	return series
}

// However many accounts there are, the metrics have the same series, all of which are in
// testdata/metrics.golden.
func TestAccountsAddNoSeries(t *testing.T) {
	b := newBench(t)
	newSimulator(t, b, "")
	b.mustLoad(caddyfile(usualDodo+"\n\tmetrics", usualGateway+"\n\tdodo_charge /paid/* 1\n\tdodo_require /pro/* credits 1\n\treverse_proxy {{Upstream}}"))
	visit := func(from, to int) {
		for i := from; i < to; i++ {
			user := fmt.Sprintf("account-%d", i)
			for _, path := range []string{"/", "/paid/" + user, "/pro/" + user} {
				if a := b.do("GET", path, "", "X-Test-User", user); a.status != 200 {
					t.Fatalf("%s: %d %s", path, a.status, a.body)
				}
			}
		}
	}
	visit(0, 1)
	before := seriesOf(b.metrics())
	visit(1, 1000)
	text := b.metrics()
	after := seriesOf(text)
	if !slices.Equal(before, after) {
		t.Errorf("%d series for one account, %d for 1,000", len(before), len(after))
	}
	if strings.Contains(text, "account-") {
		t.Error("an account is named")
	}
	golden := goldenMetrics(t)
	for _, line := range after {
		name, rest, _ := strings.Cut(line, "{")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); golden[base] != nil {
				name = base
			}
		}
		labels, known := golden[name]
		if !known {
			t.Errorf("%s is not in testdata/metrics.golden", line)
		}
		for pair := range strings.SplitSeq(strings.TrimSuffix(rest, "}"), ",") {
			label, value, _ := strings.Cut(pair, "=")
			if label != "" && label != "le" && !slices.Contains(labels[label], strings.Trim(value, `"`)) {
				t.Errorf("%s: %s is not in testdata/metrics.golden", line, pair)
			}
		}
	}
}

// docs/operations.md has a row for every metric, with its labels and their values.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 4 && strings.Contains(cells[1], "`dodogate_") {
			for _, name := range regexp.MustCompile("`(dodogate_[a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				rows[name[1]] = cells[2]
			}
		}
	}
	golden := goldenMetrics(t)
	for name, labels := range golden {
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s is not documented", name)
		}
		for label, values := range labels {
			if !strings.Contains(row, "`"+label+"`") {
				t.Errorf("%s: the label %s is not documented", name, label)
			}
			for _, value := range values {
				isType := name == "dodogate_events_total" && label == "type" // which docs/events.md lists
				if !isType && !strings.Contains(row, "`"+value+"`") {
					t.Errorf("%s: the %s %s is not documented", name, label, value)
				}
			}
		}
	}
	for name := range rows {
		if golden[name] == nil {
			t.Errorf("%s is documented, and there is no such metric", name)
		}
	}
}
