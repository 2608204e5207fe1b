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
