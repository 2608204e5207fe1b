package gateway_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodosim"
	"github.com/dodogate/dodogate/internal/store"
)

// TestConfirm: Dodo's word counts, before any webhook; the webhook then adds
// nothing.
func TestConfirm(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		order := w.order("alice", "pack10")
		_, err := w.sim.Pay(order.SessionID, goodCard)
		must(t, err)
		confirmed, err := w.Confirm(t.Context(), "alice", order.ID)
		if err != nil || confirmed.State != book.OrderPaid {
			t.Fatalf("%+v, %v", confirmed, err)
		}
		w.has("alice", 10, true)
		w.deliver(w.event("payment.succeeded"))
		w.has("alice", 10, true)
		w.entries("alice", 10)
	})
}

// TestConfirmSubscription: access begins before any webhook, and the first
// charge's events then add nothing.
func TestConfirmSubscription(t *testing.T) {
	each(t, settings{hold: true, products: storyProducts}, func(t *testing.T, w *world) {
		order := w.order("alice", "monthly")
		_, err := w.sim.Pay(order.SessionID, goodCard)
		must(t, err)
		confirmed, err := w.Confirm(t.Context(), "alice", order.ID)
		if err != nil || confirmed.State != book.OrderPaid {
			t.Fatalf("%+v, %v", confirmed, err)
		}
		w.has("alice", 500, true)
		for _, e := range w.sim.Events() {
			w.deliver(e.ID)
		}
		w.has("alice", 500, true)
		w.entries("alice", 500)
	})
}

func TestConfirmGrantsNothingByItself(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		order := w.order("alice", "pack10")
		for _, id := range []string{"", "ord_", "ord_AAAAAAAAAAAAAAAAAAAAAA", order.ID + "x", "../" + order.ID, order.SessionID} {
			if _, err := w.Confirm(t.Context(), "alice", id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("order %q: %v", id, err)
			}
		}
		if _, err := w.Confirm(t.Context(), "", order.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nobody's order: %v", err)
		}
		if _, err := w.sim.Pay(order.SessionID, goodCard); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Confirm(t.Context(), "bob", order.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("somebody else's order: %v", err)
		}
		w.has("alice", 0, false)
		w.has("bob", 0, false)
		unpaid := w.order("bob", "pack10")
		open, err := w.Confirm(t.Context(), "bob", unpaid.ID)
		if err != nil || open.State != book.OrderOpen {
			t.Errorf("an unpaid order: %+v, %v", open, err)
		}
		w.has("bob", 0, false)
	})
}

// TestConfirmIsBounded: however often it is asked, Dodo is asked once.
func TestConfirmIsBounded(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	order := w.order("alice", "pack10")
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			if _, err := w.Confirm(t.Context(), "alice", order.ID); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := w.sim.Calls("GET", "/checkouts/{id}"); n != 1 {
		t.Errorf("Dodo was asked %d times", n)
	}
}

func TestConfirmWhenDodoIsDown(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	order := w.order("alice", "pack10")
	w.sim.SetFault(dodosim.Fault{Status: http.StatusUnauthorized, Body: "{}"}, 10)
	if _, err := w.Confirm(t.Context(), "alice", order.ID); err == nil {
		t.Error("no error")
	}
	w.has("alice", 0, false)
}

// TestSignupCredits are given once, however many requests are the first.
func TestSignupCredits(t *testing.T) {
	each(t, settings{signupCredits: 3}, func(t *testing.T, w *world) {
		second := w.newGateway(settings{signupCredits: 3})
		var requests sync.WaitGroup
		for i := range 50 {
			requests.Go(func() {
				g := w.gate
				if i%2 == 1 {
					g = second
				}
				if s, err := g.Entitlement(t.Context(), "alice"); err != nil || s.Credits != 3 || s.HasPaid {
					t.Errorf("%+v, %v", s, err)
				}
			})
		}
		requests.Wait()
		w.entries("alice", 3)
	})
}

// TestSignupCreditsOfABuyer: an account that is new when it buys gets both.
func TestSignupCreditsOfABuyer(t *testing.T) {
	each(t, settings{signupCredits: 3}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		w.flush()
		w.has("alice", 13, true)
		w.entries("alice", 3, 10)
	})
}

func TestOffers(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{})
	w.sim.SetFault(dodosim.Fault{Status: http.StatusForbidden, Body: "{}"}, 1)
	offers := w.Offers(t.Context())
	if len(offers) != 3 || offers[0].Priced || offers[0].Title != "pack10" {
		t.Errorf("while Dodo cannot be asked: %+v", offers)
	}
	g := w.newGateway(settings{})
	offers = g.Offers(t.Context())
	if len(offers) != 3 || !offers[0].Priced || offers[0].Price != 500 || offers[0].Currency != "USD" || offers[0].Title != "Ten credits" {
		t.Errorf("%+v", offers)
	}
	calls := w.sim.Calls("GET", "/products")
	g.Offers(t.Context())
	if w.sim.Calls("GET", "/products") != calls {
		t.Error("prices were read again at once")
	}
}
