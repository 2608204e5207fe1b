package dodosim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Mischief is how webhooks go wrong, by chance but not by accident: a seed gives the same
// fates to the same events in the same order, every time. Shares are of events, from 0,
// which is none, to 1, which is all. An event can have several of these fates; a dropped
// one has no other.
type Mischief struct {
	// Seed selects the fates.
	Seed uint64 `json:"seed,omitempty"`

	// Drop is the share that is never sent, as if every attempt had been lost. Only
	// [Simulator.Redeliver] still sends it, as a replay in the dashboard would.
	Drop float64 `json:"drop,omitempty"`

	// Duplicate is the share that is sent once more under the same webhook-id, whether or
	// not the first time was acknowledged, and maybe at the same moment.
	Duplicate float64 `json:"duplicate,omitempty"`

	// NewID is the share that is sent once more under another webhook-id, as a second
	// endpoint of the account might see it (UNCONFIRMED, FACTS 3.1).
	NewID float64 `json:"new_id,omitempty"`

	// Corrupt is the share whose first attempt has one byte of its body changed on the
	// way, after it was signed. The following ones are whole.
	Corrupt float64 `json:"corrupt,omitempty"`

	// LoseReply is the share whose first attempt arrives, while its answer does not: it is
	// tried again though the receiver has it.
	LoseReply float64 `json:"lose_reply,omitempty"`

	// EventTime is the share whose body stays as it was when the event happened. All
	// others show the object as it is when they are sent, as Dodo's do (FACTS 3.1).
	EventTime float64 `json:"event_time,omitempty"`

	// Slow is the share whose first attempt sends its body bit by bit, over SlowFor (by
	// Options.After). An attempt ends after 15 s.
	Slow    float64       `json:"slow,omitempty"`
	SlowFor time.Duration `json:"-"`

	// MaxDelay bounds the time that each event and each further copy waits by itself (by
	// Options.After) before it is first sent, so that later ones overtake it.
	MaxDelay time.Duration `json:"-"`
}

// Check says what of it makes no sense.
func (m Mischief) Check() error {
	for _, share := range []float64{m.Drop, m.Duplicate, m.NewID, m.Corrupt, m.LoseReply, m.EventTime, m.Slow} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("%v is not a share between 0 and 1", share)
		}
	}
	switch {
	case m.MaxDelay < 0 || m.SlowFor < 0:
		return errors.New("a delay must not be negative")
	case m.Slow > 0 && m.SlowFor == 0:
		return errors.New("how slow is slow? the time is missing")
	}
	return nil
}

// fate is what Mischief has in store for one event.
type fate struct {
	drop, duplicate, newID            bool
	delay, duplicateDelay, newIDDelay time.Duration
	eventTime                         bool
	first                             mishap
}

// mishap is what befalls a single attempt.
type mishap struct {
	corrupt   bool
	where     float64 // the byte, as a share of the body
	loseReply bool
	slow      time.Duration
}

// fates deals them out. It draws the same numbers for every event, so that one share can
// be changed without changing which events the others hit.
type fates struct {
	Mischief
	chance, mishaps *rand.Rand
}

func newFates(m Mischief) *fates {
	chance := func(stream uint64) *rand.Rand {
		return rand.New(rand.NewPCG(m.Seed, stream)) //nolint:gosec // chance that can be repeated, not a secret
	}
	return &fates{m, chance(0), chance(1)}
}

func (f *fates) next() fate {
	hit := func(share float64) bool { return f.chance.Float64() < share }
	wait := func() time.Duration { return time.Duration(f.chance.Float64() * float64(max(f.MaxDelay, 0))) }
	next := fate{
		drop: hit(f.Drop), duplicate: hit(f.Duplicate), newID: hit(f.NewID),
		delay: wait(), duplicateDelay: wait(), newIDDelay: wait(),
	}
	befalls := func(share float64) bool { return f.mishaps.Float64() < share }
	next.first = mishap{corrupt: befalls(f.Corrupt), where: f.mishaps.Float64(), loseReply: befalls(f.LoseReply)}
	next.eventTime = befalls(f.EventTime)
	if befalls(f.Slow) {
		next.first.slow = f.SlowFor
	}
	return next
}

