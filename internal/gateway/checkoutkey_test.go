package gateway_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/gateway"
)

func keyed(product string) gateway.CheckoutRequest {
	req := wish(product)
	req.IdempotencyKey = "once"
	return req
}

// TestSameKeyNextDay: a key is free again when its session has expired and nobody
// paid, and only then.
func TestSameKeyNextDay(t *testing.T) {
	for name, c := range map[string]struct {
		after  time.Duration
		during func(t *testing.T, w *world, first book.Order)
		again  string // the product that the repeat asks for
		fresh  bool   // it gets an order of its own
		want   error
	}{
		"it can still be paid":                 {after: 24*time.Hour - time.Minute, again: "pack10"},
		"it has expired":                       {after: 24 * time.Hour, again: "pack10", fresh: true},
		"it has expired, another wish":         {after: 24 * time.Hour, again: "pack9", fresh: true},
		"it can still be paid, another wish":   {after: time.Hour, again: "pack9", want: gateway.ErrKeyMismatch},
		"it was paid":                          {after: 30 * time.Hour, during: pay(goodCard, true), again: "pack10"},
		"it was paid, another wish":            {after: 30 * time.Hour, during: pay(goodCard, true), again: "pack9", want: gateway.ErrKeyMismatch},
		"it was paid, and the webhook lost":    {after: 30 * time.Hour, during: pay(goodCard, false), again: "pack10"},
		"an attempt failed, and it can be":     {after: time.Hour, during: pay(badCard, true), again: "pack10"},
		"an attempt failed, then it expired":   {after: 24 * time.Hour, during: pay(badCard, true), again: "pack10", fresh: true},
		"expired, and the webhook of no, lost": {after: 24 * time.Hour, during: pay(badCard, false), again: "pack10", fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTimer()
			each(t, settings{hold: true, clock: clock.Now}, func(t *testing.T, w *world) {
				first, err := w.Checkout(t.Context(), who("alice"), keyed("pack10"))
				must(t, err)
				if c.during != nil {
					c.during(t, w, *first)
				}
				clock.Move(c.after)
				defer clock.Move(-c.after) // for the other store
				second, err := w.Checkout(t.Context(), who("alice"), keyed(c.again))
				if !errors.Is(err, c.want) {
					t.Fatal(err)
				}
				if err != nil {
					return
				}
				if fresh := second.ID != first.ID; fresh != c.fresh || (second.SessionID != first.SessionID) != c.fresh {
					t.Fatalf("the repeat got %+v after %+v", second, first)
				}
				third, err := w.Checkout(t.Context(), who("alice"), keyed(c.again))
				if err != nil || third.ID != second.ID {
					t.Errorf("the repeat of the repeat got %+v, %v", third, err)
				}
			})
		})
	}
}

// pay tries to pay an order; told says whether its webhooks arrive.
func pay(card string, told bool) func(*testing.T, *world, book.Order) {
	return func(t *testing.T, w *world, o book.Order) {
		t.Helper()
		_, err := w.sim.Pay(o.SessionID, card)
		must(t, err)
		if told {
			for _, e := range w.sim.Events() {
				w.deliver(e.ID)
			}
		}
	}
}

// TestSameKeyNextDayInParallel: of many repeats one makes the new order.
func TestSameKeyNextDayInParallel(t *testing.T) {
	clock := newTimer()
	each(t, settings{clock: clock.Now}, func(t *testing.T, w *world) {
		first, err := w.Checkout(t.Context(), who("alice"), keyed("pack10"))
		must(t, err)
		clock.Move(25 * time.Hour)
		defer clock.Move(-25 * time.Hour)
		second := w.newGateway(settings{clock: clock.Now})
		var (
			callers sync.WaitGroup
			mu      sync.Mutex
			ids     = make(map[string]bool)
		)
		for i := range 20 {
			callers.Go(func() {
				g := w.gate
				if i%2 == 1 {
					g = second
				}
				o, err := g.Checkout(t.Context(), who("alice"), keyed("pack10"))
				if errors.Is(err, gateway.ErrKeyRunning) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				ids[o.ID] = true
			})
		}
		callers.Wait()
		if len(ids) != 1 || ids[first.ID] {
			t.Errorf("orders %v after %s", ids, first.ID)
		}
		if n := w.sim.Calls("POST", "/checkouts"); n != 2 {
			t.Errorf("%d sessions were made", n)
		}
	})
}

