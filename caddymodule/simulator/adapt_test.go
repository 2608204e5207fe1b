package simulator_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"  // the adapter
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard" // handle_path, basic_auth

	_ "github.com/dodogate/dodogate/caddymodule/simulator"
)

var update = flag.Bool("update", false, "rewrite the JSON of testdata/*.caddyfiletest")

const dashes = "----------\n"

// TestAdapt adapts every testdata/*.caddyfiletest: a Caddyfile, a line of ten dashes, and
// the JSON that it becomes or a part of the error that it causes.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatal("no test files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, wanted, ok := strings.Cut(string(content), dashes)
			wanted = strings.TrimSpace(wanted)
			if !ok || wanted == "" {
				t.Fatal("not a Caddyfile, ten dashes and an expectation")
			}
			adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
			if !strings.HasPrefix(wanted, "{") {
				refused(t, err, wanted)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) > 0 {
				t.Error("warnings:", warnings)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, adapted, "", "\t"); err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+dashes+got.String()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != wanted {
				t.Errorf("got\n%s\nwanted\n%s", &got, wanted)
			}
		})
	}
}

// TestDocumentation adapts the Caddyfile that the documentation shows.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## In the Caddyfile\n")
	_, rest, _ := strings.Cut(section, "```\n")
	example, _, ok := strings.Cut(rest, "```\n")
	if !ok || !strings.Contains(example, "dodo_simulator") {
		t.Fatal("no example on the page")
	}
	_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(example), nil)
	if err != nil || len(warnings) > 0 {
		t.Error(err, warnings)
	}
}

// refused checks an error, and that it repeats nothing that the files call secret.
func refused(t *testing.T, err error, wanted string) {
	t.Helper()
	if err == nil {
		t.Fatal("accepted")
	}
	if !strings.Contains(err.Error(), wanted) {
		t.Errorf("got\n%v\nwanted\n%s", err, wanted)
	}
	if strings.Contains(err.Error(), "hidden") {
		t.Error("a secret is in", err)
	}
}
