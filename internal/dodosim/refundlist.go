package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// refundStatuses are the values of the status filter of GET /refunds.
var refundStatuses = wordSet(`succeeded failed pending review`)

// refundFilter is the filter of GET /refunds; an empty field matches all. There is no filter
// by payment.
type refundFilter struct {
	from, to                       time.Time
	status, customer, subscription string
}

func (f refundFilter) passes(made *refund, of *payment) bool {
	switch {
	case !f.from.IsZero() && made.CreatedAt.Before(f.from),
		!f.to.IsZero() && made.CreatedAt.After(f.to),
		f.status != "" && made.Status != f.status,
		f.customer != "" && made.Customer.CustomerID != f.customer,
		f.subscription != "" && valueOrEmpty(of.SubscriptionID) != f.subscription:
		return false
	}
	return true
}

// listRefunds answers GET /refunds, newest first like payments: UNCONFIRMED.
func (s *Simulator) listRefunds(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	filter := refundFilter{
		from:         q.instant("created_at_gte"),
		to:           q.instant("created_at_lte"),
		status:       q.oneOf("status", refundStatuses),
		customer:     q.text("customer_id"),
		subscription: q.text("subscription_id"),
	}
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []refundItem{}
	for _, made := range slices.Backward(s.refundOrder) {
		if filter.passes(made, s.payments[made.PaymentID]) {
			items = append(items, made.item())
		}
	}
	return list[refundItem]{Items: slicePage(items, window)}, nil
}
