package entitlement

// What a list says of a payment, a refund or a dispute is news if merging it would change what
// is known. Everything else need not be read.

// IsNews reports whether a payment that is listed with the status may have changed.
func (p Payment) IsNews(listed PaymentStatus) bool {
	return p.Status == "" || p.Merge(Payment{Status: listed}).Status != p.Status
}

// IsRefundNews reports the same of a refund of the payment.
func (p Payment) IsRefundNews(id string, listed RefundStatus) bool {
	known := p.Refunds[id]
	return known.merge(Refund{Status: listed}).Status != known.Status
}

// IsDisputeNews reports the same of a dispute about the payment.
func (p Payment) IsDisputeNews(id string, listed DisputeStatus) bool {
	known := p.Disputes[id]
	return known.merge(listed) != known
}
