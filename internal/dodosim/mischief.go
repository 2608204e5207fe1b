package dodosim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Mischief makes the delivery of webhooks fail at random but repeatably: the same seed does
// the same to the same events in the same order. Shares are fractions of events, from 0 (none)
// to 1 (all). One event can have several of these faults; a dropped one has no other.
type Mischief struct {
	// Seed selects the random numbers.
	Seed uint64 `json:"seed,omitempty"`

	// Drop is the share that is never sent, as if every attempt were lost. Only
	// [Simulator.Redeliver] still sends such an event, like a replay in the dashboard.
	Drop float64 `json:"drop,omitempty"`

	// Duplicate is the share that is sent once more with the same webhook-id, whether or not
	// the first attempt was acknowledged, and possibly at the same time.
	Duplicate float64 `json:"duplicate,omitempty"`

	// NewID is the share that is sent once more with another webhook-id, as a second endpoint
	// of the account may see it (UNCONFIRMED, FACTS 3.1).
	NewID float64 `json:"new_id,omitempty"`

	// Corrupt is the share whose first attempt has one byte of its body changed after it was
	// signed. Later attempts are intact.
	Corrupt float64 `json:"corrupt,omitempty"`

	// LoseReply is the share whose first attempt arrives but whose answer is lost: it is
	// retried although the receiver has it.
	LoseReply float64 `json:"lose_reply,omitempty"`

	// EventTime is the share whose body keeps the state at the time of the event. Other bodies
	// show the object when they are sent, as Dodo's do (FACTS 3.1).
	EventTime float64 `json:"event_time,omitempty"`

	// Slow is the share whose first attempt sends its body in parts, over SlowFor (by
	// Options.After). An attempt ends after 15 s.
	Slow    float64       `json:"slow,omitempty"`
	SlowFor time.Duration `json:"-"`

	// MaxDelay bounds the random wait of each event and each extra copy (by Options.After)
	// before it is first sent, so that later ones overtake it.
	MaxDelay time.Duration `json:"-"`
}

// Check returns what is wrong with the values.
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
		return errors.New("slow needs a time: how long the body takes")
	}
	return nil
}

// eventFaults are the faults of one event.
type eventFaults struct {
	drop, duplicate, newID            bool
	delay, duplicateDelay, newIDDelay time.Duration
	eventTime                         bool
	first                             attemptFaults
}

// attemptFaults are the faults of a single attempt.
type attemptFaults struct {
	corrupt   bool
	where     float64 // the byte to change, as a fraction of the body
	loseReply bool
	slow      time.Duration
}

// faultSource draws the faults. It draws the same numbers for every event, so that changing
// one share does not change which events the others affect.
type faultSource struct {
	Mischief
	chance, mishaps *rand.Rand
}

func newFaultSource(m Mischief) *faultSource {
	chance := func(stream uint64) *rand.Rand {
		return rand.New(rand.NewPCG(m.Seed, stream)) //nolint:gosec // chance that can be repeated, not a secret
	}
	return &faultSource{m, chance(0), chance(1)}
}

func (f *faultSource) next() eventFaults {
	hit := func(share float64) bool { return f.chance.Float64() < share }
	wait := func() time.Duration { return time.Duration(f.chance.Float64() * float64(max(f.MaxDelay, 0))) }
	next := eventFaults{
		drop: hit(f.Drop), duplicate: hit(f.Duplicate), newID: hit(f.NewID),
		delay: wait(), duplicateDelay: wait(), newIDDelay: wait(),
	}
	befalls := func(share float64) bool { return f.mishaps.Float64() < share }
	next.first = attemptFaults{corrupt: befalls(f.Corrupt), where: f.mishaps.Float64(), loseReply: befalls(f.LoseReply)}
	next.eventTime = befalls(f.EventTime)
	if befalls(f.Slow) {
		next.first.slow = f.SlowFor
	}
	return next
}

// SetMischief applies to webhooks of events from now on, until the next call; the zero
// Mischief ends it. For an order of delivery that repeats exactly, hold webhooks and use
// [Simulator.DeliverShuffled].
func (s *Simulator) SetMischief(m Mischief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhookFaults = newFaultSource(m)
}

// Mischief returns the values of SetMischief.
func (s *Simulator) Mischief() Mischief {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.webhookFaults.Mischief
}

// send starts the delivery of an event, and of the copies that Mischief adds. The caller holds
// s.mu.
func (s *Simulator) send(e *event) {
	fate := s.webhookFaults.next()
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
			_, _ = s.attempt(s.ctx, e, Delivery{WebhookID: webhookID, Copy: true}, attemptFaults{}) // recorded, and not tried again
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsettled--
		e.copies--
		s.signal()
	})
}

// freeze keeps the event's current body. The caller holds s.mu.
func (s *Simulator) freeze(e *event) {
	e.frozen, _ = s.body(e) // what cannot be encoded fails later, too
}

// corruptBody changes one byte of a body. The result stays printable.
func (m attemptFaults) corruptBody(body []byte) []byte {
	if !m.corrupt || len(body) == 0 {
		return body
	}
	body = slices.Clone(body)
	body[int(m.where*float64(len(body)))] ^= 1
	return body
}

// DeliverShuffled sends the held events and their extra copies one after the other, in an
// order that the seed decides, and returns when all have been answered. Unacknowledged ones
// are retried once webhooks are released. MaxDelay has no effect here.
func (s *Simulator) DeliverShuffled(ctx context.Context, m Mischief) ([]Delivery, error) {
	type sending struct {
		event *event
		Delivery
		attemptFaults
	}
	s.mu.Lock()
	if !s.held() {
		s.mu.Unlock()
		return nil, errors.New("deliver shuffled: webhooks are not held")
	}
	chance := newFaultSource(m)
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
			order = append(order, sending{e, Delivery{WebhookID: e.ID, Copy: true}, attemptFaults{}})
		}
		if fate.newID {
			order = append(order, sending{e, Delivery{WebhookID: newID("msg_"), Copy: true}, attemptFaults{}})
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
		d, err := s.attempt(ctx, next.event, next.Delivery, next.attemptFaults)
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
