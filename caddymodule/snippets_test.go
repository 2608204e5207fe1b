package caddymodule_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What people copy out of the README finds no user where the header is missing.
func TestReadmeSnippets(t *testing.T) {
	for language, tt := range map[string]struct {
		program       string
		before, after string
	}{
		"js": {
			program: "node",
			before:  "const sent = JSON.parse(process.argv.at(-1)); const req = {get: name => sent[name]};\n",
			after:   "\nprocess.stdout.write(JSON.stringify({user, pro}));",
		},
		"python": {
			program: "python3",
			before:  "import json, sys, types, urllib.parse\nrequest = types.SimpleNamespace(headers=json.loads(sys.argv[-1]))\n",
			after:   "\nprint(json.dumps({'user': user, 'pro': pro}))",
		},
	} {
		t.Run(language, func(t *testing.T) {
			path, err := exec.LookPath(tt.program)
			if err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			snippet := readmeSnippet(t, language)
			option := map[string]string{"js": "-e", "python": "-c"}[language]
			for _, want := range []struct {
				sent map[string]string
				user string
				pro  bool
			}{
				{map[string]string{}, "", false},
				{map[string]string{"X-Entitlement-User": "", "X-Entitlement-Plans": ""}, "", false},
				{map[string]string{"X-Entitlement-User": "j%C3%BCrgen%20x", "X-Entitlement-Plans": "basic,pro"}, "jürgen x", true},
				{map[string]string{"X-Entitlement-User": "undefined", "X-Entitlement-Plans": "prophet"}, "undefined", false},
			} {
				sent, err := json.Marshal(want.sent)
				if err != nil {
					t.Fatal(err)
				}
				said, err := exec.CommandContext(t.Context(), path, option, tt.before+snippet+tt.after, string(sent)).Output()
				if err != nil {
					t.Fatalf("%s: %v", sent, err)
				}
				var got struct {
					User *string
					Pro  bool
				}
				if err := json.Unmarshal(said, &got); err != nil || got.User == nil || *got.User != want.user || got.Pro != want.pro {
					t.Errorf("%s: %s, want %q, %t", sent, said, want.user, want.pro)
				}
			}
		})
	}
}

// readmeSnippet is the one piece of a language in the README that reads our headers.
func readmeSnippet(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(readme), -1) {
		if strings.Contains(m[1], "X-Entitlement-User") {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		t.Fatalf("there are %d", len(found))
	}
	return found[0]
}
