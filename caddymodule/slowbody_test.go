package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/httpapi"
)

// stalled is a body of which one byte comes, and no more until it is closed.
type stalled struct {
	io.Reader
	io.Closer
}

func newStalled() stalled {
	r, w := io.Pipe()
	return stalled{io.MultiReader(bytes.NewReader([]byte("{")), r), w}
}

// TestStalledBodies: over every protocol, what is refused by its headers is answered though the
// body never comes; and what is not, when its time is over. The next one is served.
func TestStalledBodies(t *testing.T) {
	b := newSecureBench(t)
	caddymodule.LimitBodies(t, httpapi.BodyLimits{Time: 300 * time.Millisecond})
	b.mustLoad(everyProtocol(usualDodo, "", usualGateway))
	believable := fmt.Sprintf("Webhook-Id: msg_1\r\nWebhook-Timestamp: %d\r\nWebhook-Signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", time.Now().Unix())
	for _, f := range b.fronts() {
		for _, tt := range []struct {
			path, header string
			length       int64
			status       int
			code         string
		}{
			{"webhook", "", 1 << 20, 401, "webhook_signature_invalid"},
			{"webhook", "", 1000, 401, "webhook_signature_invalid"},
			{"webhook", "", -1, 401, "webhook_signature_invalid"},
			{"webhook", believable, 1<<20 + 1, 413, "body_too_large"},
			{"webhook", believable, 1 << 20, 408, "body_too_slow"},
			{"webhook", believable, 1000, 408, "body_too_slow"},
			{"webhook", believable, -1, 408, "body_too_slow"},
			{"checkout", "Content-Type: application/json", 1000, 401, "unauthenticated"},
			{"checkout", "Content-Type: application/json\r\nX-Test-User: alice", 1000, 408, "body_too_slow"},
		} {
			req := f.request(t, http.MethodPost, "/payments/"+tt.path, tt.header, "", "")
			req.Body, req.ContentLength = newStalled(), tt.length
			resp, err := f.client.Do(req)
			if err != nil {
				t.Errorf("%s %s %q of %d: %v", f.name, tt.path, tt.header, tt.length, err)
				continue
			}
			var p struct{ Code string }
			err = json.NewDecoder(resp.Body).Decode(&p)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != tt.status || p.Code != tt.code {
				t.Errorf("%s %s %q of %d: %d %q %v, want %d %s", f.name, tt.path, tt.header, tt.length, resp.StatusCode, p.Code, err, tt.status, tt.code)
			}
			if closes := resp.Close; closes != (req.URL.Scheme == "http" && f.name == "HTTP/1.1") {
				t.Errorf("%s %s: the connection is closed: %t", f.name, tt.path, closes)
			}
		}
		resp, err := f.client.Do(f.request(t, http.MethodGet, "/payments/status", "X-Test-User: alice", "", ""))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: the next request: %v %v", f.name, resp, err)
			continue
		}
		_ = resp.Body.Close()
	}
	b.webhook("msg_2", `{"business_id":"bus_1","type":"license_key.created","timestamp":"2026-11-21T12:00:00Z","data":{}}`)
}
