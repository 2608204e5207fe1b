package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// subscriptionStatuses are the values of the status filter of GET /subscriptions: the
// published ones and past_due of newer servers.
var subscriptionStatuses = wordSet(`pending active past_due on_hold paused cancelled failed expired`)

// subscriptionItem is a subscription as GET /subscriptions lists it.
type subscriptionItem struct {
	SubscriptionID          string             `json:"subscription_id"`
	ProductID               string             `json:"product_id"`
	ProductName             *string            `json:"product_name"`
	Status                  SubscriptionStatus `json:"status"`
	Quantity                int32              `json:"quantity"`
	RecurringPreTaxAmount   int64              `json:"recurring_pre_tax_amount"`
	Currency                string             `json:"currency"`
	TaxInclusive            bool               `json:"tax_inclusive"`
	CreatedAt               time.Time          `json:"created_at"`
	PreviousBillingDate     time.Time          `json:"previous_billing_date"`
	NextBillingDate         time.Time          `json:"next_billing_date"`
	CycleCount              int                `json:"payment_frequency_count"`
	CycleInterval           Interval           `json:"payment_frequency_interval"`
	TermCount               int                `json:"subscription_period_count"`
	TermInterval            Interval           `json:"subscription_period_interval"`
	TrialPeriodDays         int                `json:"trial_period_days"`
	TrialAmount             *int64             `json:"trial_amount"`
	CancelAtNextBillingDate bool               `json:"cancel_at_next_billing_date"`
	CancelledAt             *time.Time         `json:"cancelled_at"`
	PausedAt                *time.Time         `json:"paused_at"`
	OnDemand                bool               `json:"on_demand"`
	Customer                customer           `json:"customer"`
	Billing                 billing            `json:"billing"`
	Metadata                metadata           `json:"metadata"`
	PaymentMethodID         *string            `json:"payment_method_id"`
	Discounts               []discountItem     `json:"discounts"`
	DiscountID              *string            `json:"discount_id"`
	DiscountCyclesRemaining *int               `json:"discount_cycles_remaining"`
	ScheduledChange         *scheduledChange   `json:"scheduled_change"`
	CustomerBusinessName    *string            `json:"customer_business_name"`
	TaxID                   *string            `json:"tax_id"`
}

// discountItem is a discount as lists of subscriptions name it.
type discountItem struct {
	DiscountID      string `json:"discount_id"`
	CyclesRemaining *int   `json:"discount_cycles_remaining"`
}

func (sub *subscription) item() subscriptionItem {
	discounts := []discountItem{}
	for _, d := range sub.Discounts {
		discounts = append(discounts, discountItem{DiscountID: d.DiscountID, CyclesRemaining: d.CyclesRemaining})
	}
	return subscriptionItem{
		SubscriptionID:          sub.SubscriptionID,
		ProductID:               sub.ProductID,
		ProductName:             new(sub.plan.lines[0].product.Name),
		Status:                  sub.Status,
		Quantity:                sub.Quantity,
		RecurringPreTaxAmount:   sub.RecurringPreTaxAmount,
		Currency:                sub.Currency,
		TaxInclusive:            sub.TaxInclusive,
		CreatedAt:               sub.CreatedAt,
		PreviousBillingDate:     sub.PreviousBillingDate,
		NextBillingDate:         sub.NextBillingDate,
		CycleCount:              sub.CycleCount,
		CycleInterval:           sub.CycleInterval,
		TermCount:               sub.TermCount,
		TermInterval:            sub.TermInterval,
		TrialPeriodDays:         sub.TrialPeriodDays,
		TrialAmount:             sub.TrialAmount,
		CancelAtNextBillingDate: sub.CancelAtNextBillingDate,
		CancelledAt:             sub.CancelledAt,
		PausedAt:                sub.PausedAt,
		OnDemand:                sub.OnDemand,
		Customer:                sub.Customer,
		Billing:                 sub.Billing,
		Metadata:                sub.Metadata,
		PaymentMethodID:         sub.PaymentMethodID,
		Discounts:               discounts,
		DiscountID:              sub.DiscountID,
		DiscountCyclesRemaining: sub.DiscountCyclesRemaining,
		ScheduledChange:         sub.ScheduledChange,
		CustomerBusinessName:    sub.CustomerBusinessName,
		TaxID:                   sub.TaxID,
	}
}

// subscriptionFilter is the filter of GET /subscriptions; an empty field matches all.
type subscriptionFilter struct {
	from, to                         time.Time
	customer, status, brand, product string
	leaving                          *bool
}

func (f subscriptionFilter) passes(sub *subscription) bool {
	switch {
	case !f.from.IsZero() && sub.CreatedAt.Before(f.from),
		!f.to.IsZero() && sub.CreatedAt.After(f.to),
		f.customer != "" && sub.Customer.CustomerID != f.customer,
		f.status != "" && string(sub.Status) != f.status,
		f.brand != "" && sub.BrandID != f.brand,
		f.product != "" && sub.ProductID != f.product,
		f.leaving != nil && sub.CancelAtNextBillingDate != *f.leaving:
		return false
	}
	return true
}

// listSubscriptions answers GET /subscriptions, newest first like payments: UNCONFIRMED.
func (s *Simulator) listSubscriptions(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	filter := subscriptionFilter{
		from:     q.instant("created_at_gte"),
		to:       q.instant("created_at_lte"),
		customer: q.text("customer_id"),
		status:   q.oneOf("status", subscriptionStatuses),
		brand:    q.text("brand_id"),
		product:  q.text("product_id"),
		leaving:  q.choice("cancel_at_next_billing_date"),
	}
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []subscriptionItem{}
	for _, sub := range slices.Backward(s.subscriptionOrder) {
		if shown := s.shown(sub); filter.passes(shown) {
			items = append(items, shown.item())
		}
	}
	return snapshot(list[subscriptionItem]{Items: slicePage(items, window)})
}
