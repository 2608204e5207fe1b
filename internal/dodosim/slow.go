package dodosim

import "time"

// slowCharge is how long a charge to an Indian card or by UPI takes when the customer is not present
// (FACTS 3.4). That it fails no more once it has begun is the simulator's own.
const slowCharge = 48 * time.Hour

// process lets a charge that would succeed take its time, and then calls done. Meanwhile
// the payment is processing, and nothing else is charged. The caller holds s.mu.
func (s *Simulator) process(sub *subscription, p *payment, done func(at time.Time)) {
	p.Status, p.Tax, p.SettlementTax = Processing, nil, nil
	p.InvoiceID, p.InvoiceURL = nil, nil
	sub.processing = p
	s.book(p)
	s.emit("payment.processing", p, p.happened())
	s.at(p.CreatedAt.Add(slowCharge), func(at time.Time) bool {
		p.Status, p.UpdatedAt, sub.processing = Succeeded, new(at), nil
		s.book(p)
		s.emit("payment.succeeded", p, at)
		done(at)
		return true
	})
}
