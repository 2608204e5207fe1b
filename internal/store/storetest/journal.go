package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// record records an event and checks that what is answered is what is stored.
func (r *rig) record(id, body string) book.Event {
	r.Helper()
	e, err := r.Record(r.ctx(), book.Event{ID: id, Type: "payment.succeeded", Body: []byte(body), State: book.EventReceived})
	if err != nil {
		r.Fatalf("record %q: %v", id, err)
	}
	same(r, "event returned", e, r.event(id))
	return e
}

func (r *rig) event(id string) book.Event {
	r.Helper()
	e, err := r.Event(r.ctx(), id)
	if err != nil {
		r.Fatalf("read event %q: %v", id, err)
	}
	return e
}

// settleEvent notes a state of an event, with a reason and an account.
func (r *rig) settleEvent(id string, state book.EventState, object string) {
	r.Helper()
	e := book.Event{ID: id, State: state, Object: object, Reason: "because of " + object, Account: "acc of " + id}
	if err := r.Settle(r.ctx(), e, book.Retention{}); err != nil {
		r.Fatalf("settle %q: %v", id, err)
	}
}

func (r *rig) parked(object string) []string {
	r.Helper()
	events, _, err := r.Parked(r.ctx(), object, "", 100)
	if err != nil {
		r.Fatalf("read parked under %q: %v", object, err)
	}
	for _, e := range events {
		same(r, "parked event", e, r.event(e.ID))
		same(r, "state of a parked event", e.State, book.EventParked)
	}
	return eventIDs(events)
}

// allParked reads all parked events in pages of limit.
func (r *rig) allParked(limit int) []string {
	r.Helper()
	names := []string{}
	after := ""
	for {
		page, next, err := r.Parked(r.ctx(), "", after, limit)
		if err != nil {
			r.Fatalf("read all parked after %q: %v", after, err)
		}
		for _, e := range page {
			same(r, "parked event", e, r.event(e.ID))
			same(r, "state of a parked event", e.State, book.EventParked)
		}
		names = append(names, eventIDs(page)...)
		if next == "" {
			return names
		}
		if len(page) != limit {
			r.Fatalf("a page of %d, though there is a next one", len(page))
		}
		after = next
	}
}

