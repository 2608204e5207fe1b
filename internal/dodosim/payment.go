package dodosim

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// PaymentStatus is the result of an attempt to pay.
type PaymentStatus string

// The statuses that the simulator produces, of the eleven in FACTS 2.5.
const (
	Succeeded PaymentStatus = "succeeded"
	Failed    PaymentStatus = "failed"
	// Processing is a charge to an Indian card or by UPI, for two days.
	Processing PaymentStatus = "processing"
	// Cancelled is an awaited payment that can no longer be paid.
	Cancelled PaymentStatus = "cancelled"
	// Awaited is a payment that the merchant has created and nobody has attempted. Dodo may
	// show null (FACTS 2.5): UNCONFIRMED.
	Awaited PaymentStatus = "requires_payment_method"
	// ActionRequired is a payment that the customer's bank wants confirmed.
	ActionRequired PaymentStatus = "requires_customer_action"
)

// paymentStatuses are the values of the status filter of GET /payments.
var paymentStatuses = wordSet(`succeeded failed cancelled processing requires_customer_action requires_merchant_action
	requires_payment_method requires_confirmation requires_capture partially_captured partially_captured_and_capturable`)

// billing is an address. Only the country is required.
type billing struct {
	Country string  `json:"country"`
	City    *string `json:"city"`
	State   *string `json:"state"`
	Street  *string `json:"street"`
	Zipcode *string `json:"zipcode"`
}

// payment is the object of FACTS 2.5, in the shape of the API and of webhooks. Card fields are
// as in a real test-mode capture, lower case and sparse (FACTS 3.9). Guarded by
// [Simulator.mu].
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
	codes    []*coupon
	refunded int64
	settled  time.Time // when it got its current result

	refunding bool // a refund is pending
}

// pay makes one attempt to pay a session, as a payment of its own: whether Dodo reuses the id
// of a declined one is UNCONFIRMED (FACTS 2.1). A payment that the merchant knew before the
// first attempt is used for all attempts. After a decline the session can still be paid. The
// caller holds s.mu.
func (s *Simulator) pay(session *session, with card, by buyer) (*payment, *Error) {
	now := s.now()
	if refusal := session.usable(now); refusal != nil {
		return nil, refusal
	}
	if session.recharges != nil {
		return s.payNewCard(session, with, now)
	}
	if refusal := s.redeemable(session, by); refusal != nil {
		return nil, refusal
	}
	s.settleBuyer(session, by)
	p := s.newPayment(session.charge(now))
	session.label(p)
	if session.needsCard() {
		p.chargeCard(with, with.decline)
	}
	if session.method != nil {
		p.PaymentMethodID = new(session.method.id)
	}
	if p.Status == Succeeded {
		s.redeem(p) // once per checkout: a renewal redeems no code again
	}
	session.subscription = nil
	if plan, ok := session.bill.recurring(); ok {
		session.subscription = session.pending
		if session.pending == nil {
			session.subscription = s.newSubscription(session, plan, now)
		}
		s.start(session.subscription, session, plan, with, now)
		p.belongTo(session.subscription)
		p = s.recordAttempt(session, p)
		s.announceStart(session.subscription, p)
		s.recoverCheckout(session, p)
		s.grantBought(p)
		s.issue(p)
		return p, nil
	}
	p = s.recordAttempt(session, p)
	s.announce(p)
	s.recoverCheckout(session, p)
	s.grantBought(p)
	s.issue(p)
	return p, nil
}

// label sets the payment's session and products.
func (session *session) label(p *payment) {
	if !session.direct() {
		p.CheckoutSessionID = new(session.id)
	}
	if _, recurring := session.bill.recurring(); !recurring {
		p.ProductCart = session.cart
	}
	if session.pending != nil {
		p.belongTo(session.pending)
	}
}

// charge says what a session's payment is for, and who pays.
func (session *session) charge(at time.Time) charge {
	return charge{
		at:       at,
		bill:     session.bill,
		customer: *session.customer,
		billing:  session.billing,
		metadata: session.metadata,
	}
}

