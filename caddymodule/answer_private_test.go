package caddymodule_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// cachedAs is an app that says as much of caching as it is asked to, and then answers in
// its way.
func cachedAs(t *testing.T) string {
	return newServer(t, func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.URL.Query() {
			if name != "way" {
				w.Header()[name] = values
			}
		}
		switch r.URL.Query().Get("way") {
		case "hint":
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
		case "empty":
			return
		case "flush":
			_ = http.NewResponseController(w).Flush()
		case "304":
			w.WriteHeader(http.StatusNotModified)
			return
		case "404":
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "paid")
	})
}

// What somebody has paid for is not for a cache that others share, unless the app says
// so itself.
func TestPaidAnswersArePrivate(t *testing.T) {
	b := newSecureBench(t)
	for _, gate := range []string{"gated", "charged", "both", "asked", "free"} {
		dir := filepath.Join(b.Dir, gate, "files")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "report.txt"), []byte(strings.Repeat("paid ", 100_000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	app := cachedAs(t)
	b.mustLoad(everyProtocol(rich(usualDodo), "", usualGateway+`
	dodo_require /gated/* credits 1
	dodo_charge /charged/* 1
	dodo_require /both/* credits 1
	dodo_charge /both/* 1
	@rich dodo_entitled credits 1
	route {
		route /asked/* {
			request_header @rich X-Rich yes
		}
		handle /*/nothing {
			test_nothing
		}
		handle /*/files/* {
			root {{Dir}}
			file_server
		}
		handle {
			reverse_proxy `+app+`
		}
	}`))
	fronts := b.fronts()
	for _, tt := range []struct {
		path string
		want string // on gated routes; and on others, if they are not
		free string
	}{
		{"/app", "private", ""},
		{"/app?way=flush", "private", ""},
		{"/app?way=empty", "private", ""},
		{"/app?way=hint", "private", ""},
		{"/app?way=304", "private", ""},
		{"/app?way=404", "private", ""},
		{"/app?Cache-Control=public,+max-age=60", "public, max-age=60", "public, max-age=60"},
		{"/app?Cache-Control=no-store", "no-store", "no-store"},
		{"/app?Cache-Control=max-age=1&Cache-Control=immutable", "max-age=1|immutable", "max-age=1|immutable"},
		{"/app?Cache-Control=", "private", ""},
		{"/app?Expires=Sat,+01+Jan+2050+00:00:00+GMT", "private", ""},
		{"/app?Surrogate-Control=max-age%3D60&CDN-Cache-Control=max-age%3D60", "private", ""},
		{"/files/report.txt", "private", ""},
		{"/files/missing.txt", "", ""}, // an error page
		{"/nothing", "private", ""},
	} {
		for _, f := range fronts {
			for _, gate := range []string{"/gated", "/charged", "/both", "/asked", "/free"} {
				want := tt.want
				if gate == "/free" {
					want = tt.free
				}
				var hints []http.Header
				req := f.request(t, "GET", gate+tt.path, "X-Test-User: "+f.name, "", "")
				req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints = append(hints, http.Header(h).Clone()); return nil },
				}))
				b.client = f.client
				a := b.send(req)
				if got := strings.Join(a.header["Cache-Control"], "|"); got != want {
					t.Errorf("%s %s%s: %d, Cache-Control is %q, want %q", f.name, gate, tt.path, a.status, got, want)
				}
				for _, hint := range hints {
					if hint.Get("Cache-Control") != "" {
						t.Errorf("%s %s: hint %v", f.name, gate, hint)
					}
				}
				if strings.HasSuffix(tt.path, "report.txt") && len(a.body) != 500_000 {
					t.Errorf("%s %s: %d bytes", f.name, gate, len(a.body))
				}
			}
		}
	}
}

// An answer that a matcher of ours has chosen depends on the account, whichever it is.
func TestAnswersChosenByMatcherArePrivate(t *testing.T) {
	b := newBench(t)
	app := cachedAs(t)
	b.mustLoad(caddyfile(usualDodo, usualGateway+`
	@rich dodo_entitled credits 3
	route {
		reverse_proxy /free `+app+`
		reverse_proxy @rich `+app+`
		respond "a preview"
	}`))
	for _, tt := range []struct{ path, user, body, want string }{
		{"/x", "alice", "paid", "private"}, {"/x", "", "a preview", "private"}, {"/free", "alice", "paid", ""},
		{"/x?Cache-Control=public", "alice", "paid", "public"},
	} {
		a := b.do("GET", tt.path, "", "X-Test-User", tt.user)
		if got := a.header.Get("Cache-Control"); got != tt.want || a.body != tt.body {
			t.Errorf("%s of %q: %q, Cache-Control %q", tt.path, tt.user, a.body, got)
		}
	}
}

// A kept answer is as private as the first one, and says it once.
func TestReplayedAnswerIsPrivate(t *testing.T) {
	b := newShop(t, "\tdodo_charge 1 {\n\t\treplay\n\t}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		_, _ = io.WriteString(w, "ok")
	})
	for path, want := range map[string]string{"/app": "private", "/own": "max-age=60"} {
		for i := range 2 {
			a := b.do("GET", path, "", "X-Test-User", "alice", "Idempotency-Key", "key"+path[1:])
			if got := a.header["Cache-Control"]; !slices.Equal(got, []string{want}) || a.body != "ok" {
				t.Errorf("%s, time %d: %d %q", path, i+1, a.status, got)
			}
		}
	}
}

// Nothing is buffered, and a handler can take the connection, behind a gate.
func TestPrivateAnswersStream(t *testing.T) {
	release := make(chan struct{})
	b := newBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "last")
	}), "http://")
	b.mustLoad(caddyfile(usualDodo, usualGateway+"\n\tdodo_require credits 1\n\treverse_proxy {{Upstream}}"))
	req, _ := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%s/", b.Port), nil)
	req.Header.Set("X-Test-User", "alice")
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" || resp.Header.Get("Cache-Control") != "private" {
		t.Errorf("%q %v %v", first, err, resp.Header)
	}
	close(release)
	if rest, err := io.ReadAll(resp.Body); string(rest) != "last" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}
