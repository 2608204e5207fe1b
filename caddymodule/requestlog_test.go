package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const loggedDodo = `
	log {
		output file {{Dir}}/caddy.log
	}
` + usualDodo

// logged are the lines of the log with a message, as JSON.
func (b *bench) logged(message string) (lines []map[string]any) {
	b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log"))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			b.t.Fatalf("%v: %s", err, line)
		}
		if fields["msg"] == message {
			lines = append(lines, fields)
		}
	}
	return lines
}

// A request that fails is one short line of the log: no stack trace, and the id of
// the trace where there is one.
func TestRequestLog(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	b := newBench(t)
	b.mustLoad(caddyfile(loggedDodo, "tracing /payments/checkout\n"+usualGateway))
	b.problem(b.do("POST", "/payments/checkout", `{"product":"pack10"}`, "Content-Type", "application/json", "X-Test-User", "alice",
		"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), 503, "provider_unavailable")
	lines := b.logged("request failed")
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	if _, traced := lines[0]["stacktrace"]; traced || lines[0]["traceID"] != "4bf92f3577b34da6a3ce929d0e0e4736" || lines[0]["code"] != "provider_unavailable" {
		t.Errorf("%v", lines[0])
	}
}
