package storetest

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// settleAs notes a state of an event as it was read, and what is kept of it.
func (r *rig) settleAs(e book.Event, state book.EventState, keep book.Retention) {
	r.Helper()
	e.State, e.Object = state, "payment:pay_1"
	if err := r.Settle(r.ctx(), e, keep); err != nil {
		r.Fatalf("settle %q as %s: %v", e.ID, state, err)
	}
}

func (r *rig) hasBody(id, want string) {
	r.Helper()
	same(r, "body of "+id, string(r.event(id).Body), want)
}

var redacted = book.Retention{Keep: 90 * day, Body: []byte("redacted")}

var retentionTests = []test{
	{"the body of an event in a final state is replaced", func(r *rig) {
		for _, state := range []book.EventState{book.EventApplied, book.EventIgnored} {
			want := r.record(string(state), "body")
			r.settleAs(want, state, redacted)
			r.settleAs(want, state, redacted) // a repeat
			want.State, want.Object, want.Body = state, "payment:pay_1", redacted.Body
			same(r, "event", r.event(string(state)), want)
		}
	}},
	{"the body of an event that waits stays", func(r *rig) {
		for _, state := range []book.EventState{book.EventParked, book.EventReceived} {
			r.settleAs(r.record(string(state), "body"), state, redacted)
			r.hasBody(string(state), "body")
		}
	}},
	{"no body replaces none", func(r *rig) {
		e := r.record("msg_1", "body")
		r.settleAs(e, book.EventApplied, book.Retention{Keep: 90 * day})
		r.settleAs(e, book.EventApplied, book.Retention{Keep: 90 * day, Body: []byte{}})
		r.hasBody("msg_1", "body")
	}},
	{"a body stays when it is not said which delivery is settled", func(r *rig) {
		e := r.record("msg_1", "body")
		e.Deliveries = 0
		r.settleAs(e, book.EventApplied, redacted)
		r.hasBody("msg_1", "body")
	}},
	{"a parked event's body is replaced when it is applied", func(r *rig) {
		r.settleAs(r.record("msg_1", "body"), book.EventParked, redacted)
		page, _, err := r.Parked(r.ctx(), "", "", 10)
		if err != nil || len(page) != 1 || string(page[0].Body) != "body" {
			r.Fatal(page, err)
		}
		r.settleAs(page[0], book.EventApplied, redacted)
		r.hasBody("msg_1", "redacted")
		same(r, "parked", r.parked("payment:pay_1"), []string{})
	}},
	{"a body that was delivered since stays", func(r *rig) {
		first := r.record("msg_1", "one")
		second := r.record("msg_1", "two")
		r.settleAs(first, book.EventApplied, redacted)
		r.hasBody("msg_1", "two")
		r.settleAs(second, book.EventApplied, redacted)
		r.hasBody("msg_1", "redacted")
		r.settleAs(first, book.EventApplied, book.Retention{Body: []byte("the first, late")})
		r.hasBody("msg_1", "redacted")
		third := r.record("msg_1", "three")
		r.hasBody("msg_1", "three")
		r.settleAs(third, book.EventApplied, redacted)
		r.hasBody("msg_1", "redacted")
	}},
	{"the new body is the store's own", func(r *rig) {
		e, body := r.record("msg_1", "body"), []byte("redacted")
		r.settleAs(e, book.EventApplied, book.Retention{Body: body})
		body[0] = 'x'
		r.hasBody("msg_1", "redacted")
	}},
	{"a new body of 1 MiB", func(r *rig) {
		body := randomBytes(1 << 20)
		r.settleAs(r.record("msg_1", "body"), book.EventApplied, book.Retention{Keep: 90 * day, Body: body})
		r.hasBody("msg_1", string(body))
	}},
}

// RunEnds holds a store to when events end. ends checks that the event "msg_1"
// ends after left, not sooner and not later, or never if that is 0. It may move
// the clock.
func RunEnds(t *testing.T, open func(t *testing.T, clock func() time.Time) store.Store,
	ends func(t *testing.T, s store.Client, clock *Clock, left time.Duration),
) {
	for _, c := range endings {
		t.Run(c.name, func(t *testing.T) {
			clock := NewClock()
			r := &rig{T: t, Client: store.Client{Store: open(t, clock.Now)}, clock: clock}
			e := r.record("msg_1", "body")
			for _, s := range c.steps {
				clock.Move(s.after)
				r.settleAs(e, s.state, book.Retention{Keep: s.keep})
			}
			ends(t, r.Client, clock, c.left)
		})
	}
}

// settling settles an event some time after the step before.
type settling struct {
	after time.Duration
	state book.EventState
	keep  time.Duration
}

const keep90 = 90 * day

var endings = []struct {
	name  string
	steps []settling
	left  time.Duration // after the last step; 0 is for ever
}{
	{"received", nil, 0},
	{"applied", []settling{{0, book.EventApplied, keep90}}, keep90},
	{"ignored", []settling{{0, book.EventIgnored, keep90}}, keep90},
	{"parked", []settling{{0, book.EventParked, keep90}}, 0},
	{"noted as received", []settling{{0, book.EventReceived, keep90}}, 0},
	{"kept for ever", []settling{{0, book.EventApplied, 0}}, 0},
	{"counted from its receipt", []settling{{10 * day, book.EventApplied, keep90}}, 80 * day},
	{"settled a day before its end", []settling{{89 * day, book.EventApplied, keep90}}, day},
	{"settled an hour before its end", []settling{{90*day - time.Hour, book.EventApplied, keep90}}, day},
	{"settled long after its end", []settling{{500 * day, book.EventApplied, keep90}}, day},
	{"settled again", []settling{{0, book.EventApplied, keep90}, {10 * day, book.EventApplied, keep90}}, 80 * day},
	{"settled again, for longer", []settling{{0, book.EventApplied, keep90}, {10 * day, book.EventApplied, 365 * day}}, 355 * day},
	{"settled again, for shorter", []settling{{0, book.EventApplied, keep90}, {10 * day, book.EventApplied, 30 * day}}, 20 * day},
	{"settled again, for ever", []settling{{0, book.EventApplied, keep90}, {10 * day, book.EventApplied, 0}}, 0},
	{"applied when it was parked", []settling{{0, book.EventParked, keep90}, {100 * day, book.EventApplied, keep90}}, day},
	{"parked when it was applied", []settling{{0, book.EventApplied, keep90}, {0, book.EventParked, keep90}}, 0},
	{"received when it was applied", []settling{{0, book.EventApplied, keep90}, {0, book.EventReceived, keep90}}, 0},
	{"parked for a while", []settling{{0, book.EventApplied, keep90}, {0, book.EventParked, keep90}, {day, book.EventIgnored, keep90}}, 89 * day},
	{"a clock that was set back", []settling{{-time.Hour, book.EventApplied, keep90}}, keep90 + time.Hour},
	{"a hundred years", []settling{{0, book.EventApplied, 36500 * day}}, 36500 * day},
}
