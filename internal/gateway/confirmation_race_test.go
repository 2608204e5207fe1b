package gateway_test

import (
	"context"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// unheard is a store whose messages do not come, and in which something happens right
// after a payment was committed: before the gateway that committed it knows of that.
type unheard struct {
	store.Store
	then func()
}

func (s *unheard) Watch(w store.Watcher) (stop func()) {
	w.Live()
	return func() {}
}

func (s *unheard) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	kind, _ := kindOf(account, decide)
	done, err := s.Store.Update(ctx, account, decide)
	if err == nil && kind == commits {
		s.happens()
	}
	return done, err
}

func (s *unheard) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	done, err := s.Store.Receive(ctx, d, decide)
	if err == nil {
		s.happens()
	}
	return done, err
}

func (s *unheard) happens() {
	if then := s.then; then != nil {
		s.then = nil
		then()
	}
}

// TestConfirmedIsSeen: who is told that an order is paid sees what was bought, although the
// webhook that brought the payment is still being handled.
func TestConfirmedIsSeen(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		s := &unheard{Store: w.store}
		w.store = store.Client{Store: s}
		w.gate = w.newGateway(settings{})
		order := w.order("alice", "pack10")
		w.has("alice", 0, false) // and that is remembered
		_, err := w.sim.Pay(order.SessionID, goodCard)
		must(t, err)
		asked := false
		s.then = func() {
			asked = true
			confirmed, err := w.Confirm(t.Context(), "alice", order.ID)
			if err != nil || confirmed.State != book.OrderPaid {
				t.Errorf("%+v, %v", confirmed, err)
			}
			w.has("alice", 10, true)
		}
		w.deliver(w.event("payment.succeeded"))
		if !asked {
			t.Error("nothing was committed")
		}
	})
}
