package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/gateway/notice"
	"github.com/dodogate/dodogate/internal/identity"
)

// metrics count for the process. Every config has a registry of its own and each
// gets the same collectors, so that counters go on over a reload.
var metrics = newMeters()

// meters are the metrics. Every label is from a closed set: none is, or follows
// from, what a client, a customer or Dodo wrote. testdata/metrics.golden has all of
// them: names and labels do not change without a line in the CHANGELOG.
type meters struct {
	events    *prometheus.CounterVec
	refusals  counters
	checkouts counters
	requests  counters
	refused   counters
	charges   counters
	spent     prometheus.Counter
	passes    counters
	parked    *prometheus.GaugeVec
	unreads   *prometheus.GaugeVec
	failing   *prometheus.GaugeVec
	reads     counters
	heard     prometheus.Gauge
	deferred  prometheus.Gauge
	damaged   prometheus.Counter
	logins    counters
	emissions map[notice.Kind]counters
	stores    map[string]prometheus.Observer // by the kind of the operation
	handlers  map[string]prometheus.Observer // by the name of the handler

	// Those that every request counts, found once.
	known, anonymous prometheus.Counter
	results          map[cache.Result]prometheus.Counter

	all []prometheus.Collector
}

// counters count by one label, whose values are known from the start, so that a counter is
// 0 before it is 1. A value that is not known counts as other.
type counters struct {
	by    map[string]prometheus.Counter
	other string
}

func (c counters) inc(value string) {
	counter, known := c.by[value]
	if !known {
		counter = c.by[c.other]
	}
	counter.Inc()
}

// latencies are the upper ends of the buckets of our own times, in seconds.
var latencies = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

func newMeters() *meters {
	m := new(meters)
	m.events = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "events_total",
		Help: "Webhook events handled, by type and by what became of them."}, []string{"type", "outcome"})
	m.all = append(m.all, m.events)
	m.refusals = m.counters("events_refused_total",
		"Webhook deliveries that were not acknowledged, by reason.", "reason", otherValue, refusalReasons...)
	m.checkouts = m.counters("checkouts_total",
		"Checkouts asked for, by how that ended.", "result", otherValue, checkoutResults...)
	m.requests = m.counters("requests_total",
		"Requests to the site itself, by what was known of the account.", "account", otherValue, requestKinds...)
	m.refused = m.counters("requests_refused_total",
		"Requests refused for what their account has, by the problem's code.", "code", "other", refusedCodes...)
	m.charges = m.counters("charges_total",
		"Requests that were to be charged, by how that ended.", "result", "lost", chargeResults...)
	m.spent = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "credits_spent_total",
		Help: "Credits that requests were charged."})
	m.passes = m.counters("reconciliations_total",
		"Passes over Dodo's lists, by how they ended.", "result", otherValue, passResults...)
	m.parked = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "parked_events",
		Help: "Events about money that could not be applied yet, by what they wait for."}, []string{"reason"})
	for _, reason := range gateway.Reasons {
		m.parked.WithLabelValues(reason)
	}
	m.countLists()
	m.heard = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "changes_heard",
		Help: "Configs in use that hear of every change of an account; at 0 every request reads the store."})
	m.deferred = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "deferred_charges",
		Help: "Requests that passed while the store was away and are not charged yet."})
	m.damaged = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "damaged_records_total",
		Help: "Times that an operation met damaged records."})
	m.all = append(m.all, m.spent, m.parked, m.heard, m.deferred, m.damaged)
	m.stores = m.histograms("store_seconds",
		"Time that operations on the store take, by kind.", "operation", storeKinds...)
	m.handlers = m.histograms("handler_seconds",
		"Time that our handlers take for a request, without the app behind them and without waiting for Dodo.", "handler",
		timedGateway, timedRequire, timedCharge, timedWebhook)
	m.countEmissions()
	m.all = append(m.all, healthGauges()...)
	m.countReads()
	return m
}

// countLists makes the gauges of Dodo's lists.
func (m *meters) countLists() {
	m.unreads = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "reconcile_unread",
		Help: "Objects and parts of Dodo's lists that could not be read and are tried again, as of the last pass."}, []string{"list"})
	m.failing = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "reconcile_failing",
		Help: "1 for each of Dodo's lists that could not be read in the last pass, else 0."}, []string{"list"})
	for _, name := range gateway.ListNames {
		m.unreads.WithLabelValues(string(name))
		m.failing.WithLabelValues(string(name))
	}
	m.all = append(m.all, m.unreads, m.failing)
}

// listed notes how far Dodo's lists have been read.
func (m *meters) listed(s gateway.ReconcileStatus) {
	for _, l := range s.Lists {
		failing := 0.0
		if l.Error != "" {
			failing = 1
		}
		m.failing.WithLabelValues(string(l.Name)).Set(failing)
		m.unreads.WithLabelValues(string(l.Name)).Set(float64(l.Gaps + l.Unread))
	}
}

