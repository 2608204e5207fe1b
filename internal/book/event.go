package book

import "time"

// EventState is what became of an event.
type EventState string

// The event states.
const (
	EventReceived EventState = "received" // stored, not applied yet
	EventApplied  EventState = "applied"  // folded; it may have changed nothing
	EventIgnored  EventState = "ignored"  // of a type without an effect
	EventParked   EventState = "parked"   // about money, could not be applied yet
)

// Final reports whether nothing more is to be done about an event.
func (s EventState) Final() bool { return s == EventApplied || s == EventIgnored }

// Event is one webhook delivery's content, named by its webhook-id.
type Event struct {
	ID         string     `json:"id"`
	Type       string     `json:"type"`
	Body       []byte     `json:"body"` // exactly as received, the newest delivery's, unless a [Retention] replaced it
	State      EventState `json:"state"`
	Reason     string     `json:"reason,omitempty"`  // why it is parked
	Object     string     `json:"object,omitempty"`  // the object that it speaks about ([entitlement.Ref.String])
	Account    string     `json:"account,omitempty"` // the account that it was applied to
	ReceivedAt time.Time  `json:"received_at"`       // of the first delivery, by the store's clock
	Deliveries int64      `json:"deliveries"`        // how many times it was recorded
}

// Settlement is what becomes of an event.
type Settlement struct {
	Event     Event
	Retention Retention
}

// Retention says what is kept of an event in a final state, and for how long. An
// event in another state waits to be applied: it is kept as it is, for ever.
type Retention struct {
	// Keep is how long after its receipt the event is forgotten, but not within
	// [Linger] of being delivered or settled; 0 keeps it for ever.
	Keep time.Duration
	// Body, unless it is empty, replaces the stored body, if that is the one of
	// the delivery that is settled: if the event was delivered again since, what
	// came last stays until that delivery is settled.
	Body []byte
}

// Linger is how long an event is kept at the least after it was delivered or
// settled, however old it is: so that whoever is at work on it finds it, and an
// event that waited for long can still be looked at when it was applied.
const Linger = 24 * time.Hour
