package entitlement

import "slices"

// Requirement is what an account must have to get at something: exactly one of
// the three is set.
type Requirement struct {
	Paid    bool     // a payment in force, or a plan that gives access
	Plans   []string // one of these plans, giving access now
	Credits int64    // as many credits that can be spent; none is taken
}

// MetBy reports whether the snapshot is enough. A requirement of nothing is met by
// nobody.
func (r Requirement) MetBy(s Snapshot) bool {
	switch {
	case r.Paid:
		return s.HasPaid
	case len(r.Plans) > 0:
		return s.Plan != NoPlan && slices.Contains(r.Plans, s.Plan)
	case r.Credits > 0:
		return s.Credits >= r.Credits
	default:
		return false
	}
}
