package dodosim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// replayWindow is how far back a replay reaches (FACTS 3.1).
const replayWindow = 14 * 24 * time.Hour

// ReplayFilter selects the events that [Simulator.Replay] sends again: those that fit all
// that is said, and all events if nothing is.
//
//	ReplayFilter{EventIDs: []string{id}}               // a single one
//	ReplayFilter{States: []EventState{EventFailed}}    // all failed ones
//	ReplayFilter{Missing: true}                        // all that an endpoint was never sent
//	ReplayFilter{Types: []string{"payment.succeeded"}, Since: yesterday}
type ReplayFilter struct {
	// EventIDs and ObjectID name events, and the object that they are about.
	EventIDs []string
	ObjectID string
	// EndpointID is where they go, by GET /webhooks. Empty: each where it went before.
	EndpointID string
	// Types are those of FACTS 3.3.
	Types []string
	// Since and Until bound the time when they happened, both included. Nothing is older than
	// two weeks, whatever Since says.
	Since, Until time.Time
	// States are how far they have come.
	States []EventState
	// Missing selects only what an endpoint was never sent: because it did not exist, was
	// disabled, or did not want such events; or because [Mischief] dropped it.
	Missing bool
}

// Replay sends events once more, one after the other, oldest first, each with its present
// state and under its webhook-id, as the dashboard does. What is missing somewhere is sent
// under an id that the endpoint has not seen yet. Whatever becomes of it, nothing is tried
// again on its own. It returns when all have been answered.
func (s *Simulator) Replay(ctx context.Context, filter ReplayFilter) ([]Delivery, error) {
	s.mu.Lock()
	selected, err := s.selectEvents(filter)
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() // Close ends this too
	var sent []Delivery
	for _, e := range selected {
		if !s.reachable(e) {
			continue
		}
		d, err := s.attempt(ctx, e, Delivery{WebhookID: e.ID}, mishap{})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return sent, err
		}
		sent = append(sent, d)
	}
	return sent, nil
}

// selectEvents finds what fits the filter. The caller holds s.mu.
func (s *Simulator) selectEvents(filter ReplayFilter) ([]*event, error) {
	known := slices.ContainsFunc(s.hooks, func(h *hook) bool { return h.ID == filter.EndpointID })
	if filter.EndpointID != "" && !known {
		return nil, fmt.Errorf("there is no webhook endpoint %s", filter.EndpointID)
	}
	for _, id := range filter.EventIDs {
		if !slices.ContainsFunc(s.events, func(e *event) bool { return e.ID == id }) {
			return nil, fmt.Errorf("there is no event %s", id)
		}
	}
	for _, t := range filter.Types {
		if !eventTypes[t] {
			return nil, errors.New("there is no such type of event")
		}
	}
	if filter.Missing {
		s.addMissing(filter)
	}
	now := s.now()
	var selected []*event
	for _, e := range s.events {
		if e.to != nil && filter.selects(e, now) {
			selected = append(selected, e)
		}
	}
	slices.SortStableFunc(selected, func(a, b *event) int { return a.happening - b.happening })
	return selected, nil
}

// selects reports whether an event that has an endpoint is to be sent.
func (filter ReplayFilter) selects(e *event, now time.Time) bool {
	switch {
	case filter.Missing && (e.Attempts > 0 || e.State == EventPending):
		return false
	case filter.EndpointID != "" && e.EndpointID != filter.EndpointID,
		len(filter.EventIDs) > 0 && !slices.Contains(filter.EventIDs, e.ID) && !slices.Contains(filter.EventIDs, e.copyOf),
		len(filter.States) > 0 && !slices.Contains(filter.States, e.State):
		return false
	}
	return filter.fits(e.Event, now)
}

// fits reports whether something that happened is asked for, wherever it was sent.
func (filter ReplayFilter) fits(e Event, now time.Time) bool {
	return (filter.ObjectID == "" || filter.ObjectID == e.ObjectID) &&
		(len(filter.Types) == 0 || slices.Contains(filter.Types, e.Type)) &&
		!e.At.Before(filter.Since) && (filter.Until.IsZero() || !e.At.After(filter.Until)) &&
		!e.At.Before(now.Add(-replayWindow))
}

// addMissing makes the events that endpoints were never told of, so that they can be. The
// caller holds s.mu.
func (s *Simulator) addMissing(filter ReplayFilter) {
	now := s.now()
	type telling struct {
		happening int
		to        *hook
	}
	told := make(map[telling]bool)
	for _, e := range s.events {
		told[telling{e.happening, e.to}] = true
	}
	for _, e := range slices.Clone(s.events) {
		if !filter.fits(e.Event, now) {
			continue
		}
		for _, h := range s.hooks {
			if told[telling{e.happening, h}] || !h.reachable() || filter.EndpointID != "" && filter.EndpointID != h.ID {
				continue
			}
			told[telling{e.happening, h}] = true
			if e.to == nil { // nobody was told: it is that very event
				e.to, e.EndpointID = h, h.ID
				continue
			}
			missed := &event{about: e.about, to: h, Event: e.Event, happening: e.happening, copyOf: e.ID}
			missed.EndpointID, missed.State, missed.Attempts = h.ID, EventUnsent, 0
			if !s.options.SharedWebhookIDs {
				missed.ID = newID("msg_")
			}
			s.events = append(s.events, missed)
		}
	}
}
