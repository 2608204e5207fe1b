package dodo

import (
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// MaxFeature is the longest accepted name of a feature, in bytes. Dodo does not document a
// limit of feature_id.
const MaxFeature = 256

// isFeature reports whether an entitlement grant is for a feature flag. Dodo delivers the
// other integrations itself, for example to Discord, and dodogate ignores them. Some of Dodo's
// examples leave the integration out (FACTS 3.9).
func isFeature(d *listItem, in scope) bool {
	switch hint := in.lenient(); d.Integration.get(hint) {
	case "feature_flag":
		return true
	case "":
		return d.Feature.isSet(hint)
	default:
		return false
	}
}

// readFeature reads an entitlement grant of a feature flag (FACTS 3.8). eventType and
// happenedAt come from the envelope and replace a missing status and time; a list has neither.
func readFeature(d *listItem, in scope, eventType string, happenedAt time.Time) Fact {
	_ = d.Integration.get(in) // notes a repeated name as a fault
	f := entitlement.Feature{
		At:     changedAt(d, in, happenedAt),
		Status: entitlement.FeatureStatus(d.Status.get(in)),
	}
	if f.Status == "" {
		f.Status = featureStatusOf[eventType]
	}
	if f.Status == "" {
		in.refuse("status", "is missing")
	}
	// A revocation must not fail because of a field that no longer matters.
	if f.Status == entitlement.FeatureDelivered {
		flag, in := d.Feature.get(in)
		f.Name = flag.name(in)
	}
	ref := entitlement.Ref{Kind: entitlement.KindFeature, ID: requiredID(&d.ID, in, "id")}
	return Fact{Fact: entitlement.Fact{Ref: ref, Feature: f}, Clues: Clues{
		Metadata:       d.Metadata.get(in),
		CustomerID:     d.CustomerID.get(in),
		PaymentID:      d.PaymentID.get(in),
		SubscriptionID: d.SubscriptionID.get(in),
	}}
}

// grantedFeatures are the features that buying a product grants, from an item of the list of
// products (FACTS 2.8). They only decide which products are offered, so an entitlement that
// cannot be understood is left out.
func grantedFeatures(p *product, in scope) []string {
	var names []string
	items := p.Entitlements.get(in.lenient())
	for i := range items {
		if items[i].unreadable {
			continue
		}
		hint := in.lenient()
		item, hint := items[i].getLenient(hint)
		if item.Integration.get(hint) != "feature_flag" {
			continue
		}
		flag, hint := item.Config.getLenient(hint)
		if name := flag.name(hint); hint.isEmpty() {
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

// changedAt is when the grant last changed, by its body: the body may be newer than its event
// (FACTS 3.1), and a revoked grant can be delivered again. It is the latest of the body's
// times, in case updated_at does not follow every change.
func changedAt(d *listItem, in scope, happenedAt time.Time) time.Time {
	at := d.UpdatedAt.get(in)
	if at.IsZero() {
		at = happenedAt
	}
	for _, other := range []*moment{&d.DeliveredAt, &d.RevokedAt} {
		if t := other.get(in); t.After(at) {
			at = t
		}
	}
	if at.IsZero() {
		in.refuse("updated_at", "is missing")
	}
	return at
}

// name is the feature's id, which the operator chose. It may be any text.
func (f *feature) name(in scope) string {
	if kind := f.Type.get(in); kind != "" && kind != "boolean" {
		in.refuse("feature_type", "is not a known type")
	}
	name := f.ID.get(in)
	if name == "" || len(name) > MaxFeature {
		in.refuse("feature_id", "is missing or too long")
	}
	return name
}
