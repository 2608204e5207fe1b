package config

import "fmt"

// DisputePolicy says what an open dispute does to what its payment gave.
type DisputePolicy string

// The policies.
const (
	// DisputeFreeze takes it back until the dispute is won or withdrawn.
	DisputeFreeze DisputePolicy = "freeze"
	// DisputeIgnore leaves it until the dispute is decided.
	DisputeIgnore DisputePolicy = "ignore"
)

// Validate accepts the policies and "", which is [DisputeFreeze].
func (p DisputePolicy) Validate() error {
	switch p {
	case "", DisputeFreeze, DisputeIgnore:
		return nil
	default:
		return fmt.Errorf("dispute_policy must be %s or %s, not %q", DisputeFreeze, DisputeIgnore, string(p))
	}
}

// RefundPolicy says what becomes of credits that are taken back, by a refund or a
// dispute, when they are spent already.
type RefundPolicy string

// The policies.
const (
	// RefundDebt lets the account owe them: credits that come later pay first.
	RefundDebt RefundPolicy = "debt"
	// RefundFloor forgives them.
	RefundFloor RefundPolicy = "floor"
)

// Validate accepts the policies and "", which is [RefundDebt].
func (p RefundPolicy) Validate() error {
	switch p {
	case "", RefundDebt, RefundFloor:
		return nil
	default:
		return fmt.Errorf("refund_policy must be %s or %s, not %q", RefundDebt, RefundFloor, string(p))
	}
}

// Proration says what a change of plan charges at once, in Dodo's words.
type Proration string

// The ways to charge.
const (
	// ProrateUnused charges the new price less what is left of the old period.
	ProrateUnused Proration = "prorated_immediately"
	// ProrateDifference charges the new price less the old one, whatever is left.
	ProrateDifference Proration = "difference_immediately"
	// ProrateNothing charges the whole new price.
	ProrateNothing Proration = "full_immediately"
)

// Validate accepts the ways and "", which is [ProrateUnused].
func (p Proration) Validate() error {
	switch p {
	case "", ProrateUnused, ProrateDifference, ProrateNothing:
		return nil
	default:
		return fmt.Errorf("proration must be %s, %s or %s, not %q", ProrateUnused, ProrateDifference, ProrateNothing, string(p))
	}
}
