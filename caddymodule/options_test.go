package caddymodule_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The options of each block are those that docs/caddyfile.md has, and that a refusal of
// an unknown one names.
func TestOptionsOfBlocks(t *testing.T) {
	page, err := os.ReadFile("../docs/caddyfile.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ grammar, config string }{
		{"\tdodo {", "{\n dodo {\n WORD\n }\n}\n"},
		{"product <name> {", "{\n dodo {\n product pack10 {\n WORD\n }\n }\n}\n"},
		{"store redis [<url>] {", "{\n dodo {\n store redis {\n WORD\n }\n }\n}\n"},
		{"\ttls {", "{\n dodo {\n store redis {\n tls {\n WORD\n }\n }\n }\n}\n"},
		{"dodo_gateway [<base path>] {", "example.com {\n dodo_gateway {\n WORD\n }\n}\n"},
		{"dodo_charge [<matcher>] <credits> {", "example.com {\n dodo_charge /api/* 5 {\n WORD\n }\n}\n"},
	} {
		t.Run(strings.Fields(test.grammar)[0], func(t *testing.T) {
			refusal := func(word string) string {
				_, err := adapt(strings.Replace(test.config, "WORD", word, 1))
				if err == nil {
					return ""
				}
				return err.Error()
			}
			named := regexp.MustCompile(`unrecognized option 'nosuch' of .*; there are (.*), at Caddyfile:\d+`).FindStringSubmatch(refusal("nosuch"))
			if named == nil {
				t.Fatalf("nosuch is refused by %q", refusal("nosuch"))
			}
			options := strings.Split(named[1], ", ")
			for _, option := range options {
				if e := refusal(option); strings.Contains(e, "unrecognized") {
					t.Errorf("%s is named, and refused by %q", option, e)
				}
			}
			if written := optionsOn(t, string(page), test.grammar); !slices.Equal(written, options) {
				t.Errorf("the page has %q, the refusal %q", written, options)
			}
		})
	}
}

// optionsOn are the first words of the lines in a block of a grammar on a page, with
// those of `product` and such not looked into.
func optionsOn(t *testing.T, page, first string) (words []string) {
	t.Helper()
	_, block, found := strings.Cut(page, "\n"+first+"\n")
	if !found {
		t.Fatalf("the page has no %q", first)
	}
	indent := first[:strings.IndexFunc(first, func(r rune) bool { return r != '\t' })]
	block, _, _ = strings.Cut(block, "\n"+indent+"}")
	for line := range strings.Lines(block) {
		if rest, within := strings.CutPrefix(line, indent+"\t"); within && !strings.HasPrefix(rest, "\t") && strings.TrimSpace(rest) != "}" {
			words = append(words, strings.Fields(rest)[0])
		}
	}
	return words
}
