package entitlement

import (
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Import is what an operator reports about a customer who used another system before: what the
// account had there at one instant. A nil part says nothing.
//
// An import does not come from Dodo, so its Merge is not commutative: the operator's last word
// wins.
type Import struct {
	// AsOf is the instant of the report. Purchases before it are included in it.
	AsOf    time.Time        `json:"as_of"`
	Credits *int64           `json:"credits,omitempty"`
	Paid    *ImportedPayment `json:"paid,omitempty"`
	Plan    *ImportedPlan    `json:"plan,omitempty"`
	// Customers, Subscriptions and Payments are Dodo's ids that the operator named, sorted.
	// They are kept for an export, because no other record of the account has them.
	Customers     []string `json:"customers,omitempty"`
	Subscriptions []string `json:"subscriptions,omitempty"`
	Payments      []string `json:"payments,omitempty"` // only those without a date
}

// ImportedPayment says whether the customer had paid for something that is not a plan.
type ImportedPayment struct {
	Paid bool      `json:"paid"`
	At   time.Time `json:"at,omitzero"`
}

// ImportedPlan is a plan that the customer had in the other system.
type ImportedPlan struct {
	Name  string    `json:"name,omitempty"` // empty: none
	Until time.Time `json:"until,omitzero"` // zero: no end
	// PaidAt is when it was paid for; zero if unknown.
	PaidAt time.Time `json:"paid_at,omitzero"`
}

// IsZero reports whether nothing was imported.
func (i *Import) IsZero() bool { return i.AsOf.IsZero() }

// Merge replaces each part that a later import gives. AsOf stays that of the first import,
// because objects have been judged by it since.
func (i Import) Merge(later Import) Import {
	if later.IsZero() {
		return i
	}
	if i.IsZero() {
		i.AsOf = later.AsOf
	}
	if later.Credits != nil {
		i.Credits = later.Credits
	}
	if later.Paid != nil {
		i.Paid = later.Paid
	}
	if later.Plan != nil {
		i.Plan = later.Plan
	}
	i.Customers = union(i.Customers, later.Customers)
	i.Subscriptions = union(i.Subscriptions, later.Subscriptions)
	i.Payments = union(i.Payments, later.Payments)
	return i
}

// union returns the ids of both, sorted and without duplicates; nil for none.
func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// Effect is one grant with the credits, and access to the plan until its end. The plan counts
// as a purchase: a later purchase of the same plan begins when this one ends.
func (i Import) Effect(ref Ref) Effect {
	var e Effect
	if i.Credits != nil {
		e.Grants = []ledger.Target{{ID: ref.String(), Amount: *i.Credits, CreatedAt: i.AsOf}}
	}
	if i.Paid != nil && i.Paid.Paid {
		e.Standing.Paid, e.Standing.PaidAt = true, i.Paid.At
	}
	if p := i.Plan; p != nil && p.Name != "" {
		e.Standing.Passes = []Pass{p.pass(i.AsOf)}
		if p.PaidAt.After(e.Standing.PaidAt) {
			e.Standing.PaidAt = p.PaidAt
		}
	}
	return e
}

// pass returns a pass that ends exactly when the plan ends, whenever it began.
func (p ImportedPlan) pass(asOf time.Time) Pass {
	begin := asOf
	if !p.PaidAt.IsZero() {
		begin = p.PaidAt
	}
	if p.Until.IsZero() {
		return Pass{Plan: p.Name, PaidAt: begin}
	}
	if !begin.Before(p.Until) {
		begin = p.Until.Add(-time.Second)
	}
	return Pass{Plan: p.Name, PaidAt: begin, Lasts: p.Until.Sub(begin)}
}

// Settled says that an imported balance already includes what a payment or subscription gave
// before an instant. The zero value says nothing.
type Settled struct {
	Before time.Time `json:"before"`
	// PaidAt, unless zero, is when a payment bought something other than a plan. Of such a
	// payment only the fact that it was paid remains here.
	PaidAt time.Time `json:"paid_at,omitzero"`
}

// IsZero reports whether nothing is settled.
func (s *Settled) IsZero() bool { return s.Before.IsZero() }

// Merge keeps the first of the two that is set.
func (s Settled) Merge(later Settled) Settled {
	if s.IsZero() {
		return later
	}
	if s.PaidAt.IsZero() {
		s.PaidAt = later.PaidAt
	}
	return s
}

// payment is what a settled payment still gives: no credits and no plan.
func (s Settled) payment(reversed bool) Effect {
	if s.PaidAt.IsZero() || reversed {
		return Effect{}
	}
	return Effect{Standing: Standing{Paid: true, PaidAt: s.PaidAt}}
}

// subscription removes the credits of settled periods from an effect.
func (s Settled) subscription(e Effect) Effect {
	for i, g := range e.Grants {
		if g.CreatedAt.Before(s.Before) {
			e.Grants[i].Amount = 0
		}
	}
	return e
}
