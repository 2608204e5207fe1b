package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/identity"
	"github.com/dodogate/dodogate/internal/store"
)

// metrics count for the process. Every config has a registry of its own and each
// gets the same collectors, so that counters go on over a reload.
var metrics = newMeters()

// meters are the metrics. Every label is from a closed set: none is, or follows
// from, what a client, a customer or Dodo wrote.
type meters struct {
	events    *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	checkouts *prometheus.CounterVec
	requests  *prometheus.CounterVec
	refused   *prometheus.CounterVec
	charges   *prometheus.CounterVec
	spent     prometheus.Counter
	passes    *prometheus.CounterVec
	parked    *prometheus.GaugeVec
	reads     *prometheus.CounterVec
	heard     prometheus.Gauge
	logins    *prometheus.CounterVec

	// Those that every request counts, found once.
	known, anonymous prometheus.Counter
	results          map[cache.Result]prometheus.Counter
	identities       map[identity.Result]prometheus.Counter
}

func newMeters() *meters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "dodogate", Name: name, Help: help}, labels)
	}
	m := &meters{
		events: counter("events_total",
			"Webhook events handled, by type and by what became of them.", "type", "outcome"),
		refusals: counter("events_refused_total",
			"Webhook deliveries that were not acknowledged, by reason.", "reason"),
		checkouts: counter("checkouts_total",
			"Checkouts asked for, by how that ended.", "result"),
		requests: counter("requests_total",
			"Requests to the site itself, by what was known of the account.", "account"),
		refused: counter("requests_refused_total",
			"Requests refused for what their account has, by the problem's code.", "code"),
		charges: counter("charges_total",
			"Requests that were to be charged, by how that ended.", "result"),
		spent: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "dodogate", Name: "credits_spent_total",
			Help: "Credits that requests were charged."}),
		passes: counter("reconciliations_total",
			"Passes over Dodo's lists, by how they ended.", "result"),
		parked: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "dodogate", Name: "parked_events",
			Help: "Events about money that could not be applied yet, by what they wait for."}, []string{"reason"}),
		reads: counter("cache_requests_total",
			"Times that somebody asked what an account may do, by where the answer came from.", "result"),
		heard: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "dodogate", Name: "changes_heard",
			Help: "Configs in use that hear of every change of an account; at 0 every request reads the store."}),
		logins: counter("logins_total",
			"Tokens and cookies that jwt or ask judged, by how that ended.", "result"),
		results:    make(map[cache.Result]prometheus.Counter),
		identities: make(map[identity.Result]prometheus.Counter),
	}
	m.known, m.anonymous = m.requests.WithLabelValues("known"), m.requests.WithLabelValues("anonymous")
	for _, r := range []cache.Result{cache.Hit, cache.Miss, cache.Bypass, cache.Stale} {
		m.results[r] = m.reads.WithLabelValues(string(r))
	}
	for _, r := range identity.Results {
		m.identities[r] = m.logins.WithLabelValues(string(r))
	}
	return m
}

func (m *meters) register(registry prometheus.Registerer) error {
	for _, c := range []prometheus.Collector{m.events, m.refusals, m.checkouts, m.requests, m.refused, m.charges, m.spent, m.passes, m.parked, m.reads, m.heard, m.logins} {
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
func (m *meters) EventRefused(err error) { m.refusals.WithLabelValues(labelOf(err)).Inc() }

// CheckoutEnded implements [gateway.Observer].
func (m *meters) CheckoutEnded(err error) { m.checkouts.WithLabelValues(labelOf(err)).Inc() }

// EntitlementRead implements [gateway.Observer].
func (m *meters) EntitlementRead(r cache.Result) { m.results[r].Inc() }

// ChangesHeard implements [gateway.Observer].
func (m *meters) ChangesHeard(all bool) {
	if all {
		m.heard.Inc()
	} else {
		m.heard.Dec()
	}
}

// identified counts what became of credentials.
func (m *meters) identified(r identity.Result) { m.identities[r].Inc() }

// visited counts a request that is passed on.
func (m *meters) visited(account string) {
	if account == "" {
		m.anonymous.Inc()
	} else {
		m.known.Inc()
	}
}

// unread counts a request whose account is not usable or cannot be read.
func (m *meters) unread(err error) { m.requests.WithLabelValues(labelOf(err)).Inc() }

// refusedWith counts a request that is not entitled, or cannot be judged.
func (m *meters) refusedWith(code string) { m.refused.WithLabelValues(code).Inc() }

// charged counts how a request ended that was to be charged: captured, late,
// released, lost or replayed.
func (m *meters) charged(result string, credits int64) {
	m.charges.WithLabelValues(result).Inc()
	m.spent.Add(float64(credits))
}

// reconciled counts a pass.
func (m *meters) reconciled(err error) { m.passes.WithLabelValues(labelOf(err)).Inc() }

// redriven notes what stays parked, by reason.
func (m *meters) redriven(parked map[string]int) {
	for _, reason := range gateway.Reasons {
		m.parked.WithLabelValues(reason).Set(float64(parked[reason]))
	}
}

// labelOf names an error; the first that fits counts.
func labelOf(err error) string {
	if err == nil {
		return "ok"
	}
	for _, row := range errorLabels {
		if errors.Is(err, row.sentinel) {
			return row.label
		}
	}
	return "error"
}

var errorLabels = []struct {
	sentinel error
	label    string
}{
	{dodo.ErrSignature, "signature"},
	{dodo.ErrStale, "stale"},
	{dodo.ErrMalformed, "malformed"},
	{httpapi.ErrBodyTooLarge, "too_large"},
	{httpapi.ErrSlowBody, "too_slow"},
	{httpapi.ErrTooManyBodies, "too_many"},

	{gateway.ErrAnonymous, "anonymous"},
	{gateway.ErrAccount, "account_invalid"},
	{gateway.ErrCredentials, "credentials_invalid"},
	{gateway.ErrLoginUnavailable, "login_unavailable"},
	{gateway.ErrUnknownProduct, "invalid"},
	{gateway.ErrChoice, "invalid"},
	{gateway.ErrQuantity, "invalid"},
	{gateway.ErrDiscountCode, "discount_code"},
	{config.ErrReturnTo, "return_to"},
	{gateway.ErrNoPublicURL, "public_url_missing"},
	{gateway.ErrKeyRunning, "key_running"},
	{gateway.ErrKeyMismatch, "key_mismatch"},

	{gateway.ErrTooManyRequests, "too_many_requests"},
	{store.ErrTooManyOrders, "too_many_orders"},
	{store.ErrUnavailable, "store_unavailable"},
	{dodo.ErrUnavailable, "dodo_unavailable"},
	{dodo.ErrBadAnswer, "dodo_refused"},
	{dodo.ErrRejected, "dodo_refused"},
	{dodo.ErrNotFound, "dodo_refused"},
	{dodo.ErrUnauthorized, "dodo_unauthorized"},
}

// Interface guard
var _ gateway.Observer = (*meters)(nil)
