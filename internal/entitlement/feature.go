package entitlement

import (
	"cmp"
	"slices"
	"time"
)

// FeatureStatus is the status of a feature's grant at Dodo, in lower case. The
// set is open (FACTS 3.6).
type FeatureStatus string

// The statuses of a feature's grant (FACTS 3.6).
const (
	FeaturePending   FeatureStatus = "pending"
	FeatureFailed    FeatureStatus = "failed"
	FeatureDelivered FeatureStatus = "delivered"
	FeatureRevoked   FeatureStatus = "revoked"
)

// rank breaks ties between bodies of the same instant: what takes a feature away
// comes after what gave it.
func (s FeatureStatus) rank() int {
	return 1 + slices.Index([]FeatureStatus{FeaturePending, FeatureFailed, FeatureDelivered, FeatureRevoked}, s)
}

// Feature is what is known about one grant of a feature flag, which is how Dodo
// itself says what a product unlocks (FACTS 2.14). A grant can be revoked and
// delivered again, after a pause for example. The zero value knows nothing.
type Feature struct {
	// At is when the grant last changed, as its own body says: two bodies of the
	// same grant are told apart by it, whichever events carry them.
	At     time.Time     `json:"at"`
	Status FeatureStatus `json:"status"`
	// Name is Dodo's feature_id, which the operator chose. Empty unless the
	// feature is delivered.
	Name string `json:"name,omitempty"`
}

// Merge joins two states of knowledge about the same grant: the newest one wins.
// It is commutative, associative and idempotent.
func (f Feature) Merge(g Feature) Feature {
	if f.compare(g) < 0 {
		return g
	}
	return f
}

// compare is a total order: the newest state, then the further status, then what
// is left only so that a merge never depends on arrival.
func (f Feature) compare(g Feature) int {
	return cmp.Or(
		f.At.Compare(g.At),
		cmp.Compare(f.Status.rank(), g.Status.rank()),
		cmp.Compare(f.Name, g.Name),
		cmp.Compare(f.Status, g.Status),
	)
}

// Effect is the feature while it is delivered: no credits, no plan, and no
// payment in force.
func (f Feature) Effect() Effect {
	if f.Status != FeatureDelivered {
		return Effect{}
	}
	return Effect{Standing: Standing{Feature: f.Name}}
}
