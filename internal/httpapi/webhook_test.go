package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const someEvent = `{"business_id":"bus_1","type":"license_key.created","timestamp":"2026-11-21T12:00:00Z","data":{"payload_type":"LicenseKey"}}`

func TestWebhook(t *testing.T) {
	s := newSite(t, nil)
	for _, target := range []string{"/payments/webhook", "/payments/webhook/", "/PAYMENTS//webhook"} {
		c := s.signed("msg_1", someEvent)
		c.URL.Path = target
		a := c.with("Accept", browser).with("Sec-Fetch-Site", "cross-site").with("Early-Data", "1").with("Content-Type", "text/plain").do()
		if m := a.json(200); m["status"] != "ok" || len(m) != 1 {
			t.Errorf("%s: %v", target, m)
		}
		if got := a.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control %q", got)
		}
	}
	event, err := s.store.Event(t.Context(), "msg_1")
	must(t, err)
	if event.Deliveries != 3 || string(event.Body) != someEvent {
		t.Errorf("%+v", event)
	}
}

// The same, without the rest of the routes.
func TestWebhookAlone(t *testing.T) {
	s := newSite(t, nil)
	alone := s.api.Webhook()
	serve := func(c call) answer {
		w := httptest.NewRecorder()
		alone.ServeHTTP(w, c.Request)
		return answer{t, w}
	}
	c := s.signed("msg_1", someEvent)
	c.URL.Path = "/hooks/dodo"
	serve(c).json(200)
	a := serve(s.get("/hooks/dodo"))
	a.problem(405, "method_not_allowed")
	if got := a.Header().Get("Allow"); got != "POST" {
		t.Errorf("Allow %q", got)
	}
	serve(s.post("/hooks/dodo", someEvent)).problem(401, "webhook_signature_invalid")
	serve(s.post("/payments/checkout", `{"product":"pack10"}`).by(alice)).problem(401, "webhook_signature_invalid")
}

// A webhook is 200 only when it is stored, and otherwise never anything that Dodo
// takes for success, follows, or takes for a wish to be left alone.
func TestWebhookRefusals(t *testing.T) {
	s := newSite(t, nil)
	set := func(name, value string) func(call) call {
		return func(c call) call { c.Header.Set(name, value); return c }
	}
	for _, test := range []struct {
		detailedError
		id string
	}{
		{detailedError{"no signature", someEvent, func(c call) call { c.Header.Del("Webhook-Signature"); return c }, 401, "webhook_signature_invalid", ""}, "m"},
		{detailedError{"no id", someEvent, func(c call) call { c.Header.Del("Webhook-Id"); return c }, 401, "webhook_signature_invalid", ""}, "m"},
		{detailedError{"wrong signature", someEvent, set("Webhook-Signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="), 401, "webhook_signature_invalid", ""}, "m"},
		{detailedError{"another id", someEvent, set("Webhook-Id", "n"), 401, "webhook_signature_invalid", ""}, "m"},
		{detailedError{"another body", someEvent, func(c call) call {
			return s.post("/payments/webhook", someEvent+" ").with("Webhook-Id", "m").
				with("Webhook-Timestamp", c.Header.Get("Webhook-Timestamp")).with("Webhook-Signature", c.Header.Get("Webhook-Signature"))
		}, 401, "webhook_signature_invalid", ""}, "m"},
		{detailedError{"stale", someEvent, set("Webhook-Timestamp", strconv.FormatInt(newClock().now.Add(-time.Hour).Unix(), 10)), 401, "webhook_timestamp_stale", "clock"}, "m"},
		{detailedError{"id with a dot", someEvent, nil, 400, "webhook_malformed", ""}, "m.1"},
		{detailedError{"two ids", someEvent, func(c call) call { return c.with("Webhook-Id", "m") }, 400, "webhook_malformed", ""}, "m"},
		{detailedError{"no JSON", `{"a":`, nil, 400, "webhook_malformed", ""}, "m"},
		{detailedError{"no object", `[]`, nil, 400, "webhook_malformed", ""}, "m"},
		{detailedError{"nothing", ``, nil, 400, "webhook_malformed", ""}, "m"},
		{detailedError{"too large", "{" + strings.Repeat(" ", 1<<20) + "}", nil, 413, "body_too_large", ""}, "m"},
		{detailedError{"too large, of unknown length", "{" + strings.Repeat(" ", 1<<20) + "}", func(c call) call { c.ContentLength = -1; return c }, 413, "body_too_large", ""}, "m"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := s.in(t)
			c := s.signed(test.id, test.body)
			if test.change != nil {
				c = test.change(c)
			}
			s.untouched(func() {
				m := c.with("Accept", browser).do().problem(test.status, test.code)
				if detail, _ := m["detail"].(string); !strings.Contains(detail, test.detail) || strings.Contains(detail, ":") {
					t.Errorf("detail %q", detail)
				}
			})
		})
	}
}

