package gateway_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/gateway"
)

// wishes are the checkouts that Dodo is asked for.
type wishes struct {
	dodo http.Handler
	mu   sync.Mutex
	all  []string
}

func (w *wishes) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/checkouts") {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.all = append(w.all, string(body))
		w.mu.Unlock()
	}
	w.dodo.ServeHTTP(rw, r)
}

// noTrial reports whether the last checkout asks for no trial.
func (w *wishes) noTrial() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.all[len(w.all)-1], `"subscription_data":{"trial_period_days":0}`)
}

// lastPaid is the amount of the last payment.
func (w *world) lastPaid() int64 {
	w.t.Helper()
	var id string
	for _, e := range w.sim.Events() {
		if e.Type == "payment.succeeded" {
			id = e.ObjectID
		}
	}
	return int64(w.call(http.MethodGet, "/payments/"+id, "")["total_amount"].(float64))
}

// TestOneTrial: who cancels a trial and buys again pays from the first day, and so does who had
// another subscription, unless the product says otherwise.
func TestOneTrial(t *testing.T) {
	asked := new(wishes)
	again := config.Product{Name: "again", ID: "pdt_try", Plan: "try", Credits: 30, TrialAgain: true}
	for name, c := range map[string]struct {
		product config.Product
		first   string
		noTrial bool
	}{
		"the same product":           {config.Product{Name: "try", ID: "pdt_try", Plan: "try", Credits: 30}, "try", true},
		"another one before":         {config.Product{Name: "try", ID: "pdt_try", Plan: "try", Credits: 30}, "pro", true},
		"only a pack before":         {config.Product{Name: "try", ID: "pdt_try", Plan: "try", Credits: 30}, "pack10", false},
		"the product gives it again": {again, "again", false},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTimer()
			w := newWorld(t, openBoltAt(t, clock.Now), settings{
				products: append([]config.Product{c.product}, plansForSale...), clock: clock.Now, sleep: clock.Sleep,
				between: func(sim http.Handler) http.Handler { asked.dodo = sim; return asked },
			})
			w.buy("alice", c.first)
			w.flush()
			if asked.noTrial() {
				t.Error("the first checkout asks for no trial")
			}
			if c.first != "pack10" {
				if _, err := w.Cancel(t.Context(), who("alice"), gateway.Which{}, false); err != nil {
					t.Fatal(err)
				}
				w.flush()
			}
			w.buy("alice", c.product.Name)
			w.flush()
			if asked.noTrial() != c.noTrial {
				t.Errorf("the second checkout asks for no trial: %v", asked.noTrial())
			}
			if paid := w.lastPaid(); (paid > 0) != c.noTrial {
				t.Errorf("%d was paid", paid)
			}
		})
	}
}