// SetMischief lets webhooks of events from now on go wrong, until it is called again: the
// zero Mischief ends it. For an order of delivery that repeats exactly, hold webhooks and
// use [Simulator.DeliverShuffled].
func (s *Simulator) SetMischief(m Mischief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fates = newFates(m)
}

// Mischief returns what SetMischief has set.
func (s *Simulator) Mischief() Mischief {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fates.Mischief
}

// send starts the delivery of an event, and of what its fate adds. The caller holds s.mu.
func (s *Simulator) send(e *event) {
	fate := s.fates.next()
	if fate.drop {
		e.State = EventDropped
		s.signal()
		return
	}
	if fate.eventTime {
		s.freeze(e)
	}
	s.unsettled++
	s.background.Go(func() { s.deliver(e, fate.delay, fate.first) })
	if fate.duplicate {
		s.sendCopy(e, e.ID, fate.duplicateDelay)
	}
	if fate.newID {
		s.sendCopy(e, newID("msg_"), fate.newIDDelay)
	}
}

// sendCopy sends an event once more, in the background. The caller holds s.mu.
func (s *Simulator) sendCopy(e *event, webhookID string, delay time.Duration) {
	s.unsettled++
	e.copies++
	s.background.Go(func() {
		if s.sleep(delay) && s.awaitRelease() {
			_, _ = s.attempt(s.ctx, e, Delivery{WebhookID: webhookID, Copy: true}, mishap{}) // recorded, and not tried again
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsettled--
		e.copies--
		s.signal()
	})
}

// freeze makes the event's body what it is now. The caller holds s.mu.
func (s *Simulator) freeze(e *event) {
	e.frozen, _ = s.body(e) // what cannot be encoded fails later, too
}

// corrupt changes one byte of a body, in a way that leaves it printable.
func (m mishap) corruptBody(body []byte) []byte {
	if !m.corrupt || len(body) == 0 {
		return body
	}
	body = slices.Clone(body)
	body[int(m.where*float64(len(body)))] ^= 1
	return body
}

// DeliverShuffled sends the events that are held, with their further copies, one after
// the other in an order that the seed decides, and returns when all have been answered.
// What was not acknowledged is tried again once webhooks are released. MaxDelay does
// nothing here.
func (s *Simulator) DeliverShuffled(ctx context.Context, m Mischief) ([]Delivery, error) {
	type sending struct {
		event *event
		Delivery
		mishap
	}
	s.mu.Lock()
	if !s.held() {
		s.mu.Unlock()
		return nil, errors.New("deliver shuffled: webhooks are not held")
	}
	chance := newFates(m)
	var order []sending
	for _, e := range s.events {
		if e.State != EventPending {
			continue
		}
		fate := chance.next()
		if fate.drop {
			e.State = EventDropped
			continue
		}
		if fate.eventTime {
			s.freeze(e)
		}
		order = append(order, sending{e, Delivery{WebhookID: e.ID}, fate.first})
		if fate.duplicate {
			order = append(order, sending{e, Delivery{WebhookID: e.ID, Copy: true}, mishap{}})
		}
		if fate.newID {
			order = append(order, sending{e, Delivery{WebhookID: newID("msg_"), Copy: true}, mishap{}})
		}
	}
	chance.chance.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	s.signal()
	s.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() // Close ends this too
	var sent []Delivery
	for _, next := range order {
		d, err := s.attempt(ctx, next.event, next.Delivery, next.mishap)
		if err != nil {
			return sent, err
		}
		if err := ctx.Err(); err != nil {
			return sent, err
		}
		sent = append(sent, d)
	}
	return sent, nil
}
