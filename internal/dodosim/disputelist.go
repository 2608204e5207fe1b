package dodosim

import (
	"net/http"
	"slices"
	"time"
)

var (
	disputeStatuses = wordSet(`dispute_opened dispute_expired dispute_accepted dispute_cancelled dispute_challenged
		dispute_won dispute_lost`)
	disputeStages = wordSet(`pre_dispute dispute pre_arbitration`)
)

// listedDispute is a dispute as GET /disputes lists it.
type listedDispute struct {
	disputeCore
	PaymentProvider string `json:"payment_provider"`
}

// disputeFilter is what GET /disputes may be narrowed by; an empty field lets all pass.
type disputeFilter struct {
	from, to                time.Time
	status, stage, customer string
}

func (f disputeFilter) passes(d *dispute) bool {
	item := d.item()
	switch {
	case !f.from.IsZero() && item.CreatedAt.Before(f.from),
		!f.to.IsZero() && item.CreatedAt.After(f.to),
		f.status != "" && string(item.Status) != f.status,
		f.stage != "" && item.Stage != f.stage,
		f.customer != "" && d.of.Customer.CustomerID != f.customer:
		return false
	}
	return true
}

// listDisputes answers GET /disputes, newest first like payments: UNCONFIRMED.
func (s *Simulator) listDisputes(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	filter := disputeFilter{
		from:     q.instant("created_at_gte"),
		to:       q.instant("created_at_lte"),
		status:   q.oneOf("dispute_status", disputeStatuses),
		stage:    q.oneOf("dispute_stage", disputeStages),
		customer: q.text("customer_id"),
	}
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []listedDispute{}
	for _, d := range slices.Backward(s.disputeOrder) {
		if filter.passes(d) {
			items = append(items, listedDispute{d.item().disputeCore, d.of.PaymentProvider})
		}
	}
	return list[listedDispute]{Items: slicePage(items, window)}, nil
}
