package check_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

// read is the text of a file in deploy.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// needs skips a test without a program; in CI the test fails.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(program + " is not installed")
	}
	return path
}

var secretFile = regexp.MustCompile(`\{file\.\{\$SECRETS:/run/secrets\}/(\w+)\}`)

// secretsOf names the secrets that a Caddyfile reads, in alphabetical order.
func secretsOf(t *testing.T, caddyfile string) []string {
	t.Helper()
	names := make(map[string]bool)
	for _, match := range secretFile.FindAllStringSubmatch(read(t, caddyfile), -1) {
		names[match[1]] = true
	}
	if len(names) < 3 {
		t.Fatalf("%s reads the secrets %v", caddyfile, names)
	}
	return slices.Sorted(maps.Keys(names))
}
