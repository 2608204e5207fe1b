package dodosim

import (
	"fmt"
	"time"
)

// CancelPayment ends a payment that the merchant knows of and that has no result yet, like a
// customer who leaves the page of some payment methods: payment.cancelled. A payment that
// nobody attempts is cancelled when its link expires, if time is advanced that far:
// UNCONFIRMED. The error is an *[Error] if there is no such payment.
func (s *Simulator) CancelPayment(paymentID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findPayment(paymentID)
	if refusal != nil {
		return refusal
	}
	if !s.cancelPayment(p, s.now()) {
		return fmt.Errorf("cancel payment %s: it is %s", paymentID, p.Status)
	}
	return nil
}

// cancelPayment reports whether there was anything to cancel. A session whose payment waited
// for the customer's bank can be paid again. The caller holds s.mu.
func (s *Simulator) cancelPayment(p *payment, at time.Time) bool {
	if p.Status != Awaited && p.Status != ActionRequired {
		return false
	}
	for _, session := range s.sessions {
		if session.challenged == p {
			session.challenged = nil
		}
	}
	p.Status, p.UpdatedAt = Cancelled, new(at)
	s.emit("payment.cancelled", p, at)
	if sub := s.subscriptions[valueOrEmpty(p.SubscriptionID)]; sub != nil && sub.Status == SubscriptionPending {
		sub.Status = SubscriptionFailed // it can no longer start: UNCONFIRMED
		s.emitAll(sub, at, "failed")
	}
	s.logger().Info("payment cancelled", "payment", p.PaymentID)
	return true
}
