package entitlement

import (
	"slices"

	"github.com/dodogate/dodogate/config"
)

// Requirement is what an account must have to pass a gate. Exactly one of the four fields is
// set.
type Requirement struct {
	Paid     bool     // a payment in force, or a plan that gives access
	Plans    []string // one of these plans, giving access now
	Features []string // one of these features
	Credits  int64    // this many available credits; none is spent
}

// MetBy reports whether the snapshot is enough. An empty requirement is never met.
func (r Requirement) MetBy(s Snapshot) bool {
	switch {
	case r.Paid:
		return s.HasPaid
	case len(r.Plans) > 0:
		return slices.ContainsFunc(s.Plans, func(p Plan) bool { return slices.Contains(r.Plans, p.Name) })
	case len(r.Features) > 0:
		return slices.ContainsFunc(s.Features, func(f string) bool { return slices.Contains(r.Features, f) })
	case r.Credits > 0:
		return s.Credits >= r.Credits
	default:
		return false
	}
}

// Pieces is how many pieces of a product must be bought so that the account meets the
// requirement, at most [config.MaxQuantity]; 0 if the product does not help. features are
// those that the product grants, has is what the account has now. Bought credits pay debt
// first. For a product with a plan or monthly credits the answer is at most 1: several pieces
// would not give their credits now.
func (r Requirement) Pieces(p config.Product, features []string, has Snapshot) int64 {
	switch {
	case r.Paid:
		return 1
	case len(r.Plans) > 0:
		if p.Plan != "" && slices.Contains(r.Plans, p.Plan) {
			return 1
		}
	case len(r.Features) > 0:
		if slices.ContainsFunc(features, func(f string) bool { return slices.Contains(r.Features, f) }) {
			return 1
		}
	case r.Credits > 0 && p.Credits > 0:
		missing := max(r.Credits-has.Credits, 1) + has.Debt // both at most MaxCredits
		pieces := (missing-1)/p.Credits + 1
		if pieces == 1 || pieces <= config.MaxQuantity && p.Plan == "" && p.CreditsEvery == "" {
			return pieces
		}
	}
	return 0
}
