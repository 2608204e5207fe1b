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

// ReplayFilter selects the events that [Simulator.Replay] sends again. An event must match all
// fields that are set; the zero value matches all events.
//
//	ReplayFilter{EventIDs: []string{id}}               // a single one
//	ReplayFilter{States: []EventState{EventFailed}}    // all failed ones
//	ReplayFilter{Missing: true}                        // all that an endpoint was never sent
//	ReplayFilter{Types: []string{"payment.succeeded"}, Since: yesterday}
type ReplayFilter struct {
	// EventIDs and ObjectID name events, and the object that they are about.
	EventIDs []string
	ObjectID string
	// EndpointID is the destination, by GET /webhooks. Empty: each event goes where it went
	// before.
	EndpointID string
	// Types are those of FACTS 3.3.
	Types []string
	// Since and Until bound the time of the event, both included. Events older than two weeks
	// are never sent.
	Since, Until time.Time
	// States are the accepted delivery states.
	States []EventState
	// Missing selects only events that an endpoint was never sent: because it did not exist,
	// was disabled, or did not want such events; or because [Mischief] dropped them.
	Missing bool
}

// Replay sends events again, one after the other, oldest first, each with its object's current
// state and its webhook-id, like the dashboard. An event that an endpoint has missed is sent
// with an id that is new to it. Nothing is retried automatically. It returns when all have
// been answered.
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
		d, err := s.attempt(ctx, e, Delivery{WebhookID: e.ID}, attemptFaults{})
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

// selectEvents finds the events that match the filter. The caller holds s.mu.
func (s *Simulator) selectEvents(filter ReplayFilter) ([]*event, error) {
	known := slices.ContainsFunc(s.hooks, func(h *webhookEndpoint) bool { return h.ID == filter.EndpointID })
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
	slices.SortStableFunc(selected, func(a, b *event) int { return a.occurrence - b.occurrence })
	return selected, nil
}

// selects reports whether to send an event that has an endpoint.
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

// fits reports whether an event matches, whatever its endpoint.
func (filter ReplayFilter) fits(e Event, now time.Time) bool {
	return (filter.ObjectID == "" || filter.ObjectID == e.ObjectID) &&
		(len(filter.Types) == 0 || slices.Contains(filter.Types, e.Type)) &&
		!e.At.Before(filter.Since) && (filter.Until.IsZero() || !e.At.After(filter.Until)) &&
		!e.At.Before(now.Add(-replayWindow))
}

// addMissing makes the events that endpoints have missed. The caller holds s.mu.
func (s *Simulator) addMissing(filter ReplayFilter) {
	now := s.now()
	type telling struct {
		happening int
		to        *webhookEndpoint
	}
	told := make(map[telling]bool)
	for _, e := range s.events {
		told[telling{e.occurrence, e.to}] = true
	}
	for _, e := range slices.Clone(s.events) {
		if !filter.fits(e.Event, now) {
			continue
		}
		for _, h := range s.hooks {
			if told[telling{e.occurrence, h}] || !h.reachable() || filter.EndpointID != "" && filter.EndpointID != h.ID {
				continue
			}
			told[telling{e.occurrence, h}] = true
			if e.to == nil { // nobody was told: it is that very event
				e.to, e.EndpointID = h, h.ID
				continue
			}
			missed := &event{about: e.about, to: h, Event: e.Event, occurrence: e.occurrence, copyOf: e.ID}
			missed.EndpointID, missed.State, missed.Attempts = h.ID, EventUnsent, 0
			if !s.options.SharedWebhookIDs {
				missed.ID = newID("msg_")
			}
			s.events = append(s.events, missed)
		}
	}
}
