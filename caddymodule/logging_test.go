package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/caddymodule"
)

const loggedDodo = `
	log {
		output file {{Dir}}/caddy.log
	}
` + usualDodo

// logged are the lines of the log with a message, as JSON; all lines if it is empty.
func (b *bench) logged(message string) []map[string]any {
	b.t.Helper()
	return b.loggedIn("caddy.log", message)
}

func (b *bench) loggedIn(file, message string) (lines []map[string]any) {
	b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.Dir, file))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			b.t.Fatalf("%v: %s", err, line)
		}
		if message == "" || fields["msg"] == message {
			lines = append(lines, fields)
		}
	}
	return lines
}

// wantLine compares a line of the log with the fields that it must have, and it has no
// stack trace.
func wantLine(t *testing.T, line, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if line[name] != value {
			t.Errorf("%s is %v, want %v: %v", name, line[name], value, line)
		}
	}
	if _, traced := line["stacktrace"]; traced {
		t.Errorf("a stack trace: %v", line)
	}
}

// A request that fails is one short line, under the name of the module that answers, and
// has the id of its trace. So it is with what the packages in internal log.
func TestRequestLog(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	b := newBench(t)
	b.mustLoad(caddyfile(strings.Replace(loggedDodo, "log {", "log {\n\t\tlevel DEBUG", 1), "tracing\n"+usualGateway+`
	dodo_require /required credits 1
	dodo_charge /charged 1
	reverse_proxy {{Upstream}}`))
	requests := 0
	for name, tt := range map[string]struct {
		method, path, body, header, value string
		status                            int
		code, message                     string
		want                              map[string]any
	}{
		"by the core": {"POST", "/payments/checkout", `{"product":"pack10"}`, "X-Test-User", "alice", 503, "provider_unavailable",
			"request failed", map[string]any{"logger": "http.handlers.dodo_gateway", "level": "error", "code": "provider_unavailable"}},
		"by dodo_gateway": {"GET", "/free", "", "X-Test-User", strings.Repeat("a", 300), 500, "account_invalid",
			"entitlement could not be read", map[string]any{"logger": "http.handlers.dodo_gateway", "level": "error"}},
		"by dodo_require": {"POST", "/required", "", "Early-Data", "1", 425, "too_early",
			"request could not be judged", map[string]any{"logger": "http.handlers.dodo_require", "level": "debug", "code": "too_early"}},
		"by dodo_charge": {"GET", "/charged", "", "Idempotency-Key", "a, b", 400, "invalid_idempotency_key",
			"request could not be judged", map[string]any{"logger": "http.handlers.dodo_charge", "level": "debug", "code": "invalid_idempotency_key"}},
	} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			requests++
			trace := fmt.Sprintf("%032x", requests)
			b.problem(b.do(tt.method, tt.path, tt.body, "Content-Type", "application/json", tt.header, tt.value,
				"Traceparent", "00-"+trace+"-00f067aa0ba902b7-01"), tt.status, tt.code)
			lines := slices.DeleteFunc(b.logged(tt.message), func(line map[string]any) bool { return line["logger"] != tt.want["logger"] })
			if len(lines) != 1 {
				t.Fatalf("%d lines: %v", len(lines), lines)
			}
			tt.want["traceID"] = trace
			if err, _ := lines[0]["error"].(string); err == "" {
				t.Errorf("no error: %v", lines[0])
			}
			wantLine(t, lines[0], tt.want)
		})
	}
}

// What Caddy's config says about a log counts for modules, as for those of Caddy.
func TestLogWithCaller(t *testing.T) {
	b := newBench(t)
	config, err := adapt(b.fill(caddyfile(strings.Replace(loggedDodo, "log {", "log {\n\t\tinclude dodo", 1), usualGateway)))
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte(`"include":`), []byte(`"with_caller":true,"include":`), 1)
	t.Cleanup(func() { _ = caddy.Stop() })
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	lines := b.logged("a secret is written in full, so that the admin API shows it and Caddy saves it to disk; write {env.NAME} or {file./path} ({$NAME} is the same as in full)")
	if len(lines) == 0 {
		t.Fatal("no line")
	}
	for _, line := range lines {
		if caller, _ := line["caller"].(string); !strings.HasPrefix(caller, "caddymodule/loadcheck.go:") {
			t.Errorf("caller %q: %v", caller, line)
		}
	}
}

// What outlives a config logs as the config of the moment says.
func TestProcessLog(t *testing.T) {
	b := newBench(t)
	log := caddymodule.ProcessLog("dodo.stores").With("path", "a.db").WithGroup("fault")
	for _, name := range []string{"first", "second"} {
		b.mustLoad(caddyfile(strings.Replace(loggedDodo, "caddy.log", name+".log", 1), usualGateway))
		log.Error("store is broken", "config", name, "error", errors.New("torn"))
		log.Debug("not at this level")
	}
	for _, name := range []string{"first", "second"} {
		lines := b.loggedIn(name+".log", "store is broken")
		if len(lines) != 1 {
			t.Fatalf("%d lines in the %s log: %v", len(lines), name, lines)
		}
		fault, _ := lines[0]["fault"].(map[string]any)
		if fault["config"] != name || fault["error"] != "torn" {
			t.Errorf("%v", lines[0])
		}
		wantLine(t, lines[0], map[string]any{"logger": "dodo.stores", "level": "error", "path": "a.db"})
		if lines := b.loggedIn(name+".log", "not at this level"); len(lines) != 0 {
			t.Errorf("%v", lines)
		}
	}
}
