package entitlement

import (
	"maps"
	"math/bits"
	"slices"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// The merchant charges an on-demand subscription at any time. Each charge gives credits by the
// rates of its product, in a grant of its own. The terms of a charge are frozen when they
// first give something: a later catalog counts only for later charges, even if the
// subscription has become a monthly one since.

// onChargeKey is the name by which terms of a charge are looked up: the product and the
// charge.
func onChargeKey(productID, paymentID string) string { return productID + "/" + paymentID }

// forCharge returns the part of the terms that counts for one on-demand charge: its rate, and
// how long the credits last.
func (t Terms) forCharge(currency string) Terms {
	rate, listed := t.OnCharge[currency]
	if !listed {
		return Terms{}
	}
	return Terms{OnCharge: config.Rates{currency: rate}, CreditsExpire: t.CreditsExpire}
}

// creditsForCharge is the number of credits that a charge gives for its amount before tax,
// rounded down. It ignores refunds. Its error is [ledger.ErrRange].
func (t Terms) creditsForCharge(p Payment) (int64, error) {
	rate, listed := t.OnCharge[p.Currency]
	if !listed || rate.Amount <= 0 || rate.Credits <= 0 {
		return 0, nil
	}
	high, low := bits.Mul64(uint64(p.net()), uint64(rate.Credits))
	if high >= uint64(rate.Amount) {
		return 0, ledger.ErrRange
	}
	credits, _ := bits.Div64(high, low, uint64(rate.Amount))
	if credits > uint64(ledger.Max) {
		return 0, ledger.ErrRange
	}
	return int64(credits), nil
}

// addOnDemand adds the credits of on-demand charges to an effect. A charge that gives nothing
// any more is listed with amount 0.
func (s Subscription) addOnDemand(e *Effect, id string, termsOf TermsOf, policy config.DisputePolicy) error {
	for _, paymentID := range slices.Sorted(maps.Keys(s.Charges)) {
		p := s.Charges[paymentID]
		t, known := termsOf(onChargeKey(s.State.ProductID, paymentID), p.CreatedAt)
		if !known || !p.pays() {
			continue
		}
		credits, err := t.creditsForCharge(p)
		if err != nil {
			return err
		}
		if credits == 0 {
			continue
		}
		undone, full := p.reversed(policy)
		target := ledger.Target{ID: Ref{KindSubscription, id}.String() + "/" + paymentID, CreatedAt: p.CreatedAt}
		if t.CreditsExpire > 0 {
			target.ExpiresAt = p.CreatedAt.Add(t.CreditsExpire)
		}
		if !full {
			target.Amount = share(credits, p.Total-undone, p.Total)
			e.Standing.Paid = true
			if p.CreatedAt.After(e.Standing.PaidAt) {
				e.Standing.PaidAt = p.CreatedAt
			}
		}
		e.Grants = append(e.Grants, target)
	}
	return nil
}

// isCreditedPerCharge reports whether on-demand charges give the credits of these terms, so
// that its periods give none.
func (s Subscription) isCreditedPerCharge(t Terms, termsOf TermsOf) bool {
	if len(t.OnCharge) == 0 {
		return false
	}
	if s.State.OnDemand {
		return true
	}
	for id, p := range s.Charges {
		if _, frozen := termsOf(onChargeKey(s.State.ProductID, id), p.CreatedAt); frozen {
			return true
		}
	}
	return false
}

// onDemandRequests yields the terms that on-demand charges need, like [Record.termsRequests].
func (s Subscription) onDemandRequests(yield func(string, termsRequest) bool) bool {
	if !s.State.OnDemand || s.State.ProductID == "" {
		return true
	}
	for id, p := range s.Charges {
		if p.net() == 0 || !p.pays() {
			continue
		}
		if !yield(termsKey(onChargeKey(s.State.ProductID, id), p.CreatedAt), termsRequest{s.State.ProductID, p.CreatedAt, &p}) {
			return false
		}
	}
	return true
}

// frozenTerms returns the terms to freeze for the purchase. It is false if they give nothing
// for a charge, so that they are looked up again later.
func (p termsRequest) frozenTerms(t Terms) (Terms, bool) {
	if p.charge == nil {
		return t, true
	}
	t = t.forCharge(p.charge.Currency)
	credits, err := t.creditsForCharge(*p.charge)
	return t, credits > 0 || err != nil
}

// keepsTerms reports whether frozen terms stay. Terms that give nothing are looked up again,
// so that an operator can add what was forgotten.
func (p termsRequest) keepsTerms(t Terms) bool { return p.charge != nil || t.givesSomething() }
