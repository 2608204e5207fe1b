package dodosim

import "time"

// refusedChallenge is the error code of a payment that the customer refused to confirm:
// UNCONFIRMED.
const refusedChallenge = "AUTHENTICATION_FAILURE"

// challenge starts an attempt to pay that the customer's bank wants confirmed, as by 3-D
// Secure: a payment that waits with requires_customer_action, without an event. Which cards
// Dodo challenges in test mode is UNCONFIRMED; here the page has a choice for it, and
// force_3ds in the request removes that choice. A subscription starts with the result:
// UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) challenge(session *session, with card, by buyer) *Error {
	now := s.now()
	if refusal := session.usable(now); refusal != nil {
		return refusal
	}
	if sub := session.recharges; sub != nil {
		if refusal := sub.cardReplaceable(now); refusal != nil {
			return refusal
		}
		session.bill = s.owed(sub)
	} else {
		if refusal := s.redeemable(session, by); refusal != nil {
			return refusal
		}
		s.settleBuyer(session, by)
	}
	p := s.newPayment(session.charge(now))
	p.chargeCard(with, "")
	p.Status = ActionRequired
	if sub := session.recharges; sub != nil {
		p.belongTo(sub)
		p.IsUpdateMethod = true
	} else {
		session.label(p)
	}
	session.subscription = session.recharges // of no earlier try
	p = s.recordAttempt(session, p)
	session.challenged, session.with = p, with
	s.schedule(session.expires, func(at time.Time) bool { return s.cancelPayment(p, at) })
	return nil
}

// decide ends a challenge: with the card's result, or with a decline if the customer refused.
// The caller holds s.mu.
func (s *Simulator) decide(session *session, confirmed bool) (*payment, *Error) {
	if session.challenged == nil {
		return nil, refuse(codeInvalidParameters, "there is no payment to confirm")
	}
	with := session.with
	if !confirmed {
		with.decline = refusedChallenge
	}
	return s.pay(session, with, session.buyer)
}
