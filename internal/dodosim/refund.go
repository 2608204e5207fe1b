package dodosim

import (
	"net/http"
	"time"
	"unicode/utf8"
)

const (
	// refundWindow is 30 days by Dodo's documentation (FACTS 2.9).
	refundWindow    = 30 * 24 * time.Hour
	maxRefundReason = 3000
)

// The states of a refund, except review, which the simulator does not use.
const (
	refundSucceeded = "succeeded"
	refundFailed    = "failed"
	refundPending   = "pending" // only with Options.RefundsTake
)

// refund is the object of FACTS 2.9. It succeeds immediately, unless Options.RefundsTake is
// set: how long Dodo keeps one pending, and what its response then says, is UNCONFIRMED.
// Guarded by [Simulator.mu].
type refund struct {
	RefundID   string    `json:"refund_id"`
	PaymentID  string    `json:"payment_id"`
	BusinessID string    `json:"business_id"`
	BrandID    string    `json:"brand_id"`
	Status     string    `json:"status"`
	Amount     int64     `json:"amount"` // of this refund, not the running total
	Currency   string    `json:"currency"`
	IsPartial  bool      `json:"is_partial"`
	Reason     *string   `json:"reason"`
	Customer   customer  `json:"customer"`
	Metadata   metadata  `json:"metadata"` // its own: the payment's is not copied
	CreatedAt  time.Time `json:"created_at"`

	of     *payment
	shares []int64 // of the payment's lines
}

// refundItem is an entry of payment.refunds and of GET /refunds.
type refundItem struct {
	RefundID   string    `json:"refund_id"`
	PaymentID  string    `json:"payment_id"`
	BusinessID string    `json:"business_id"`
	Status     string    `json:"status"`
	Amount     int64     `json:"amount"`
	Currency   string    `json:"currency"`
	IsPartial  bool      `json:"is_partial"`
	Reason     *string   `json:"reason"`
	CreatedAt  time.Time `json:"created_at"`
}

func (r *refund) item() refundItem {
	return refundItem{
		RefundID:   r.RefundID,
		PaymentID:  r.PaymentID,
		BusinessID: r.BusinessID,
		Status:     r.Status,
		Amount:     r.Amount,
		Currency:   r.Currency,
		IsPartial:  r.IsPartial,
		Reason:     r.Reason,
		CreatedAt:  r.CreatedAt,
	}
}

// refundRequest is the body of POST /refunds. Without items it refunds everything that is
// left; tax_inclusive has no effect, because there are no taxes.
type refundRequest struct {
	PaymentID *string             `json:"payment_id"`
	Items     []refundRequestItem `json:"items"`
	Reason    *string             `json:"reason"`
	Metadata  metadata            `json:"metadata"`
}

// refundRequestItem names a line by its product id or its own id; without an amount it refunds
// all that is left.
type refundRequestItem struct {
	ItemID *string `json:"item_id"`
	Amount *int64  `json:"amount"`
}

