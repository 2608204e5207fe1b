package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the JSON of the adapt tests anew")

// Each file is a Caddyfile, a line of ten dashes, and the JSON that it adapts to
// or parts of the error that refuses it, one a line.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config, want, found := strings.Cut(string(text), "\n----------\n")
			want = strings.TrimSpace(want)
			if !found {
				t.Fatal("there is no line of ten dashes")
			}
			adapted, err := adapt(config)
			if !strings.HasPrefix(want, "{") && (want != "" || !*update) {
				for part := range strings.Lines(want) {
					if part = strings.TrimSpace(part); err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("refused by %v, want %q", err, part)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, adapted, "", "\t"); err != nil {
				t.Fatal(err)
			}
			if *update {
				want = got.String()
				if err := os.WriteFile(file, []byte(config+"\n----------\n"+want+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got.String() != want {
				t.Errorf("adapts to\n%s\nwant\n%s", &got, want)
			}
		})
	}
}
