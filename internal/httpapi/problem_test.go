package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/httpapi"
	"github.com/dodogate/dodogate/internal/store"
)

func TestWriteError(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		code   string
		retry  string
	}{
		{gateway.ErrAnonymous, 401, "unauthenticated", ""},
		{gateway.ErrAccount, 500, "account_invalid", ""},
		{gateway.ErrKeyRunning, 409, "idempotency_key_in_use", "1"},
		{gateway.ErrUnconfirmed, 503, "payment_unconfirmed", "10"},
		{fmt.Errorf("read account: %w", store.ErrUnavailable), 503, "store_unavailable", "5"},
		{context.DeadlineExceeded, 503, "timeout", "5"},
		{fmt.Errorf("%w: %w", store.ErrUnavailable, context.Canceled), 503, "store_unavailable", "5"},
		{errors.New("dial tcp 10.0.0.1: password is hunter2"), 500, "internal", ""},
		{nil, 500, "internal", ""},
	} {
		t.Run(test.code, func(t *testing.T) {
			w := httptest.NewRecorder()
			httpapi.WriteError(w, httptest.NewRequest("GET", "/app", nil), test.err)
			answer{t, w}.problem(test.status, test.code)
			if got := w.Header().Get("Retry-After"); got != test.retry {
				t.Errorf("Retry-After %q, want %q", got, test.retry)
			}
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("too much is told: %s", w.Body)
			}
		})
	}
}

func TestWriteProblem(t *testing.T) {
	p := httpapi.Problem{
		Status: 402, Code: "insufficient_credits", Detail: "Not enough <credits>.", RetryAfter: 1500 * time.Millisecond,
		Members: map[string]any{"required": 5, "code": "mine"},
	}
	w := httptest.NewRecorder()
	httpapi.WriteProblem(w, httptest.NewRequest("POST", "/app", nil), p)
	if m := (answer{t, w}).problem(402, "insufficient_credits"); m["required"] != 5.0 {
		t.Errorf("%v", m)
	}
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After %q", got)
	}
	w.Header().Add("X-Content-Type-Options", "as an outer handler may")
	w.Header().Add("Cache-Control", "private")
	(answer{t, w}).problem(402, "insufficient_credits")
	if len(p.Members) != 2 || p.Members["code"] != "mine" {
		t.Errorf("the caller's members are %v now", p.Members)
	}

	p.Members["odd"] = func() {}
	w = httptest.NewRecorder()
	httpapi.WriteProblem(w, httptest.NewRequest("POST", "/app", nil), p)
	(answer{t, w}).problem(402, "insufficient_credits")

	w = httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/app", nil)
	r.Header.Set("Accept", browser)
	httpapi.WriteProblem(w, r, p)
	a := answer{t, w}
	if page := a.page(402); !strings.Contains(page, "Not enough &lt;credits&gt;.") || !strings.Contains(page, "<h1>Payment Required</h1>") {
		t.Error(page)
	}
	checkPage(t, a)
}

// Pages are for those who would rather have them.
func TestAccept(t *testing.T) {
	for accept, html := range map[string]bool{
		"": false, "*/*": false, "text/html": true, "TEXT/HTML": true, "text/*": true, browser: true, "application/json": false, "application/problem+json": false,
		"application/json, text/html": false, "application/json;q=0.9, text/html": true, "text/html;q=0.1, application/json;q=0.2": false, "text/html;q=0": false,
		"text/html;q=0.5, */*;q=0.1": true, "text/html;q=0.5, */*;q=0.9": false, "*/*, text/html;q=0": false, "text/html; level=1; q=0.3, application/json;q=.2": true,
		"text/html;q=2": false, "text/html;q=x": false, "text/html;q=NaN": false, "image/*": false, ",,;;": false, "text/html, application/json;q=1": false,
		strings.Repeat(",", 4<<10) + "text/html": false, // to read all of it would cost more than the answer
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		httpapi.WriteError(w, r, gateway.ErrAnonymous)
		if got := strings.HasPrefix(w.Header().Get("Content-Type"), "text/html"); got != html || w.Header().Get("Vary") != "Accept" {
			t.Errorf("Accept %q: HTML is %v", accept, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = http.Header{"Accept": {"application/json;q=0.5", "text/html"}}
	w := httptest.NewRecorder()
	httpapi.WriteError(w, r, gateway.ErrAnonymous)
	if w.Header().Get("Content-Type") == "application/problem+json" {
		t.Error("the second Accept line was not read")
	}
}
