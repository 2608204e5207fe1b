package caddymodule_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans as an OpenTelemetry collector does.
type collector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var request tracecollector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// paths are our spans of a trace, each as the names of its parents and its own, sorted.
func (c *collector) paths(trace string) (paths []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	byID := make(map[string]*tracepb.Span)
	for _, s := range c.spans {
		if hex.EncodeToString(s.GetTraceId()) == trace {
			byID[string(s.GetSpanId())] = s
		}
	}
	for _, s := range byID {
		if !strings.HasPrefix(s.GetName(), "dodogate.") {
			continue
		}
		path := s.GetName()
		for parent := byID[string(s.GetParentSpanId())]; parent != nil; parent = byID[string(parent.GetParentSpanId())] {
			name := parent.GetName()
			if !strings.HasPrefix(name, "dodogate.") {
				name = "caddy"
			}
			path = name + " " + path
		}
		if len(s.GetAttributes()) > 0 {
			path += fmt.Sprint(" ", s.GetAttributes())
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Below the span that Caddy's tracing makes for a request are those of holds, captures,
// webhooks and operations on the store. A request that is not sampled has none.
func TestSpans(t *testing.T) {
	c := new(collector)
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", newServer(t, c.ServeHTTP))
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	b := newBench(t)
	newSimulator(t, b, "")
	b.mustLoad(caddyfile(off(usualDodo), "tracing\n"+usualGateway+"\n\tdodo_charge /paid/* 1\n\treverse_proxy {{Upstream}}"))
	requests := 0
	traced := func(sampled string, send func(header ...string)) (trace string) {
		requests++
		trace = fmt.Sprintf("%032x", requests)
		send("Traceparent", "00-"+trace+"-00f067aa0ba902b7-"+sampled)
		return trace
	}
	charge := func(header ...string) {
		if a := b.do("GET", "/paid/", "", append(header, "X-Test-User", "alice")...); a.status != 200 {
			t.Fatal(a)
		}
	}
	webhook := func(header ...string) {
		b.webhook("evt_span", fmt.Sprintf(`{"business_id":"bus_1","type":"payout.success","timestamp":%q,"data":{}}`, time.Now().UTC().Format(time.RFC3339)), header...)
	}
	unsampled := traced("00", charge)
	for _, tt := range []struct {
		name string
		send func(header ...string)
		want []string
	}{
		{"a charge", charge, []string{
			"caddy dodogate.capture", "caddy dodogate.capture dodogate.store.update", "caddy dodogate.hold", "caddy dodogate.hold dodogate.store.update",
		}},
		{"a webhook", webhook, []string{"caddy dodogate.webhook", "caddy dodogate.webhook dodogate.store.receive"}},
	} {
		trace := traced("01", tt.send)
		eventually(t, tt.name, func() string {
			got := c.paths(trace)
			for _, path := range tt.want {
				if !slices.Contains(got, path) {
					return fmt.Sprintf("%q", got)
				}
			}
			return ""
		})
	}
	if got := c.paths(unsampled); len(got) != 0 {
		t.Errorf("a request that is not sampled has %q", got)
	}
}
