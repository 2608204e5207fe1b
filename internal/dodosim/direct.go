package dodosim

import (
	"net/http"
	"time"
)

// maxDirectLines bounds the cart of a payment without a checkout (FACTS 2.4).
const maxDirectLines = 100

// directRequest is the part of POST /payments that the simulator uses (FACTS 2.4).
type directRequest struct {
	Billing         *billing         `json:"billing"`
	Customer        *customerRequest `json:"customer"`
	ProductCart     []cartRequest    `json:"product_cart"`
	PaymentLink     bool             `json:"payment_link"`
	MethodTypes     []string         `json:"allowed_payment_method_types"`
	ReturnURL       *string          `json:"return_url"`
	Metadata        metadata         `json:"metadata"`
	DiscountCodes   []string         `json:"discount_codes"`
	DiscountCode    *string          `json:"discount_code"`
	BillingCurrency *string          `json:"billing_currency"`
	PaymentMethodID *string          `json:"payment_method_id"`
	Force3DS        *bool            `json:"force_3ds"`
}

// directResponse is the answer to POST /payments.
type directResponse struct {
	PaymentID    string     `json:"payment_id"`
	ClientSecret string     `json:"client_secret"`
	Customer     customer   `json:"customer"`
	Metadata     metadata   `json:"metadata"`
	TotalAmount  int64      `json:"total_amount"`
	PaymentLink  *string    `json:"payment_link"`
	ExpiresOn    *time.Time `json:"expires_on"`
	DiscountIDs  []string   `json:"discount_ids"`
	DiscountID   *string    `json:"discount_id"`
	ProductCart  []cartItem `json:"product_cart"`
}

// createPayment answers POST /payments: it creates a payment before any attempt to pay. The
// payment is made on the page at payment_link, or immediately with a saved method.
func (s *Simulator) createPayment(r *http.Request) (any, error) {
	request, refusal := readJSON[directRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Billing == nil || request.Customer == nil:
		return nil, refuse(codeInvalidBody, "billing and customer are required")
	case request.PaymentMethodID != nil && request.Customer.CustomerID == nil:
		return nil, refuse(codeInvalidParameters, "payment_method_id needs customer.customer_id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session, refusal := s.directSession(request)
	if refusal != nil {
		return nil, refusal
	}
	p := s.awaitDirect(session)
	p.ProductCart = session.cart
	var expires *time.Time
	if request.PaymentLink {
		expires = s.link(r, session, p)
	}
	if session.method != nil {
		if _, refusal := s.paySaved(session); refusal != nil {
			return nil, refusal
		}
	}
	return snapshot(directResponse{
		PaymentID: p.PaymentID, ClientSecret: clientSecret(p), Customer: p.Customer, Metadata: p.Metadata,
		TotalAmount: p.TotalAmount, PaymentLink: p.PaymentLink, ExpiresOn: expires,
		DiscountID: p.DiscountID, DiscountIDs: p.discountIDs(), ProductCart: session.cart,
	})
}

// awaitDirect makes the payment of a session that is not a checkout: the session has the
// payment's id. The caller holds s.mu.
func (s *Simulator) awaitDirect(session *session) *payment {
	p := s.await(session)
	p.CheckoutSessionID = nil
	session.id = p.PaymentID
	s.sessions[session.id] = session
	return p
}

// link gives a payment the address of its page, and returns when it expires.
func (s *Simulator) link(r *http.Request, session *session, p *payment) *time.Time {
	p.PaymentLink = new(s.publicURL(r) + "/session/" + session.id)
	return &session.expires
}

func (p *payment) discountIDs() []string {
	var ids []string
	for _, d := range p.Discounts {
		ids = append(ids, d.DiscountID)
	}
	return ids
}

// directSession is the page of a payment. It does not have the payment's id yet.
func (s *Simulator) directSession(request directRequest) (*session, *Error) {
	as := checkoutRequest{
		ProductCart: request.ProductCart, Customer: request.Customer, BillingAddress: request.Billing,
		BillingCurrency: request.BillingCurrency, ReturnURL: request.ReturnURL, Metadata: request.Metadata,
		DiscountCodes: request.DiscountCodes, DiscountCode: request.DiscountCode, maxLines: maxDirectLines,
		MethodTypes: request.MethodTypes, Force3DS: request.Force3DS,
	}
	session, refusal := s.newSession(as)
	if refusal != nil {
		return nil, refusal
	}
	if l, recurring := session.bill.recurring(); recurring {
		return nil, refuse(codeInvalidParameters, "product %s is recurring", l.product.ID)
	}
	if request.PaymentMethodID != nil {
		session.method, refusal = s.findMethod(session.customer.CustomerID, *request.PaymentMethodID)
	}
	return session, refusal
}

// await makes the payment of a session before any attempt to pay. A customer without a name
// gets the e-mail as name. The caller holds s.mu.
func (s *Simulator) await(session *session) *payment {
	by := session.buyer
	if by.name == "" {
		by.name = by.email
	}
	if session.customer == nil {
		s.settleBuyer(session, by)
	}
	p := s.newPayment(session.charge(session.created))
	p.Status = Awaited
	p.CheckoutSessionID = new(session.id)
	session.presented = p
	s.recordPayment(p)
	s.watchCheckout(session, p)
	s.schedule(session.expires, func(at time.Time) bool { return s.cancelPayment(p, at) })
	return p
}

// paySaved charges a session to its saved method. The customer is not present. The caller
// holds s.mu.
func (s *Simulator) paySaved(session *session) (*payment, *Error) {
	with := session.method.card
	with.decline = with.forLater()
	p, refusal := s.pay(session, with, session.buyer)
	if refusal == nil {
		session.method.lastUsed = p.outcomeTime()
	}
	return p, refusal
}

// clientSecret is for a script of Dodo's that the simulator does not have. Its form is a
// guess.
func clientSecret(p *payment) string { return p.PaymentID + "_secret_simulator" }
