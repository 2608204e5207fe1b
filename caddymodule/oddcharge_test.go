package caddymodule_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// A charged request costs the same whatever else it asks for, but for a preflight,
// which gets nothing and pays nothing.
func TestChargeOfOddRequests(t *testing.T) {
	var sent atomic.Int64
	app := func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		sent.Add(n)
		w.Header().Set("Access-Control-Allow-Origin", "https://other.example")
		w.Header().Set("Etag", `"one"`)
		http.ServeContent(w, r, "text", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	}
	b := newSecureBench(t)
	b.Upstream = strings.TrimPrefix(newServer(t, app), "http://")
	b.mustLoad(everyProtocol(strings.Replace(usualDodo, "signup_credits 3", "signup_credits 100", 1), "", usualGateway+`
	dodo_charge /usual 2
	dodo_charge /fresh 2 {
		release_on 304
	}
	dodo_charge /dear 101
	reverse_proxy {{Upstream}}`))
	fronts := b.fronts()
	const preflight = "Origin: https://other.example\r\nAccess-Control-Request-Method: GET"
	for _, tt := range []struct {
		name, method, path, header string
		status                     int
		charged                    int64
		length                     int
	}{
		{"a request", "GET", "/usual", "", 200, 2, 10},
		{"its head", "HEAD", "/usual", "", 200, 2, 0},
		{"a part of it", "GET", "/usual", "Range: bytes=2-4", 206, 2, 3},
		{"the head of a part", "HEAD", "/usual", "Range: bytes=2-4", 206, 2, 0},
		{"a part if it is still the same", "GET", "/usual", "Range: bytes=2-4\r\nIf-Range: \"one\"", 206, 2, 3},
		{"a part of what was changed", "GET", "/usual", "Range: bytes=2-4\r\nIf-Range: \"two\"", 200, 2, 10},
		{"a part that there is not", "GET", "/usual", "Range: bytes=20-", 416, 0, -1},
		{"what the client has", "GET", "/usual", `If-None-Match: "one"`, 304, 2, 0},
		{"what the client has by date", "GET", "/usual", "If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT", 304, 2, 0},
		{"what the client has, released", "GET", "/fresh", `If-None-Match: "one"`, 304, 0, 0},
		{"what the client has not, there", "GET", "/fresh", `If-None-Match: "two"`, 200, 2, 10},
		{"what must be another", "GET", "/usual", `If-Match: "two"`, 412, 0, -1},
		{"options", "OPTIONS", "/usual", "Origin: https://other.example", 200, 2, 10},
		{"options with the method only", "OPTIONS", "/usual", "Access-Control-Request-Method: GET", 200, 2, 10},
		{"another method", "PROPFIND", "/usual", "", 200, 2, 10},
		{"a preflight", "OPTIONS", "/usual", preflight, 200, -1, 0},
		{"a preflight of a part", "OPTIONS", "/usual", preflight + "\r\nRange: bytes=0-1", 206, -1, 0},
		{"a preflight of what costs too much", "OPTIONS", "/dear", preflight, 200, -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.t = t
			for _, f := range fronts {
				user := tt.name + " by " + f.name
				b.client = f.client
				a := b.send(f.request(t, tt.method, tt.path, tt.header+"\r\nX-Test-User: "+user, "", ""))
				if a.status != tt.status || tt.length >= 0 && len(a.body) != tt.length {
					t.Errorf("%s: %d %v %q", f.name, a.status, a.header, a.body)
				}
				want := fmt.Sprintf("%d/%d", tt.charged, 100-tt.charged)
				if tt.charged < 0 {
					want = "/"
					if a.header.Get("Access-Control-Allow-Origin") == "" || a.header.Get("ETag")+a.header.Get("Last-Modified")+a.header.Get("Content-Range") != "" {
						t.Errorf("%s: %v", f.name, a.header)
					}
				}
				if receipts(a.header) != want {
					t.Errorf("%s: receipts %s, want %s", f.name, receipts(a.header), want)
				}
				b.client = httpclient.Default
				b.leaves(user, 100-max(tt.charged, 0))
			}
		})
	}
	b.t = t

	// What carries a body is no preflight. HTTP/3 may not say so, and then the app
	// does not get it.
	for _, f := range fronts {
		for _, body := range []io.Reader{strings.NewReader("work"), io.MultiReader(strings.NewReader("work"))} {
			req, _ := http.NewRequest("OPTIONS", f.base+"/usual", body)
			req.Header = fieldsOf(preflight + "\r\nX-Test-User: " + f.name)
			silent := req.ContentLength == 0 && f.name == "HTTP/3"
			sent.Store(0)
			b.client = f.client
			a := b.send(req)
			if (receipts(a.header) == "/") != silent || (a.body == "") != silent || (sent.Load() == 0) != silent {
				t.Errorf("%s: %d %v %q, and the app got %d bytes", f.name, a.status, a.header, a.body, sent.Load())
			}
		}
	}
}

// What is charged is not done on early data, whatever the method: anybody on the way
// can send it again.
func TestChargeEarlyData(t *testing.T) {
	b := newShop(t, "\tdodo_charge /charged 1", func(http.ResponseWriter, *http.Request) {})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	server := app.(*caddyhttp.App).Servers["srv0"]
	for _, tt := range []struct {
		method, path string
		done         bool
		header       string
		want         int
	}{
		{"GET", "/charged", false, "", 425}, {"HEAD", "/charged", false, "", 425}, {"POST", "/charged", false, "", 425},
		{"GET", "/charged", true, "1", 425}, {"GET", "/charged", true, "", 200}, {"GET", "/free", false, "", 200},
	} {
		r := httptest.NewRequest(tt.method, "https://127.0.0.1:"+b.Port+tt.path, nil)
		r.Header.Set("X-Test-User", "alice")
		if tt.header != "" {
			r.Header.Set("Early-Data", tt.header)
		}
		r.TLS = &tls.ConnectionState{HandshakeComplete: tt.done}
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%+v: %d", tt, w.Code)
		}
	}
	b.leaves("alice", 99)
}
