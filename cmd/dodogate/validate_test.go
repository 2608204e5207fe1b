package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/testing/freeport"
)

const validatedSettings = `
		api_key {env.DODO_PAYMENTS_API_KEY}
		webhook_secret {env.DODO_PAYMENTS_WEBHOOK_SECRET}
		site site_test
		base_url http://127.0.0.1:1
		public_url http://127.0.0.1:{{Port}}
		reconcile off
		store bolt {{Dir}}/dodogate.db
		product pro {
			id pdt_pro
			plan pro
		}`

const (
	validatedLogin = `
	basic_auth {
		alice $2a$04$ruQbIl8vnhMcV5ar88NZZemwlmIkjQDG8J37iTcFSlWYwKLLkUNnS
	}`
	validatedSite = "\n\tdodo_webhook" + validatedLogin + `
	dodo_gateway {
		account {http.auth.user.id}
	}`
)

// TestValidateSaysWhatRunSays: whoever validates a config hears all that is wrong with it
// before it is loaded, except what needs the network.
func TestValidateSaysWhatRunSays(t *testing.T) {
	without := func(line string) string { return strings.Replace(validatedSettings, line, "", 1) }
	for name, tt := range map[string]struct {
		settings, site string
		refusal        string
		warnings       []string
	}{
		"nothing wrong": {settings: validatedSettings, site: validatedSite},
		"a misspelled placeholder": {
			settings: validatedSettings, site: strings.Replace(validatedSite, "user.id", "user.idd", 1),
			warnings: []string{"account is {http.auth.user.idd}"},
		},
		"secrets in full": {
			settings: strings.Replace(validatedSettings, "{env.DODO_PAYMENTS_API_KEY}", demoKey, 1),
			site:     "\n\tdodo_gateway {\n\t\tjwt {\n\t\t\tsecret 0123456789abcdef0123456789abcdef\n\t\t}\n\t}",
			warnings: []string{"a secret is written in full", "a secret is written in full"},
		},
		"live without public_url": {
			settings: "\n\t\tenvironment live_mode" + without("public_url http://127.0.0.1:{{Port}}"), site: validatedSite,
			warnings: []string{"public_url is not set"},
		},
		"the webhook behind a login": {
			settings: validatedSettings, site: strings.Replace(validatedSite, "dodo_webhook", "", 1),
			warnings: []string{"basic_auth turns Dodo's webhooks away"},
		},
		"no gateway":            {settings: validatedSettings, site: "\n\tdodo_charge 1", refusal: "no dodo_gateway runs before dodo_charge"},
		"two gateways":          {settings: validatedSettings, site: validatedSite + "\n\tdodo_gateway {\n\t\taccount {http.auth.user.id}\n\t}", refusal: "two dodo_gateway run for one request"},
		"a plan of nothing":     {settings: validatedSettings, site: validatedSite + "\n\tdodo_require plan gold", refusal: "there is pro, at {{Caddyfile}}:"},
		"swapped arguments":     {settings: validatedSettings, site: validatedSite + "\n\tdodo_charge 1 /api/*", refusal: "the matcher comes first: dodo_charge /api/* 1"},
		"an unset variable":     {settings: strings.Replace(validatedSettings, "{env.DODO_PAYMENTS_API_KEY}", "{env.DODOGATE_TEST_UNSET}", 1), site: validatedSite, refusal: "{env.DODOGATE_TEST_UNSET} is unset or empty"},
		"a key file is missing": {settings: validatedSettings, site: "\n\tdodo_gateway {\n\t\tjwt {\n\t\t\tkey_file {{Dir}}/none.pem\n\t\t\tissuer a\n\t\t}\n\t}", refusal: "none.pem: no such file"},
		"a store that is a folder": {
			settings: strings.Replace(validatedSettings, "{{Dir}}/dodogate.db", "{{Dir}}", 1), site: validatedSite, refusal: "it is not a regular file",
		},
		"a store below a file": {
			settings: strings.Replace(validatedSettings, "{{Dir}}/dodogate.db", "{{Caddyfile}}/dodogate.db", 1), site: validatedSite, refusal: "is not a directory",
		},
		"another client's address of Redis": {
			settings: strings.Replace(validatedSettings, "bolt {{Dir}}/dodogate.db", "redis redis://127.0.0.1:6379?family=0", 1), site: validatedSite, refusal: "has the parameter family",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "Caddyfile")
			fill := strings.NewReplacer("{{Dir}}", dir, "{{Port}}", freeport.Get(t), "{{Caddyfile}}", file).Replace
			text := fill("{\n\tadmin off\n\tauto_https off\n\tskip_install_trust\n\tpersist_config off\n\tdodo {" + tt.settings + "\n\t}\n}\nhttp://127.0.0.1:{{Port}} {" + tt.site + "\n\trespond ok\n}\n")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			validated, ran := saysOf(t, dir, "validate", file), saysOf(t, dir, "run", file)
			if !slices.Equal(validated.warnings, ran.warnings) || !slices.EqualFunc(ran.warnings, tt.warnings, strings.Contains) {
				t.Errorf("validate warns\n%q\nrun warns\n%q\nwant\n%q", validated.warnings, ran.warnings, tt.warnings)
			}
			for command, said := range map[string]says{"validate": validated, "run": ran} {
				if want := fill(tt.refusal); want == "" && said.refusal != "" || !strings.Contains(said.refusal, want) {
					t.Errorf("%s refuses by %q, want %q", command, said.refusal, want)
				}
			}
		})
	}
}

// says is what a command says of a config.
type says struct {
	warnings []string
	refusal  string
}

// saysOf runs a command until it ends, or serves.
func saysOf(t *testing.T, dir, command, file string) (said says) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	process := exec.CommandContext(ctx, os.Args[0], command, "--config", file)
	process.Env = append(os.Environ(), "DODOGATE_TEST_RUN_MAIN=1", "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"DODO_PAYMENTS_API_KEY="+demoKey, "DODO_PAYMENTS_WEBHOOK_SECRET="+demoSecret)
	output, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	lines, text := bufio.NewScanner(output), strings.Builder{}
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		var entry struct{ Level, Logger, Msg string }
		switch err := json.Unmarshal(lines.Bytes(), &entry); {
		case err != nil && strings.HasPrefix(lines.Text(), "Error: "):
			said.refusal = lines.Text()
		case entry.Level == "error":
			said.refusal = entry.Msg
		case strings.HasPrefix(entry.Msg, "the store is empty"): // only a start can see that
		case entry.Level == "warn" && strings.Contains(entry.Logger, "dodo"):
			said.warnings = append(said.warnings, entry.Msg)
		case entry.Msg == "serving initial configuration":
			_ = process.Process.Signal(os.Interrupt)
		}
	}
	if err := process.Wait(); (err != nil) != (said.refusal != "") {
		t.Fatalf("%s ends with %v: %s", command, err, &text)
	}
	for _, secret := range []string{demoKey, demoSecret} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%s shows a secret: %s", command, &text)
		}
	}
	return said
}
