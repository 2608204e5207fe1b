package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
)

func TestHistory(t *testing.T) {
	each(t, settings{signupCredits: 3}, func(t *testing.T, w *world) {
		h, err := w.History(t.Context(), "ann", 0, 10)
		must(t, err)
		if len(h.Entries) != 1 || h.Entries[0].Cause != "signup" || h.Next != 0 || len(h.Purchases) != 0 {
			t.Errorf("first history %+v", h)
		}
		w.buy("ann", "pack10")
		payment := w.buy("ann", "pack9")
		w.order("ann", "pack10")
		w.flush()
		h, err = w.History(t.Context(), "ann", 0, 2)
		must(t, err)
		if len(h.Entries) != 2 || h.Entries[0].Seq != 3 || h.Next != 2 {
			t.Errorf("newest page %+v", h)
		}
		states := map[book.OrderState]int{}
		known := false
		for _, o := range h.Purchases {
			states[o.State]++
			known = known || o.PaymentID == payment
		}
		if states[book.OrderPaid] != 2 || states[book.OrderOpen] != 1 || len(h.Purchases) != 3 || !known {
			t.Errorf("purchases %+v", h.Purchases)
		}
		h, err = w.History(t.Context(), "ann", h.Next, 2)
		must(t, err)
		if len(h.Entries) != 1 || h.Entries[0].Seq != 1 || h.Next != 0 || len(h.Purchases) != 3 {
			t.Errorf("last page %+v", h)
		}

		// A page that is not the first gives nobody sign-up credits.
		h, err = w.History(t.Context(), "bob", 5, 2)
		must(t, err)
		if len(h.Entries) != 0 || len(h.Purchases) != 0 {
			t.Errorf("bob's history %+v", h)
		}
		if _, err := w.History(t.Context(), strings.Repeat("x", 257), 0, 2); !errors.Is(err, gateway.ErrAccount) {
			t.Errorf("account that is too long: %v", err)
		}
	})
}
