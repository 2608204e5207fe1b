package caddymodule_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"
)

// TestReadme: the Caddyfile that the README tells people to write does what it says.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```\n(\\{\n.*?)```").FindAllSubmatch(readme, -1)
	if len(m) != 1 {
		t.Fatalf("there are %d", len(m))
	}
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Entitlement-Credits"))
	})
	b, sim := run(t, string(m[0][1]), "app:3000", app, "$2a$14$…", "$2a$06$InHQk5QijA8Xr/n10x1XrOomoXte1u8Z0amLkJU7MlCIO28YT3gXq")
	b.problem(b.do("GET", "/api/generate", "", as("alice")...), 402, "insufficient_credits")
	b.click(sim, "alice", b.do("GET", "/api/generate", "", append(as("alice"), "Accept", "text/html")...).body)
	if a := b.do("GET", "/api/generate", "", as("alice")...); a.body != "9" || receipts(a.header) != "1/9" {
		t.Errorf("%d %s, receipts %s", a.status, a.body, receipts(a.header))
	}
	if a := b.do("GET", "/", "", as("alice")...); a.body != "9" || receipts(a.header) != "/" {
		t.Errorf("%d %s, receipts %s", a.status, a.body, receipts(a.header))
	}
}
