package caddymodule_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the Caddyfiles of testdata/load have in common.
const (
	loadGlobals = `admin off
	auto_https off
	skip_install_trust
	log {
		output file {{Dir}}/caddy.log
	}`
	loadSettings = `api_key {env.DODOGATE_TEST_API_KEY}
		webhook_secret {env.DODOGATE_TEST_WEBHOOK_SECRET}
		store bolt {{Dir}}/dodogate.db
		product pro {
			id pdt_pro
			plan pro
		}`
)

// TestLoad: each file is a Caddyfile, a line of ten dashes, and what is said when it
// is loaded, in the order in which it is said. `refused: …` is a part of the error and
// `warning: …` a part of a warning; there are no other warnings. Nothing is said of a
// file that ends with the dashes.
func TestLoad(t *testing.T) {
	t.Setenv("DODOGATE_TEST_API_KEY", "test_api_key")
	t.Setenv("DODOGATE_TEST_WEBHOOK_SECRET", webhookSecret)
	t.Setenv("DODOGATE_TEST_REDIS_URL", "redis://127.0.0.1:6379")
	t.Setenv("DODOGATE_TEST_REDIS_HOST", "127.0.0.1")
	files, err := filepath.Glob("testdata/load/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config, said, found := strings.Cut(string(text), "\n----------")
			if !found {
				t.Fatal("there is no line of ten dashes")
			}
			b := newBench(t)
			config = strings.NewReplacer("{{globals}}", loadGlobals, "{{settings}}", loadSettings).Replace(config)
			err = b.validate(config)
			var refusals, warnings []string
			for line := range strings.Lines(strings.TrimSpace(said)) {
				kind, part, _ := strings.Cut(strings.TrimSpace(line), ": ")
				switch kind {
				case "refused":
					refusals = append(refusals, part)
				case "warning":
					warnings = append(warnings, part)
				case "":
				default:
					t.Fatalf("%q is neither refused nor a warning", line)
				}
			}
			if (err != nil) != (len(refusals) > 0) {
				t.Fatalf("refused by %v, want %q", err, refusals)
			}
			for _, part := range refusals {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("refused by %v, want %q", err, part)
				}
			}
			b.assertWarnings(warnings)
		})
	}
}

// assertWarnings compares the warnings of our app in the log with parts of them.
func (b *bench) assertWarnings(want []string) {
	b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.Dir, "caddy.log"))
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(raw)) {
		var entry struct{ Level, Logger, Msg, Setting, At string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			b.t.Fatalf("%v: %s", err, line)
		}
		if strings.HasPrefix(entry.Msg, "the store is empty") {
			continue // it is, and that is not about the config
		}
		if entry.Level == "warn" && strings.Contains(entry.Logger, "dodo") {
			if entry.Setting != "" {
				entry.Msg += " " + entry.Setting + " at " + entry.At
			}
			got = append(got, entry.Msg)
		}
	}
	if !slices.EqualFunc(got, want, strings.Contains) {
		b.t.Errorf("the warnings are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(string(raw), "test_api_key") || strings.Contains(string(raw), "s3c") || strings.Contains(string(raw), webhookSecret) {
		b.t.Errorf("a secret is in the log: %s", raw)
	}
}

// A folder that is chosen by the plan: refused where Caddy would choose before anybody
// knows the plan, and right in a block of its own.
func TestFolderOfPlan(t *testing.T) {
	const folders = `
	@paid not vars {http.dodo.plan} none
	root * {{Dir}}/free
	root @paid {{Dir}}/paid
	file_server`
	b := newBench(t)
	b.write("free/index.html", "free")
	b.write("paid/index.html", "paid")
	assertRefused(t, b.load(caddyfile(usualDodo, folders+usualGateway)), "root asks for {http.dodo.plan}, but no dodo_gateway has run there")
	b.mustLoad(caddyfile(usualDodo, usualGateway+"\n\thandle {"+folders+"\n\t}"))
	for _, header := range [][]string{nil, {"X-Test-User", "alice"}} {
		if a := b.do("GET", "/", "", header...); a.body != "free" {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
	}
}

// The check is the same for a config in JSON.
func TestLoadJSON(t *testing.T) {
	for name, tt := range map[string]struct{ gateway, want string }{
		"asks early":     {`{"handler": "vars", "plan": "{http.dodo.plan}"}, ` + jsonGateway, "vars asks for {http.dodo.plan}"},
		"two gateways":   {jsonGateway + ", " + jsonGateway, "two dodo_gateway run for one request"},
		"charges early":  {`{"handler": "dodo_charge", "credits": 1}, ` + jsonGateway, "no dodo_gateway runs before dodo_charge"},
		"removes late":   {jsonGateway + `, {"handler": "dodo_strip"}`, "dodo_strip runs after dodo_gateway"},
		"removes early":  {`{"handler": "dodo_strip"}, ` + jsonGateway, ""},
		"asks afterward": {jsonGateway + `, {"handler": "vars", "plan": "{http.dodo.plan}"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			assertRefused(t, validateJSON(t, newBench(t).fill(jsonConfig(jsonApp, tt.gateway))), tt.want)
		})
	}
}
