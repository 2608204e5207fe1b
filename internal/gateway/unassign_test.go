package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
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

// overtaken runs between right before the next decision about an account.
type overtaken struct {
	store.Store
	account string
	between func()
}

func (s *overtaken) run(account string) {
	if between := s.between; between != nil && account == s.account {
		s.between = nil
		between()
	}
}

func (s *overtaken) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	s.run(account)
	return s.Store.Update(ctx, account, decide)
}

func (s *overtaken) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	if d.Account == s.account && s.between != nil { // it binds its object before it decides
		if _, err := s.Claim(ctx, d.Object, d.Account); err != nil {
			return store.Received{}, err
		}
		s.run(d.Account)
	}
	return s.Store.Receive(ctx, d, decide)
}

// TestUnassignBeforeCommit: an event that found its account before the object was taken from that,
// and is committed afterwards, gives nothing there. The object's next account gets everything once.
func TestUnassignBeforeCommit(t *testing.T) {
	for _, given := range []bool{true, false} { // before or after the event is committed
		t.Run(fmt.Sprint("assigned before ", given), func(t *testing.T) {
			each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
				body := oldSubscription("subscription.renewed", time.Now())
				w.posts("msg_1", body)
				_, err := w.Assign(t.Context(), doing("mallory", "msg_1"))
				must(t, err)
				w.has("mallory", 500, true)
				operator := w.gate
				assign := func() {
					t.Helper()
					_, err := operator.Assign(t.Context(), doing("ann", "sub_old"))
					must(t, err)
				}
				w.remake(func(o *gateway.Options) {
					o.Store = &overtaken{Store: o.Store, account: "mallory", between: func() {
						_, err := operator.Unassign(t.Context(), doing("mallory", "sub_old"))
						must(t, err)
						if given {
							assign()
						}
					}}
				})
				w.posts("msg_2", body)
				w.has("mallory", 0, false)
				if !given {
					w.settled("msg_2", book.EventParked, gateway.ReasonUnknownAccount, "")
					assign()
				}
				w.posts("msg_3", body)
				w.has("mallory", 0, false)
				w.has("ann", 500, true)
				w.settled("msg_2", book.EventApplied, "", "ann")
			})
		})
	}
}

// TestUnassignProven: what this site's own checkout sold stays away from an account that it was
// taken from, although it proves that account, also if the event was under way.
func TestUnassignProven(t *testing.T) {
	each(t, settings{products: products, hold: true}, func(t *testing.T, w *world) {
		payment := w.buy("mallory", "pack10")
		w.deliver(w.event("payment.succeeded"))
		w.has("mallory", 10, true)
		operator := w.gate
		w.remake(func(o *gateway.Options) {
			o.Store = &overtaken{Store: o.Store, account: "mallory", between: func() {
				_, err := operator.Unassign(t.Context(), doing("mallory", payment))
				must(t, err)
			}}
		})
		again := w.event("payment.succeeded")
		w.deliver(again)
		w.has("mallory", 0, false)
		w.settled(again, book.EventParked, gateway.ReasonUnknownAccount, "")
		_, err := operator.Assign(t.Context(), doing("ann", payment))
		must(t, err)
		w.deliver(again)
		w.has("mallory", 0, false)
		w.has("ann", 10, true)
		_, err = operator.Unassign(t.Context(), doing("ann", payment))
		must(t, err)
		_, err = operator.Assign(t.Context(), doing("mallory", payment))
		must(t, err)
		w.has("mallory", 10, true)
		w.has("ann", 0, false)
	})
}
