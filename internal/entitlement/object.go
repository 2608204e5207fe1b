package entitlement

import (
	"maps"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Payments are the only objects with an effect today; the record below is what
// the store keeps of one, beside its account's ledger.

// PaymentRecord is the merged state of a payment with the terms that it was
// bought under.
type PaymentRecord struct {
	Payment Payment `json:"payment"`
	// Terms by Dodo product id, frozen when the payment was first applied.
	Terms map[string]Terms `json:"terms,omitempty"`
}

// Fold merges a fact into the record and freezes the terms of every product in
// its cart that has none yet. The receiver is not changed.
func (r PaymentRecord) Fold(fact Payment, termsOf func(productID string) (Terms, bool)) PaymentRecord {
	next := PaymentRecord{Payment: r.Payment.Merge(fact), Terms: maps.Clone(r.Terms)}
	for _, line := range next.Payment.Cart {
		if _, frozen := next.Terms[line.ProductID]; frozen {
			continue
		}
		if t, ok := termsOf(line.ProductID); ok {
			if next.Terms == nil {
				next.Terms = make(map[string]Terms)
			}
			next.Terms[line.ProductID] = t
		}
	}
	return next
}

// Effect is [Payment.Effect] under the frozen terms, and takes back every grant
// that prior gave and this record gives no more.
func (r PaymentRecord) Effect(id string, prior PaymentRecord) (Effect, error) {
	next, err := r.Payment.Effect(id, r.Terms)
	before, _ := prior.Payment.Effect(id, prior.Terms)
	named := make(map[string]bool, len(next.Grants))
	for _, g := range next.Grants {
		named[g.ID] = true
	}
	for _, g := range before.Grants {
		if !named[g.ID] {
			next.Grants = append(next.Grants, ledger.Target{ID: g.ID, CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt})
		}
	}
	return next, err
}
