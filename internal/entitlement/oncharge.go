package entitlement

import (
	"maps"
	"math/bits"
	"slices"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// A subscription on demand is charged when the merchant likes. By the rates of its product,
// each charge gives credits of its own, in a grant of its own. The terms of a charge are
// frozen when they first give something, so that a later catalog counts for later charges,
// and also if the subscription is charged by the month from some time on.

// onCharge is what the terms of a charge are asked for by: the product and the charge.
func onCharge(productID, paymentID string) string { return productID + "/" + paymentID }

// onCharge are the terms of one charge on demand: its rate, and how long the credits last.
func (t Terms) onCharge(currency string) Terms {
	rate, listed := t.OnCharge[currency]
	if !listed {
		return Terms{}
	}
	return Terms{OnCharge: config.Rates{currency: rate}, CreditsExpire: t.CreditsExpire}
}

// rated are the credits that a charge gives, whatever was given back since: of its amount
// before tax, rounded down.
func (t Terms) rated(p Payment) (int64, error) {
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

// payOnDemand adds what charges on demand give. Each of them is named, with amount 0 if it
// gives nothing any more.
func (s Subscription) payOnDemand(e *Effect, id string, termsOf TermsOf, policy config.DisputePolicy) error {
	for _, paymentID := range slices.Sorted(maps.Keys(s.Charges)) {
		p := s.Charges[paymentID]
		t, known := termsOf(onCharge(s.State.ProductID, paymentID), p.CreatedAt)
		if !known || !p.pays() {
			continue
		}
		credits, err := t.rated(p)
		if err != nil {
			return err
		}
		if credits == 0 {
			continue
		}
		undone, full := p.undone(policy)
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

// byCharge reports whether charges on demand give the credits of these terms, so that its
// periods give none.
func (s Subscription) byCharge(t Terms, termsOf TermsOf) bool {
	if len(t.OnCharge) == 0 {
		return false
	}
	if s.State.OnDemand {
		return true
	}
	for id, p := range s.Charges {
		if _, frozen := termsOf(onCharge(s.State.ProductID, id), p.CreatedAt); frozen {
			return true
		}
	}
	return false
}

// chargesOnDemand yields what charges on demand ask terms for, as [Record.products] does.
func (s Subscription) chargesOnDemand(yield func(string, product) bool) bool {
	if !s.State.OnDemand || s.State.ProductID == "" {
		return true
	}
	for id, p := range s.Charges {
		if p.net() == 0 || !p.pays() {
			continue
		}
		if !yield(termsKey(onCharge(s.State.ProductID, id), p.CreatedAt), product{s.State.ProductID, p.CreatedAt, &p}) {
			return false
		}
	}
	return true
}

// of are the terms that are frozen for what was bought; false to ask again later, because
// they give nothing for a charge.
func (p product) of(t Terms) (Terms, bool) {
	if p.charge == nil {
		return t, true
	}
	t = t.onCharge(p.charge.Currency)
	credits, err := t.rated(*p.charge)
	return t, credits > 0 || err != nil
}

// keeps reports whether frozen terms stay: those that give nothing are asked for again, so
// that an operator can add what was forgotten.
func (p product) keeps(t Terms) bool { return p.charge != nil || t.gives() }
