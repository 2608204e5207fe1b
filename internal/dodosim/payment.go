package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// PaymentStatus is the outcome of a try to pay.
type PaymentStatus string

// The outcomes that the simulator produces, of the eleven in FACTS 2.5.
const (
	Succeeded PaymentStatus = "succeeded"
	Failed    PaymentStatus = "failed"
)

// paymentStatuses is what the status filter of GET /payments accepts.
var paymentStatuses = wordSet(`succeeded failed cancelled processing requires_customer_action requires_merchant_action
	requires_payment_method requires_confirmation requires_capture partially_captured partially_captured_and_capturable`)

// billing is an address. Only the country is ever required.
type billing struct {
	Country string  `json:"country"`
	City    *string `json:"city"`
	State   *string `json:"state"`
	Street  *string `json:"street"`
	Zipcode *string `json:"zipcode"`
}

// payment is the object of FACTS 2.5, in the shape of the API and of webhooks. Card
// fields are written as in a real test-mode capture, lower case and sparse (FACTS 3.9).
// Guarded by [Simulator.mu].
type payment struct {
	PaymentID           string           `json:"payment_id"`
	BusinessID          string           `json:"business_id"`
	BrandID             string           `json:"brand_id"`
	Status              PaymentStatus    `json:"status"`
	TotalAmount         int64            `json:"total_amount"`
	Currency            string           `json:"currency"`
	Tax                 *int64           `json:"tax"`
	SettlementAmount    int64            `json:"settlement_amount"`
	SettlementCurrency  string           `json:"settlement_currency"`
	SettlementTax       *int64           `json:"settlement_tax"`
	Customer            customer         `json:"customer"`
	Billing             billing          `json:"billing"`
	Metadata            metadata         `json:"metadata"`
	ProductCart         []cartItem       `json:"product_cart"`
	SubscriptionID      *string          `json:"subscription_id"`
	CheckoutSessionID   *string          `json:"checkout_session_id"`
	PaymentLink         *string          `json:"payment_link"`
	PaymentMethod       *string          `json:"payment_method"`
	PaymentMethodType   *string          `json:"payment_method_type"`
	PaymentMethodID     *string          `json:"payment_method_id"`
	CardLastFour        *string          `json:"card_last_four"`
	CardNetwork         *string          `json:"card_network"`
	CardType            *string          `json:"card_type"`
	CardIssuingCountry  *string          `json:"card_issuing_country"`
	CardHolderName      *string          `json:"card_holder_name"`
	ErrorCode           *string          `json:"error_code"`
	ErrorMessage        *string          `json:"error_message"`
	RetryAttempt        int              `json:"retry_attempt"`
	IsUpdateMethod      bool             `json:"is_update_payment_method"`
	RefundStatus        *string          `json:"refund_status"`
	Refunds             []refundItem     `json:"refunds"`
	Disputes            []any            `json:"disputes"`
	Discounts           []discountDetail `json:"discounts"`
	DiscountID          *string          `json:"discount_id"`
	DigitalDelivered    bool             `json:"digital_products_delivered"`
	InvoiceID           *string          `json:"invoice_id"`
	InvoiceURL          *string          `json:"invoice_url"`
	CustomFieldResponse []any            `json:"custom_field_responses"`
	PaymentProvider     string           `json:"payment_provider"`
	CreatedAt           time.Time        `json:"created_at"`
	UpdatedAt           *time.Time       `json:"updated_at"`

	lines    []line // what each product cost, for refunds
	refunded int64
}

// pay makes one try to pay a session, as a payment of its own: whether Dodo reuses the
// id of a declined one is UNCONFIRMED (FACTS 2.1). A decline leaves the session usable.
// An amount of zero needs no card. The caller holds s.mu.
func (s *Simulator) pay(session *session, with card, by buyer) (*payment, *Error) {
	now := s.now()
	if refusal := session.usable(now); refusal != nil {
		return nil, refusal
	}
	s.settleBuyer(session, by)
	p := s.newPayment(session, now)
	if session.bill.total > 0 {
		p.chargeCard(with)
	}
	if p.Status == Succeeded {
		p.Tax, p.SettlementTax = new(int64(0)), new(int64(0)) // null on what never settled (FACTS 3.9)
		for _, code := range session.bill.codes {
			s.discountUses[code.Code]++
		}
	}
	p.Discounts = s.details(session.bill.codes)
	if len(p.Discounts) > 0 {
		p.DiscountID = new(p.Discounts[0].DiscountID)
	}
	session.last = p
	s.payments[p.PaymentID] = p
	s.paymentOrder = append(s.paymentOrder, p)
	if s.options.SendProcessing {
		s.emit("payment.processing", p)
	}
	s.emit("payment."+string(p.Status), p)
	s.logger().Info("payment made", "payment", p.PaymentID, "session", session.id,
		"status", p.Status, "total", p.TotalAmount, "currency", p.Currency)
	return p, nil
}

// settleBuyer finds the customer of this try. A later try with another e-mail is another
// customer's. The caller holds s.mu.
func (s *Simulator) settleBuyer(session *session, by buyer) {
	if session.customer == nil || session.customer.Email != by.email {
		c := s.customerFor(by, session.alwaysNew)
		session.customer = &c
	}
	session.buyer = by
}

// newPayment is a payment of everything in the session, succeeded until a card says
// otherwise.
func (s *Simulator) newPayment(session *session, now time.Time) *payment {
	return &payment{
		PaymentID:          newID("pay_"),
		BusinessID:         s.business,
		BrandID:            s.brand,
		Status:             Succeeded,
		TotalAmount:        session.bill.total,
		Currency:           session.bill.currency,
		SettlementAmount:   session.bill.total,
		SettlementCurrency: session.bill.currency,
		Customer:           *session.customer,
		Billing:            session.billing,
		Metadata:           session.metadata,
		ProductCart:        session.cart,
		CheckoutSessionID:  new(session.id),
		Refunds:            []refundItem{},
		Disputes:           []any{},
		PaymentProvider:    "dodo",
		CreatedAt:          now,
		lines:              slices.Clone(session.bill.lines),
	}
}

func (p *payment) chargeCard(c card) {
	p.PaymentMethod = new("card")
	p.CardLastFour = new(c.lastFour())
	p.CardNetwork = new(c.network)
	p.CardType = new("credit")
	if c.decline != "" {
		p.Status = Failed
		p.ErrorCode = new(c.decline)
		p.ErrorMessage = new(declineMessages[c.decline])
	}
}

// payload is the payment as webhooks carry it.
func (p *payment) payload() any {
	return struct {
		*payment
		PayloadType string `json:"payload_type"`
	}{p, "Payment"}
}

func (p *payment) objectID() string { return p.PaymentID }

// findPayment looks a payment up. The caller holds s.mu.
func (s *Simulator) findPayment(id string) (*payment, *Error) {
	p, ok := s.payments[id]
	if !ok {
		return nil, refuse(codeNotFound, "there is no payment %s", id)
	}
	return p, nil
}

// getPayment answers GET /payments/{id}. A missing one is 404, as Dodo's error page has
// it; the API description lists only 200 and 500 (FACTS 1.3, UNCONFIRMED).
func (s *Simulator) getPayment(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findPayment(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(p)
}
