package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	_ "github.com/dodogate/dodogate/caddymodule/simulator" // of the demo
	"github.com/dodogate/dodogate/internal/identity/identitytest"
)

// environmentName is a variable in a Caddyfile.
var environmentName = regexp.MustCompile(`\{(?:env\.|\$)([A-Z_]+)`)

// shippedSites are the Caddyfiles that people copy: those of the repository, and every
// site of the pages that explain them.
func shippedSites(t *testing.T) map[string]string {
	t.Helper()
	sites := make(map[string]string)
	files, err := filepath.Glob("../docs/examples/*.Caddyfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range append(files, "../Caddyfile") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sites[filepath.Base(file)] = string(text)
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	beginsSite := regexp.MustCompile(`(?m)^[a-z*:][^\s]*\.[^\s]+ \{$`)
	for _, page := range append(pages, "../README.md") {
		for i, code := range blocksOf(t, page) {
			isSite := beginsSite.MatchString(code.text) && strings.Contains(code.text, "dodo_gateway")
			name := fmt.Sprintf("%s %d", filepath.Base(page), i)
			switch {
			case code.language != "" && code.language != "caddyfile", !isSite, strings.Contains(code.text, "# Refused"):
			case strings.HasPrefix(code.text, "{\n"):
				sites[name] = code.text
			default:
				sites[name] = strings.Replace(loginGlobals, "PLANS\n", "", 1) + code.text
			}
		}
	}
	if len(sites) < 20 {
		t.Fatalf("only %d sites", len(sites))
	}
	return sites
}

// TestShippedSaysNothing: what people copy loads without a warning. Whoever sees one there
// learns to read over them.
func TestShippedSaysNothing(t *testing.T) {
	for name, text := range shippedSites(t) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			for _, m := range environmentName.FindAllStringSubmatch(text, -1) {
				value := "0123456789abcdef0123456789abcdef"
				switch {
				case strings.Contains(m[1], "WEBHOOK"):
					value = webhookSecret
				case m[1] == "ENV": // of the example for FastAPI
					value = "production"
				case m[1] == "DODO_ENVIRONMENT":
					value = "live_mode"
				case strings.Contains(m[1], "URL"):
					value = "https://app.example.com/dashboard"
				}
				t.Setenv(m[1], value)
			}
			t.Setenv("XDG_DATA_HOME", b.Dir)
			b.write("public.pem", publicPEM(t, identitytest.NewIssuer(t, jose.EdDSA)))
			text = strings.NewReplacer("/etc/app/public.pem", "{{Dir}}/public.pem", "$2a$14$…", "$2a$06$InHQk5QijA8Xr/n10x1XrOomoXte1u8Z0amLkJU7MlCIO28YT3gXq").Replace(text)
			_, text, _ = strings.Cut("\n"+text, "\n{\n")
			if err := b.validate("{\n\tlog {\n\t\toutput file {{Dir}}/caddy.log\n\t}\n\tskip_install_trust\n" + text); err != nil {
				t.Fatal(err)
			}
			var said []string
			if strings.Contains(text, "dodo_simulator") {
				said = []string{"simulating Dodo Payments: no money moves"}
			}
			b.assertWarnings(said)
		})
	}
}
