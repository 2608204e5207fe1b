package gateway_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// again redrives one event and wants its outcome and how it is noted then.
func (w *world) again(id string, outcome gateway.Outcome, state book.EventState, reason string) {
	w.t.Helper()
	got, e, err := w.RedriveEvent(w.t.Context(), id)
	must(w.t, err)
	if got != outcome || e.ID != id || e.State != state || e.Reason != reason {
		w.t.Errorf("event %s: %s, and is %s %s for %q; want %s, %s for %q", id, got, e.ID, e.State, e.Reason, outcome, state, reason)
	}
	stored, err := w.store.Event(w.t.Context(), id)
	must(w.t, err)
	if fmt.Sprint(stored) != fmt.Sprint(e) {
		w.t.Errorf("event %s is %+v, and %+v was returned", id, stored, e)
	}
}

// TestRedriveEvent: one event is done again in every state that it can be in.
func TestRedriveEvent(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		parked := w.unlisted()
		w.deliver(parked)
		for range 2 {
			w.again(parked, gateway.Parked, book.EventParked, gateway.ReasonUnknownProduct)
		}
		w.has("alice", 0, false)
		w.gate = w.newGateway(settings{products: grown})
		w.again(parked, gateway.Applied, book.EventApplied, "")
		w.again(parked, gateway.Duplicate, book.EventApplied, "")
		w.entries("alice", 8)

		// The gateway was killed between the journal and all that follows.
		body, err := json.Marshal(map[string]any{
			"type": "payment.succeeded", "timestamp": time.Now(), "data": map[string]any{
				"payment_id": "pay_bob", "status": "succeeded", "total_amount": 500, "currency": "USD", "created_at": time.Now(),
				"product_cart": []any{map[string]any{"product_id": "pdt_pack10", "quantity": 1}},
				"metadata":     w.proof("ord_BBBBBBBBBBBBBBBBBBBBBB", "bob", "pack10"),
			},
		})
		must(t, err)
		_, err = w.store.Record(t.Context(), book.Event{ID: "msg_received", Type: "payment.succeeded", Body: body})
		must(t, err)
		w.again("msg_received", gateway.Applied, book.EventApplied, "")
		w.has("bob", 10, true)
		w.entries("bob", 10)

		// An older version, which did not know the type, ignored it.
		ignored := book.Event{ID: "msg_new_type", Type: "payment.succeeded", Body: bytes.ReplaceAll(body, []byte("pay_bob"), []byte("pay_new"))}
		ignored, err = w.store.Record(t.Context(), ignored)
		must(t, err)
		ignored.State = book.EventIgnored
		must(t, w.store.Settle(t.Context(), ignored, book.Retention{Keep: 90 * 24 * time.Hour}))
		w.again("msg_new_type", gateway.Applied, book.EventApplied, "")
		w.has("bob", 20, true)

		for id, body := range map[string]string{
			"msg_unclear": `{"type":"payment.succeeded","data":null,"timestamp":"2026-11-21T12:00:00Z","business_id":"bus_1"}`,
			"msg_ignored": `{"type":"credit.added","data":{},"timestamp":"2026-11-21T12:00:00Z","business_id":"bus_1"}`,
		} {
			header, raw := signed(t, id, body)
			_, err := w.HandleEvent(t.Context(), header, raw)
			must(t, err)
		}
		w.again("msg_unclear", gateway.Parked, book.EventParked, gateway.ReasonUnclear)
		w.again("msg_ignored", gateway.Ignored, book.EventIgnored, "")

		for _, id := range []string{"msg_unknown", "", "a/b", "..", "ä", strings.Repeat("x", 257)} {
			if _, _, err := w.RedriveEvent(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("event %.20q: %v", id, err)
			}
			if _, err := w.Event(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("event %.20q: %v", id, err)
			}
		}
	})
}

// TestRedriveAll: it begins at the beginning, wherever the last redrive ended, and
// does not stop before the end.
func TestRedriveAll(t *testing.T) {
	const many = 2510
	w := newWorld(t, openBolt(t), settings{hold: true})
	var all sync.WaitGroup
	for worker := range 50 {
		all.Go(func() {
			for i := worker; i < many; i += 50 {
				e := book.Event{ID: fmt.Sprint("msg_", i), Type: "payment.succeeded", Body: []byte("{}")}
				_, err := w.store.Record(t.Context(), e)
				e.State, e.Reason = book.EventParked, gateway.ReasonUnclear
				if err := errors.Join(err, w.store.Settle(t.Context(), e, book.Retention{})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.stays(w.redrives(2500, 0), nil)
	for range 2 {
		done, err := w.RedriveAll(t.Context())
		must(t, err)
		if done.Tried != many {
			t.Errorf("tried %d of %d", done.Tried, many)
		}
		w.stays(done, map[string]int{gateway.ReasonUnclear: many})
	}
	w.stays(w.redrives(2500, 0), nil)
}
