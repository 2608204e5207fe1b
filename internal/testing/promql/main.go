// Promql runs queries by Prometheus' own engine over expositions, for tests of dashboards and
// alerts. It is a module of its own, so that dodogate does not depend on Prometheus.
//
// It reads a [request] from its standard input and writes an [answer] for each query.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// request is what to run.
type request struct {
	Scrapes []scrape `json:"scrapes"` // in order of time
	Queries []string `json:"queries"`
	At      int64    `json:"at"` // when the queries are run, in milliseconds since 1970
}

// scrape is what a target showed at some time.
type scrape struct {
	At     int64             `json:"at"` // milliseconds since 1970
	Labels map[string]string `json:"labels"`
	Text   string            `json:"text"`
}

// answer is what a query asks for, and what it found.
type answer struct {
	Query string  `json:"query"`
	Error string  `json:"error,omitempty"`
	Asks  []asked `json:"asks"`
	Found []found `json:"found"`
}

// asked is a metric, and a condition for one of its labels if there is one.
type asked struct {
	Metric string `json:"metric"`
	Label  string `json:"label,omitempty"`
	Value  string `json:"value,omitempty"` // or a regular expression
}

type found struct {
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "promql:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var r request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	m := make(memory)
	for _, s := range r.Scrapes {
		if err := m.add(s); err != nil {
			return fmt.Errorf("read scrape: %w", err)
		}
	}
	parse := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: parse})
	defer func() { _ = engine.Close() }()
	answers := make([]answer, 0, len(r.Queries))
	for _, query := range r.Queries {
		a := answer{Query: query}
		if err := a.ask(engine, parse, m, time.UnixMilli(r.At)); err != nil {
			a.Error = err.Error()
		}
		answers = append(answers, a)
	}
	return json.NewEncoder(out).Encode(answers)
}

func (a *answer) ask(engine *promql.Engine, parse parser.Parser, m memory, at time.Time) error {
	expr, err := parse.ParseExpr(a.Query)
	if err != nil {
		return err
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			for _, m := range selector.LabelMatchers {
				if m.Name == labels.MetricName {
					a.Asks = append(a.Asks, asked{Metric: selector.Name})
				} else {
					a.Asks = append(a.Asks, asked{selector.Name, m.Name, m.Value})
				}
			}
		}
		return nil
	})
	query, err := engine.NewInstantQuery(context.Background(), m, nil, a.Query, at)
	if err != nil {
		return err
	}
	defer query.Close()
	result := query.Exec(context.Background())
	if result.Err != nil {
		return result.Err
	}
	switch value := result.Value.(type) {
	case promql.Vector:
		for _, sample := range value {
			a.Found = append(a.Found, found{sample.Metric.Map(), fmt.Sprint(sample.F)})
		}
	case promql.Scalar:
		a.Found = append(a.Found, found{nil, fmt.Sprint(value.V)})
	default:
		return fmt.Errorf("a %s is neither a vector nor a scalar", value.Type())
	}
	return nil
}

// memory keeps series by their labels. It is a [storage.Queryable].
type memory map[string]*series

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                    { return s.at }
func (sample) ST() int64                     { return 0 }
func (s sample) F() float64                  { return s.value }
func (sample) H() *histogram.Histogram       { return nil }
func (sample) FH() *histogram.FloatHistogram { return nil }
func (sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample         { return s }

func (memory) read(s scrape) ([]series, error) {
	var all []series
	p := textparse.NewPromParser([]byte(s.Text), labels.NewSymbolTable(), false)
	for {
		kind, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if kind != textparse.EntrySeries {
			continue
		}
		var of labels.Labels
		p.Labels(&of)
		_, _, value := p.Series()
		b := labels.NewBuilder(of)
		for name, value := range s.Labels {
			b.Set(name, value)
		}
		all = append(all, series{b.Labels(), []chunks.Sample{sample{s.At, value}}})
	}
}

func (m memory) add(s scrape) error {
	all, err := m.read(s)
	for _, one := range all {
		key := one.labels.String()
		if m[key] == nil {
			m[key] = &series{labels: one.labels}
		}
		m[key].samples = append(m[key].samples, one.samples...)
	}
	return err
}

// Querier implements [storage.Queryable].
func (m memory) Querier(_, _ int64) (storage.Querier, error) { return querier{m}, nil }

type querier struct{ memory }

// Select implements [storage.Querier].
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &list{at: -1}
	for _, s := range q.memory {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			set.series = append(set.series, storage.NewListSeries(s.labels, s.samples))
		}
	}
	slices.SortFunc(set.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return set
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.ErrUnsupported
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.ErrUnsupported
}

func (querier) Close() error { return nil }

// list is a [storage.SeriesSet].
type list struct {
	series []storage.Series
	at     int
}

func (l *list) Next() bool                        { l.at++; return l.at < len(l.series) }
func (l *list) At() storage.Series                { return l.series[l.at] }
func (l *list) Err() error                        { return nil }
func (l *list) Warnings() annotations.Annotations { return nil }
