package entitlement

import (
	"maps"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Fact is what one event or one API read says about one object: a state of
// knowledge about it, which may be no more than a refund of it.
type Fact struct {
	Ref          Ref
	Payment      Payment      // where Ref names a payment
	Subscription Subscription // where Ref names a subscription
	Feature      Feature      // where Ref names a grant of a feature
	Import       Import       // where Ref names an import
	// Settled says that an import has what a payment or subscription gave.
	Settled Settled
}

// Describes reports whether the fact describes the object itself, rather than
// only something that happened to it, such as a refund.
func (f Fact) Describes() bool {
	return f.Payment.Status != "" || f.Subscription.State.Status != "" || f.Feature.Status != ""
}

// Record is everything known about one object: what the store keeps of it, beside
// its account's ledger.
type Record struct {
	Payment      Payment      `json:"payment,omitzero"`
	Subscription Subscription `json:"subscription,omitzero"`
	Feature      Feature      `json:"feature,omitzero"`
	Import       Import       `json:"import,omitzero"`
	Settled      Settled      `json:"settled,omitzero"`
	// Terms are frozen when they are first needed: those of a payment by Dodo's
	// product id, those of a subscription for each of its periods, so that a change
	// of the catalog counts from the next one on.
	Terms map[string]Terms `json:"terms,omitempty"`
}

// Fold merges a fact into the record and freezes the terms of every product in
// it that has none yet, or whose terms give nothing, by what termsOf says of a payment's (start is zero) or of
// the subscription's period that begins at start. Of frozen terms, a least amount
// that was not met is the one that termsOf says. The receiver is not changed.
func (r Record) Fold(fact Fact, termsOf TermsOf) Record {
	next := Record{
		Payment:      r.Payment.Merge(fact.Payment),
		Subscription: r.Subscription.Merge(fact.Subscription),
		Feature:      r.Feature.Merge(fact.Feature),
		Import:       r.Import.Merge(fact.Import),
		Settled:      r.Settled.Merge(fact.Settled),
		Terms:        maps.Clone(r.Terms),
	}
	for key, bought := range next.products {
		if t, frozen := next.Terms[key]; frozen && bought.keeps(t) {
			continue
		}
		t, ok := termsOf(bought.id, bought.start)
		if !ok {
			continue
		}
		if t, ok = bought.of(t); ok {
			if next.Terms == nil {
				next.Terms = make(map[string]Terms)
			}
			next.Terms[key] = t
		}
	}
	next.askAgain(termsOf)
	return next
}

// product is something that the object is about.
type product struct {
	id    string    // Dodo's
	start time.Time // of the period, or the time of a charge on demand; zero for a payment's
	// charge on demand; nil for anything else.
	charge *Payment
}

// products yields everything that the object is about, with the keys of their terms;
// the same thing perhaps more than once.
func (r Record) products(yield func(key string, p product) bool) {
	for _, line := range r.Payment.Cart {
		if !yield(line.ProductID, product{id: line.ProductID}) {
			return
		}
	}
	if r.Subscription.IsZero() {
		return
	}
	for _, p := range r.Subscription.paid() {
		for id := range p.Bought {
			if !yield(termsKey(id, p.Start), product{id: id, start: p.Start}) {
				return
			}
		}
		for _, c := range p.Choices {
			if !c.Addons.products(p.Start, yield) {
				return
			}
		}
	}
	s := r.Subscription.State
	if s.ProductID != "" && !yield(termsKey(s.ProductID, s.PeriodStart), product{id: s.ProductID, start: s.PeriodStart}) {
		return
	}
	if s.Addons.products(s.PeriodStart, yield) {
		r.Subscription.chargesOnDemand(yield)
	}
}

// products yields the add-ons as [Record.products] does; false once yield has enough.
func (a Addons) products(start time.Time, yield func(string, product) bool) bool {
	for id := range a.All() {
		if !yield(termsKey(id, start), product{id: id, start: start}) {
			return false
		}
	}
	return true
}

func termsKey(productID string, start time.Time) string { return productID + "@" + periodKey(start) }

// Effect is what the object gives under its frozen terms, with amount 0 for every
// grant that prior, the record before, gave and this one gives no more or by
// another name. Its errors are those of [Payment.Effect] and [Subscription.Effect].
func (r Record) Effect(ref Ref, prior Record, policy config.DisputePolicy) (Effect, error) {
	next, err := r.effect(ref, policy)
	before, _ := prior.effect(ref, policy)
	if len(before.Grants) == 0 {
		return next, err
	}
	named := make(map[string]bool, len(next.Grants))
	for _, g := range next.Grants {
		named[g.ID] = true
	}
	var dropped []ledger.Target
	for _, g := range before.Grants {
		if !named[g.ID] {
			dropped = append(dropped, ledger.Target{ID: g.ID, CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt, Into: next.heirs[g.ID]})
		}
	}
	next.Grants = append(dropped, next.Grants...)
	return next, err
}

func (r Record) termsOf(productID string, start time.Time) (Terms, bool) {
	t, ok := r.Terms[termsKey(productID, start)]
	return t, ok
}

func (r Record) effect(ref Ref, policy config.DisputePolicy) (Effect, error) {
	switch ref.Kind {
	case KindSubscription:
		e, err := r.Subscription.Effect(ref.ID, r.termsOf, policy)
		return r.Settled.subscription(e), err
	case KindFeature:
		return r.Feature.Effect(), nil
	case KindImport:
		return r.Import.Effect(ref), nil
	default:
		if !r.Settled.IsZero() {
			_, undone := r.Payment.undone(policy)
			return r.Settled.payment(undone), nil
		}
		return r.Payment.Effect(ref.ID, r.Terms, policy)
	}
}
