package dodosim

import (
	"slices"
	"time"
)

// slowCharge is how long a charge to an Indian card or by UPI takes if the customer is not
// present (FACTS 3.4).
const slowCharge = 48 * time.Hour

// takesLong reports whether a charge without the customer is processing before it has a
// result: because of the card, or of the option for all cards.
func (s *Simulator) takesLong(sub *subscription) bool { return sub.card.slow || s.options.SlowRenewals }

// processSlowly sets a charge to processing, restores its result after slowCharge, and then
// calls done. Nothing else is charged meanwhile. The caller holds s.mu.
func (s *Simulator) processSlowly(sub *subscription, p *payment, done func(at time.Time)) {
	outcome, code, message := p.Status, p.ErrorCode, p.ErrorMessage
	p.Status, p.ErrorCode, p.ErrorMessage, p.Tax, p.SettlementTax = Processing, nil, nil, nil, nil
	p.InvoiceID, p.InvoiceURL = nil, nil
	sub.processing = p
	s.recordPayment(p)
	s.emit("payment.processing", p, p.outcomeTime())
	s.schedule(p.CreatedAt.Add(slowCharge), func(at time.Time) bool {
		p.Status, p.ErrorCode, p.ErrorMessage = outcome, code, message
		p.UpdatedAt, sub.processing, sub.notBefore = new(at), nil, at
		s.recordPayment(p)
		s.emit("payment."+string(outcome), p, at)
		done(at)
		return true
	})
}

// SlowCard makes each charge to a subscription's card without the customer process for two
// days, like one to an Indian card, and then succeed, or fail if fails is set. A charge that
// is already processing is not affected. The error is an *[Error].
func (s *Simulator) SlowCard(subscriptionID string, fails bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(subscriptionID)
	if refusal != nil {
		return refusal
	}
	sub.card.slow, sub.card.later = true, ""
	if fails {
		sub.card.later = slowDecline
	}
	return nil
}

// slowDecline is the error code of a charge that fails after two days: UNCONFIRMED.
const slowDecline = "INSUFFICIENT_FUNDS"

// LatestSubscription is the id of an account's latest subscription that is not over. The
// account is a value in the subscription's metadata. The error is an *[Error].
func (s *Simulator) LatestSubscription(account string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range slices.Backward(s.subscriptionOrder) {
		if !sub.over() && sub.Metadata.mentions(account) {
			return sub.SubscriptionID, nil
		}
	}
	return "", refuse(codeNotFound, "%s has no subscription", account)
}
