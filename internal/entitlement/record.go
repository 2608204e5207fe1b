package entitlement

import (
	"maps"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Fact is what one event or one API read says about one object: a state of
// knowledge about it, which may be no more than a refund of it.
type Fact struct {
	Ref     Ref
	Payment Payment // where Ref names a payment
}

// Describes reports whether the fact describes the object itself, rather than
// only something that happened to it, such as a refund.
func (f Fact) Describes() bool { return f.Payment.Status != "" }

// Record is everything known about one object: what the store keeps of it, beside
// its account's ledger.
type Record struct {
	Payment Payment `json:"payment"`
	// Terms by Dodo product id, frozen when the object was first applied.
	Terms map[string]Terms `json:"terms,omitempty"`
}

// Fold merges a fact into the record and freezes the terms of every product in
// its cart that has none yet. The receiver is not changed.
func (r Record) Fold(fact Fact, termsOf func(productID string) (Terms, bool)) Record {
	next := Record{Payment: r.Payment.Merge(fact.Payment), Terms: maps.Clone(r.Terms)}
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

// Effect is what the object gives under its frozen terms, with amount 0 for every
// grant that prior, the record before, gave and this one gives no more. Its errors
// are those of [Payment.Effect].
func (r Record) Effect(ref Ref, prior Record) (Effect, error) {
	next, err := r.Payment.Effect(ref.ID, r.Terms)
	before, _ := prior.Payment.Effect(ref.ID, prior.Terms)
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
