package dodo

import (
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// MaxFeature is the longest name of a feature, in bytes. Dodo does not say how
// long a feature_id may be.
const MaxFeature = 256

// isFeature reports whether an entitlement grant is one of a feature flag. The
// other integrations are delivered by Dodo, to Discord for example, and are none
// of our business. Some examples leave the integration out (FACTS 3.9).
func isFeature(data fields) bool {
	switch hint := data.asHint(); hint.word("integration_type") {
	case "feature_flag":
		return true
	case "":
		return hint.raw("feature") != nil
	default:
		return false
	}
}

// readFeature reads an entitlement grant of a feature flag (FACTS 3.8). eventType
// and happenedAt come from the envelope and fill in for a missing status and time;
// a list has neither.
func readFeature(data fields, eventType string, happenedAt time.Time) Fact {
	_ = data.word("integration_type") // which must not be there twice
	f := entitlement.Feature{
		At:     changedAt(data, happenedAt),
		Status: entitlement.FeatureStatus(data.word("status")),
	}
	if f.Status == "" {
		f.Status = featureStatusOf[eventType]
	}
	if f.Status == "" {
		data.refuse("status", "is missing")
	}
	// Its end must not be held up by a field that has become pointless.
	if f.Status == entitlement.FeatureDelivered {
		f.Name = data.object("feature").featureName()
	}
	ref := entitlement.Ref{Kind: entitlement.KindFeature, ID: data.wantID("id")}
	return Fact{Fact: entitlement.Fact{Ref: ref, Feature: f}, Clues: Clues{
		Metadata:       readMetadata(data.hints("metadata")),
		CustomerID:     data.id("customer_id"),
		PaymentID:      data.id("payment_id"),
		SubscriptionID: data.id("subscription_id"),
	}}
}

// maxAttached is how many entitlements of a product are looked at.
const maxAttached = 100

// grantedFeatures are the features that buying a product grants, by an item of the list
// of products (FACTS 2.8). They only choose what is offered, so an entitlement that cannot
// be understood is left out.
func grantedFeatures(item fields) []string {
	var names []string
	for _, attached := range item.asHint().items("entitlements", maxAttached) {
		hint := attached.asHint()
		if hint.word("integration_type") != "feature_flag" {
			continue
		}
		if name := hint.hints("integration_config").featureName(); hint.faults.err() == nil {
			names = append(names, name)
		}
	}
	return names
}

var featureStatusOf = map[string]entitlement.FeatureStatus{
	"entitlement_grant.created":   entitlement.FeaturePending,
	"entitlement_grant.delivered": entitlement.FeatureDelivered,
	"entitlement_grant.failed":    entitlement.FeatureFailed,
	"entitlement_grant.revoked":   entitlement.FeatureRevoked,
}

// changedAt is when the grant last changed, by its body: the body may be newer
// than its event (FACTS 3.1), and a grant that was revoked can be delivered again.
// The latest of its times is taken, should updated_at not follow each change.
func changedAt(data fields, happenedAt time.Time) time.Time {
	at := data.time("updated_at")
	if at.IsZero() {
		at = happenedAt
	}
	for _, name := range []string{"delivered_at", "revoked_at"} {
		if t := data.time(name); t.After(at) {
			at = t
		}
	}
	if at.IsZero() {
		data.refuse("updated_at", "is missing")
	}
	return at
}

// featureName is the feature's id, which the operator chose: any text.
func (f fields) featureName() string {
	if kind := f.word("feature_type"); kind != "" && kind != "boolean" {
		f.refuse("feature_type", "is none that is known")
	}
	name := f.text("feature_id")
	if name == "" || len(name) > MaxFeature {
		f.refuse("feature_id", "is missing or too long")
	}
	return name
}
