package dodosim

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How long a session can be paid (FACTS 2.1). That a payment's own link lasts as long as a
// session is UNCONFIRMED.
const (
	sessionLife   = 24 * time.Hour
	confirmedLife = 15 * time.Minute
)

// session is one checkout: a cart with at most one successful payment. All fields except the
// id and the times are guarded by [Simulator.mu].
type session struct {
	id               string
	created, expires time.Time

	cart      []cartItem
	bill      bill
	billing   billing
	metadata  metadata
	returnURL string // empty: the page itself shows the result
	cancelURL string // empty: the page has no link back

	allowCode, editEmail, editName, alwaysNew bool

	buyer     buyer     // what the merchant prefilled, then what the customer typed
	customer  *customer // once known: set by the merchant, or by the first attempt
	last      *payment  // the latest attempt; a success is always the last
	presented *payment  // a payment that the merchant knew before any attempt; usually nil
	method    *method   // a saved card that the merchant charges

	methodTypes []string // that the merchant allows; nil: all
	force3DS    bool     // every card is challenged
	challenged  *payment // waits for the customer's answer to the bank; usually nil
	with        card     // the card of challenged

	abandoned *abandonment // set if it was abandoned

	recharges *subscription // the subscription whose card this session replaces; nil: it sells a cart

	terms        terms         // what the merchant changed about the recurring product
	subscription *subscription // of the latest attempt; nil for a cart without a recurring product
	pending      *subscription // a subscription that the merchant knew before any attempt; usually nil
}

// checkoutStatus is the body of GET /checkouts/{id} (FACTS 2.2).
type checkoutStatus struct {
	ID            string         `json:"id"`
	CreatedAt     time.Time      `json:"created_at"`
	CustomerEmail *string        `json:"customer_email"`
	CustomerName  *string        `json:"customer_name"`
	PaymentID     *string        `json:"payment_id"`
	PaymentStatus *PaymentStatus `json:"payment_status"`
}

// getCheckout answers GET /checkouts/{id}. Dodo's answer does not distinguish an expired
// session from an open one.
func (s *Simulator) getCheckout(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, refusal := s.findSession(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	if session.direct() {
		return nil, refuse(codeNotFound, "there is no checkout session %s", session.id)
	}
	status := checkoutStatus{ID: session.id, CreatedAt: session.created}
	if session.buyer.email != "" {
		status.CustomerEmail = new(session.buyer.email)
	}
	if session.buyer.name != "" {
		status.CustomerName = new(session.buyer.name)
	}
	if p := cmp.Or(session.last, session.presented); p != nil {
		status.PaymentID = new(p.PaymentID)
		status.PaymentStatus = new(p.Status)
	}
	return status, nil
}

// direct reports whether the session is the page of a payment without a checkout: it has the
// payment's id, and the API does not know it.
func (session *session) direct() bool {
	return session.presented != nil && session.presented.PaymentID == session.id
}

// findSession looks a session up. The caller holds s.mu.
func (s *Simulator) findSession(id string) (*session, *Error) {
	session, ok := s.sessions[id]
	if !ok {
		return nil, refuse(codeNotFound, "there is no checkout session %s", id)
	}
	return session, nil
}

// usable reports whether the session can still be paid. The caller holds s.mu.
func (session *session) usable(now time.Time) *Error {
	switch {
	case session.paid():
		return refuse(codeSessionConsumed, "this checkout session has been paid")
	case session.pending != nil && session.pending.over():
		return refuse(codeSessionExpired, "subscription %s is %s", session.pending.SubscriptionID, session.pending.Status)
	case session.presented != nil && session.presented.Status == Cancelled:
		return refuse(codeSessionExpired, "the payment of this session was cancelled")
	case !now.Before(session.expires):
		return refuse(codeSessionExpired, "this checkout session has expired")
	}
	return nil
}

func (session *session) paid() bool {
	return session.last != nil && session.last.Status == Succeeded
}

// needsCard reports whether a card is required: a subscription needs one for later even if
// nothing is charged now (UNCONFIRMED; newer servers have options for it).
func (session *session) needsCard() bool {
	_, recurring := session.bill.recurring()
	return recurring || session.recharges != nil || session.bill.total > 0
}

// redirect is where the browser goes after the latest attempt: the merchant's return_url with
// the parameters of FACTS 2.3, or "" without a return_url or an attempt. The merchant's own
// query stays unchanged, in front.
func (s *Simulator) redirect(session *session) string {
	if session.returnURL == "" || session.last == nil {
		return ""
	}
	target, err := url.Parse(session.returnURL)
	if err != nil { // cannot happen: newSession parsed it
		return ""
	}
	query := url.Values{"email": {session.last.Customer.Email}}
	if sub := session.subscription; sub != nil { // for mixed carts UNCONFIRMED
		query.Set("subscription_id", sub.SubscriptionID)
		query.Set("status", string(sub.Status))
	} else {
		query.Set("payment_id", session.last.PaymentID)
		query.Set("status", string(session.last.Status))
	}
	if keys := s.licensesOf(session.last); len(keys) > 0 {
		query.Set("license_key", strings.Join(keys, ","))
	}
	added := query.Encode()
	if target.RawQuery != "" {
		added = target.RawQuery + "&" + added
	}
	target.RawQuery = added
	return target.String()
}
