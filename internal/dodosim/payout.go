package dodosim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// PayoutStatus is the state of a payout (FACTS 3.6).
type PayoutStatus string

// The states of a payout.
const (
	PayoutCreated    PayoutStatus = "not_initiated"
	PayoutInProgress PayoutStatus = "in_progress"
	PayoutOnHold     PayoutStatus = "on_hold"
	PayoutFailed     PayoutStatus = "failed"
	PayoutSucceeded  PayoutStatus = "success"
)

// payoutEvents names the event of each state.
var payoutEvents = map[PayoutStatus]string{
	PayoutCreated:    "payout.created",
	PayoutInProgress: "payout.in_progress",
	PayoutOnHold:     "payout.on_hold",
	PayoutFailed:     "payout.failed",
	PayoutSucceeded:  "payout.success",
}

// How long a successful payout takes. Dodo's times are UNCONFIRMED.
const (
	payoutBegins = 24 * time.Hour
	payoutEnds   = 72 * time.Hour
)

// payout is a payment to the merchant in one currency, in the shape of webhooks (FACTS 3.8).
// Guarded by [Simulator.mu].
type payout struct {
	PayoutID      string       `json:"payout_id"`
	BusinessID    string       `json:"business_id"`
	Amount        int64        `json:"amount"`
	Currency      string       `json:"currency"`
	Fee           int64        `json:"fee"`
	Tax           int64        `json:"tax"`
	Refunds       int64        `json:"refunds"`
	Chargebacks   int64        `json:"chargebacks"`
	PaymentMethod string       `json:"payment_method"`
	Status        PayoutStatus `json:"status"`
	Name          *string      `json:"name"`
	DocumentURL   *string      `json:"payout_document_url"`
	Remarks       *string      `json:"remarks"`
	CreatedAt     time.Time    `json:"created_at"`
	UpdatedAt     time.Time    `json:"updated_at"`
}

func (p *payout) objectID() string { return p.PayoutID }

// payload is the payout as webhooks carry it.
func (p *payout) payload() any {
	return struct {
		*payout
		PayloadType string `json:"payload_type"`
	}{p, "Payout"}
}

// open reports whether the payout can still change.
func (p *payout) open() bool { return p.Status != PayoutFailed && p.Status != PayoutSucceeded }

// funds are the sums of payments, refunds and chargebacks in one currency.
type funds struct{ paid, refunds, chargebacks int64 }

// balance is what the merchant has not been paid yet in a currency: all payments, less refunds
// and disputes that are not won, less earlier payouts that did not fail. There is no fee and
// no tax. The caller holds s.mu.
func (s *Simulator) balance(currency string) funds {
	var f funds
	for _, p := range s.paymentOrder {
		if p.SettlementCurrency != currency || p.Status != Succeeded {
			continue
		}
		f.paid += p.SettlementAmount
		f.refunds += p.refunded
		for _, d := range p.Disputes {
			if d.Status.held() {
				f.chargebacks += p.TotalAmount
			}
		}
	}
	for _, p := range s.payouts {
		if p.Currency == currency && p.Status != PayoutFailed {
			f.paid -= p.Amount + p.Refunds + p.Chargebacks
			f.refunds -= p.Refunds
			f.chargebacks -= p.Chargebacks
		}
	}
	return f
}

// held reports whether the merchant does not have the disputed money.
func (status DisputeStatus) held() bool {
	return status != DisputeWon && status != DisputeCancelled
}

// Payout pays out the merchant's balance in a currency, and returns the payout's id. When time
// is advanced, it is in progress a day later and succeeds after three, unless
// [Simulator.MovePayout] changes it.
func (s *Simulator) Payout(currency string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.payOut(currency, s.now())
	if made == nil {
		return "", fmt.Errorf("pay out: there is no %s to pay", currency)
	}
	return made.PayoutID, nil
}

// payOut makes a payout, or nil if nothing is owed. The caller holds s.mu.
func (s *Simulator) payOut(currency string, at time.Time) *payout {
	f := s.balance(currency)
	amount := f.paid - f.refunds - f.chargebacks
	if amount <= 0 {
		return nil
	}
	made := &payout{
		PayoutID: newID("pyt_"), BusinessID: s.business, Amount: amount, Currency: currency, Refunds: f.refunds,
		Chargebacks: f.chargebacks, PaymentMethod: "bank_transfer", CreatedAt: at,
	}
	s.payouts = append(s.payouts, made)
	s.movePayout(made, PayoutCreated, at)
	s.schedule(at.Add(payoutBegins), func(at time.Time) bool {
		return made.Status == PayoutCreated && s.movePayout(made, PayoutInProgress, at)
	})
	s.schedule(at.Add(payoutEnds), func(at time.Time) bool {
		return made.Status == PayoutInProgress && s.movePayout(made, PayoutSucceeded, at)
	})
	return made
}

// MovePayout changes the state of a payout: on hold and back, failed, or succeeded early. The
// amount of a failed payout is owed again.
func (s *Simulator) MovePayout(payoutID string, status PayoutStatus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.payouts, func(p *payout) bool { return p.PayoutID == payoutID })
	switch {
	case i < 0:
		return fmt.Errorf("move payout: there is no payout %s", payoutID)
	case payoutEvents[status] == "" || status == PayoutCreated:
		return errors.New("move payout: a payout cannot be moved to that state")
	case !s.payouts[i].open() || s.payouts[i].Status == status:
		return fmt.Errorf("move payout %s: it is %s", payoutID, s.payouts[i].Status)
	}
	s.movePayout(s.payouts[i], status, s.now())
	return nil
}

func (s *Simulator) movePayout(p *payout, status PayoutStatus, at time.Time) bool {
	p.Status, p.UpdatedAt = status, at
	s.emit(payoutEvents[status], p, at)
	s.logger().Info("payout changed", "payout", p.PayoutID, "status", status, "amount", p.Amount, "currency", p.Currency)
	return true
}

// payOutRegularly pays out all balances, and schedules the next time. The caller holds s.mu,
// or s is not shared yet.
func (s *Simulator) payOutRegularly(last time.Time) {
	s.schedule(s.options.PayoutEvery.after(last), func(at time.Time) bool {
		currencies := make(map[string]bool)
		for _, p := range s.paymentOrder {
			currencies[p.SettlementCurrency] = true
		}
		paid := false
		for _, currency := range slices.Sorted(maps.Keys(currencies)) {
			paid = s.payOut(currency, at) != nil || paid
		}
		s.payOutRegularly(at)
		return paid
	})
}