// recordAttempt records the result of an attempt. It updates the payment that the merchant
// already knows, or that waited for the customer's bank, if there is one.
func (s *Simulator) recordAttempt(session *session, p *payment) *payment {
	if known := cmp.Or(session.presented, session.challenged); known != nil {
		p.UpdatedAt = new(p.CreatedAt)
		p.PaymentID, p.PaymentLink, p.CreatedAt = known.PaymentID, known.PaymentLink, known.CreatedAt
		*known = *p
		p = known
	}
	session.challenged = nil
	session.last = p
	if s.options.OnePaymentID {
		session.presented = p
	}
	s.recordPayment(p)
	s.watchCheckout(session, p)
	return p
}

// outcomeTime is when a payment got its current result.
func (p *payment) outcomeTime() time.Time {
	if p.UpdatedAt != nil {
		return *p.UpdatedAt
	}
	return p.CreatedAt
}

// recordPayment makes a payment known, or the result of a known one. The caller holds s.mu.
func (s *Simulator) recordPayment(p *payment) {
	if p.Status == Succeeded {
		p.Tax, p.SettlementTax = new(int64(0)), new(int64(0)) // null on what never settled (FACTS 3.9)
	}
	p.settled = p.outcomeTime()
	s.invoiced(p)
	p.Discounts = s.details(p.codes)
	if len(p.Discounts) > 0 {
		p.DiscountID = new(p.Discounts[0].DiscountID)
	}
	if _, known := s.payments[p.PaymentID]; !known {
		s.payments[p.PaymentID] = p
		s.paymentOrder = append(s.paymentOrder, p)
	}
	s.logger().Info("payment made", "payment", p.PaymentID, "session", valueOrEmpty(p.CheckoutSessionID),
		"subscription", valueOrEmpty(p.SubscriptionID), "status", p.Status, "total", p.TotalAmount, "currency", p.Currency)
}

// announce emits a payment's own events. The caller holds s.mu.
func (s *Simulator) announce(p *payment) {
	if s.options.SendProcessing {
		s.emit("payment.processing", p, p.outcomeTime())
	}
	s.emit("payment."+string(p.Status), p, p.outcomeTime())
}

// settleBuyer finds the customer of this attempt. A later attempt with another e-mail belongs
// to another customer. The caller holds s.mu.
func (s *Simulator) settleBuyer(session *session, by buyer) {
	if session.customer == nil || session.customer.Email != by.email {
		c := s.customerFor(by, session.alwaysNew)
		session.customer = &c
	}
	session.buyer = by
}

// charge says what a payment is for, and who pays.
type charge struct {
	at       time.Time
	bill     bill
	customer customer
	billing  billing
	metadata metadata
}

// newPayment is a payment that is not known yet. It counts as succeeded unless a card declines
// it.
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
		lines:              nameLines(c.bill.lines),
		codes:              c.bill.codes,
	}
}

// nameLines copies lines and gives them ids, which refunds can name.
func nameLines(lines []line) []line {
	named := slices.Clone(lines)
	for i := range named {
		named[i].id = newID("pli_") // a guess
	}
	return named
}

// belongTo marks a payment as a subscription's. Such a payment lists no products: its
// product_cart is null (FACTS 2.5), even for a mixed cart, where that is UNCONFIRMED.
func (p *payment) belongTo(sub *subscription) {
	p.SubscriptionID = new(sub.SubscriptionID)
	p.PaymentMethodID = sub.PaymentMethodID
}

// chargeCard charges a card; decline is the error code, empty for success.
func (p *payment) chargeCard(c card, decline string) {
	if c.upi() {
		p.PaymentMethod, p.PaymentMethodType = new("upi"), new("upi_collect")
	} else {
		p.PaymentMethod = new("card")
		p.CardLastFour = new(c.lastFour())
		p.CardNetwork = new(c.network)
		p.CardType = new("credit")
	}
	if decline != "" {
		p.Status = Failed
		p.ErrorCode = new(decline)
		p.ErrorMessage = new(declineMessage(decline))
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

// getPayment answers GET /payments/{id}. A missing one is 404, as on Dodo's error page; the
// API description lists only 200 and 500 (FACTS 1.3, UNCONFIRMED).
func (s *Simulator) getPayment(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findPayment(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(p)
}
