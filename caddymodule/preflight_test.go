package caddymodule_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// A preflight never identifies a visitor, even if the client adds a login to it.
func TestPreflightIsNobodys(t *testing.T) {
	b := newSecureBench(t)
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://other.example")
		for _, name := range []string{"User", "Credits", "Has-Paid", "Plan"} {
			w.Header().Add("Access-Control-Saw", r.Header.Get("X-Entitlement-"+name))
		}
		w.Header().Add("Access-Control-Saw", r.Header.Get("X-Placeholder"))
		_, _ = io.WriteString(w, "worked")
	})
	b.mustLoad(everyProtocol(usualDodo, "", usualGateway+`
	dodo_require /gated credits 3
	dodo_charge /charged 1
	request_header X-Placeholder "{http.dodo.account} {http.dodo.credits}"
	reverse_proxy `+app))
	preflight := "X-Test-User: alice\r\nOrigin: https://other.example\r\nSec-Fetch-Site: cross-site\r\nAccess-Control-Request-Method: POST"
	for _, f := range b.fronts() {
		b.client = f.client
		for _, path := range []string{"/free", "/gated", "/charged"} {
			a := b.send(f.request(t, "OPTIONS", path, preflight, "", ""))
			if got := strings.Join(a.header["Access-Control-Saw"], "|"); a.status != 200 || got != "|0|false|none|0" {
				t.Errorf("%s %s: %d, the app saw %q", f.name, path, a.status, got)
			}
			if a.header.Get("Access-Control-Allow-Origin") == "" || (path == "/free") != (a.body == "worked") {
				t.Errorf("%s %s: %v %q", f.name, path, a.header, a.body)
			}
		}
		// What is none is somebody's.
		for _, other := range []string{
			strings.Replace(preflight, "Access-Control-Request-Method: POST", "X-None: 1", 1), preflight + "\r\nX-HTTP-Method-Override: POST",
		} {
			a := b.send(f.request(t, "OPTIONS", "/free", other, "", ""))
			if got := strings.Join(a.header["Access-Control-Saw"], "|"); got != "alice|3|false|none|alice 3" {
				t.Errorf("%s: the app saw %q", f.name, got)
			}
		}
	}
	b.client = httpclient.Default
	b.leaves("alice", 3)
}
