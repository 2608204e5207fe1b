package entitlement

import (
	"maps"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Fact is what one event or one API read says about one object. It may be as little as one
// refund of a payment.
type Fact struct {
	Ref          Ref
	Payment      Payment      // if Ref names a payment
	Subscription Subscription // if Ref names a subscription
	Feature      Feature      // if Ref names a grant of a feature
	Import       Import       // if Ref names an import
	// Settled says that an import already includes what a payment or subscription gave.
	Settled Settled
}

// Describes reports whether the fact describes the object itself, not only something that
// happened to it, such as a refund.
func (f Fact) Describes() bool {
	return f.Payment.Status != "" || f.Subscription.State.Status != "" || f.Feature.Status != ""
}

// Record is everything known about one object. The store keeps it apart from its account's
// ledger.
type Record struct {
	Payment      Payment      `json:"payment,omitzero"`
	Subscription Subscription `json:"subscription,omitzero"`
	Feature      Feature      `json:"feature,omitzero"`
	Import       Import       `json:"import,omitzero"`
	Act          Act          `json:"act,omitzero"`
	Settled      Settled      `json:"settled,omitzero"`
	// Taken is the id of the act by which an operator took the object from the account; empty
	// otherwise. No fact changes the object until an operator gives it back.
	Taken string `json:"taken,omitempty"`
	// Terms are frozen when they are first needed: for a payment by Dodo's product id, for a
	// subscription for each of its periods. So a change of the catalog counts from the next
	// period on.
	Terms map[string]Terms `json:"terms,omitempty"`
}

// Fold returns the record merged with a fact. It does not change the receiver. The result is not
// taken.
//
// It freezes the terms of every product that has none yet, or whose terms give nothing. They
// come from termsOf, called with a zero start for a payment and with the start of the period
// for a subscription. A least amount that was not met is replaced by the current one.
func (r Record) Fold(fact Fact, termsOf TermsOf) Record {
	next := Record{
		Payment:      r.Payment.Merge(fact.Payment),
		Subscription: r.Subscription.Merge(fact.Subscription),
		Feature:      r.Feature.Merge(fact.Feature),
		Import:       r.Import.Merge(fact.Import),
		Act:          r.Act, // no fact changes it
		Settled:      r.Settled.Merge(fact.Settled),
		Terms:        maps.Clone(r.Terms),
	}
	for key, bought := range next.termsRequests {
		if t, frozen := next.Terms[key]; frozen && bought.keepsTerms(t) {
			continue
		}
		t, ok := termsOf(bought.productID, bought.start)
		if !ok {
			continue
		}
		if t, ok = bought.frozenTerms(t); ok {
			if next.Terms == nil {
				next.Terms = make(map[string]Terms)
			}
			next.Terms[key] = t
		}
	}
	next.refreshMinAmounts(termsOf)
	return next
}

// termsRequest is a purchase that needs terms.
type termsRequest struct {
	productID string    // Dodo's
	start     time.Time // of the period, or the time of an on-demand charge; zero for a payment
	// charge is an on-demand charge; nil for other purchases.
	charge *Payment
}

// termsRequests yields every purchase of the object with the key of its terms. The same
// purchase may come more than once.
func (r Record) termsRequests(yield func(key string, p termsRequest) bool) {
	for _, line := range r.Payment.Cart {
		if !yield(line.ProductID, termsRequest{productID: line.ProductID}) {
			return
		}
	}
	if r.Subscription.IsZero() {
		return
	}
	for _, p := range r.Subscription.paidPeriods() {
		for id := range p.Bought {
			if !yield(termsKey(id, p.Start), termsRequest{productID: id, start: p.Start}) {
				return
			}
		}
		for _, c := range p.Choices {
			if !c.Addons.termsRequests(p.Start, yield) {
				return
			}
		}
	}
	s := r.Subscription.State
	if s.ProductID != "" && !yield(termsKey(s.ProductID, s.PeriodStart), termsRequest{productID: s.ProductID, start: s.PeriodStart}) {
		return
	}
	if s.Addons.termsRequests(s.PeriodStart, yield) {
		r.Subscription.onDemandRequests(yield)
	}
}

// termsRequests yields the add-ons like [Record.termsRequests]. It returns false if yield
// stopped.
func (a Addons) termsRequests(start time.Time, yield func(string, termsRequest) bool) bool {
	for id := range a.All() {
		if !yield(termsKey(id, start), termsRequest{productID: id, start: start}) {
			return false
		}
	}
	return true
}

func termsKey(productID string, start time.Time) string { return productID + "@" + periodKey(start) }

// Effect is what the object gives under its frozen terms. Grants of prior, the record before,
// that are no longer given or have another name are listed with amount 0. Its errors are those
// of [Payment.Effect] and [Subscription.Effect].
func (r Record) Effect(ref Ref, prior Record, policy config.DisputePolicy) (Effect, error) {
	next, err := r.effect(ref, policy)
	before, _ := prior.effect(ref, policy)
	if len(before.Grants) == 0 {
		return next, err
	}
	stillGiven := make(map[string]bool, len(next.Grants))
	for _, g := range next.Grants {
		stillGiven[g.ID] = true
	}
	var dropped []ledger.Target
	for _, g := range before.Grants {
		if !stillGiven[g.ID] {
			dropped = append(dropped, ledger.Target{ID: g.ID, CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt, Into: next.successors[g.ID]})
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
	case KindAct:
		return r.Act.Effect(ref), nil
	default:
		if !r.Settled.IsZero() {
			_, reversed := r.Payment.reversed(policy)
			return r.Settled.payment(reversed), nil
		}
		return r.Payment.Effect(ref.ID, r.Terms, policy)
	}
}
