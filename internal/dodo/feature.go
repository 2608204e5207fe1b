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
func isFeature(d *listed, in scope) bool {
	switch hint := in.hint(); d.Integration.get(hint) {
	case "feature_flag":
		return true
	case "":
		return d.Feature.is(hint)
	default:
		return false
	}
}

// readFeature reads an entitlement grant of a feature flag (FACTS 3.8). eventType
// and happenedAt come from the envelope and fill in for a missing status and time;
// a list has neither.
func readFeature(d *listed, in scope, eventType string, happenedAt time.Time) Fact {
	_ = d.Integration.get(in) // which must not be there twice
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
	// Its end must not be held up by a field that has become pointless.
	if f.Status == entitlement.FeatureDelivered {
		flag, in := d.Feature.get(in)
		f.Name = flag.name(in)
	}
	ref := entitlement.Ref{Kind: entitlement.KindFeature, ID: want(&d.ID, in, "id")}
	return Fact{Fact: entitlement.Fact{Ref: ref, Feature: f}, Clues: Clues{
		Metadata:       d.Metadata.get(in),
		CustomerID:     d.CustomerID.get(in),
		PaymentID:      d.PaymentID.get(in),
		SubscriptionID: d.SubscriptionID.get(in),
	}}
}

// grantedFeatures are the features that buying a product grants, by an item of the list
// of products (FACTS 2.8). They only choose what is offered, so an entitlement that cannot
// be understood is left out.
func grantedFeatures(p *product, in scope) []string {
	var names []string
	items := p.Entitlements.get(in.hint())
	for i := range items {
		if items[i].other {
			continue
		}
		hint := in.hint()
		item, hint := items[i].hint(hint)
		if item.Integration.get(hint) != "feature_flag" {
			continue
		}
		flag, hint := item.Config.hint(hint)
		if name := flag.name(hint); hint.clear() {
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
func changedAt(d *listed, in scope, happenedAt time.Time) time.Time {
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

// name is the feature's id, which the operator chose: any text.
func (f *feature) name(in scope) string {
	if kind := f.Type.get(in); kind != "" && kind != "boolean" {
		in.refuse("feature_type", "is none that is known")
	}
	name := f.ID.get(in)
	if name == "" || len(name) > MaxFeature {
		in.refuse("feature_id", "is missing or too long")
	}
	return name
}
