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
	Disputes            []disputeItem    `json:"disputes"`
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
	codes    []Discount
	refunded int64
}

// pay makes one try to pay a session, as a payment of its own: whether Dodo reuses the
// id of a declined one is UNCONFIRMED (FACTS 2.1). A decline leaves the session usable.
// The caller holds s.mu.
func (s *Simulator) pay(session *session, with card, by buyer) (*payment, *Error) {
	now := s.now()
	if refusal := session.usable(now); refusal != nil {
		return nil, refusal
	}
	s.settleBuyer(session, by)
	p := s.newPayment(charge{
		at:       now,
		bill:     session.bill,
		customer: *session.customer,
		billing:  session.billing,
		metadata: session.metadata,
	})
	p.CheckoutSessionID = new(session.id)
	if session.needsCard() {
		p.chargeCard(with, with.decline)
	}
	if p.Status == Succeeded {
		for _, code := range session.bill.codes {
			s.discountUses[code.Code]++ // once per checkout: a renewal redeems no code again
		}
	}
	session.last, session.subscription = p, nil
	if plan, ok := session.bill.recurring(); ok {
		session.subscription = s.newSubscription(session, plan, with, now)
		p.belongTo(session.subscription)
		s.book(p)
		s.announceStart(session.subscription, p)
		s.grantBought(p)
		return p, nil
	}
	p.ProductCart = session.cart
	s.book(p)
	s.announce(p)
	s.grantBought(p)
	return p, nil
}

// book makes a payment known whose outcome is decided. The caller holds s.mu.
func (s *Simulator) book(p *payment) {
	if p.Status == Succeeded {
		p.Tax, p.SettlementTax = new(int64(0)), new(int64(0)) // null on what never settled (FACTS 3.9)
	}
	p.Discounts = s.details(p.codes)
	if len(p.Discounts) > 0 {
		p.DiscountID = new(p.Discounts[0].DiscountID)
	}
	s.payments[p.PaymentID] = p
	s.paymentOrder = append(s.paymentOrder, p)
	s.logger().Info("payment made", "payment", p.PaymentID, "session", text(p.CheckoutSessionID),
		"subscription", text(p.SubscriptionID), "status", p.Status, "total", p.TotalAmount, "currency", p.Currency)
}

// announce sends a payment's own events. The caller holds s.mu.
func (s *Simulator) announce(p *payment) {
	if s.options.SendProcessing {
		s.emit("payment.processing", p, p.CreatedAt)
	}
	s.emit("payment."+string(p.Status), p, p.CreatedAt)
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

// charge is what a payment is for, and whose.
type charge struct {
	at       time.Time
	bill     bill
	customer customer
	billing  billing
	metadata metadata
}

// newPayment is a payment that nobody knows of yet, succeeded until a card says
// otherwise.
func (s *Simulator) newPayment(c charge) *payment {
	return &payment{
		PaymentID:          newID("pay_"),
		BusinessID:         s.business,
		BrandID:            s.brand,
		Status:             Succeeded,
		TotalAmount:        c.bill.total,
		Currency:           c.bill.currency,
		SettlementAmount:   c.bill.total,
		SettlementCurrency: c.bill.currency,
		Customer:           c.customer,
		Billing:            c.billing,
		Metadata:           c.metadata,
		Refunds:            []refundItem{},
		Disputes:           []disputeItem{},
		PaymentProvider:    "dodo",
		CreatedAt:          c.at,
		lines:              slices.Clone(c.bill.lines),
		codes:              c.bill.codes,
	}
}

// belongTo marks a payment as a subscription's. Such a payment names no products: its
// product_cart is null (FACTS 2.5), even for a mixed cart, where that is UNCONFIRMED.
func (p *payment) belongTo(sub *subscription) {
	p.SubscriptionID = new(sub.SubscriptionID)
	p.PaymentMethodID = sub.PaymentMethodID
}

// chargeCard tries a card; decline is the error code that it ends with, if any.
func (p *payment) chargeCard(c card, decline string) {
	p.PaymentMethod = new("card")
	p.CardLastFour = new(c.lastFour())
	p.CardNetwork = new(c.network)
	p.CardType = new("credit")
	if decline != "" {
		p.Status = Failed
		p.ErrorCode = new(decline)
		p.ErrorMessage = new(declineMessages[decline])
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
