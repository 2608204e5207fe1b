package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// gone wants the journal to have an event no more.
func (w *world) gone(id string) {
	w.t.Helper()
	if e, err := w.store.Event(w.t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		w.t.Errorf("event %s is still there: %+v, %v", id, e, err)
	}
}

// kept wants the journal to have an event, and returns its body.
func (w *world) kept(id string, state book.EventState, deliveries int64) string {
	w.t.Helper()
	e, err := w.store.Event(w.t.Context(), id)
	must(w.t, err)
	if e.State != state || e.Deliveries != deliveries {
		w.t.Errorf("event %s is %s after %d deliveries, want %s after %d", id, e.State, e.Deliveries, state, deliveries)
	}
	return string(e.Body)
}

// withNew is a gateway of the story whose catalog has pdt_new too.
func (s *story) withNew(events config.KeepEvents) *gate {
	grown := append([]config.Product{{Name: "new", ID: "pdt_new", Credits: 4}}, storyProducts...)
	return s.newGateway(settings{products: grown, clock: s.Clock, events: events})
}

// TestEventsEnd: what is settled leaves the journal when its time is over, and
// coming again changes nothing. What waits stays for as long as it takes.
func TestEventsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		events config.KeepEvents
		keep   time.Duration
	}{
		"by default": {config.KeepEvents{}, 90 * day},
		"30 days":    {config.KeepEvents{Period: config.Duration(30 * day), Redact: true}, 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t, "bolt", "")
			s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock, events: c.events})
			paid := s.payment("pdt_pack10")
			s.wants(s.deliverAs("msg_paid", "payment.succeeded", paid), gateway.Applied)
			s.wants(s.deliverAs("msg_again", "payment.succeeded", paid), gateway.Duplicate)
			s.wants(s.deliverAs("msg_other", "payout.created", nil), gateway.Ignored)
			s.wants(s.deliverAs("msg_new", "payment.succeeded", s.payment("pdt_new", "payment_id", "pay_2")), gateway.Parked)
			s.wants(s.deliverAs("msg_unclear", "payment.succeeded", nil), gateway.Parked)

			s.set(s.now().Add(c.keep - time.Second))
			s.kept("msg_paid", book.EventApplied, 1)
			s.kept("msg_again", book.EventApplied, 1)
			s.kept("msg_other", book.EventIgnored, 1)
			s.set(s.now().Add(2 * time.Second))
			s.gone("msg_paid")
			s.gone("msg_again")
			s.gone("msg_other")
			s.wants(s.deliverAs("msg_paid", "payment.succeeded", paid), gateway.Duplicate)
			s.kept("msg_paid", book.EventApplied, 1) // it is new to the journal
			s.entries("alice", 10)

			s.set(s.now().Add(1000 * day))
			s.kept("msg_new", book.EventParked, 1)
			s.kept("msg_unclear", book.EventParked, 1)
			s.stays(s.redrives(2, 0), map[string]int{gateway.ReasonUnknownProduct: 1, gateway.ReasonUnclear: 1})
			s.gate = s.withNew(c.events)
			s.stays(s.redrives(2, 1), map[string]int{gateway.ReasonUnclear: 1})
			s.entries("alice", 10, 4)
			s.kept("msg_new", book.EventApplied, 1) // it can be looked at for a while
			s.set(s.now().Add(book.Linger))
			s.gone("msg_new")
		})
	}
}

// person is what Dodo says about who paid.
func person(data map[string]any) map[string]any {
	return with(data,
		"customer", map[string]any{"customer_id": "cus_1", "email": "jane@example.com", "name": "Jane Doe", "phone_number": "+15555550100"},
		"billing", map[string]any{"country": "US", "street": "11th Main"},
		"card_last_four", "4242", "reason", "Jane wants it back",
	)
}

// anonymous wants a body that says nothing about that person, and still all that
// is decoded from it but the e-mail address.
func (s *story) anonymous(body string) {
	s.t.Helper()
	for _, text := range []string{"jane@example.com", "Jane", "5555550100", "11th Main", `"4242"`} {
		if strings.Contains(body, text) {
			s.t.Errorf("%q is in %s", text, body)
		}
	}
	if e, err := dodo.Decode([]byte(body)); err != nil || e.Fact != nil && e.Fact.Clues.CustomerID != "cus_1" {
		s.t.Errorf("%s is decoded as %+v, %v", body, e.Fact, err)
	}
}

// TestRedact: an event loses its personal data when it is settled, however it came
// to that, and not before.
func TestRedact(t *testing.T) {
	redact := config.KeepEvents{Redact: true}
	for _, backend := range []string{"bolt", "redis"} {
		t.Run(backend, func(t *testing.T) {
			s := tell(t, backend, "")
			s.gate = s.newGateway(settings{products: storyProducts, clock: s.Clock, events: redact})
			refund, paid := person(refundOf("pay_1", "amount", 90, "is_partial", true)), person(s.payment("pdt_pack10"))

			s.wants(s.deliverAs("msg_refund", "refund.succeeded", refund), gateway.Parked)
			if body := s.kept("msg_refund", book.EventParked, 1); !strings.Contains(body, "jane@example.com") {
				t.Errorf("it waits, and is only %s", body)
			}
			s.wants(s.deliverAs("msg_paid", "payment.succeeded", paid), gateway.Applied)
			s.anonymous(s.kept("msg_paid", book.EventApplied, 1))
			s.anonymous(s.kept("msg_refund", book.EventApplied, 1)) // taken along
			s.wants(s.deliverAs("msg_paid", "payment.succeeded", paid), gateway.Duplicate)
			s.anonymous(s.kept("msg_paid", book.EventApplied, 2))
			s.wants(s.deliverAs("msg_other", "widget.frobbed", person(map[string]any{})), gateway.Ignored)
			s.anonymous(s.kept("msg_other", book.EventIgnored, 1))

			s.wants(s.deliverAs("msg_new", "payment.succeeded", person(s.payment("pdt_new", "payment_id", "pay_2"))), gateway.Parked)
			s.redrives(1, 0)
			if body := s.kept("msg_new", book.EventParked, 1); !strings.Contains(body, "jane@example.com") {
				t.Errorf("it waits, and is only %s", body)
			}
			s.gate = s.withNew(redact)
			s.redrives(1, 1)
			s.anonymous(s.kept("msg_new", book.EventApplied, 1))
			s.sees("13 none none true")
		})
	}
}

// TestKeptAsReceived: without redact, not a byte changes.
func TestKeptAsReceived(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		const text = "{\"type\" : \"widget.frobbed\",\r\n\"data\":{\"email\":\"jane@example.com\"}}\n"
		header, body := signed(t, "msg_1", text)
		_, err := w.HandleEvent(t.Context(), header, body)
		must(t, err)
		if got := w.kept("msg_1", book.EventIgnored, 1); got != text {
			t.Errorf("kept is %q", got)
		}
	})
}
