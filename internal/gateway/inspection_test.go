package gateway_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// TestInspect: everything about an account is there, nothing about another one,
// and looking changes nothing.
func TestInspect(t *testing.T) {
	each(t, settings{hold: true, signupCredits: 3}, func(t *testing.T, w *world) {
		inspect := func(account string) gateway.Inspection {
			t.Helper()
			v, err := w.Inspect(t.Context(), account)
			must(t, err)
			return v
		}
		v := inspect("alice")
		entries, _, err := w.Entries(t.Context(), "alice", 0, 10)
		must(t, err)
		a, err := w.store.Account(t.Context(), "alice")
		must(t, err)
		if v.Ledger.Seq != 0 || v.Snapshot.Credits != 0 || len(entries) != 0 || a.Ledger.Seq != 0 {
			t.Errorf("looked at before its first request: %+v, %+v, and is %+v", v, entries, a)
		}

		w.has("alice", 3, false)
		w.deliver(w.unlisted())
		w.buy("alice", "pro30")
		w.deliver(w.event("payment.succeeded"))
		w.order("alice", "pack10")
		v = inspect("alice")
		if v.Snapshot.Credits != 3 || v.Snapshot.Plan != "pro" || len(v.Ledger.Grants) != 1 || len(v.Standings) == 0 {
			t.Errorf("account %+v", v)
		}
		if len(v.Pending) != 1 || v.Pending[0].Product != "pack10" || len(v.Purchases) != 2 {
			t.Errorf("orders %+v, %+v", v.Pending, v.Purchases)
		}
		if len(v.Parked) != 1 || v.Parked[0].Reason != gateway.ReasonUnknownProduct || v.ParkedMore {
			t.Errorf("parked %+v, %v", v.Parked, v.ParkedMore)
		}
		if v = inspect("bob"); len(v.Parked)+len(v.Pending)+len(v.Purchases)+len(v.Standings) != 0 {
			t.Errorf("bob has %+v", v)
		}

		w.buy("alice", "pack10")
		w.deliver(w.event("payment.succeeded"))
		entries, next, err := w.Entries(t.Context(), "alice", 0, 1)
		must(t, err)
		if len(entries) != 1 || entries[0].Amount != 10 || next != 2 {
			t.Errorf("newest entry %+v, next %d", entries, next)
		}
		entries, next, err = w.Entries(t.Context(), "alice", next, 1)
		must(t, err)
		if len(entries) != 1 || entries[0].Cause != "signup" || next != 0 {
			t.Errorf("oldest entry %+v, next %d", entries, next)
		}

		long := strings.Repeat("x", gateway.MaxAccount+1)
		if _, err := w.Inspect(t.Context(), long); !errors.Is(err, gateway.ErrAccount) {
			t.Errorf("account that is too long: %v", err)
		}
		if _, _, err := w.Entries(t.Context(), long, 0, 10); !errors.Is(err, gateway.ErrAccount) {
			t.Errorf("account that is too long: %v", err)
		}
	})
}

// TestInspectIsBounded: what is parked for others does not make it endless.
func TestInspectIsBounded(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{hold: true})
	w.deliver(w.unlisted())
	w.store = store.Client{Store: &endless{w.store}}
	w.gate = w.newGateway(settings{})
	v, err := w.Inspect(t.Context(), "alice")
	must(t, err)
	if !v.ParkedMore || len(v.Parked) < 2 {
		t.Errorf("%d parked, more %v", len(v.Parked), v.ParkedMore)
	}
}

// endless is a store in which the list of what is parked never ends.
type endless struct{ store.Store }

func (s *endless) Parked(ctx context.Context, object, _ string, limit int) ([]book.Event, string, error) {
	events, _, err := s.Store.Parked(ctx, object, "", limit)
	return events, "on", err
}
