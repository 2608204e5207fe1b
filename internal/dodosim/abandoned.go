package dodosim

import "time"

// abandonedAfter is when a checkout counts as abandoned (FACTS 3.3: "about 60 minutes").
const abandonedAfter = time.Hour

// abandonment is an abandoned checkout, in the shape of webhooks (FACTS 3.8). Guarded by
// [Simulator.mu].
type abandonment struct {
	PaymentID          string    `json:"payment_id"`
	CustomerID         string    `json:"customer_id"`
	BrandID            string    `json:"brand_id"`
	Reason             string    `json:"abandonment_reason"`
	Status             string    `json:"status"`
	AbandonedAt        time.Time `json:"abandoned_at"`
	RecoveredPaymentID *string   `json:"recovered_payment_id"`
}

func (a *abandonment) objectID() string { return a.PaymentID }

// payload is the checkout as webhooks carry it.
func (a *abandonment) payload() any {
	return struct {
		*abandonment
		PayloadType string `json:"payload_type"`
	}{a, "AbandonedCheckout"}
}

// watchCheckout checks an hour after an unpaid payment whether its checkout was abandoned. A
// session without any payment does not count, because the event is about a payment (FACTS
// 3.8). The caller holds s.mu.
func (s *Simulator) watchCheckout(session *session, p *payment) {
	if !s.options.AbandonedCheckouts || p.Status == Succeeded || session.recharges != nil {
		return
	}
	left := p.outcomeTime()
	s.schedule(left.Add(abandonedAfter), func(at time.Time) bool { return s.abandonCheckout(session, p, left, at) })
}

// abandonCheckout records that the customer has left after a payment, unless there was a later
// attempt, which has its own check.
func (s *Simulator) abandonCheckout(session *session, p *payment, left, at time.Time) bool {
	latest := session.last
	if latest == nil {
		latest = session.presented
	}
	if latest != p || p.Status == Succeeded || !p.outcomeTime().Equal(left) || session.abandoned != nil {
		return false
	}
	session.abandoned = &abandonment{
		PaymentID: p.PaymentID, CustomerID: p.Customer.CustomerID, BrandID: s.brand,
		Reason: "checkout_incomplete", Status: attemptAbandoned, AbandonedAt: left,
	}
	if p.Status == Failed {
		session.abandoned.Reason = "payment_failed"
	}
	s.emit("abandoned_checkout.detected", session.abandoned, at)
	s.schedule(session.expires, func(time.Time) bool {
		if session.abandoned.Status == attemptAbandoned {
			session.abandoned.Status = attemptExhausted
		}
		return false
	})
	return true
}

// recoverCheckout records that an abandoned checkout was paid after all. Dodo counts only
// payments through the link in its mail; here it is the same page. The caller holds s.mu.
func (s *Simulator) recoverCheckout(session *session, p *payment) {
	if a := session.abandoned; a != nil && p.Status == Succeeded && a.Status == attemptAbandoned {
		a.Status, a.RecoveredPaymentID = attemptRecovered, new(p.PaymentID)
		s.emit("abandoned_checkout.recovered", a, p.outcomeTime())
	}
}
