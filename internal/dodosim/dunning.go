package dodosim

import "time"

// The states of attempts to win a customer back: dunning and abandoned checkouts (FACTS 3.6).
const (
	attemptRecovering = "recovering" // dunning only
	attemptAbandoned  = "abandoned"  // abandoned checkouts only
	attemptRecovered  = "recovered"
	attemptExhausted  = "exhausted" // has no event: shows in a body that is sent late
)

// dunning is the attempt to recover a subscription, in the shape of webhooks (FACTS 3.8).
// Guarded by [Simulator.mu].
type dunning struct {
	SubscriptionID string    `json:"subscription_id"`
	CustomerID     string    `json:"customer_id"`
	BrandID        string    `json:"brand_id"`
	Trigger        string    `json:"trigger_state"`
	Status         string    `json:"status"`
	PaymentID      *string   `json:"payment_id"`
	CreatedAt      time.Time `json:"created_at"`
}

func (d *dunning) objectID() string { return d.SubscriptionID }

// payload is the attempt as webhooks carry it.
func (d *dunning) payload() any {
	return struct {
		*dunning
		PayloadType string `json:"payload_type"`
	}{d, "DunningAttempt"}
}

// startDunning starts to recover a subscription, if the merchant wants that and it has not
// been started. A grace period does not trigger it, although newer servers have a trigger of
// that name: UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) startDunning(sub *subscription, trigger string, at time.Time) {
	if !s.options.Dunning || sub.dunning != nil && sub.dunning.Status == attemptRecovering {
		return
	}
	sub.dunning = &dunning{
		SubscriptionID: sub.SubscriptionID, CustomerID: sub.Customer.CustomerID, BrandID: s.brand,
		Trigger: trigger, Status: attemptRecovering, CreatedAt: at,
	}
	s.emit("dunning.started", sub.dunning, at)
}

// recoverDunning ends dunning with the payment that recovered the subscription. Dunning that a
// cancellation triggered never ends so: UNCONFIRMED.
func (s *Simulator) recoverDunning(sub *subscription, p *payment, at time.Time) {
	if d := sub.dunning; d != nil && d.Status == attemptRecovering {
		d.Status, d.PaymentID = attemptRecovered, new(p.PaymentID)
		s.emit("dunning.recovered", d, at)
	}
}

// exhaustDunning ends dunning when the subscription is over.
func (sub *subscription) exhaustDunning() {
	if d := sub.dunning; d != nil && d.Status == attemptRecovering && d.Trigger == string(SubscriptionOnHold) {
		d.Status = attemptExhausted
	}
}

// putOnHold ends the access of a subscription with an unpaid cycle. The caller holds s.mu.
func (s *Simulator) putOnHold(sub *subscription, at time.Time) {
	sub.Status, sub.grace = SubscriptionOnHold, nil
	s.emitAll(sub, at, "on_hold", "updated")
	s.startDunning(sub, string(SubscriptionOnHold), at)
}
