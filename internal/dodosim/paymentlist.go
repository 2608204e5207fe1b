package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// paymentItem is a payment as GET /payments lists it: without its session, so a list alone
// cannot be matched to checkouts (FACTS 2.5).
type paymentItem struct {
	PaymentID         string        `json:"payment_id"`
	BrandID           string        `json:"brand_id"`
	Status            PaymentStatus `json:"status"`
	TotalAmount       int64         `json:"total_amount"`
	Currency          string        `json:"currency"`
	Customer          customer      `json:"customer"`
	Metadata          metadata      `json:"metadata"`
	SubscriptionID    *string       `json:"subscription_id"`
	PaymentMethod     *string       `json:"payment_method"`
	PaymentMethodType *string       `json:"payment_method_type"`
	CardLastFour      *string       `json:"card_last_four"`
	CardNetwork       *string       `json:"card_network"`
	InvoiceID         *string       `json:"invoice_id"`
	InvoiceURL        *string       `json:"invoice_url"`
	RefundStatus      *string       `json:"refund_status"`
	DisputeStatus     *string       `json:"dispute_status"`
	DigitalDelivered  bool          `json:"digital_products_delivered"`
	HasLicenseKey     bool          `json:"has_license_key"`
	PaymentProvider   string        `json:"payment_provider"`
	CreatedAt         time.Time     `json:"created_at"`
}

func (p *payment) item() paymentItem {
	var disputed *string
	if n := len(p.Disputes); n > 0 {
		disputed = new(string(p.Disputes[n-1].Status)) // of the latest: UNCONFIRMED
	}
	return paymentItem{
		PaymentID:         p.PaymentID,
		BrandID:           p.BrandID,
		Status:            p.Status,
		TotalAmount:       p.TotalAmount,
		Currency:          p.Currency,
		Customer:          p.Customer,
		Metadata:          p.Metadata,
		SubscriptionID:    p.SubscriptionID,
		PaymentMethod:     p.PaymentMethod,
		PaymentMethodType: p.PaymentMethodType,
		CardLastFour:      p.CardLastFour,
		CardNetwork:       p.CardNetwork,
		InvoiceID:         p.InvoiceID,
		InvoiceURL:        p.InvoiceURL,
		RefundStatus:      p.RefundStatus,
		DisputeStatus:     disputed,
		DigitalDelivered:  p.DigitalDelivered,
		HasLicenseKey:     slices.ContainsFunc(p.lines, func(l line) bool { return l.product.LicenseKeys }),
		PaymentProvider:   p.PaymentProvider,
		CreatedAt:         p.CreatedAt,
	}
}

// paymentFilter is the filter of GET /payments; an empty field matches all. Both times include
// their instant.
type paymentFilter struct {
	from, to                                           time.Time
	customer, subscription, status, brand, product, in string
}

func (f paymentFilter) passes(p *payment) bool {
	switch {
	case !f.from.IsZero() && p.CreatedAt.Before(f.from),
		!f.to.IsZero() && p.CreatedAt.After(f.to),
		f.customer != "" && p.Customer.CustomerID != f.customer,
		f.subscription != "" && valueOrEmpty(p.SubscriptionID) != f.subscription,
		f.status != "" && string(p.Status) != f.status,
		f.brand != "" && p.BrandID != f.brand,
		f.in != "" && p.Currency != f.in:
		return false
	}
	return f.product == "" || slices.ContainsFunc(p.ProductCart, func(item cartItem) bool {
		return item.ProductID == f.product
	})
}

// listPayments answers GET /payments, newest first: as in captures, UNCONFIRMED.
func (s *Simulator) listPayments(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	filter := paymentFilter{
		from:         q.instant("created_at_gte"),
		to:           q.instant("created_at_lte"),
		customer:     q.text("customer_id"),
		subscription: q.text("subscription_id"),
		status:       q.oneOf("status", paymentStatuses),
		brand:        q.text("brand_id"),
		product:      q.text("product_id"),
		in:           q.oneOf("currency", currencies),
	}
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []paymentItem{}
	for _, p := range slices.Backward(s.paymentOrder) {
		if filter.passes(p) {
			items = append(items, p.item())
		}
	}
	return list[paymentItem]{Items: slicePage(items, window)}, nil
}
