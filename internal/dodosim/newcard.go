package dodosim

import (
	"net/http"
	"time"
)

// methodRequest is the body of POST /subscriptions/{id}/update-payment-method. Some of
// Dodo's samples wrap it in payment_method (FACTS 2.7); the API description does not.
type methodRequest struct {
	Type            *string `json:"type"`
	ReturnURL       *string `json:"return_url"`
	PaymentMethodID *string `json:"payment_method_id"`
}

type methodResponse struct {
	PaymentID    *string    `json:"payment_id"`
	PaymentLink  *string    `json:"payment_link"`
	ClientSecret *string    `json:"client_secret"`
	ExpiresOn    *time.Time `json:"expires_on"`
}

// updateMethod answers POST /subscriptions/{id}/update-payment-method.
func (s *Simulator) updateMethod(r *http.Request) (any, error) {
	request, refusal := readJSON[methodRequest](r)
	switch kind := valueOrEmpty(request.Type); {
	case refusal != nil:
		return nil, refusal
	case kind != "new" && kind != "existing":
		return nil, refuse(codeInvalidBody, "type must be new or existing")
	case kind == "existing" && request.PaymentMethodID == nil:
		return nil, refuse(codeInvalidBody, "payment_method_id is required")
	case request.ReturnURL != nil && checkWebURL(*request.ReturnURL) != nil:
		return nil, refuse(codeInvalidParameters, "return_url must be an absolute http or https URL")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	if refusal := sub.cardReplaceable(s.now()); refusal != nil {
		return nil, refusal
	}
	if *request.Type == "existing" {
		m, refusal := s.findMethod(sub.Customer.CustomerID, *request.PaymentMethodID)
		if refusal != nil {
			return nil, refusal
		}
		return s.useSaved(sub, m), nil
	}
	session := s.cardSession(sub, valueOrEmpty(request.ReturnURL))
	p := session.presented
	p.PaymentLink = new(s.publicURL(r) + "/session/" + session.id)
	return methodResponse{new(p.PaymentID), new(*p.PaymentLink), new(clientSecret(p)), &session.expires}, nil
}

// cardReplaceable reports whether a subscription's card can be replaced.
func (sub *subscription) cardReplaceable(now time.Time) *Error {
	switch {
	case sub.over() || sub.Status == SubscriptionPending:
		return refuse(codeInactive, "subscription %s is %s", sub.SubscriptionID, sub.Status)
	case sub.owes() && !now.Before(sub.ExpiresAt):
		// Dodo has no transition from on_hold to expired (FACTS 3.6).
		return refuse(codeTermOver, "the term of subscription %s is over", sub.SubscriptionID)
	}
	return nil
}

// useSaved moves a subscription to a saved method and charges what is owed. That nothing is
// charged, and no payment is made, if nothing is owed is UNCONFIRMED.
func (s *Simulator) useSaved(sub *subscription, m *method) methodResponse {
	now := s.now()
	if !sub.owes() {
		sub.use(m)
		s.emitAll(sub, now, "update_payment_method", "updated")
		return methodResponse{}
	}
	with := m.card
	with.decline = with.forLater() // the customer is not present
	p := s.chargeDues(sub, with, now)
	p.IsUpdateMethod = true
	s.recordPayment(p)
	s.settleDues(sub, p, with, m, now)
	return methodResponse{PaymentID: new(p.PaymentID)}
}

// cardSession is the page on which the customer gives a subscription another card, and pays
// what is owed. The payment may be zero.
func (s *Simulator) cardSession(sub *subscription, returnURL string) *session {
	now, owner := s.now(), sub.Customer
	session := &session{
		created: now, expires: now.Add(sessionLife), bill: s.owed(sub), billing: sub.Billing, metadata: sub.Metadata, returnURL: returnURL,
		customer: &owner, buyer: buyer{email: owner.Email, name: owner.Name, phone: owner.Phone},
		recharges: sub, subscription: sub,
	}
	p := s.await(session)
	p.CheckoutSessionID, p.SubscriptionID, p.IsUpdateMethod = nil, new(sub.SubscriptionID), true
	session.id = p.PaymentID
	s.sessions[session.id] = session
	return session
}

// owed is what a new card must pay immediately: a cycle with the unpaid rest of the last one,
// or zero.
func (s *Simulator) owed(sub *subscription) bill {
	if sub.owes() {
		return s.cycleBill(sub)
	}
	return planBill(sub.plan.lines[0].product, 0, nil, nil)
}

// payNewCard pays with a new card on its page. It charges what the subscription owes now,
// which may differ from when the page was made. The caller holds s.mu.
func (s *Simulator) payNewCard(session *session, with card, now time.Time) (*payment, *Error) {
	sub := session.recharges
	if refusal := sub.cardReplaceable(now); refusal != nil {
		return nil, refusal
	}
	session.bill = s.owed(sub)
	owes := sub.owes()
	p := s.newPayment(session.charge(now))
	p.belongTo(sub)
	p.IsUpdateMethod = true
	p.chargeCard(with, with.decline)
	p = s.recordAttempt(session, p)
	if owes {
		s.settleDues(sub, p, with, nil, now)
		return p, nil
	}
	s.announce(p)
	if p.Status == Succeeded {
		s.attach(sub, with, now)
		p.PaymentMethodID = sub.PaymentMethodID
		s.emitAll(sub, now, "update_payment_method", "updated")
	}
	return p, nil
}
