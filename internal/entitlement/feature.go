package entitlement

import (
	"cmp"
	"slices"
	"time"
)

// FeatureStatus is the status of a feature's grant at Dodo, in lower case. Dodo may add values
// (FACTS 3.6).
type FeatureStatus string

// The statuses of a feature's grant (FACTS 3.6).
const (
	FeaturePending   FeatureStatus = "pending"
	FeatureFailed    FeatureStatus = "failed"
	FeatureDelivered FeatureStatus = "delivered"
	FeatureRevoked   FeatureStatus = "revoked"
)

// rank breaks ties between reports of the same instant: losing a feature comes after getting
// it.
func (s FeatureStatus) rank() int {
	return 1 + slices.Index([]FeatureStatus{FeaturePending, FeatureFailed, FeatureDelivered, FeatureRevoked}, s)
}

// Feature is what is known about one grant of a feature flag, Dodo's own way to say what a
// product unlocks (FACTS 2.14). A grant can be revoked and delivered again, for example after
// a pause. The zero value means that nothing is known.
type Feature struct {
	// At is when the grant last changed, by its own field. It orders reports of the same
	// grant, whichever events carry them.
	At     time.Time     `json:"at"`
	Status FeatureStatus `json:"status"`
	// Name is Dodo's feature_id, which the operator chose. It is empty unless the feature is
	// delivered.
	Name string `json:"name,omitempty"`
}

// Merge combines two reports of the same grant: the newest wins. It is commutative,
// associative and idempotent.
func (f Feature) Merge(g Feature) Feature {
	if f.compare(g) < 0 {
		return g
	}
	return f
}

// compare is a total order: by time, then by rank of the status. The other fields only break
// ties, so that a merge never depends on the order of arrival.
func (f Feature) compare(g Feature) int {
	return cmp.Or(
		f.At.Compare(g.At),
		cmp.Compare(f.Status.rank(), g.Status.rank()),
		cmp.Compare(f.Name, g.Name),
		cmp.Compare(f.Status, g.Status),
	)
}

// Effect is the feature while it is delivered. It gives no credits and no plan, and is not a
// payment in force.
func (f Feature) Effect() Effect {
	if f.Status != FeatureDelivered {
		return Effect{}
	}
	return Effect{Standing: Standing{Feature: f.Name}}
}
