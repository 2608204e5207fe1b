package storetest

import (
	"errors"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// commitOfEvent is a commit of an account's payment that settles the event it came with.
func commitOfEvent(e book.Event, version int64, targets ...ledger.Target) book.Commit {
	e.State, e.Object, e.Account = book.EventApplied, payment("pay_1").String(), "ann"
	return book.Commit{
		Account: "ann", Object: payment("pay_1"), Version: version, State: []byte(`{}`), Cause: e.ID,
		Effect: entitlement.Effect{Grants: targets},
		Settle: &book.Settlement{Event: e, Retention: book.Retention{Body: []byte("less")}},
	}
}

var settlesTests = []test{
	{"with the commit", func(r *rig) {
		e, _ := r.receive("msg_1", "one", payment("pay_1"))
		entries := r.commit(commitOfEvent(e, 0, forever("a", 3)))
		same(r, "entries", len(entries), 1)
		e.State, e.Object, e.Account, e.Body = book.EventApplied, "payment:pay_1", "ann", []byte("less")
		same(r, "event", r.event("msg_1"), e)
	}},
	{"not without it", func(r *rig) {
		r.give("ann", "pay_1", forever("a", 1))
		e, _ := r.receive("msg_1", "one", payment("pay_1"))
		if _, err := r.Commit(r.ctx(), commitOfEvent(e, 0, forever("a", 3))); !errors.Is(err, store.ErrConflict) {
			r.Errorf("a commit of another version: %v", err)
		}
		tooMuch := commitOfEvent(e, 1, forever("a", ledger.Max), forever("b", ledger.Max))
		if _, err := r.Commit(r.ctx(), tooMuch); !errors.Is(err, ledger.ErrRange) {
			r.Errorf("a commit of too much: %v", err)
		}
		same(r, "event", r.event("msg_1"), e)
	}},
	{"a parked event", func(r *rig) {
		r.record("msg_1", "one")
		r.settleEvent("msg_1", book.EventParked, "payment:pay_1")
		r.commit(commitOfEvent(r.event("msg_1"), 0, forever("a", 3)))
		same(r, "state", r.event("msg_1").State, book.EventApplied)
		same(r, "parked under the payment", len(r.parked("payment:pay_1")), 0)
		events, _, err := r.Parked(r.ctx(), "", "", 10)
		if err != nil || len(events) != 0 {
			r.Errorf("all parked: %v, %v", events, err)
		}
	}},
	{"a delivery that came again since", func(r *rig) {
		e, _ := r.receive("msg_1", "one", payment("pay_1"))
		again, _ := r.receive("msg_1", "two", payment("pay_1"))
		same(r, "entries", len(r.commit(commitOfEvent(e, 0, forever("a", 3)))), 1)
		same(r, "event", r.event("msg_1"), again)
	}},
	{"an event that is not there", func(r *rig) {
		if _, err := r.Commit(r.ctx(), commitOfEvent(book.Event{ID: "msg_1"}, 0, forever("a", 3))); !errors.Is(err, store.ErrNotFound) {
			r.Errorf("it was settled: %v", err)
		}
	}},
	{"in a state that is not final", func(r *rig) {
		e, _ := r.receive("msg_1", "one", payment("pay_1"))
		c := commitOfEvent(e, 0, forever("a", 3))
		c.Settle.Event.State = book.EventParked
		if _, err := r.Commit(r.ctx(), c); err == nil {
			r.Errorf("it was parked by a commit")
		}
		same(r, "event", r.event("msg_1"), e)
		same(r, "version", r.object("ann", payment("pay_1")).Version, 0)
	}},
}
