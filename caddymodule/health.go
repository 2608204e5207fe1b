package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dodogate/dodogate/internal/redisconn"
)

func init() {
	caddy.RegisterModule(Health{})
}

// Health answers load balancers: whether this process runs, and whether it can do its work.
// It needs the global option `dodo` (the app of that name). All other requests pass.
//
// `<path>/live` is always 200. `<path>/ready` is 200 if the store can be reached and takes
// writes, else 503. A change takes two checks in a row, so that one slow answer of the store
// changes nothing. The answer says no more than that: anybody may read it. `GET /dodo/health`
// of the admin API says why.
//
// It runs before every login, redirect and rewriting. To keep it from the public, give it to
// a site of its own, such as `http://:8081`.
type Health struct {
	Written

	// The path, such as `/healthz`: plain segments, no slash at the end. Default: `/healthz`.
	Path string `json:"path,omitempty"`

	app         *App
	live, ready string
}

const defaultHealthPath = "/healthz"

// CaddyModule returns the Caddy module information.
func (Health) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.dodo_health",
		New: func() caddy.Module { return new(Health) },
	}
}

// Provision sets up the handler.
func (h *Health) Provision(ctx caddy.Context) (err error) {
	path := h.Path
	if path == "" {
		path = defaultHealthPath
	}
	if err := checkBasePath(path); err != nil {
		return h.locate(err)
	}
	h.live, h.ready = path+"/live", path+"/ready"
	h.app, err = configuredApp(ctx)
	return err
}

// The answers. They are the same for everybody.
const (
	healthOK          = "{\"status\":\"ok\"}\n"
	healthUnavailable = "{\"status\":\"unavailable\"}\n"
)

func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if r.URL.Path != h.live && r.URL.Path != h.ready {
		return next.ServeHTTP(w, r)
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	header.Set("Content-Type", "application/json")
	status, body := http.StatusOK, healthOK
	if r.URL.Path == h.ready && !h.app.store.watch.fresh(r.Context(), h.app.store).well() {
		status, body = http.StatusServiceUnavailable, healthUnavailable
	}
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(body)) // a client that left misses nothing
	}
	return nil
}

// parseHealth sets up the handler from Caddyfile tokens. Syntax:
//
//	dodo_health [<path>]
func parseHealth(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	health := &Health{Written: writtenAt(h.Dispenser)}
	switch args := h.RemainingArgs(); {
	case len(args) > 1:
		return nil, h.Errf("dodo_health takes at most one argument, a path, not %d", len(args))
	case len(args) == 1:
		health.Path = args[0]
		if err := checkBasePath(health.Path); err != nil {
			return nil, h.WrapErr(err)
		}
	}
	if h.NextBlock(0) {
		return nil, h.Errf("unrecognized option '%s' of dodo_health, which has none", h.Val())
	}
	return h.NewRoute(nil, health), nil
}

// healthGauges show to Prometheus what the admin API shows by GET /dodo/health.
func healthGauges() (gauges []prometheus.Collector) {
	add := func(name, help string, read func() float64) {
		gauges = append(gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
	}
	add("store_reachable", "1 if the store can be reached, as of the last checks, else 0.",
		func() float64 { return ofStores(func(s storeState) bool { return s.Reachable }) })
	add("store_writable", "1 if the store takes writes, as of the last checks, else 0.",
		func() float64 { return ofStores(func(s storeState) bool { return s.Writable }) })
	add("reconcile_success_timestamp_seconds", "When a pass over Dodo's lists ended well last, in seconds since 1970; 0 if none has since the start.",
		func() float64 { return newest(func(h *handle) time.Time { return h.passes.lastGood() }) })
	add("webhook_timestamp_seconds", "When a webhook was acknowledged last, in seconds since 1970; 0 if none was since the start.",
		func() float64 { return newest(func(h *handle) time.Time { return h.watch.lastWebhook() }) })
	for _, setting := range redisconn.Settings {
		gauges = append(gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "store_setting_dangerous", ConstLabels: prometheus.Labels{"setting": string(setting)},
			Help: "1 if a setting of the Redis server may lose what was acknowledged, as of the last minute, else 0.",
		}, func() float64 { return isDangerous(setting) }))
	}
	add("damaged_accounts", "Accounts whose records are known to be damaged.", func() float64 {
		n := 0
		stores.Range(func(_, value any) bool {
			n += value.(*handle).damages.count()
			return true
		})
		return float64(n)
	})
	add("store_check_timestamp_seconds", "When all records of the embedded file were checked, in seconds since 1970; 0 if that is not over, or there is no file.",
		func() float64 { return newest(func(h *handle) time.Time { return h.damages.checked().EndedAt }) })
	return gauges
}

// ofStores is 1 if is holds for all stores that were checked, and there is one.
func ofStores(is func(storeState) bool) float64 {
	all := 0.0
	stores.Range(func(_, value any) bool {
		s := value.(*handle).watch.current()
		if s.CheckedAt.IsZero() {
			return true // of a config that is only being loaded
		}
		all = 1
		if !is(s) {
			all = 0
			return false
		}
		return true
	})
	return all
}

// newest is the latest time of all stores, in seconds.
func newest(of func(*handle) time.Time) float64 {
	var latest time.Time
	stores.Range(func(_, value any) bool {
		if at := of(value.(*handle)); at.After(latest) {
			latest = at
		}
		return true
	})
	if latest.IsZero() {
		return 0
	}
	return float64(latest.UnixMilli()) / 1000
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Health)(nil)
	_ caddyhttp.MiddlewareHandler = (*Health)(nil)
)
