package caddymodule_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadme: the Caddyfile that the README tells people to write is one.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile("(?s)```\n(\\{\n.*?)```").FindAllSubmatch(readme, -1) {
		found++
		text := strings.ReplaceAll(string(m[1]), "$2a$14$…", "$2a$04$ruQbIl8vnhMcV5ar88NZZemwlmIkjQDG8J37iTcFSlWYwKLLkUNnS")
		if _, err := adapt(text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if found == 0 {
		t.Error("there is none")
	}
}