var journalTests = []test{
	{"an event is kept as it was received", func(r *rig) {
		body := "{\"type\":\"é\u0000\xff\"}\r\n "
		e := r.record("msg_1", body)
		same(r, "event", e, book.Event{
			ID: "msg_1", Type: "payment.succeeded", Body: []byte(body), State: book.EventReceived,
			ReceivedAt: r.now(), Deliveries: 1,
		})
	}},
	{"a redelivery brings its body and leaves the rest", func(r *rig) {
		first := r.record("msg_1", "one")
		r.clock.Move(time.Hour)
		again, err := r.Record(r.ctx(), book.Event{ID: "msg_1", Type: "other", Body: []byte("two"), State: book.EventIgnored, Reason: "x", Object: "y", Account: "z"})
		if err != nil {
			r.Fatal(err)
		}
		want := first
		want.Body, want.Deliveries = []byte("two"), 2
		same(r, "event", again, want)
		same(r, "event stored", r.event("msg_1"), want)
		same(r, "deliveries", r.record("msg_1", "three").Deliveries, 3)
	}},
	{"a new event is received, whatever the caller says", func(r *rig) {
		e, err := r.Record(r.ctx(), book.Event{ID: "msg_1", Type: "t", Body: []byte("b"), State: book.EventParked, Deliveries: 7,
			Object: "payment:pay_1", ReceivedAt: start.Add(-day)})
		if err != nil {
			r.Fatal(err)
		}
		same(r, "state", e.State, book.EventReceived)
		same(r, "deliveries", e.Deliveries, 1)
		same(r, "time", e.ReceivedAt, r.now())
		same(r, "event", r.event("msg_1"), e)
		same(r, "parked", r.parked("payment:pay_1"), []string{})
	}},
	{"the body is the store's own", func(r *rig) {
		body := []byte("body")
		if _, err := r.Record(r.ctx(), book.Event{ID: "msg_1", Body: body}); err != nil {
			r.Fatal(err)
		}
		body[0] = 'x'
		same(r, "body", string(r.event("msg_1").Body), "body")
		r.event("msg_1").Body[0] = 'x'
		same(r, "body", string(r.event("msg_1").Body), "body")
	}},
	{"settled", func(r *rig) {
		for _, state := range []book.EventState{book.EventApplied, book.EventIgnored, book.EventParked, book.EventReceived} {
			r.Run(string(state), func(r *rig) {
				want := r.record(string(state), "body")
				r.settleEvent(string(state), state, "payment:pay_1")
				want.State, want.Object = state, "payment:pay_1"
				want.Reason, want.Account = "because of payment:pay_1", "acc of "+string(state)
				same(r, "event", r.event(string(state)), want)
			})
		}
	}},
	{"a redelivery leaves it settled", func(r *rig) {
		r.record("msg_1", "one")
		r.settleEvent("msg_1", book.EventApplied, "payment:pay_1")
		want := r.event("msg_1")
		want.Body, want.Deliveries = []byte("two"), 2
		same(r, "event", r.record("msg_1", "two"), want)
	}},
	{"the last delivery says that it is done", func(r *rig) {
		const object = "payment:pay_1"
		settle := func(e book.Event, state book.EventState, want book.EventState, parked ...string) {
			r.Helper()
			e.State, e.Object = state, object
			if err := r.Settle(r.ctx(), e, book.Retention{Keep: 90 * day}); err != nil {
				r.Fatal(err)
			}
			same(r, "state", r.event("msg_1").State, want)
			same(r, "parked", r.parked(object), append([]string{}, parked...))
		}
		first := r.record("msg_1", "one")
		settle(first, book.EventParked, book.EventParked, "msg_1")
		second := r.record("msg_1", "two")
		settle(first, book.EventApplied, book.EventParked, "msg_1")
		settle(first, book.EventIgnored, book.EventParked, "msg_1")
		settle(second, book.EventApplied, book.EventApplied)
		settle(first, book.EventParked, book.EventParked, "msg_1") // to be looked at once more
		settle(r.event("msg_1"), book.EventApplied, book.EventApplied)
	}},
	{"an unknown event", func(r *rig) {
		for _, state := range []book.EventState{book.EventApplied, book.EventParked} {
			err := r.Settle(r.ctx(), book.Event{ID: "msg_1", State: state, Object: "payment:pay_1"}, book.Retention{})
			if !errors.Is(err, store.ErrNotFound) {
				r.Fatalf("settle as %s: %v", state, err)
			}
		}
		if _, err := r.Event(r.ctx(), "msg_1"); !errors.Is(err, store.ErrNotFound) {
			r.Fatalf("read: %v", err)
		}
		same(r, "parked", r.parked("payment:pay_1"), []string{})
	}},
	{"parked until settled otherwise", parkedUntil},
	{"parked under one object is not under another", func(r *rig) {
		objects := []string{"payment:a", "payment:ab", "payment:", "payment:a}", "payment:{a}", "payment:*", "payment:a\x00", "payment:é"}
		for i, object := range objects {
			id := fmt.Sprint("msg_", i)
			r.record(id, "body")
			r.settleEvent(id, book.EventParked, object)
		}
		for i, object := range objects {
			same(r, "parked under "+object, r.parked(object), []string{fmt.Sprint("msg_", i)})
		}
		same(r, "parked under nothing", r.parked("payment:none"), []string{})
	}},
	{"parked anew under another object", func(r *rig) {
		r.record("msg_1", "body")
		r.settleEvent("msg_1", book.EventParked, "payment:a")
		r.settleEvent("msg_1", book.EventParked, "payment:b")
		same(r, "under the old", r.parked("payment:a"), []string{})
		same(r, "under the new", r.parked("payment:b"), []string{"msg_1"})
	}},
	{"oldest first, at most 100", func(r *rig) {
		var want []string
		for i := range 120 {
			id := fmt.Sprintf("msg_%03d", (i*77)%120) // not in the order of the ids
			r.record(id, "body")
			r.settleEvent(id, book.EventParked, "payment:a")
			want = append(want, id)
			r.clock.Move(time.Millisecond)
		}
		same(r, "parked", r.parked("payment:a"), want[:100])
		for _, id := range want[:30] {
			r.settleEvent(id, book.EventApplied, "payment:a")
		}
		same(r, "parked", r.parked("payment:a"), want[30:])
	}},
	{"all that are parked", allThatAreParked},
	{"all that are parked, while they are settled", func(r *rig) {
		for i := range 6 {
			r.record(fmt.Sprint("msg_", i), "body")
			r.settleEvent(fmt.Sprint("msg_", i), book.EventParked, "payment:a")
		}
		page, next, err := r.Parked(r.ctx(), "", "", 2)
		if err != nil {
			r.Fatal(err)
		}
		same(r, "first page", eventIDs(page), []string{"msg_0", "msg_1"})
		r.settleEvent("msg_0", book.EventApplied, "payment:a") // read
		r.settleEvent("msg_1", book.EventApplied, "payment:a") // the last one read
		r.settleEvent("msg_2", book.EventApplied, "payment:a") // to be read next
		r.settleEvent("msg_4", book.EventParked, "payment:b")  // parked all the while
		page, next, err = r.Parked(r.ctx(), "", next, 2)
		if err != nil {
			r.Fatal(err)
		}
		same(r, "second page", eventIDs(page), []string{"msg_3", "msg_4"})
		page, next, err = r.Parked(r.ctx(), "", next, 2)
		if err != nil {
			r.Fatal(err)
		}
		same(r, "last page", eventIDs(page), []string{"msg_5"})
		same(r, "next", next, "")
	}},
	{"a page of none", func(r *rig) {
		for _, limit := range []int{0, -1, 1} {
			page, next, err := r.Parked(r.ctx(), "", "", limit)
			if err != nil || len(page) != 0 || next != "" {
				r.Fatal(page, next, err)
			}
		}
	}},
	{"a body of 1 MiB", func(r *rig) {
		body := randomBytes(1 << 20)
		r.record("msg_1", string(body))
		r.settleEvent("msg_1", book.EventParked, "payment:a")
		same(r, "parked", r.parked("payment:a"), []string{"msg_1"})
		if !bytes.Equal(r.event("msg_1").Body, body) {
			r.Fatal("the body changed")
		}
	}},
	{"a state of 1 MiB", func(r *rig) {
		state := randomBytes(1 << 20)
		r.commit(book.Commit{Account: "acc", Object: payment("pay_1"), State: state})
		if o := r.object("acc", payment("pay_1")); !bytes.Equal(o.State, state) {
			r.Fatal("the state changed")
		}
	}},
	{"an empty body", func(r *rig) {
		e, err := r.Record(r.ctx(), book.Event{ID: "msg_1", Type: "t"})
		if err != nil || len(e.Body) != 0 || len(r.event("msg_1").Body) != 0 {
			r.Fatal(e, err)
		}
	}},
}

