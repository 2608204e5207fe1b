package dodosim

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Mischief is how webhooks go wrong, by chance but not by accident: a seed gives the same
// fates to the same events in the same order, every time. Shares are of events, from 0,
// which is none, to 1, which is all. An event can have several of these fates; a dropped
// one has no other.
type Mischief struct {
	// Seed selects the fates.
	Seed uint64

	// Drop is the share that is never sent, as if every attempt had been lost. Only
	// [Simulator.Redeliver] still sends it, as a replay in the dashboard would.
	Drop float64

	// Duplicate is the share that is sent once more under the same webhook-id, whether or
	// not the first time was acknowledged, and maybe at the same moment.
	Duplicate float64

	// NewID is the share that is sent once more under another webhook-id, as a second
	// endpoint of the account might see it (UNCONFIRMED, FACTS 3.1).
	NewID float64

	// MaxDelay bounds the time that each event and each further copy waits by itself (by
	// Options.After) before it is first sent, so that later ones overtake it.
	MaxDelay time.Duration
}

// fate is what Mischief has in store for one event.
type fate struct {
	drop, duplicate, newID            bool
	delay, duplicateDelay, newIDDelay time.Duration
}

// fates deals them out. It draws the same numbers for every event, so that one share can
// be changed without changing which events the others hit.
type fates struct {
	Mischief
	chance *rand.Rand
}

func newFates(m Mischief) *fates {
	return &fates{m, rand.New(rand.NewPCG(m.Seed, 0))} //nolint:gosec // chance that can be repeated, not a secret
}

func (f *fates) next() fate {
	hit := func(share float64) bool { return f.chance.Float64() < share }
	wait := func() time.Duration { return time.Duration(f.chance.Float64() * float64(max(f.MaxDelay, 0))) }
	return fate{
		drop: hit(f.Drop), duplicate: hit(f.Duplicate), newID: hit(f.NewID),
		delay: wait(), duplicateDelay: wait(), newIDDelay: wait(),
	}
}

// SetMischief lets webhooks of events from now on go wrong, until it is called again: the
// zero Mischief ends it. For an order of delivery that repeats exactly, hold webhooks and
// use [Simulator.DeliverShuffled].
func (s *Simulator) SetMischief(m Mischief) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fates = newFates(m)
}

// send starts the delivery of an event, and of what its fate adds. The caller holds s.mu.
func (s *Simulator) send(e *event) {
	fate := s.fates.next()
	if fate.drop {
		e.State = EventDropped
		s.signal()
		return
	}
	s.unsettled++
	s.background.Go(func() { s.deliver(e, fate.delay) })
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
			_, _ = s.attempt(s.ctx, e, Delivery{WebhookID: webhookID, Copy: true}) // recorded, and not tried again
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsettled--
		e.copies--
		s.signal()
	})
}

// DeliverShuffled sends the events that are held, with their further copies, one after
// the other in an order that the seed decides, and returns when all have been answered.
// What was not acknowledged is tried again once webhooks are released. MaxDelay does
// nothing here.
func (s *Simulator) DeliverShuffled(ctx context.Context, m Mischief) ([]Delivery, error) {
	type sending struct {
		event *event
		Delivery
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
		order = append(order, sending{e, Delivery{WebhookID: e.ID}})
		if fate.duplicate {
			order = append(order, sending{e, Delivery{WebhookID: e.ID, Copy: true}})
		}
		if fate.newID {
			order = append(order, sending{e, Delivery{WebhookID: newID("msg_"), Copy: true}})
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
		d, err := s.attempt(ctx, next.event, next.Delivery)
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
