package gateway_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
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

// TestUnassignNothing: what belongs to nobody is taken from nobody, however often that is asked
// for, and leaves no act.
func TestUnassignNothing(t *testing.T) {
	each(t, settings{products: oldProducts}, func(t *testing.T, w *world) {
		d := doing("ann", "sub_old")
		d.ID = "u1"
		for range 2 {
			if _, err := w.Unassign(t.Context(), d); !errors.Is(err, gateway.ErrAssign) {
				t.Errorf("unassigned what belongs to nobody: %v", err)
			}
		}
		if v, err := w.Inspect(t.Context(), "ann"); err != nil || v.Known() || len(v.Acts) > 0 {
			t.Errorf("ann is %+v, %v", v, err)
		}
	})
}

// TestUnassignLate: a late repeat of an unassignment does not take what was assigned again since.
func TestUnassignLate(t *testing.T) {
	each(t, settings{products: oldProducts}, func(t *testing.T, w *world) {
		customer := entitlement.Ref{Kind: entitlement.KindCustomer, ID: "cus_old"}
		owned := func(want string) {
			t.Helper()
			if owner, err := w.store.Owner(t.Context(), customer); err != nil || owner != want {
				t.Errorf("the customer belongs to %q, %v; want %q", owner, err, want)
			}
		}
		assign := func() {
			t.Helper()
			_, err := w.Assign(t.Context(), doing("ann", "cus_old"))
			must(t, err)
			owned("ann")
		}
		d := doing("ann", "cus_old")
		d.ID = "u1"
		assign()
		_, err := w.Unassign(t.Context(), d)
		must(t, err)
		owned("")
		_, err = w.store.Claim(t.Context(), customer, "ann") // as if the first time had ended before
		must(t, err)
		_, err = w.Unassign(t.Context(), d)
		must(t, err)
		owned("")
		assign()
		_, err = w.Unassign(t.Context(), d)
		must(t, err)
		owned("ann")
	})
}
