package dodosim

import (
	"net/http"
	"time"
)

// maxBundled bounds one_time_product_cart: together with the subscription it has the limit of
// POST /payments (FACTS 2.4).
const maxBundled = maxDirectLines - 1

// subscribeRequest is the part of POST /subscriptions that the simulator uses (FACTS 2.4).
type subscribeRequest struct {
	ProductID       *string            `json:"product_id"`
	Quantity        *int32             `json:"quantity"`
	Addons          []addonRequestItem `json:"addons"`
	OneTimeCart     []cartRequest      `json:"one_time_product_cart"`
	Billing         *billing           `json:"billing"`
	Customer        *customerRequest   `json:"customer"`
	PaymentLink     *bool              `json:"payment_link"`
	MethodTypes     []string           `json:"allowed_payment_method_types"`
	ReturnURL       *string            `json:"return_url"`
	Metadata        metadata           `json:"metadata"`
	DiscountCodes   []string           `json:"discount_codes"`
	DiscountCode    *string            `json:"discount_code"`
	BillingCurrency *string            `json:"billing_currency"`
	PaymentMethodID *string            `json:"payment_method_id"`
	Force3DS        *bool              `json:"force_3ds"`
	TrialDays       *int               `json:"trial_period_days"`
	OnDemand        *onDemandTerms     `json:"on_demand"`
}

// subscribeResponse is the answer to POST /subscriptions.
type subscribeResponse struct {
	SubscriptionID string      `json:"subscription_id"`
	PaymentID      string      `json:"payment_id"`
	Customer       customer    `json:"customer"`
	Metadata       metadata    `json:"metadata"`
	Addons         []addonItem `json:"addons"`
	Recurring      int64       `json:"recurring_pre_tax_amount"`
	TrialAmount    *int64      `json:"trial_amount"`
	ClientSecret   string      `json:"client_secret"`
	PaymentLink    *string     `json:"payment_link"`
	ExpiresOn      *time.Time  `json:"expires_on"`
	DiscountIDs    []string    `json:"discount_ids"`
	DiscountID     *string     `json:"discount_id"`
	OneTimeCart    []cartItem  `json:"one_time_product_cart"`
}

// createSubscription answers POST /subscriptions: it creates a subscription and its first
// payment before any attempt to pay. They are paid on the page at payment_link, or immediately
// with a saved method. A declined attempt ends the subscription as failed, which is final
// (FACTS 3.6), and the page accepts no further attempt.
func (s *Simulator) createSubscription(r *http.Request) (any, error) {
	request, refusal := readJSON[subscribeRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	session, plan, refusal := s.subscribeSession(request)
	if refusal != nil {
		return nil, refusal
	}
	p := s.awaitDirect(session)
	sub := s.newSubscription(session, plan, session.created)
	session.pending = sub
	p.belongTo(sub)
	answer := subscribeResponse{
		SubscriptionID: sub.SubscriptionID, PaymentID: p.PaymentID, Customer: sub.Customer, Metadata: sub.Metadata, Addons: sub.Addons,
		Recurring: sub.RecurringPreTaxAmount, ClientSecret: clientSecret(p), DiscountID: p.DiscountID, DiscountIDs: p.discountIDs(),
		OneTimeCart: session.cart[1:],
	}
	if sub.TrialAmount != nil {
		answer.TrialAmount = new(int64(plan.product.TrialPrice)) // for one piece
	}
	if request.PaymentLink != nil && *request.PaymentLink {
		answer.ExpiresOn, answer.PaymentLink = s.link(r, session, p), p.PaymentLink
	}
	if session.method != nil {
		if _, refusal := s.paySaved(session); refusal != nil {
			return nil, refusal
		}
	}
	return snapshot(answer)
}

func (request subscribeRequest) check() *Error {
	switch {
	case request.Billing == nil || request.Customer == nil || request.ProductID == nil || request.Quantity == nil:
		return refuse(codeInvalidBody, "product_id, quantity, billing and customer are required")
	case request.PaymentMethodID != nil && request.Customer.CustomerID == nil:
		return refuse(codeInvalidParameters, "payment_method_id needs customer.customer_id")
	case len(request.OneTimeCart) > maxBundled:
		return refuse(codeInvalidParameters, "one_time_product_cart has too many lines")
	}
	return nil
}

// subscribeSession is the page of a subscription, which does not have its payment's id yet,
// and the recurring product.
func (s *Simulator) subscribeSession(request subscribeRequest) (*session, line, *Error) {
	cart := append([]cartRequest{{ProductID: request.ProductID, Quantity: request.Quantity, Addons: request.Addons}}, request.OneTimeCart...)
	session, refusal := s.newSession(checkoutRequest{
		ProductCart: cart, Customer: request.Customer, BillingAddress: request.Billing,
		BillingCurrency: request.BillingCurrency, ReturnURL: request.ReturnURL, Metadata: request.Metadata,
		DiscountCodes: request.DiscountCodes, DiscountCode: request.DiscountCode, maxLines: maxDirectLines,
		MethodTypes: request.MethodTypes, Force3DS: request.Force3DS,
		Terms: terms{TrialDays: request.TrialDays, OnDemand: request.OnDemand},
	})
	if refusal != nil {
		return nil, line{}, refusal
	}
	plan, recurring := session.bill.recurring()
	if !recurring || plan.product.ID != *request.ProductID {
		return nil, line{}, refuse(codeInvalidParameters, "product_id is no subscription, or one_time_product_cart has one")
	}
	if request.PaymentMethodID != nil {
		session.method, refusal = s.findMethod(session.customer.CustomerID, *request.PaymentMethodID)
	}
	return session, plan, refusal
}