// allThatAreParked: pages of every size hold each parked event once, in the order
// of receipt and, of those received at once, of their ids.
func allThatAreParked(r *rig) {
	var want []string
	for i := range 130 {
		id := fmt.Sprintf("msg_%d_%03d", i/13, (i*7)%13) // not in the order of the ids
		r.record(id, "body")
		r.settleEvent(id, book.EventParked, fmt.Sprint("payment:", i%5))
		want = append(want, id)
		if i%13 == 12 {
			r.clock.Move(time.Millisecond)
			slices.Sort(want[i-12:])
		}
	}
	r.record("msg_received", "body")
	r.record("msg_applied", "body")
	r.settleEvent("msg_applied", book.EventApplied, "payment:0")
	for _, limit := range []int{1, 7, 13, 65, 100} {
		same(r, fmt.Sprint("in pages of ", limit), r.allParked(limit), want)
	}
	page, next, err := r.Parked(r.ctx(), "", "", 1000)
	if err != nil || len(page) != 100 || next == "" {
		r.Fatalf("of 1,000 wanted, %d, %q, %v", len(page), next, err)
	}
	for i, id := range want[:30] {
		r.settleEvent(id, []book.EventState{book.EventApplied, book.EventIgnored, book.EventReceived}[i%3], "payment:other")
	}
	r.settleEvent(want[40], book.EventParked, "payment:other")
	r.record(want[41], "another body")
	same(r, "of those that are left", r.allParked(9), want[30:])
	for _, id := range want[30:] {
		r.settleEvent(id, book.EventApplied, "")
	}
	same(r, "of none", r.allParked(9), []string{})
}

func parkedUntil(r *rig) {
	const object = "payment:pay_1"
	r.record("msg_1", "one")
	same(r, "parked when received", r.parked(object), []string{})
	r.settleEvent("msg_1", book.EventParked, object)
	same(r, "parked", r.parked(object), []string{"msg_1"})
	r.settleEvent("msg_1", book.EventParked, object) // again, perhaps with another reason
	same(r, "parked twice", r.parked(object), []string{"msg_1"})
	r.record("msg_1", "two")
	same(r, "parked after a redelivery", r.parked(object), []string{"msg_1"})
	same(r, "body", string(r.event("msg_1").Body), "two")
	for _, state := range []book.EventState{book.EventApplied, book.EventIgnored, book.EventReceived} {
		r.settleEvent("msg_1", state, object)
		same(r, "after "+string(state), r.parked(object), []string{})
		r.settleEvent("msg_1", book.EventParked, object)
		same(r, "parked after "+string(state), r.parked(object), []string{"msg_1"})
	}
	// Settled under a name that it was not parked under.
	r.settleEvent("msg_1", book.EventApplied, "payment:other")
	same(r, "after applied under another name", r.parked(object), []string{})
	same(r, "under the other name", r.parked("payment:other"), []string{})
}

// randomBytes are the same at every run.
func randomBytes(n int) []byte {
	source := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = source.Read(b)
	return b
}
