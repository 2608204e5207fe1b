package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// TestMatchEmail: an address that a login vouches for adopts what was bought with exactly
// this address, before and afterwards; the first account that comes with it keeps it.
func TestMatchEmail(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true, matchEmail: true}, func(t *testing.T, w *world) {
		if got := w.posts("msg_1", oldSubscription("subscription.renewed", time.Now())); got != gateway.Parked {
			t.Errorf("nobody has the address, and it is %s", got)
		}
		for _, address := range []string{"Buyer@example.com", "buyer@example.com ", "other@example.com", "", strings.Repeat("x", 321)} {
			must(t, w.ClaimEmail(t.Context(), "wrong", address))
		}
		w.has("wrong", 0, false)
		must(t, w.ClaimEmail(t.Context(), "ann", "buyer@example.com"))
		w.has("ann", 500, true)
		w.settled("msg_1", book.EventApplied, "", "ann")
		must(t, w.ClaimEmail(t.Context(), "late", "buyer@example.com"))
		w.posts("msg_2", oldPayment("pay_1", time.Now()))
		w.has("ann", 510, true)
		w.has("late", 0, false)
	})
}

// slowSearch is a store whose parked events cannot be read until they are released.
type slowSearch struct {
	store.Store
	begun, release chan struct{}
}

func (s *slowSearch) Parked(ctx context.Context, object, after string, limit int) ([]book.Event, string, error) {
	if object == "" {
		s.begun <- struct{}{}
		<-s.release
	}
	return s.Store.Parked(ctx, object, after, limit)
}

// TestMatchEmailDuringSearch: a purchase that was not looked for, because purchases of another
// account were, is adopted at a later request.
func TestMatchEmailDuringSearch(t *testing.T) {
	slow := &slowSearch{Store: openBolt(t), begun: make(chan struct{}, 10), release: make(chan struct{})}
	w := newWorld(t, slow, settings{products: oldProducts, hold: true, matchEmail: true})
	w.posts("msg_1", oldSubscription("subscription.renewed", time.Now()))
	other := make(chan error)
	go func() { other <- w.ClaimEmail(t.Context(), "other", "other@example.com") }()
	<-slow.begun
	must(t, w.ClaimEmail(t.Context(), "ann", "buyer@example.com"))
	w.has("ann", 0, false)
	close(slow.release)
	must(t, <-other)
	must(t, w.ClaimEmail(t.Context(), "ann", "buyer@example.com"))
	w.has("ann", 500, true)
}

// TestMatchEmailIsOff: without the option no address leads anywhere.
func TestMatchEmailIsOff(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
		must(t, w.ClaimEmail(t.Context(), "ann", "buyer@example.com"))
		if got := w.posts("msg_1", oldSubscription("subscription.renewed", time.Now())); got != gateway.Parked {
			t.Errorf("it is %s", got)
		}
		w.has("ann", 0, false)
	})
}

// TestMatchEmailComesLast: an imported customer is stronger than an address.
func TestMatchEmailComesLast(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true, matchEmail: true}, func(t *testing.T, w *world) {
		w.changes(1, gateway.ImportRow{Account: "ann", Customers: []string{"cus_old"}})
		must(t, w.ClaimEmail(t.Context(), "bob", "buyer@example.com"))
		w.posts("msg_1", oldSubscription("subscription.renewed", time.Now()))
		w.has("ann", 500, true)
		w.has("bob", 0, false)
	})
}
