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

// session is one checkout: a cart on its way to at most one successful payment. All but
// the id and the times are guarded by [Simulator.mu].
type session struct {
	id               string
	created, expires time.Time

	cart      []cartItem
	bill      bill
	billing   billing
	metadata  metadata
	returnURL string // "": the page itself says how it went
	cancelURL string // "": no way back is shown

	allowCode, editEmail, editName, alwaysNew bool

	buyer    buyer     // what the merchant prefilled, then what the customer typed
	customer *customer // once known: attached by the merchant, or made by the first try
	last     *payment  // the latest try; a success is always the last
	open     *payment  // the one that the merchant was told of before any try; nil in most sessions
	method   *method   // a saved card, if the merchant charges one

	methodTypes []string // that the merchant allows; nil: all
	force3DS    bool     // every card is challenged
	challenged  *payment // waits for the customer's bank to be answered; nil in most sessions
	with        card     // that it is to be made with

	abandoned *abandonment // once it was found to be

	recharges *subscription // whose card this session replaces; nil: it sells a cart

	terms        terms         // what the merchant changed about the recurring product
	subscription *subscription // of the latest try; nil for a cart without such a product
	pending      *subscription // the one that the merchant was told of before any try; nil in most sessions
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

// getCheckout answers GET /checkouts/{id}. An expired session looks like an open one:
// nothing in Dodo's answer tells them apart.
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
	if p := cmp.Or(session.last, session.open); p != nil {
		status.PaymentID = new(p.PaymentID)
		status.PaymentStatus = new(p.Status)
	}
	return status, nil
}

// direct reports whether the session is the page of a payment that was made without a
// checkout: it has the payment's id, and the API does not know it.
func (session *session) direct() bool {
	return session.open != nil && session.open.PaymentID == session.id
}

// findSession looks a session up. The caller holds s.mu.
func (s *Simulator) findSession(id string) (*session, *Error) {
	session, ok := s.sessions[id]
	if !ok {
		return nil, refuse(codeNotFound, "there is no checkout session %s", id)
	}
	return session, nil
}

// usable says whether the session can still be paid. The caller holds s.mu.
func (session *session) usable(now time.Time) *Error {
	switch {
	case session.paid():
		return refuse(codeSessionConsumed, "this checkout session has been paid")
	case session.pending != nil && session.pending.over():
		return refuse(codeSessionExpired, "subscription %s is %s", session.pending.SubscriptionID, session.pending.Status)
	case session.open != nil && session.open.Status == Cancelled:
		return refuse(codeSessionExpired, "the payment of this session was cancelled")
	case !now.Before(session.expires):
		return refuse(codeSessionExpired, "this checkout session has expired")
	}
	return nil
}

func (session *session) paid() bool {
	return session.last != nil && session.last.Status == Succeeded
}

// needsCard reports whether a card is asked for: a subscription needs one for later even
// if nothing is charged now (UNCONFIRMED; newer servers have options for it).
func (session *session) needsCard() bool {
	_, recurring := session.bill.recurring()
	return recurring || session.recharges != nil || session.bill.total > 0
}

// redirect is where the browser goes after the latest try: the merchant's return_url
// with the parameters of FACTS 2.3, or "" without a return_url or a try. The merchant's
// own query stays as it is, byte for byte, in front.
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