// A wrong secret is seen in the log, and strangers cannot fill that.
func TestWebhookRefusalsInTheLog(t *testing.T) {
	s := newSite(t, nil)
	logged := func(code string) int { return strings.Count(s.log.String(), "webhook refused\" code="+code) }
	twice := func() call { return s.signed("m", someEvent).with("Webhook-Timestamp", "1") }
	for range 3 {
		twice().do().problem(400, "webhook_malformed")
		s.post("/payments/webhook", someEvent).do().problem(401, "webhook_signature_invalid")
	}
	if logged("webhook_signature_invalid") != 1 || logged("webhook_malformed") != 1 || !strings.Contains(s.log.String(), "webhook_secret") {
		t.Errorf("log: %s", s.log)
	}
	s.clock.pass(time.Minute)
	for range 3 {
		s.post("/payments/webhook", someEvent).do().problem(401, "webhook_signature_invalid")
	}
	if logged("webhook_signature_invalid") != 2 {
		t.Errorf("log: %s", s.log)
	}
}

// How wrong a clock is can be read in the log.
func TestStaleWebhookInTheLog(t *testing.T) {
	for _, age := range []int64{301, -4000, 1 << 30} {
		s := newSite(t, nil)
		c := s.signed("m", someEvent)
		c.Header.Set("Webhook-Timestamp", strconv.FormatInt(s.clock.Now().Unix()-age, 10))
		c.do().problem(401, "webhook_timestamp_stale")
		if want := "seconds_old=" + strconv.FormatInt(age, 10) + "\n"; !strings.Contains(s.log.String(), want) {
			t.Errorf("there is no %q in %s", want, s.log)
		}
	}
}

// As large as Dodo may send.
func TestLargestWebhook(t *testing.T) {
	s := newSite(t, nil)
	padding := strings.Repeat(" ", 1<<20-len(someEvent))
	s.signed("m", strings.Replace(someEvent, "}}", "}"+padding+"}", 1)).do().json(200)
}

func TestWebhookWithoutStore(t *testing.T) {
	s := newSite(t, nil)
	must(t, s.store.Close())
	a := s.signed("m", someEvent).do()
	a.problem(503, "store_unavailable")
	if got := a.Header().Get("Retry-After"); got != "5" {
		t.Errorf("Retry-After %q", got)
	}
	if log := s.log.String(); !strings.Contains(log, "route=/webhook code=store_unavailable") {
		t.Errorf("log: %s", log)
	}
}

// What breaks off is not stored, and to be delivered again.
func TestWebhookThatBreaksOff(t *testing.T) {
	s := newSite(t, nil)
	s.untouched(func() {
		c := s.signed("m", someEvent)
		c.Body = broken{}
		c.do().problem(400, "invalid_request")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c = s.signed("m", someEvent)
		c.Request = c.WithContext(ctx)
		c.do().problem(503, "store_unavailable")
	})
	if log := s.log.String(); strings.Contains(log, "level=ERROR") || !strings.Contains(log, "level=DEBUG") {
		t.Errorf("log: %s", log)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
func (broken) Close() error             { return nil }

// Dodo pays, delivers, repeats itself: the customer has the thing once.
func TestWebhookEndToEnd(t *testing.T) {
	s := newSite(t, nil)
	order, session := s.order(alice, `{"product":"pack10","quantity":2}`)
	s.pay(session, dodosim.CardVisa)
	for _, e := range s.sim.Events() {
		for range 3 {
			d, err := s.sim.Redeliver(t.Context(), e.ID)
			must(t, err)
			if d.Status != http.StatusOK {
				t.Errorf("redelivery of %s: %d", e.Type, d.Status)
			}
		}
	}
	m := s.get("/payments/status").by(alice).do().json(200)
	if m["credits"] != json.Number("20") || m["has_paid"] != true {
		t.Errorf("%v", m)
	}
	calls := s.sim.Calls("", "")
	if got := s.post("/payments/confirm", `{"order_id":"`+order+`"}`).by(alice).do().json(200)["status"]; got != "paid" {
		t.Errorf("status %v", got)
	}
	if s.sim.Calls("", "") != calls {
		t.Error("Dodo was asked about an order that is paid")
	}
}
