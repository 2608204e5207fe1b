package caddymodule_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A kept answer is for a request that asks for the same form. Any other gets what it would
// get without replay, and nobody gets what was meant for one client or one connection.
func TestKeptAnswerFits(t *testing.T) {
	app := func(w http.ResponseWriter, r *http.Request) {
		for line := range strings.SplitSeq(r.Header.Get("X-Answer"), ";") {
			if name, value, ok := strings.Cut(line, ":"); ok {
				w.Header().Add(strings.TrimSpace(name), strings.TrimSpace(value))
			}
		}
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat("paid for ", 100))
	}
	b := newShop(t, "\theader /cors* Access-Control-Allow-Origin {header.Origin}\n\tdodo_charge 5 {\n\t\treplay\n\t}\n\tencode /gzip* gzip", app)
	for _, tt := range []struct {
		name, path, answer string
		first, again       string
		fits               bool
	}{
		{"the same", "/", "", "Accept: a/b", "Accept: a/b", true},
		{"what nothing depends on", "/", "", "Accept: a/b", "Accept: c/d", true},
		{"compressed for the same", "/gzip", "", "Accept-Encoding: gzip", "Accept-Encoding: gzip", true},
		{"compressed for another", "/gzip", "", "Accept-Encoding: gzip", "Accept-Encoding: identity", false},
		{"plain for another", "/gzip", "", "Accept-Encoding: identity", "Accept-Encoding: gzip", false},
		{"compressed by an app that does not say so", "/", "Content-Encoding: br", "Accept-Encoding: br", "Accept-Encoding: identity", false},
		{"plain, and says so", "/", "Content-Encoding: identity", "Accept-Encoding: br", "Accept-Encoding: identity", true},
		{"of another language", "/", "Vary: accept-language", "Accept-Language: de", "Accept-Language: fr", false},
		{"of no language", "/", "Vary: X-Other, Accept-Language", "Accept-Language: de", "", false},
		{"of one language in other words", "/", "Vary: Accept-Language", "Accept-Language: de, fr", "Accept-Language: de;Accept-Language: fr", true},
		{"several lines", "/", "Vary: Accept; Vary: X-Form", "X-Form: 1", "X-Form: 2", false},
		{"another cookie", "/", "Vary: Cookie", "Cookie: a=1", "Cookie: a=2", false},
		{"anything", "/", "Vary: *", "", "", false},
		{"anything among others", "/", "Vary: Accept, *", "", "", false},
		{"too many", "/", "Vary: " + names(33), "", "", false},
		{"another origin", "/", "Access-Control-Allow-Origin: https://one.test; Vary: Origin", "Origin: https://one.test", "Origin: https://two.test", false},
		{"another origin of an app that does not say so", "/", "Access-Control-Allow-Origin: https://one.test", "Origin: https://one.test", "Origin: https://two.test", false},
		{"all origins", "/", "Access-Control-Allow-Origin: *", "Origin: https://one.test", "Origin: https://two.test", true},
		{"origins that Caddy allows", "/cors", "", "Origin: https://one.test", "Origin: https://two.test", true},
		{"another condition", "/", "Etag: \"x\"", "If-None-Match: \"x\"", "", false},
		{"the same condition", "/", "Etag: \"x\"", "If-None-Match: \"x\"", "If-None-Match: \"x\"", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.t = t
			send := func(lines string) answer {
				req := b.request("GET", tt.path, tt.name)
				req.Header.Set("Idempotency-Key", "k")
				req.Header.Set("X-Answer", tt.answer)
				req.Header.Set("Accept-Encoding", "identity")
				for line := range strings.SplitSeq(lines, ";") {
					if name, value, ok := strings.Cut(line, ": "); ok {
						if name == "Accept-Encoding" {
							req.Header.Del(name)
						}
						req.Header.Add(name, value)
					}
				}
				return b.send(req)
			}
			first := send(tt.first)
			if first.status != 200 && first.status != 304 || receipts(first.header) != "5/95" {
				t.Fatalf("first: %d %v", first.status, first.header)
			}
			b.leaves(tt.name, 95)
			again := send(tt.again)
			b.leaves(tt.name, 95)
			if !tt.fits {
				if m := b.problem(again, 409, "idempotency_key_finished"); m["charged"] != 5.0 {
					t.Errorf("%v", m)
				}
				return
			}
			if again.status != first.status || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%d %v %q", again.status, again.header, again.body)
			}
			if tt.path == "/cors" && again.header.Get("Access-Control-Allow-Origin") != "https://two.test" {
				t.Errorf("the first request's origin: %v", again.header)
			}
			if tt.path == "/gzip" {
				unpacked, err := gzip.NewReader(strings.NewReader(again.body))
				if err != nil {
					t.Fatal(err)
				}
				if text, err := io.ReadAll(unpacked); err != nil || !strings.HasPrefix(string(text), "paid for") {
					t.Errorf("%q %v", text, err)
				}
			}
		})
	}
}

// names are so many names of headers.
func names(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = "X-" + strings.Repeat("x", i+1)
	}
	return strings.Join(list, ", ")
}

// Fields of one client, one connection or one moment are not kept, and those that Caddy
// sets itself are set anew.
func TestKeptAnswerIsForAnyClient(t *testing.T) {
	b := newShop(t, "\theader X-For {header.X-Client}\n\tdodo_charge 5 {\n\t\treplay\n\t}", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Set-Cookie", "session="+r.Header.Get("X-Client"))
		h.Add("Alt-Svc", `h3=":1"`)
		h.Add("Authentication-Info", "nextnonce=1")
		h.Add("X-Kept", "yes")
	})
	first := b.do("POST", "/", "", "X-Test-User", "alice", "Idempotency-Key", "k", "X-Client", "one")
	b.leaves("alice", 95)
	again := b.do("POST", "/", "", "X-Test-User", "alice", "Idempotency-Key", "k", "X-Client", "two")
	if first.header.Get("Set-Cookie") != "session=one" || first.header.Get("X-For") != "one" {
		t.Fatalf("%v", first.header)
	}
	if again.header.Get("Idempotent-Replayed") != "true" || again.header.Get("X-Kept") != "yes" || again.header.Get("X-For") != "two" {
		t.Errorf("%d %v", again.status, again.header)
	}
	for _, name := range []string{"Set-Cookie", "Alt-Svc", "Authentication-Info"} {
		if again.header[name] != nil {
			t.Errorf("%s: %v", name, again.header[name])
		}
	}
}
