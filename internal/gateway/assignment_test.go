package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// doing is an act of an operator who says why.
func doing(account, what string) gateway.Doing {
	return gateway.Doing{Account: account, Act: entitlement.Act{Object: what, Reason: "because"}}
}

// TestAssign: an operator says whose a purchase is, by each of the names that it has; what
// waited is applied once.
func TestAssign(t *testing.T) {
	for _, what := range []string{"msg_1", "sub_old", "subscription:sub_old", "cus_old", "customer:cus_old"} {
		t.Run(what, func(t *testing.T) {
			each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
				w.posts("msg_1", oldSubscription("subscription.renewed", time.Now()))
				for range 2 {
					done, err := w.Assign(t.Context(), doing("user_42", what))
					must(t, err)
					if done.Account != "user_42" || done.Unread != "" {
						t.Errorf("%+v", done)
					}
					w.has("user_42", 500, true)
				}
				w.settled("msg_1", book.EventApplied, "", "user_42")
				if _, err := w.Assign(t.Context(), doing("other", what)); !errors.Is(err, gateway.ErrAssign) {
					t.Errorf("assigned to another account: %v", err)
				}
				w.has("other", 0, false)
			})
		})
	}
}

// TestAssignReads: what no event told of is read at Dodo.
func TestAssignReads(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		payment := w.elsewhere("pdt_pack10")
		_, err := w.Assign(t.Context(), doing("ann", payment))
		must(t, err)
		w.has("ann", 10, true)
		done, err := w.Assign(t.Context(), doing("ann", "pay_unknown"))
		if err != nil || done.Unread == "" {
			t.Errorf("%+v, %v: Dodo does not know it", done, err)
		}
		w.has("ann", 10, true)
	})
}

func TestAssignRefuses(t *testing.T) {
	each(t, settings{}, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			what, account string
			want          error
		}{
			{"msg_unknown", "ann", store.ErrNotFound},
			{"../x", "ann", store.ErrNotFound},
			{"pay_1", "", gateway.ErrAssign},
			{"pay_1", string(make([]byte, 257)), gateway.ErrAccount},
		} {
			if _, err := w.Assign(t.Context(), doing(tt.account, tt.what)); !errors.Is(err, tt.want) {
				t.Errorf("%q to %.10q: %v, want %v", tt.what, tt.account, err, tt.want)
			}
		}
	})
}

// TestDismiss: what an operator dismissed waits no more, also when it comes again, until
// the operator takes it up again.
func TestDismiss(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
		body := oldSubscription("subscription.renewed", time.Now())
		w.posts("msg_1", body)
		for range 2 {
			e, err := w.Dismiss(t.Context(), doing("", "msg_1"))
			must(t, err)
			if e.State != book.EventIgnored || e.Reason != gateway.ReasonDismissed {
				t.Errorf("the event is %s, %s", e.State, e.Reason)
			}
			w.posts("msg_1", body)
			w.settled("msg_1", book.EventIgnored, gateway.ReasonDismissed, "")
		}
		w.stays(w.redrives(0, 0), map[string]int{})
		_, _, err := w.RedriveEvent(t.Context(), "msg_1")
		must(t, err)
		w.settled("msg_1", book.EventParked, gateway.ReasonUnknownAccount, "")
		_, err = w.Assign(t.Context(), doing("ann", "msg_1"))
		must(t, err)
		w.has("ann", 500, true)
		if _, err := w.Dismiss(t.Context(), doing("", "msg_1")); !errors.Is(err, gateway.ErrNotParked) {
			t.Errorf("an event that was applied is dismissed: %v", err)
		}
	})
}

// TestDismissByLongName: a name of any length, as a certificate may have, does not keep an event
// from being dismissed.
func TestDismissByLongName(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
		w.posts("msg_1", oldSubscription("subscription.renewed", time.Now()))
		d := doing("", "msg_1")
		d.By = strings.Repeat("<", 4*book.MaxName)
		_, err := w.Dismiss(t.Context(), d)
		must(t, err)
		w.settled("msg_1", book.EventIgnored, gateway.ReasonDismissed, "")
	})
}

// settled wants an event to be noted as so.
func (w *world) settled(id string, state book.EventState, reason, account string) {
	w.t.Helper()
	e, err := w.store.Event(w.t.Context(), id)
	must(w.t, err)
	if e.State != state || e.Reason != reason || e.Account != account {
		w.t.Errorf("event %s is %s for %q, account %q; want %s for %q, account %q", id, e.State, e.Reason, e.Account, state, reason, account)
	}
}
