package dodosim

import "fmt"

// Refund refunds an amount of a payment, like the merchant in the dashboard, and returns the
// refund's id. The amount is taken from the payment's lines in their order. 0 refunds all that
// is left. The error is an *[Error].
func (s *Simulator) Refund(paymentID string, amount int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, shares, refusal := s.sharesFor(paymentID, amount)
	if refusal != nil {
		return "", refusal
	}
	return s.refund(p, shares, nil, metadata{}).RefundID, nil
}

// FailRefund starts a refund like [Simulator.Refund] and makes it fail: refund.failed. With
// Options.RefundsTake, start the refund and fail it with [Simulator.SettleRefund].
func (s *Simulator) FailRefund(paymentID string, amount int) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, shares, refusal := s.sharesFor(paymentID, amount)
	if refusal != nil {
		return "", refusal
	}
	made := s.newRefund(p, shares, nil, metadata{})
	s.settleRefund(made, refundFailed, made.CreatedAt)
	return made.RefundID, nil
}

// SettleRefund ends a pending refund before its time.
func (s *Simulator) SettleRefund(refundID string, succeeds bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.refunds[refundID]
	if !ok {
		return refuse(codeNotFound, "there is no refund %s", refundID)
	}
	status := refundFailed
	if succeeds {
		status = refundSucceeded
	}
	if !s.settleRefund(r, status, s.now()) {
		return fmt.Errorf("settle refund %s: it is %s", refundID, r.Status)
	}
	return nil
}

// sharesFor divides an amount among the lines of a payment. The caller holds s.mu.
func (s *Simulator) sharesFor(paymentID string, amount int) (*payment, []int64, *Error) {
	p, refusal := s.findPayment(paymentID)
	if refusal != nil {
		return nil, nil, refusal
	}
	if refusal := p.refundable(s.now()); refusal != nil {
		return nil, nil, refusal
	}
	left := p.TotalAmount - p.refunded
	rest := int64(amount)
	switch {
	case rest == 0:
		rest = left
	case rest < 0:
		return nil, nil, refuse(codeNothingToRefund, "the amount must be positive")
	case rest > left:
		return nil, nil, refuse(codeRefundTooHigh, "only %d of the payment is left", left)
	}
	shares := make([]int64, len(p.lines))
	for i, l := range p.lines {
		shares[i] = min(rest, l.paid-l.refunded)
		rest -= shares[i]
	}
	return p, shares, nil
}
