package dodo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
)

// TestChangePlanIsSentOnce: whatever the answer is, nothing that moves money is sent again,
// and the error says whether it may have happened.
func TestChangePlanIsSentOnce(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		want    error
		unknown bool
	}{
		"without a body": {answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }},
		"with a payment": {answer: jsonAnswer(200, `{"payment_id":"pay_1","payment_link":null}`)},
		"a broken body":  {answer: jsonAnswer(200, `{"payment_id":`)},
		"refused":        {answer: jsonAnswer(409, `{"code":"PENDING_PLAN_CHANGE_EXISTS","message":"wait"}`), want: dodo.ErrRejected},
		"not found":      {answer: jsonAnswer(404, `{"code":"NOT_FOUND","message":"?"}`), want: dodo.ErrNotFound},
		"too many":       {answer: jsonAnswer(429, ``), want: dodo.ErrUnavailable},
		"a crash":        {answer: jsonAnswer(500, `{}`), want: dodo.ErrUnavailable, unknown: true},
		"a proxy's page": {answer: jsonAnswer(502, `<html>`), want: dodo.ErrUnavailable, unknown: true},
		"a redirect":     {answer: jsonAnswer(302, ``), want: dodo.ErrBadAnswer, unknown: true},
		"a lost reply":   {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: dodo.ErrUnavailable, unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			sent := make(chan []byte, 8)
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				said, _ := io.ReadAll(r.Body)
				sent <- said
				if r.Method != http.MethodPost || r.URL.Path != "/subscriptions/sub_1/change-plan" {
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
				c.answer(w, r)
			}))
			defer api.Close()
			client, err := dodo.New(dodo.Options{APIKey: "k", BaseURL: api.URL, Sleep: func(context.Context, time.Duration) error { return nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			err = client.ChangePlan(t.Context(), "sub_1", dodo.PlanChange{
				ProductID: "pdt_1", Quantity: 1, Proration: "prorated_immediately", Addons: []dodo.Addon{{ID: "adn_1", Quantity: 2}},
			})
			if !errors.Is(err, c.want) || dodo.Unknown(err) != c.unknown {
				t.Errorf("%v; unknown: %v", err, dodo.Unknown(err))
			}
			if n := calls.Load(); n != 1 {
				t.Fatalf("it was sent %d times", n)
			}
			var body map[string]any
			if err := json.Unmarshal(<-sent, &body); err != nil {
				t.Error(err)
			}
			addons, _ := body["addons"].([]any)
			if body["product_id"] != "pdt_1" || body["quantity"] != 1.0 || body["proration_billing_mode"] != "prorated_immediately" ||
				body["on_payment_failure"] != "prevent_change" || len(addons) != 1 {
				t.Errorf("body %v", body)
			}
		})
	}
}

func jsonAnswer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestNothingIsManagedUnderOddIDs: an id that is none never becomes part of a path.
func TestNothingIsManagedUnderOddIDs(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) }))
	defer api.Close()
	client, err := dodo.New(dodo.Options{APIKey: "k", BaseURL: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, id := range []string{"", "..", "sub/1", "sub?x", "sub 1"} {
		ctx := t.Context()
		_, err1 := client.Holding(ctx, id)
		_, err2 := client.PortalLink(ctx, id, "")
		_, err3 := client.PreviewChange(ctx, id, dodo.PlanChange{})
		for _, err := range []error{err1, err2, err3, client.SetCancelAtEnd(ctx, id, true), client.ChangePlan(ctx, id, dodo.PlanChange{})} {
			if !errors.Is(err, dodo.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
}