// TestKeyAfterReload: what the configuration adds to a request is not part of it, so a
// repeat stays one when the default landing place has changed.
func TestKeyAfterReload(t *testing.T) {
	each(t, settings{returnTo: []string{"http://localhost:8080/old"}}, func(t *testing.T, w *world) {
		first, err := w.Checkout(t.Context(), who("alice"), keyed("pack10"))
		must(t, err)
		reloaded := w.newGateway(settings{returnTo: []string{"http://localhost:8080/new"}})
		again, err := reloaded.Checkout(t.Context(), who("alice"), keyed("pack10"))
		if err != nil || again.ID != first.ID || again.ReturnTo != first.ReturnTo {
			t.Errorf("%+v, %v", again, err)
		}
		other := keyed("pack10")
		other.ReturnTo = "http://localhost:8080/new/there"
		if _, err := reloaded.Checkout(t.Context(), who("alice"), other); !errors.Is(err, gateway.ErrKeyMismatch) {
			t.Errorf("another landing place: %v", err)
		}
	})
}

// TestKeyOfEarlierVersion: a repeat after an upgrade is recognized by the fingerprint
// that the earlier version stored, and another request is not.
func TestKeyOfEarlierVersion(t *testing.T) {
	digest := func(parts ...string) string {
		h := sha256.New()
		for _, p := range parts {
			_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	each(t, settings{}, func(t *testing.T, w *world) {
		key := book.Key{
			Hash:        digest("checkout", "once"),
			Fingerprint: digest("pack10", "1", "http://localhost:8080", ""),
			Lease:       time.Minute, Keep: 48 * time.Hour,
		}
		o, _, err := w.store.CreateOrder(t.Context(), book.Order{
			ID: "ord_AAAAAAAAAAAAAAAAAAAAAA", Account: "alice", Product: "pack10", Quantity: 1, ExpiresAt: time.Now().Add(time.Hour),
		}, key)
		must(t, err)
		o.SessionID, o.CheckoutURL = "cks_1", "http://localhost/cks_1"
		must(t, w.store.OpenOrder(t.Context(), o, key))
		again, err := w.Checkout(t.Context(), who("alice"), keyed("pack10"))
		if err != nil || again.ID != o.ID {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := w.Checkout(t.Context(), who("alice"), keyed("pack9")); !errors.Is(err, gateway.ErrKeyMismatch) {
			t.Errorf("another request: %v", err)
		}
	})
}

// TestKeyWhileDodoIsAway: nobody is sold the same thing twice because Dodo could not
// be asked whether it was paid.
func TestKeyWhileDodoIsAway(t *testing.T) {
	clock := newTimer()
	w := newWorld(t, openBolt(t), settings{hold: true, clock: clock.Now, sleep: clock.Sleep})
	first, err := w.Checkout(t.Context(), who("alice"), keyed("pack10"))
	must(t, err)
	pay(goodCard, false)(t, w, *first)
	clock.Move(25 * time.Hour)
	w.sim.SetFault(dodosim.Fault{Status: http.StatusServiceUnavailable, Body: "{}"}, 3)
	if o, err := w.Checkout(t.Context(), who("alice"), keyed("pack10")); !errors.Is(err, dodo.ErrUnavailable) {
		t.Fatalf("%+v, %v", o, err)
	}
	clock.Move(time.Minute)
	if o, err := w.Checkout(t.Context(), who("alice"), keyed("pack10")); err != nil || o.ID != first.ID || o.State != book.OrderPaid {
		t.Errorf("%+v, %v", o, err)
	}
}
