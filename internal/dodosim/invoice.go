package dodosim

import (
	"net/http"
	"strings"
	"time"
)

// invoiced gives a successful payment its invoice. That other payments have none is
// UNCONFIRMED: Dodo's examples differ. The link needs no key (FACTS 2.5); it starts with the
// address at which the API was last called. The caller holds s.mu.
func (s *Simulator) invoiced(p *payment) {
	if p.Status != Succeeded || p.InvoiceID != nil {
		return
	}
	p.InvoiceID = new(newID("inv_"))
	if s.calledAt != "" {
		p.InvoiceURL = new(s.calledAt + "/invoices/payments/" + p.PaymentID)
	}
}

// getPaymentInvoice answers GET /invoices/payments/{id}.
func (s *Simulator) getPaymentInvoice(r *http.Request) (any, error) {
	s.mu.Lock()
	p, refusal := s.findPayment(r.PathValue("id"))
	if refusal == nil && p.InvoiceID == nil {
		refusal = refuse(codeNotFound, "payment %s has no invoice", p.PaymentID)
	}
	if refusal != nil {
		s.mu.Unlock()
		return nil, refusal
	}
	paper := s.invoice(p)
	s.mu.Unlock()
	return paper.pdf()
}

// getRefundInvoice answers GET /invoices/refunds/{id}.
func (s *Simulator) getRefundInvoice(r *http.Request) (any, error) {
	s.mu.Lock()
	made, ok := s.refunds[r.PathValue("id")]
	if !ok || made.Status != refundSucceeded {
		s.mu.Unlock()
		return nil, refuse(codeNotFound, "there is no refund %s that has succeeded", r.PathValue("id"))
	}
	paper := s.creditNote(made)
	s.mu.Unlock()
	return paper.pdf()
}

// invoiceDocument is the content of an invoice or a credit note. It shares nothing with the
// simulator's state.
type invoiceDocument struct {
	title, number string
	date          time.Time
	facts         []labelled // below the title
	from, to      []string
	lines         []paperLine
	totals        []labelled // the last one is the sum
}

type labelled struct{ label, value string }

type paperLine struct {
	name, note, amount string
	quantity           int64
}

// invoice describes what was paid. The caller holds s.mu.
func (s *Simulator) invoice(p *payment) invoiceDocument {
	doc := invoiceDocument{
		title: "Invoice", number: *p.InvoiceID, date: p.settled, from: s.seller(), to: recipient(p.Customer, p.Billing),
		facts: []labelled{{"Payment", p.PaymentID}},
	}
	if p.SubscriptionID != nil {
		doc.facts = append(doc.facts, labelled{"Subscription", *p.SubscriptionID})
	}
	var full int64
	for _, l := range p.lines {
		full += l.full
		if p.IsUpdateMethod && p.TotalAmount == 0 {
			doc.lines = append(doc.lines, paperLine{"New payment method for " + l.product.Name, "", money(0, p.Currency), 1})
			continue
		}
		doc.lines = append(doc.lines, paperLine{l.product.Name, l.product.Description, money(l.full, p.Currency), l.quantity})
	}
	if off := full - p.TotalAmount; off > 0 {
		// What codes took off, or what was left of the plan before.
		doc.totals = append(doc.totals, labelled{"Subtotal", money(full, p.Currency)}, labelled{"Reduction", "−" + money(off, p.Currency)})
	}
	doc.totals = append(doc.totals, labelled{"Tax", money(0, p.Currency)})
	if how := p.paidWith(); how != "" {
		doc.facts = append(doc.facts, labelled{"Paid with", how})
	}
	doc.totals = append(doc.totals, labelled{"Paid", money(p.TotalAmount, p.Currency)})
	return doc
}

// creditNote describes a refund. The caller holds s.mu.
func (s *Simulator) creditNote(made *refund) invoiceDocument {
	doc := invoiceDocument{
		title: "Credit note", number: made.RefundID, date: made.CreatedAt, from: s.seller(), to: recipient(made.Customer, billing{}),
		facts:  []labelled{{"Payment", made.PaymentID}},
		totals: []labelled{{"Refunded", money(made.Amount, made.Currency)}},
	}
	note := valueOrEmpty(made.Reason)
	if p, known := s.payments[made.PaymentID]; known {
		doc.to = recipient(made.Customer, p.Billing)
		doc.facts = append([]labelled{{"Invoice", valueOrEmpty(p.InvoiceID)}}, doc.facts...)
	}
	name := "Refund"
	if made.IsPartial {
		name = "Partial refund"
	}
	doc.lines = []paperLine{{name, note, money(made.Amount, made.Currency), 1}}
	return doc
}

// seller is a fictitious seller.
func (s *Simulator) seller() []string { return []string{"A simulated shop", s.business} }

func recipient(c customer, address billing) []string {
	lines := []string{c.Name, c.Email}
	for _, part := range []string{
		valueOrEmpty(address.Street),
		strings.TrimSpace(valueOrEmpty(address.Zipcode) + " " + valueOrEmpty(address.City)),
		valueOrEmpty(address.State),
		address.Country,
	} {
		if strings.TrimSpace(part) != "" {
			lines = append(lines, part)
		}
	}
	return lines
}

// paidWith names the payment's instrument; "" if it cost nothing.
func (p *payment) paidWith() string {
	switch {
	case p.CardLastFour != nil:
		return card{number: *p.CardLastFour, network: valueOrEmpty(p.CardNetwork)}.name()
	case p.PaymentMethod != nil:
		return "UPI"
	}
	return ""
}
