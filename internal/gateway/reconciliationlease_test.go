package gateway_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestTwoGatewaysReconcileOnce: while one gateway makes a pass, another one on the same store
// leaves it alone, and one that was asked to makes its own afterwards. Nothing is read twice.
func TestTwoGatewaysReconcileOnce(t *testing.T) {
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			w := newLongWorld(t, backend, 30, 0, 1)
			w.dodo.start = w.dodo.end.Add(-2 * day) // so every pass sees them
			other := w.newGateway(w.settings(t))
			begun, goOn := make(chan struct{}), make(chan struct{})
			w.dodo.onRead = func(n int) {
				if n == 1 {
					close(begun)
					<-goOn
				}
			}
			unlimited := rate.NewLimiter(rate.Inf, 1)
			first := make(chan error, 1)
			go func() {
				_, err := w.Reconcile(t.Context(), unlimited)
				first <- err
			}()
			<-begun
			text, err := w.store.Note(t.Context(), "reconcile lease", "", "")
			must(t, err)
			second := make(chan gateway.Reconciled, 1)
			go func() {
				done, err := other.Reconcile(t.Context(), unlimited)
				if err != nil {
					t.Error(err)
				}
				second <- done
			}()
			close(goOn)
			must(t, <-first)
			if done := <-second; done.Seen != 30 || done.Read != 0 {
				t.Errorf("the second pass did %+v", done)
			}
			if holder, _, _ := strings.Cut(text, " "); len(holder) < 20 {
				t.Errorf("the lease was %q", text)
			}
			if _, err := other.ReconcileIfDue(t.Context(), unlimited, 5*time.Minute); !errors.Is(err, gateway.ErrElsewhere) {
				t.Errorf("right after a pass: %v", err)
			}
			w.clock.Move(5 * time.Minute)
			if done, err := other.ReconcileIfDue(t.Context(), unlimited, 5*time.Minute); err != nil || done.Seen != 30 {
				t.Errorf("five minutes later: %+v, %v", done, err)
			}
			for n, times := range w.dodo.readOf[0] {
				if times != 1 {
					t.Errorf("payment %d was read %d times", n, times)
				}
			}
			w.whole()
		})
	}
}

// TestLeaseOfTheDead: the lease of a gateway that died is taken over when it has run out by the
// store's clock, and the pass continues where it stopped.
func TestLeaseOfTheDead(t *testing.T) {
	unlimited := rate.NewLimiter(rate.Inf, 1)
	t.Run("bolt", func(t *testing.T) { testLeaseOfTheDead(t, newLongWorld(t, "bolt", 30, 0, 1), unlimited) })
	t.Run("redis", func(t *testing.T) {
		w := newLongWorld(t, "bolt", 30, 0, 1)
		s, err := redisstore.Open(t.Context(), redisstore.Options{URL: "redis://" + redistest.Start(t).Addr, Clock: w.clock.Now, Timeout: 10 * time.Second})
		must(t, err)
		t.Cleanup(func() { _ = s.Close() })
		w.store = store.Client{Store: s}
		w.gate = w.newGateway(w.settings(t))
		testLeaseOfTheDead(t, w, unlimited)
	})
}

func testLeaseOfTheDead(t *testing.T, w *longWorld, unlimited *rate.Limiter) {
	now, err := w.store.Now(t.Context())
	must(t, err)
	if d := now.Sub(w.clock.Now()); d > time.Second || d < -time.Second {
		t.Fatalf("the store's clock says %s, want %s", now, w.clock.Now())
	}
	for name, c := range map[string]struct {
		lease string
		free  bool
	}{
		"held":                       {"somebody " + millis(now.Add(19*time.Second)), false},
		"run out":                    {"somebody " + millis(now), true},
		"from before a step back":    {"somebody " + millis(now.Add(time.Hour)), true},
		"given back":                 {"- 0", true},
		"damaged":                    {"somebody", true},
		"of this gateway's ancestor": {"somebody " + millis(now.Add(-time.Hour)), true},
	} {
		must(t, w.store.Set(t.Context(), "reconcile lease", c.lease))
		ctx, cancel := context.WithCancel(t.Context())
		if !c.free {
			timer := time.AfterFunc(50*time.Millisecond, cancel)
			defer timer.Stop()
		}
		_, err := w.Reconcile(ctx, unlimited)
		if cancel(); (err == nil) != c.free {
			t.Errorf("%s: %v", name, err)
		}
		if kept, err := w.store.Note(t.Context(), "reconcile lease", "", ""); err != nil || c.free != (kept == "- 0") {
			t.Errorf("%s: afterwards the lease is %q, %v", name, kept, err)
		}
	}
	w.whole()
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
