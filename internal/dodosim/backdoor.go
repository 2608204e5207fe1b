package dodosim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// What a session's buyer is called by [Simulator.Pay] when nobody said it.
const (
	someEmail = "customer@example.com"
	someName  = "Test Customer"
)

// Attempt is how a try to pay went. A decline is an outcome, not an error.
type Attempt struct {
	PaymentID string
	// SubscriptionID is the subscription that the payment belongs to, if any.
	SubscriptionID string
	Status         PaymentStatus
	// RedirectURL is where the browser would go now: the return_url with Dodo's
	// parameters. Empty without a return_url.
	RedirectURL string
}

// Pay pays a session by a test card, as a customer would on the page who confirms
// whatever the bank asks, and returns once the payment is made; its webhooks follow on
// their own. The error is an *[Error] if the
// session or the card cannot be used.
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
		SubscriptionID: text(p.SubscriptionID),
		Status:         p.Status,
		RedirectURL:    s.redirect(session),
	}, nil
}

// Events returns what has happened so far, oldest first.
func (s *Simulator) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := make([]Event, 0, len(s.events))
	for _, e := range s.events {
		events = append(events, e.Event)
	}
	return events
}

// Deliveries returns the finished attempts to deliver events, in the order in which they
// ended. The caller may keep the result and change the headers; bodies are shared.
func (s *Simulator) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	deliveries := slices.Clone(s.deliveries)
	for i := range deliveries {
		deliveries[i].Header = deliveries[i].Header.Clone()
	}
	return deliveries
}

// HoldWebhooks keeps events, and retries of earlier ones, from being sent until it is
// called with false, which lets all of them go at once in no particular order. A test
// that wants an order holds them and calls [Simulator.Redeliver]; one that wants a lost
// webhook never releases.
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

// Redeliver sends an event once, now, whether or not it was delivered before and even
// while webhooks are held: the replay of Dodo's dashboard, with the same webhook-id and
// the object's present state. It returns when the receiver has answered. An acknowledged
// event is not sent again on its own.
func (s *Simulator) Redeliver(ctx context.Context, eventID string) (Delivery, error) {
	return s.DeliverAs(ctx, eventID, eventID)
}

// DeliverAs is Redeliver under another webhook-id, as a second endpoint of the account
// might see the event (UNCONFIRMED, FACTS 3.1). It leaves the event's own state alone.
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
	return s.attempt(ctx, e, Delivery{WebhookID: webhookID}, mishap{})
}

// Flush waits until every event has been delivered, has failed, or at least had its
// first attempt, and until what [Mischief] adds has been sent. It does not wait for
// retries, nor for events that are held.
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

// Calls counts the API calls to a route since the start, refused ones included. The path
// is the route's, such as "/payments/{id}"; an empty method or path stands for any, so
// Calls("", "") counts everything, calls to unknown routes too. The hosted page does not
// count.
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
