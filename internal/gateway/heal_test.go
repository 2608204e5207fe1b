package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// call is one call to the simulated Dodo, by whoever has the key.
func (w *world) call(method, path, body string) map[string]any {
	w.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.sim.ServeHTTP(answer, request)
	if answer.Code/100 != 2 {
		w.t.Fatalf("%s %s: %d %s", method, path, answer.Code, answer.Body)
	}
	var said map[string]any
	_ = json.Unmarshal(answer.Body.Bytes(), &said) // some answers have no body
	return said
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
		w.has("alice", 500, true) // nobody paid for more
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

// TestReconcileWithheld: what Dodo does not hand out is asked for again by the next
// pass, and holds up neither the others nor the mark.
func TestReconcileWithheld(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		fails  bool
	}{
		"500":        {500, "{}", false},
		"429":        {429, "", false},
		"422":        {422, `{"code":"INVALID_REQUEST_PARAMETERS"}`, false},
		"404":        {404, `{"code":"NOT_FOUND"}`, false},
		"a web page": {200, "<html>", false},
		"401":        {401, "{}", true},
	} {
		t.Run(name, func(t *testing.T) {
			var withheld string // a payment
			w := newWorld(t, openBolt(t), settings{hold: true, between: func(sim http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if withheld == "" || r.URL.Path != "/payments/"+withheld {
						sim.ServeHTTP(rw, r)
						return
					}
					rw.Header().Set("Retry-After-Ms", "1")
					rw.WriteHeader(c.status)
					_, _ = rw.Write([]byte(c.body))
				})
			}})
			for _, name := range []string{"alice", "bob", "carol"} {
				if id := w.buy(name, "pack10"); name == "bob" {
					withheld = id
				}
			}
			done, err := w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1))
			if (err != nil) != c.fails {
				t.Errorf("it did %+v, %v", done, err)
			}
			if mark, err := w.store.Mark(t.Context(), "reconcile"); err != nil || mark.IsZero() != c.fails {
				t.Errorf("the mark is %v, %v", mark, err)
			}
			w.has("bob", 0, false)
			if c.status != http.StatusUnauthorized {
				w.has("alice", 10, true)
				w.has("carol", 10, true)
			}
			withheld = ""
			w.reconcile()
			for _, name := range []string{"alice", "bob", "carol"} {
				w.has(name, 10, true)
			}
		})
	}
}

// TestRebuildReadsWhatIsKeptApart: an operator who rebuilds gets at once what passes would try
// again only later.
func TestRebuildReadsWhatIsKeptApart(t *testing.T) {
	var withheld string // a payment
	w := newWorld(t, openBolt(t), settings{hold: true, between: func(sim http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if withheld == "" || r.URL.Path != "/payments/"+withheld {
				sim.ServeHTTP(rw, r)
				return
			}
			rw.WriteHeader(http.StatusNotFound)
		})
	}})
	withheld = w.buy("alice", "pack10")
	for range 3 {
		w.reconcile()
	}
	withheld = ""
	w.reconcile()
	w.has("alice", 0, false)
	if _, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil); err != nil {
		t.Fatal(err)
	}
	w.has("alice", 10, true)
	if status, err := w.ReconcileStatus(t.Context()); err != nil || len(status.Unread) != 0 {
		t.Errorf("kept apart: %v, %v", status.Unread, err)
	}
}

// TestReconcileStopsWhenDodoIsAway: it does not spend its budget on an answer that
// does not come.
func TestReconcileStopsWhenDodoIsAway(t *testing.T) {
	asked, away := 0, false
	w := newWorld(t, openBolt(t), settings{hold: true, between: func(sim http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			away = away || strings.HasPrefix(r.URL.Path, "/payments/")
			if r.Method == http.MethodGet && away {
				asked++
				rw.Header().Set("Retry-After-Ms", "1")
				rw.WriteHeader(http.StatusInternalServerError)
				return
			}
			sim.ServeHTTP(rw, r)
		})
	}})
	for range 6 {
		w.buy("alice", "pack10")
	}
	// Three payments, whether the list answers, and for each other list the same.
	const most = 3 * (3 + 1 + 4*2)
	if done, err := w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1)); err == nil || done.Read != 3 || asked > most {
		t.Errorf("it did %+v by %d calls, %v", done, asked, err)
	}
}

// TestReconcileLatePayment: a payment that is settled weeks after it was made, and
// of which no webhook tells, is found within a day.
func TestReconcileLatePayment(t *testing.T) {
	s := tellOf(t, "bolt", settings{hold: true, products: storyProducts})
	s.buy("alice", "pack10")
	s.set(s.now().Add(20 * day))
	must(t, s.store.SetMark(t.Context(), "reconcile", s.now())) // every pass so far saw it in progress
	must(t, s.store.SetMark(t.Context(), "reconcile far", s.now()))
	s.set(s.now().Add(day - time.Second))
	s.reconcile()
	s.has("alice", 0, false)
	s.set(s.now().Add(time.Second))
	s.reconcile()
	s.has("alice", 10, true)
	if again := s.reconcile(); again.Seen != 0 {
		t.Errorf("and then it looks only days back, %+v", again)
	}
}
