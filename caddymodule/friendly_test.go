package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// Caddy can answer in the place of an app: an answer of the app that is not charged stays
// free then, whatever the client sees, and the price is the one that the app named.
func TestFriendlyAnswers(t *testing.T) {
	app := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		status := 200
		_, _ = fmt.Sscan(r.URL.Query().Get("status"), &status)
		if price := r.URL.Query().Get("price"); price != "" {
			w.Header().Set("X-Charge-Credits", price)
		}
		if r.URL.Query().Has("accel") {
			w.Header().Set("X-Accel-Redirect", "/file")
		}
		w.WriteHeader(status)
	})
	auth := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Charge-Credits", "9") // an earlier proxy is not the app
		w.WriteHeader(http.StatusAccepted)
	})
	b := newBench(t)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("paid"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.mustLoad(caddyfile(rich(usualDodo), `
	forward_auth /auth/* `+auth+` {
		uri /
	}
`+usualGateway+`
	dodo_charge 2 {
		max 9
	}
	root * `+root+`
	handle /intercept {
		intercept {
			@err status 5xx
			handle_response @err {
				respond "we are sorry" 200
			}
		}
		reverse_proxy `+app+`
	}
	handle /replaced {
		reverse_proxy `+app+` {
			@err status 5xx
			replace_status @err 200
		}
	}
	handle /auth/static {
		rewrite * /file
		file_server
	}
	handle {
		reverse_proxy `+app+` {
			@err status 500
			handle_response @err {
				respond "we are sorry"
			}
			@gone status 502 404
			handle_response @gone {
				redir * /elsewhere
			}
			@again status 503
			handle_response @again {
				rewrite * /again?price=4
				reverse_proxy `+app+`
			}
			@copied status 201
			handle_response @copied {
				copy_response 200
			}
			@accel header X-Accel-Redirect *
			handle_response @accel {
				rewrite * {rp.header.X-Accel-Redirect}
				file_server
			}
		}
	}`))
	for i, tt := range []struct {
		target  string
		status  int
		charged int64
	}{
		{"/?status=200", 200, 2},
		{"/?status=200&price=5", 200, 5},
		{"/?status=500", 200, 0},
		{"/?status=500&price=5", 200, 0},
		{"/?status=502", 302, 0},
		{"/?status=404&price=5", 302, 0},
		{"/?status=503", 200, 4}, // another app answered
		{"/?status=201&price=5", 200, 5},
		{"/?accel&price=5", 200, 5},
		{"/?accel&price=0", 200, 0},
		{"/?accel&price=x", 200, 2},
		{"/?accel", 200, 2},
		{"/intercept?status=500", 200, 0},
		{"/intercept?status=500&price=5", 200, 0},
		{"/intercept?status=200&price=5", 200, 5},
		{"/replaced?status=500&price=5", 200, 0},
		{"/replaced?status=200", 200, 2},
		{"/auth/app?status=200", 200, 2},
		{"/auth/app?status=500", 200, 0},
		{"/auth/static", 200, 2},
	} {
		user := fmt.Sprint("user", i)
		a := b.do("GET", tt.target, "", "X-Test-User", user)
		if want := fmt.Sprintf("%d/%d", tt.charged, 100-tt.charged); a.status != tt.status || receipts(a.header) != want {
			t.Errorf("%s: %d, receipts %s, want %d, %s", tt.target, a.status, receipts(a.header), tt.status, want)
		}
		if a.header["X-Charge-Credits"] != nil {
			t.Errorf("%s: the price reached the client", tt.target)
		}
		b.leaves(user, 100-tt.charged)
	}
}
