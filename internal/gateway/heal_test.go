package gateway_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// call is one call to the simulated Dodo, by whoever has the key.
func (w *world) call(method, path, body string) {
	w.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.sim.ServeHTTP(answer, request)
	if answer.Code/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
}

// TestReconcileSubscriptionWithinItsPeriod: also what changes neither the status
// nor the end of the period.
func TestReconcileSubscriptionWithinItsPeriod(t *testing.T) {
	each(t, settings{hold: true, products: storyProducts}, func(t *testing.T, w *world) {
		attempt, err := w.sim.Pay(w.order("alice", "monthly").SessionID, goodCard)
		must(t, err)
		w.reconcile()
		w.has("alice", 500, true)
		path := "/subscriptions/" + attempt.SubscriptionID
		w.call(http.MethodPatch, path, `{"cancel_at_next_billing_date":true}`)
		if done := w.reconcile(); done.Read != 1 || done.Applied != 1 {
			t.Errorf("after a scheduled cancellation it did %+v", done)
		}
		w.call(http.MethodPatch, path, `{"cancel_at_next_billing_date":false}`)
		w.reconcile()
		w.call(http.MethodPost, path+"/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"}`)
		w.reconcile()
		w.has("alice", 800, true)
		if snap, err := w.Entitlement(t.Context(), "alice"); err != nil || snap.Plan != "team" {
			t.Errorf("the plan is %+v, %v", snap, err)
		}
		if again := w.reconcile(); again.Read != 0 || again.Applied != 0 {
			t.Errorf("nothing happened, and it did %+v", again)
		}
	})
}

// TestReconcileOddItems: items that do not say what they are hold nothing up, and
// are counted.
func TestReconcileOddItems(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true, products: storyProducts, between: func(sim http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			sim.ServeHTTP(answer, r)
			body := answer.Body.Bytes()
			if slices.Contains([]string{"/payments", "/refunds", "/subscriptions"}, r.URL.Path) && r.Method == http.MethodGet {
				body = bytes.Replace(body, []byte(`{"items":[`), []byte(`{"items":[{"status":"succeeded"},`), 1)
			}
			rw.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			rw.WriteHeader(answer.Code)
			_, _ = rw.Write(body)
		})
	}})
	w.buy("alice", "pack10")
	w.buy("carol", "monthly")
	bob := w.buy("bob", "pack9")
	_, err := w.sim.Refund(bob, 300)
	must(t, err)
	if done := w.reconcile(); done.Unapplied != 3 {
		t.Errorf("it did %+v", done)
	}
	w.has("alice", 10, true)
	w.has("bob", 6, true)
	w.has("carol", 500, true)
	if again := w.reconcile(); again.Read != 0 || again.Unapplied != 3 {
		t.Errorf("again it did %+v", again)
	}
}