// createRefund answers POST /refunds.
func (s *Simulator) createRefund(r *http.Request) (any, error) {
	request, refusal := readJSON[refundRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	switch {
	case request.PaymentID == nil:
		return nil, refuse(codeInvalidBody, "payment_id is required")
	case utf8.RuneCountInString(valueOrEmpty(request.Reason)) > maxRefundReason:
		return nil, refuse(codeInvalidParameters, "reason has more than %d characters", maxRefundReason)
	}
	if refusal := request.Metadata.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, refusal := s.findPayment(*request.PaymentID)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := p.refundable(s.now()); refusal != nil {
		return nil, refusal
	}
	shares, refusal := p.sharesOf(request.Items)
	if refusal != nil {
		return nil, refusal
	}
	made := s.refund(p, shares, request.Reason, request.Metadata.orEmpty())
	return snapshot(made)
}

// refundable reports whether any part of the payment can be refunded.
func (p *payment) refundable(now time.Time) *Error {
	switch {
	case p.Status != Succeeded:
		return refuse(codeNotSucceeded, "payment %s has not succeeded", p.PaymentID)
	case p.TotalAmount == 0:
		return refuse(codeZeroAmountRefund, "payment %s is of zero amount", p.PaymentID)
	case p.refunding:
		return refuse(codeRefundRunning, "a refund of payment %s is being processed", p.PaymentID)
	case p.refunded == p.TotalAmount:
		return refuse(codeAlreadyRefunded, "payment %s is already refunded", p.PaymentID)
	case now.Sub(p.CreatedAt) > refundWindow:
		return refuse(codeRefundTooLate, "refunds are possible for %d days", int(refundWindow.Hours()/24))
	}
	return nil
}

// sharesOf turns the request's items into the refunded amounts of the payment's lines.
func (p *payment) sharesOf(items []refundRequestItem) ([]int64, *Error) {
	shares := make([]int64, len(p.lines))
	if items == nil {
		for i, l := range p.lines {
			shares[i] = l.paid - l.refunded
		}
		return shares, nil
	}
	if len(items) == 0 {
		return nil, refuse(codeNothingToRefund, "items is empty; leave it out to refund everything")
	}
	var total int64
	named := make(map[int]bool)
	for _, item := range items {
		i, amount, refusal := p.shareOf(item)
		if refusal != nil {
			return nil, refusal
		}
		if named[i] {
			return nil, refuse(codeLineDuplicate, "item %s is named twice", *item.ItemID)
		}
		named[i] = true
		shares[i] = amount
		if total += amount; total > p.TotalAmount-p.refunded {
			return nil, refuse(codeRefundTooHigh, "only %d of the payment is left", p.TotalAmount-p.refunded)
		}
	}
	for i, l := range p.lines {
		if shares[i] > l.paid-l.refunded {
			return nil, refuse(codeLineTooHigh, "only %d of item %s is left", l.paid-l.refunded, l.product.ID)
		}
	}
	return shares, nil
}

// shareOf finds the line that an item names, and the amount requested for it.
func (p *payment) shareOf(item refundRequestItem) (int, int64, *Error) {
	if item.ItemID == nil {
		return 0, 0, refuse(codeInvalidBody, "each item needs item_id")
	}
	for i, l := range p.lines {
		left := l.paid - l.refunded
		switch {
		case l.product.ID != *item.ItemID && l.id != *item.ItemID:
			continue
		case left == 0:
			return 0, 0, refuse(codeLineRefunded, "nothing of item %s is left", *item.ItemID)
		case item.Amount == nil:
			return i, left, nil
		case *item.Amount < 1:
			return 0, 0, refuse(codeLineTooLow, "the amount of item %s must be at least 1", *item.ItemID)
		}
		return i, *item.Amount, nil
	}
	return 0, 0, refuse(codeLineNotFound, "the payment has no item %s", *item.ItemID)
}

// refund starts a refund of the given amounts of the payment's lines. The caller holds s.mu
// and has checked the amounts.
func (s *Simulator) refund(p *payment, shares []int64, reason *string, meta metadata) *refund {
	made := s.newRefund(p, shares, reason, meta)
	if s.options.RefundsTake == 0 {
		s.settleRefund(made, refundSucceeded, made.CreatedAt)
		return made
	}
	p.refunding = true
	s.schedule(made.CreatedAt.Add(time.Duration(s.options.RefundsTake)), func(at time.Time) bool {
		return s.settleRefund(made, refundSucceeded, at)
	})
	return made
}

// newRefund makes a pending refund. That the rest after a partial refund counts as partial
// too, although the payment then says full, is UNCONFIRMED.
func (s *Simulator) newRefund(p *payment, shares []int64, reason *string, meta metadata) *refund {
	made := &refund{
		RefundID:   newID("ref_"),
		PaymentID:  p.PaymentID,
		BusinessID: s.business,
		BrandID:    s.brand,
		Status:     refundPending,
		Currency:   p.Currency,
		Reason:     reason,
		Customer:   p.Customer,
		Metadata:   meta,
		CreatedAt:  s.now(),
		of:         p,
		shares:     shares,
	}
	for _, share := range shares {
		made.Amount += share
	}
	made.IsPartial = made.Amount < p.TotalAmount
	s.refunds[made.RefundID] = made
	s.refundOrder = append(s.refundOrder, made)
	p.Refunds = append(p.Refunds, made.item())
	return made
}

// settleRefund decides a refund that is still pending, and emits the event. A failed refund
// leaves the payment unchanged, except for its list of refunds (FACTS 3.5). The caller holds
// s.mu.
func (s *Simulator) settleRefund(r *refund, status string, at time.Time) bool {
	if r.Status != refundPending {
		return false
	}
	p := r.of
	r.Status, p.refunding = status, false
	for i := range p.Refunds {
		if p.Refunds[i].RefundID == r.RefundID {
			p.Refunds[i] = r.item()
		}
	}
	if status == refundSucceeded {
		for i, share := range r.shares {
			p.lines[i].refunded += share
		}
		p.refunded += r.Amount
		p.RefundStatus = new("partial")
		if p.refunded == p.TotalAmount {
			p.RefundStatus = new("full")
		}
		p.UpdatedAt = new(at)
	}
	s.emit("refund."+status, r, at)
	if status == refundSucceeded {
		s.revokeRefunded(p, at)
	}
	s.logger().Info("refund made", "refund", r.RefundID, "payment", p.PaymentID,
		"status", status, "amount", r.Amount, "currency", p.Currency)
	return true
}

func (r *refund) payload() any {
	return struct {
		*refund
		PayloadType string `json:"payload_type"`
	}{r, "Refund"}
}

func (r *refund) objectID() string { return r.RefundID }

// getRefund answers GET /refunds/{id}.
func (s *Simulator) getRefund(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, ok := s.refunds[r.PathValue("id")]
	if !ok {
		return nil, refuse(codeNotFound, "there is no refund %s", r.PathValue("id"))
	}
	return snapshot(made)
}
