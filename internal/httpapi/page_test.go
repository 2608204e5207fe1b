package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
)

var (
	styleSheet = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	element    = regexp.MustCompile(`<(/?)([a-z0-9]+)`)
)

// checkPage checks what all pages have in common: headers, and that nothing is
// fetched, run or framed.
func checkPage(t *testing.T, a answer) {
	t.Helper()
	page := a.Body.String()
	css := styleSheet.FindStringSubmatch(page)
	if css == nil {
		t.Fatalf("no style sheet: %s", page)
	}
	sum := sha256.Sum256([]byte(css[1]))
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, never := range []string{"<script", "<img", "<link", "<iframe", "<form", " style=", " on", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(strings.ReplaceAll(page, " on ", "") /* the word */, never) {
			t.Errorf("the page has %s: %s", never, page)
		}
	}
	for _, always := range []string{"<!DOCTYPE html>", `<html lang="en">`, `<main `, "<h1>", "<title>"} {
		if strings.Count(page, always) != 1 {
			t.Errorf("%d of %s: %s", strings.Count(page, always), always, page)
		}
	}
	checkNesting(t, page)
}

// checkNesting fails when an element is not closed in its place.
func checkNesting(t *testing.T, page string) {
	t.Helper()
	var open []string
	for _, m := range element.FindAllStringSubmatch(page, -1) {
		switch name := m[2]; {
		case name == "meta":
		case m[1] == "":
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			t.Fatalf("</%s> closes %v: %s", name, open, page)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v are not closed: %s", open, page)
	}
}
