package dodosim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// The buyer that [Simulator.Pay] uses if the session has none.
const (
	someEmail = "customer@example.com"
	someName  = "Test Customer"
)

// Attempt is the result of an attempt to pay. A decline is a result, not an error.
type Attempt struct {
	PaymentID string
	// SubscriptionID is the subscription that the payment belongs to, if any.
	SubscriptionID string
	Status         PaymentStatus
	// RedirectURL is the address to which the browser would be redirected: the return_url with
	// Dodo's parameters. Empty without a return_url.
	RedirectURL string
}

// Pay pays a session with a test card, like a customer on the page who confirms every request
// of the bank. It returns when the payment is made; the webhooks follow in the background. The
// error is an *[Error] if the session or the card cannot be used.
func (s *Simulator) Pay(sessionID, cardNumber string) (Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, refusal := s.findSession(sessionID)
	if refusal != nil {
		return Attempt{}, refusal
	}
	with, refusal := session.instrument(cardNumber)
	if refusal != nil {
		return Attempt{}, refusal
	}
	by := session.buyer
	if by.email == "" {
		by.email = someEmail
	}
	if by.name == "" {
		by.name = someName
	}
	p, refusal := s.pay(session, with, by)
	if refusal != nil {
		return Attempt{}, refusal
	}
	return Attempt{
		PaymentID:      p.PaymentID,
		SubscriptionID: valueOrEmpty(p.SubscriptionID),
		Status:         p.Status,
		RedirectURL:    s.redirect(session),
	}, nil
}

// Events returns all events so far, oldest first.
func (s *Simulator) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := make([]Event, 0, len(s.events))
	for _, e := range s.events {
		events = append(events, e.Event)
	}
	return events
}

// Deliveries returns the finished delivery attempts, in the order in which they ended. The
// caller may keep the result and change the headers; bodies are shared.
func (s *Simulator) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	deliveries := slices.Clone(s.deliveries)
	for i := range deliveries {
		deliveries[i].Header = deliveries[i].Header.Clone()
	}
	return deliveries
}

// HoldWebhooks stops the sending of events and retries until it is called with false, which
// sends all of them in no particular order. A test that needs an order holds them and calls
// [Simulator.Redeliver]; a test that needs a lost webhook never releases them.
func (s *Simulator) HoldWebhooks(hold bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case hold && !s.held():
		s.released = make(chan struct{})
	case !hold && s.held():
		close(s.released)
	}
	s.signal()
}

// Held reports whether webhooks are held.
func (s *Simulator) Held() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held()
}

// held reports whether webhooks are held. The caller holds s.mu.
func (s *Simulator) held() bool {
	select {
	case <-s.released:
		return false
	default:
		return true
	}
}

// Redeliver sends an event once, immediately, even if it was delivered before or webhooks are
// held: the replay of Dodo's dashboard, with the same webhook-id and the object's current
// state. It returns when the receiver has answered. An acknowledged event is not sent again
// automatically.
func (s *Simulator) Redeliver(ctx context.Context, eventID string) (Delivery, error) {
	return s.DeliverAs(ctx, eventID, eventID)
}

// DeliverAs is Redeliver with another webhook-id, as a second endpoint of the account may see
// the event (UNCONFIRMED, FACTS 3.1). It does not change the event's own state.
func (s *Simulator) DeliverAs(ctx context.Context, eventID, webhookID string) (Delivery, error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.events, func(e *event) bool { return e.ID == eventID })
	var e *event
	if i >= 0 {
		e = s.events[i]
	}
	reachable := e != nil && e.to != nil && e.to.reachable()
	s.mu.Unlock()
	switch {
	case e == nil:
		return Delivery{}, fmt.Errorf("deliver event: there is no event %s", eventID)
	case !reachable:
		return Delivery{}, errors.New("deliver event: no webhook endpoint takes it")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)() // Close ends this too
	return s.attempt(ctx, e, Delivery{WebhookID: webhookID}, attemptFaults{})
}

// Flush waits until every event has been delivered, has failed, or had its first attempt, and
// until the deliveries that [Mischief] adds are sent. It waits neither for retries nor for
// held events.
func (s *Simulator) Flush(ctx context.Context) error {
	for {
		s.mu.Lock()
		waiting := !s.held() && slices.ContainsFunc(s.events, func(e *event) bool {
			return e.State == EventPending && !e.tried || e.copies > 0
		})
		progress := s.progress
		s.mu.Unlock()
		if !waiting {
			return nil
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Calls counts the API calls to a route since the start, refused ones included. The path is
// the route's, such as "/payments/{id}". An empty method or path matches any, so Calls("", "")
// counts everything, including unknown routes. The hosted page does not count.
func (s *Simulator) Calls(method, path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for call, count := range s.calls {
		if (method == "" || method == call.method) && (path == "" || path == call.path) {
			total += count
		}
	}
	return total
}

var _ http.Handler = (*Simulator)(nil)
