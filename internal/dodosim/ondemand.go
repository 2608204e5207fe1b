package dodosim

import (
	"math"
	"net/http"
	"time"
)

// onDemandRequest is the body of POST /subscriptions/{id}/charge.
type onDemandRequest struct {
	Price       *int64   `json:"product_price"`
	Currency    *string  `json:"product_currency"`
	Description *string  `json:"product_description"`
	Metadata    metadata `json:"metadata"`
}

// maxDeclined is how many on-demand charges in a row may fail (FACTS 1.3; that a new payment
// method resets the count is UNCONFIRMED).
const maxDeclined = 10

type onDemandResponse struct {
	PaymentID string `json:"payment_id"`
}

// chargeOnDemand answers POST /subscriptions/{id}/charge. The result is in the payment and its
// webhook; that a declined charge leaves the subscription active is UNCONFIRMED.
func (s *Simulator) chargeOnDemand(r *http.Request) (any, error) {
	request, refusal := readJSON[onDemandRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Price == nil:
		return nil, refuse(codeInvalidBody, "product_price is required")
	case *request.Price < 0 || *request.Price > math.MaxInt32:
		return nil, refuse(codeInvalidParameters, "product_price must be between 0 and %d", math.MaxInt32)
	}
	if refusal := request.Metadata.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	if refusal := sub.chargeable(request); refusal != nil {
		return nil, refusal
	}
	what := bill{currency: sub.Currency, subtotal: *request.Price, total: *request.Price}
	product := sub.plan.lines[0].product
	if request.Description != nil {
		product.Description = *request.Description
	}
	what.add(product, int64(sub.Quantity), *request.Price)
	what.discount()
	meta := request.Metadata
	if meta == nil {
		meta = sub.Metadata
	}
	p := s.charge(sub, what, meta, s.now())
	count := func(time.Time) {
		sub.declined++
		if p.Status == Succeeded {
			sub.declined = 0
		}
	}
	if s.takesLong(sub) {
		s.processSlowly(sub, p, count)
	} else {
		count(p.CreatedAt)
		s.announce(p)
	}
	return onDemandResponse{PaymentID: p.PaymentID}, nil
}

func (sub *subscription) chargeable(request onDemandRequest) *Error {
	switch {
	case !sub.OnDemand:
		return refuse(codeNotOnDemand, "subscription %s is not on demand", sub.SubscriptionID)
	case sub.processing != nil:
		return refuse(codePaymentPending, "payment %s is processing", sub.processing.PaymentID)
	case sub.declined >= maxDeclined:
		return refuse(codeTooManyRetries, "%d charges in a row were declined: another payment method is needed", sub.declined)
	case sub.Status != SubscriptionActive:
		return refuse(codeInactive, "subscription %s is %s", sub.SubscriptionID, sub.Status)
	case sub.CancelAtNextBillingDate:
		return refuse(codeChargeLeaving, "subscription %s is about to be cancelled", sub.SubscriptionID)
	case request.Currency != nil && *request.Currency != sub.Currency:
		return refuse(codeUnsupportedMoney, "the simulator converts no currency: the subscription is in %s", sub.Currency)
	}
	return nil
}