// countReads makes the counters of what every request does.
func (m *meters) countReads() {
	results := []cache.Result{cache.Hit, cache.Miss, cache.Bypass, cache.Stale}
	m.reads = m.counters("cache_requests_total",
		"Times that somebody asked what an account may do, by where the answer came from.", "result", string(cache.Bypass), textsOf(results)...)
	m.logins = m.counters("logins_total",
		"Tokens and cookies that jwt or ask judged, by how that ended.", "result", string(identity.Unavailable), textsOf(identity.Results)...)
	m.known, m.anonymous = m.requests.by["known"], m.requests.by["anonymous"]
	m.results = make(map[cache.Result]prometheus.Counter, len(results))
	for _, r := range results {
		m.results[r] = m.reads.by[string(r)]
	}
}

// The results of emitting an event.
const (
	emitted = "emitted"
	dropped = "dropped"
)

// countEmissions makes the counters of events for other modules.
func (m *meters) countEmissions() {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "caddy_events_total",
		Help: "Caddy events for other modules, by name without dodo. and by what became of them."}, []string{"event", "result"})
	m.all = append(m.all, vec)
	m.emissions = make(map[notice.Kind]counters, len(notice.Kinds))
	for _, kind := range notice.Kinds {
		c := counters{by: make(map[string]prometheus.Counter)}
		for _, result := range []string{emitted, dropped} {
			c.by[result] = vec.WithLabelValues(string(kind), result)
		}
		m.emissions[kind] = c
	}
}

const namespace = "dodogate"

// counters makes a counter for each value of a label.
func (m *meters) counters(name, help, label, other string, values ...string) counters {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{label})
	m.all = append(m.all, vec)
	c := counters{by: make(map[string]prometheus.Counter, len(values)), other: other}
	for _, value := range values {
		c.by[value] = vec.WithLabelValues(value)
	}
	return c
}

// histograms makes a histogram for each value of a label.
func (m *meters) histograms(name, help, label string, values ...string) map[string]prometheus.Observer {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: latencies}, []string{label})
	m.all = append(m.all, vec)
	by := make(map[string]prometheus.Observer, len(values))
	for _, value := range values {
		by[value] = vec.WithLabelValues(value)
	}
	return by
}

func textsOf[T ~string](words []T) []string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return texts
}

func (m *meters) register(registry prometheus.Registerer) error {
	for _, c := range m.all {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// EventSettled implements [gateway.Observer].
func (m *meters) EventSettled(eventType string, outcome gateway.Outcome) {
	if !dodo.KnownType(eventType) {
		eventType = "other"
	}
	m.events.WithLabelValues(eventType, string(outcome)).Inc()
}

// EventRefused implements [gateway.Observer].
func (m *meters) EventRefused(err error) { m.refusals.inc(labelOf(err)) }

// CheckoutEnded implements [gateway.Observer].
func (m *meters) CheckoutEnded(err error) { m.checkouts.inc(labelOf(err)) }

// EntitlementRead implements [gateway.Observer].
func (m *meters) EntitlementRead(r cache.Result) { m.results[r].Inc() }

// ChargesDeferred implements [gateway.Observer].
func (m *meters) ChargesDeferred(more int) { m.deferred.Add(float64(more)) }

// ChangesHeard implements [gateway.Observer].
func (m *meters) ChangesHeard(all bool) {
	if all {
		m.heard.Inc()
	} else {
		m.heard.Dec()
	}
}

// identified counts what became of credentials.
func (m *meters) identified(r identity.Result) { m.logins.inc(string(r)) }

// visited counts a request that is passed on.
func (m *meters) visited(account string) {
	if account == "" {
		m.anonymous.Inc()
	} else {
		m.known.Inc()
	}
}

// unread counts a request whose account is not usable or cannot be read.
func (m *meters) unread(err error) { m.requests.inc(labelOf(err)) }

// refusedWith counts a request that is not entitled, or cannot be judged.
func (m *meters) refusedWith(code string) { m.refused.inc(code) }

// charged counts how a request ended that was to be charged: captured, late,
// released, lost or replayed.
func (m *meters) charged(result string, credits int64) {
	m.charges.inc(result)
	m.spent.Add(float64(credits))
}

// stored measures an operation on the store.
func (m *meters) stored(kind string, took time.Duration) { m.stores[kind].Observe(took.Seconds()) }

// handled measures what a handler of ours did for a request.
func (m *meters) handled(handler string, took time.Duration) {
	m.handlers[handler].Observe(took.Seconds())
}

// told counts an event for other modules.
func (m *meters) told(kind notice.Kind, result string) { m.emissions[kind].by[result].Inc() }

// reconciled counts a pass.
func (m *meters) reconciled(err error) { m.passes.inc(labelOf(err)) }

// redriven notes what stays parked, by reason.
func (m *meters) redriven(parked map[string]int) {
	for _, reason := range gateway.Reasons {
		m.parked.WithLabelValues(reason).Set(float64(parked[reason]))
	}
}

// Interface guard
var _ gateway.Observer = (*meters)(nil)
