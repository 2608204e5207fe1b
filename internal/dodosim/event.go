package dodosim

import (
	"encoding/json"
	"net/http"
	"time"
)

// EventState is the delivery state of an event.
type EventState string

// The states of an event. Only pending changes automatically.
const (
	// EventPending has further attempts, now or after a wait or a hold.
	EventPending EventState = "pending"
	// EventDelivered was acknowledged with a 2xx.
	EventDelivered EventState = "delivered"
	// EventFailed has used up the retry table, or did not fit into the queue.
	EventFailed EventState = "failed"
	// EventDropped was dropped by [Mischief].
	EventDropped EventState = "dropped"
	// EventUnsent has no destination: no webhook endpoint wants it, its endpoint was deleted
	// or disabled, or the simulator was closed.
	EventUnsent EventState = "unsent"
)

// Event is something that happened, as sent to one webhook endpoint. Several endpoints get
// several events.
type Event struct {
	// ID is the webhook-id: the same on every attempt. "msg_…" is a guess, Dodo's form is
	// UNCONFIRMED (FACTS 1.8).
	ID string `json:"id"`
	// EndpointID is its destination, by GET /webhooks; empty if no endpoint wants it.
	EndpointID string `json:"endpoint_id,omitempty"`
	// Type is one of FACTS 3.3, such as "payment.succeeded".
	Type string `json:"type"`
	// ObjectID is the payment, refund, dispute or subscription that it is about.
	ObjectID string `json:"object_id"`
	// At is when it happened, in simulated time.
	At time.Time `json:"at"`
	// State and Attempts describe its delivery; attempts by Redeliver count too.
	State    EventState `json:"state"`
	Attempts int        `json:"attempts"`
}

// Delivery is one attempt to deliver an event.
type Delivery struct {
	// EventID and Type are those of the event. WebhookID is the header that was sent; it
	// differs only with [Simulator.DeliverAs] and [Mischief].
	EventID, Type, WebhookID string
	// Copy says that Mischief added this attempt. It is not retried, and does not count as the
	// event's delivery.
	Copy bool
	// Attempt counts from 1 per event.
	Attempt int
	// At is when it was sent by Options.Clock, the time in its signature.
	At time.Time
	// Header and Body are exactly what was sent.
	Header http.Header
	Body   []byte
	// Status is the HTTP status of the answer; 0 if there was none, and Err says why.
	Status int
	Err    error
}

// Acknowledged reports whether the receiver accepted the event with any 2xx. A redirect is a
// failure too (FACTS 3.1).
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
	to     *webhookEndpoint // nil: no endpoint wants it
	tried  bool             // an attempt has ended
	copies int              // that Mischief adds and that are not sent yet
	frozen []byte           // the body, if it must not follow the object

	occurrence int    // number of what happened, the same for all endpoints
	copyOf     string // the event that this endpoint has missed; usually empty
}

// envelope is a webhook's body (FACTS 3.2).
type envelope struct {
	BusinessID string    `json:"business_id"`
	Type       string    `json:"type"`
	Timestamp  time.Time `json:"timestamp"`
	Data       any       `json:"data"`
}

// emit records that something happened and starts to send it, once for each endpoint that
// wants it. Whether endpoints get an event with the same id is UNCONFIRMED (FACTS 3.1);
// Options.SharedWebhookIDs decides. The caller holds s.mu.
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

func (s *Simulator) emitTo(h *webhookEndpoint, id, eventType string, about subject, at time.Time) {
	e := &event{about: about, to: h, occurrence: s.happenings, Event: Event{
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

// body encodes the event with the current state of its object, not the one when it happened:
// Dodo delivers the latest state (FACTS 3.1). [Mischief] may change that. The caller holds
// s.mu.
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
		body, err = withQuirks(e.Type, body)
	}
	if err != nil {
		return nil, err
	}
	return s.options.untold(body)
}
