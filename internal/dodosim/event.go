package dodosim

import (
	"encoding/json"
	"net/http"
	"time"
)

// EventState is how far an event has come.
type EventState string

// The states of an event. Pending is the only one that is left on its own.
const (
	// EventPending has attempts ahead of it, now or after a wait or a hold.
	EventPending EventState = "pending"
	// EventDelivered was acknowledged with a 2xx.
	EventDelivered EventState = "delivered"
	// EventFailed has used up the retry table, or was one too many to be queued.
	EventFailed EventState = "failed"
	// EventDropped fell to [Mischief].
	EventDropped EventState = "dropped"
	// EventUnsent has nowhere to go: no webhook endpoint wants it, its endpoint was deleted
	// or disabled, or the simulator was closed.
	EventUnsent EventState = "unsent"
)

// Event is something that happened, as one webhook endpoint is told of it. What several
// endpoints want is several events.
type Event struct {
	// ID is the webhook-id: the same on every attempt. "msg_…" is a guess, Dodo's form is
	// UNCONFIRMED (FACTS 1.8).
	ID string `json:"id"`
	// EndpointID is the endpoint that is told, by GET /webhooks; empty if none wants it.
	EndpointID string `json:"endpoint_id,omitempty"`
	// Type is one of FACTS 3.3, such as "payment.succeeded".
	Type string `json:"type"`
	// ObjectID is the payment, refund, dispute or subscription that it is about.
	ObjectID string `json:"object_id"`
	// At is when it happened, in simulated time.
	At time.Time `json:"at"`
	// State and Attempts tell how delivery went; attempts by Redeliver count too.
	State    EventState `json:"state"`
	Attempts int        `json:"attempts"`
}

// Delivery is one attempt to deliver an event.
type Delivery struct {
	// EventID and Type are those of the event. WebhookID is the header that went out,
	// another one only with [Simulator.DeliverAs] and [Mischief].
	EventID, Type, WebhookID string
	// Copy tells that Mischief added this attempt. It is not tried again, and does not
	// count as the event's delivery.
	Copy bool
	// Attempt counts from 1 per event.
	Attempt int
	// At is when it was sent by Options.Clock, the time in its signature.
	At time.Time
	// Header and Body are what was sent, to the byte.
	Header http.Header
	Body   []byte
	// Status is the HTTP status of the answer, 0 if none came; Err then says why.
	Status int
	Err    error
}

// Acknowledged reports whether the receiver took the event: any 2xx, nothing else, so a
// redirect is a failure too (FACTS 3.1).
func (d Delivery) Acknowledged() bool { return d.Status >= 200 && d.Status <= 299 }

// subject is an object that events are about.
type subject interface {
	objectID() string
	payload() any // the object with its payload_type
}

// event is an Event with the object that it is about. Guarded by [Simulator.mu].
type event struct {
	Event
	about  subject
	to     *hook  // nil: no endpoint wants it
	tried  bool   // an attempt has ended
	copies int    // that Mischief adds, still to be sent
	frozen []byte // the body, if it does not follow the object any more

	happening int    // what happened, the same for all endpoints that are told of it
	copyOf    string // the event that this endpoint had missed; empty in most
}

// envelope is a webhook's body (FACTS 3.2).
type envelope struct {
	BusinessID string    `json:"business_id"`
	Type       string    `json:"type"`
	Timestamp  time.Time `json:"timestamp"`
	Data       any       `json:"data"`
}

// emit records that something happened at a time and starts to tell the merchant, once
// for each endpoint that wants it. Whether endpoints see an event under one id is
// UNCONFIRMED (FACTS 3.1); Options.SharedWebhookIDs decides. The caller holds s.mu.
func (s *Simulator) emit(eventType string, about subject, at time.Time) {
	s.happenings++
	id, told := newID("msg_"), false
	for _, h := range s.hooks {
		if !h.wants(eventType) {
			continue
		}
		if told && !s.options.SharedWebhookIDs {
			id = newID("msg_")
		}
		s.emitTo(h, id, eventType, about, at)
		told = true
	}
	if !told {
		s.emitTo(nil, id, eventType, about, at)
	}
}

func (s *Simulator) emitTo(h *hook, id, eventType string, about subject, at time.Time) {
	e := &event{about: about, to: h, happening: s.happenings, Event: Event{
		ID:       id,
		Type:     eventType,
		ObjectID: about.objectID(),
		At:       at,
		State:    EventPending,
	}}
	s.events = append(s.events, e)
	if h != nil {
		e.EndpointID = h.ID
	}
	switch {
	case h == nil || s.ctx.Err() != nil:
		e.State = EventUnsent
	case s.unsettled >= maxUnsettled:
		e.State = EventFailed
		s.logger().Error("webhook dropped: too many are undelivered", "webhook_id", e.ID, "type", e.Type)
	default:
		s.send(e)
	}
}

// body encodes the event with its object as it is now, not as it was when the event
// happened: Dodo delivers the latest state (FACTS 3.1), except for [Mischief]. The caller holds s.mu.
func (s *Simulator) body(e *event) ([]byte, error) {
	if e.frozen != nil {
		return e.frozen, nil
	}
	body, err := json.Marshal(envelope{
		BusinessID: s.business,
		Type:       e.Type,
		Timestamp:  e.At,
		Data:       e.about.payload(),
	})
	if err == nil && s.options.Quirks {
		return quirked(e.Type, body)
	}
	return body, err
}
