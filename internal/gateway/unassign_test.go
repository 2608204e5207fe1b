package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/gateway"
)

// TestUnassign: what was assigned to the wrong account is taken from it, whatever it was named
// by, and given to the right one.
func TestUnassign(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
		body := oldSubscription("subscription.renewed", time.Now())
		w.posts("msg_1", body)
		first := doing("mallory", "msg_1")
		first.ID = "a1"
		for range 2 {
			_, err := w.Assign(t.Context(), first)
			must(t, err)
		}
		w.has("mallory", 500, true)
		if _, err := w.Unassign(t.Context(), doing("ann", "sub_old")); !errors.Is(err, gateway.ErrAssign) {
			t.Errorf("unassigned from another account: %v", err)
		}
		d := doing("mallory", "sub_old")
		d.ID = "u1"
		for range 2 {
			_, err := w.Unassign(t.Context(), d)
			must(t, err)
			w.has("mallory", 0, false)
		}
		if _, err := w.Assign(t.Context(), first); !errors.Is(err, gateway.ErrAssign) {
			t.Errorf("an assignment that was undone is repeated: %v", err)
		}
		w.posts("msg_2", body)
		w.has("mallory", 0, false)
		_, err := w.Assign(t.Context(), doing("ann", "msg_2"))
		must(t, err)
		w.has("ann", 500, true)
		w.has("mallory", 0, false)
		_, err = w.Unassign(t.Context(), d) // late
		if err == nil {
			t.Error("it is taken from somebody else")
		}
		w.has("ann", 500, true)
		// The same account can have it again.
		_, err = w.Unassign(t.Context(), doing("ann", "sub_old"))
		must(t, err)
		_, err = w.Assign(t.Context(), doing("mallory", "sub_old"))
		must(t, err)
		w.posts("msg_3", body)
		w.has("mallory", 500, true)
	})
}
