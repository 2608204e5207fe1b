package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
)

// rebuild runs one from the beginning, without a limit.
func (w *world) rebuild() gateway.Reconciled {
	w.t.Helper()
	done, err := w.Rebuild(w.t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
	must(w.t, err)
	return done
}

// TestRebuild: what lies before the mark is found by it, and only by it. The mark
// stays when a list fails.
func TestRebuild(t *testing.T) {
	clock := newTimer()
	each(t, settings{hold: true, products: storyProducts, clock: clock.Now}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.buy("alice", "monthly")
		bob := w.buy("bob", "pack9")
		_, err := w.sim.Refund(bob, 300)
		must(t, err)
		clock.Move(20 * day)
		late := clock.Now().UTC().Truncate(time.Millisecond)
		must(t, w.store.SetMark(t.Context(), "reconcile far", late))
		must(t, w.store.SetMark(t.Context(), "reconcile", late))

		w.reconcile()
		w.has("bob", 0, false)
		late, err = w.LastPass(t.Context())
		must(t, err)
		w.sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 1)
		if _, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil); err == nil {
			t.Error("no error")
		}
		w.sim.SetFault(dodosim.Fault{}, 0)
		if mark, err := w.store.Mark(t.Context(), "reconcile"); err != nil || !mark.Equal(late) {
			t.Errorf("after a failure the mark is %s, want %s, %v", mark, late, err)
		}

		began := clock.Now().Add(-time.Millisecond)
		var told []gateway.Reconciled
		done, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), func(r gateway.Reconciled) { told = append(told, r) })
		must(t, err)
		w.has("alice", 510, true)
		w.has("bob", 6, true)
		if done.Unapplied != 0 || done.Applied == 0 || len(told) < done.Read || told[0] != (gateway.Reconciled{}) {
			t.Errorf("it did %+v, and told %+v", done, told)
		}
		for i := 1; i < len(told); i++ {
			if told[i].Seen < told[i-1].Seen || told[i].Read < told[i-1].Read {
				t.Errorf("it told %+v and then %+v", told[i-1], told[i])
			}
		}
		if mark, err := w.store.Mark(t.Context(), "reconcile"); err != nil || mark.Before(began) || mark.After(clock.Now()) {
			t.Errorf("after it the mark is %s, %v", mark, err)
		}
		if again := w.rebuild(); again.Read != 0 || again.Applied != 0 || again.Seen != done.Seen {
			t.Errorf("again it did %+v", again)
		}
	})
}

// TestRebuildUnknownProduct: what was only read, and waits for its product, is not
// read again before the catalog has it, and then is.
func TestRebuildUnknownProduct(t *testing.T) {

	for _, tt := range []struct {
		product string
		catalog []config.Product
		want    string
	}{
		{"pdt_unlisted", grown, "4 true none none"},
		{"pdt_monthly", storyProducts, "500 true pro active"},
	} {
		t.Run(tt.product, func(t *testing.T) {
			w := newWorld(t, openBolt(t), settings{hold: true})
			session, err := w.Provider.CreateCheckout(t.Context(), &dodo.Checkout{
				ProductID: tt.product, Quantity: 1, ReturnURL: "http://localhost:8080/",
				Metadata: w.proof("ord_AAAAAAAAAAAAAAAAAAAAAA", "alice", "what"),
			})
			must(t, err)
			_, err = w.sim.Pay(session.ID, goodCard)
			must(t, err)
			if done := w.rebuild(); done.Unapplied == 0 {
				t.Errorf("without the product it did %+v", done)
			}
			for range 2 {
				if done := w.rebuild(); done.Read != 0 || done.Unapplied != 0 {
					t.Errorf("again without the product it did %+v", done)
				}
			}
			w.has("alice", 0, false)
			w.gate = w.newGateway(settings{products: tt.catalog})
			if done := w.rebuild(); done.Applied != 1 || done.Unapplied != 0 {
				t.Errorf("with the product it did %+v", done)
			}
			if got := w.account("alice"); len(got) < len(tt.want) || got[:len(tt.want)] != tt.want {
				t.Errorf("alice has %s, want %s", got, tt.want)
			}
			if done := w.rebuild(); done.Read != 0 {
				t.Errorf("once more it did %+v", done)
			}
		})
	}
}
