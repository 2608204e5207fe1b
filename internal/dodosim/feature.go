package dodosim

import (
	"slices"
	"time"
)

// grantStatus is the state of a grant (FACTS 3.6).
type grantStatus string

const (
	grantPending   grantStatus = "Pending"
	grantDelivered grantStatus = "Delivered"
	grantFailed    grantStatus = "Failed"
	grantRevoked   grantStatus = "Revoked"
)

// feature is what a feature flag grants.
type feature struct {
	FeatureType string `json:"feature_type"`
	FeatureID   string `json:"feature_id"`
}

// entitlement is what products can grant, as a product lists it. A feature flag is an
// entitlement of the kind FeatureFlag.
type entitlement struct {
	ID                string          `json:"id"`
	Name              string          `json:"name"`
	Description       *string         `json:"description"`
	IntegrationType   IntegrationKind `json:"integration_type"`
	IntegrationConfig any             `json:"integration_config"`
}

// addEntitlements makes the entitlements for the product's features and integrations that do
// not exist yet. The caller holds s.mu, or s is not shared yet.
func (s *Simulator) addEntitlements(p Product) {
	for _, i := range p.granted() {
		if !slices.ContainsFunc(s.entitlements, i.is) {
			s.entitlements = append(s.entitlements, entitlement{
				ID: newID("ent_"), Name: i.Name, IntegrationType: i.Kind, IntegrationConfig: i.config(),
			})
		}
	}
}

// entitlementsOf are the entitlements that are attached to a product. The caller holds
// s.mu.
func (s *Simulator) entitlementsOf(p Product) []entitlement {
	attached := []entitlement{}
	for _, e := range s.entitlements {
		if slices.ContainsFunc(p.granted(), func(i Integration) bool { return i.is(e) }) {
			attached = append(attached, e)
		}
	}
	return attached
}

// grant is the object of FACTS 3.8. Guarded by [Simulator.mu].
type grant struct {
	ID               string          `json:"id"`
	BusinessID       string          `json:"business_id"`
	BrandID          string          `json:"brand_id"`
	EntitlementID    string          `json:"entitlement_id"`
	CustomerID       string          `json:"customer_id"`
	PaymentID        *string         `json:"payment_id"`
	SubscriptionID   *string         `json:"subscription_id"`
	Status           grantStatus     `json:"status"`
	IntegrationType  IntegrationKind `json:"integration_type"`
	Feature          *feature        `json:"feature"`
	LicenseKey       *licenseGrant   `json:"license_key"`
	Delivery         *fileDelivery   `json:"digital_product_delivery"`
	DeliveredAt      *time.Time      `json:"delivered_at"`
	RevokedAt        *time.Time      `json:"revoked_at"`
	RevocationReason *string         `json:"revocation_reason"`
	ErrorCode        *string         `json:"error_code"`
	ErrorMessage     *string         `json:"error_message"`
	OAuthURL         *string         `json:"oauth_url"`
	OAuthExpiresAt   *time.Time      `json:"oauth_expires_at"`
	Metadata         metadata        `json:"metadata"`
	CreatedAt        time.Time       `json:"created_at"`
	UpdatedAt        time.Time       `json:"updated_at"`

	license   *license // of a licence key
	withdrawn bool     // by the merchant, whatever the status of the subscription
}

func (g *grant) objectID() string { return g.ID }

// shown is a copy of the grant with its current state and licence key.
func (g *grant) shown() *grant {
	shown := *g
	if l := g.license; l != nil {
		shown.LicenseKey = &licenseGrant{l.Key, len(l.instances), l.ActivationsLimit, l.ExpiresAt}
	}
	return &shown
}

// payload is the grant as webhooks carry it.
func (g *grant) payload() any {
	return struct {
		*grant
		PayloadType string `json:"payload_type"`
	}{g.shown(), "EntitlementGrant"}
}

// grantBought grants what a payment has bought once. In a mixed cart, the subscription's
// grants follow the subscription. The caller holds s.mu.
func (s *Simulator) grantBought(p *payment) {
	if p.Status != Succeeded {
		return
	}
	for _, l := range p.lines {
		if l.product.recurring() {
			continue
		}
		s.giveBought(l, p)
		for _, e := range s.entitlementsOf(l.product) {
			s.grantEntitlement(e, grant{CustomerID: p.Customer.CustomerID, PaymentID: new(p.PaymentID)}, p.outcomeTime())
		}
	}
}

// revokeRefunded revokes the one-time purchases of a payment that is refunded in full.
func (s *Simulator) revokeRefunded(p *payment, at time.Time) {
	if p.refunded < p.TotalAmount {
		return
	}
	s.disableRefunded(p)
	for _, g := range s.grants {
		if valueOrEmpty(g.PaymentID) == p.PaymentID && g.SubscriptionID == nil && g.revocable() {
			s.revoke(g, "refund", at)
		}
	}
}

// revocationReasons are Dodo's reasons, in its spelling (FACTS 3.8).
var revocationReasons = map[SubscriptionStatus]string{
	SubscriptionActive:    "plan_changed",
	SubscriptionPastDue:   "plan_changed",
	SubscriptionOnHold:    "subscription_on_hold",
	SubscriptionPaused:    "SubscriptionPaused",
	SubscriptionCancelled: "subscription_cancelled",
	SubscriptionExpired:   "subscription_expired",
}

// syncGrants delivers and revokes grants according to a subscription's status and product.
// That a grant is delivered again under its own id, and that one that was pending when it was
// revoked is pending again, is UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) syncGrants(sub *subscription, at time.Time) {
	var due []entitlement
	if sub.Status == SubscriptionActive || sub.Status == SubscriptionPastDue {
		due = s.entitlementsOf(sub.plan.lines[0].product)
	}
	for _, g := range s.grants {
		if valueOrEmpty(g.SubscriptionID) != sub.SubscriptionID {
			continue
		}
		i := slices.IndexFunc(due, func(e entitlement) bool { return e.ID == g.EntitlementID })
		switch {
		case i < 0 && g.revocable():
			s.revoke(g, revocationReasons[sub.Status], at)
		case i >= 0 && g.Status == grantRevoked && !g.withdrawn:
			g.RevokedAt, g.RevocationReason = nil, nil
			if g.DeliveredAt == nil {
				g.Status = grantPending
				g.change(at)
			} else {
				s.deliverGrant(g, at)
			}
		}
		if i >= 0 {
			due = slices.Delete(due, i, i+1)
		}
	}
	for _, e := range due {
		s.grantEntitlement(e, grant{CustomerID: sub.Customer.CustomerID, SubscriptionID: new(sub.SubscriptionID)}, at)
	}
}

// grantEntitlement completes a grant of a known customer, and delivers it unless somebody else
// must do that.
func (s *Simulator) grantEntitlement(e entitlement, g grant, at time.Time) {
	g.ID, g.BusinessID, g.BrandID = newID("entg_"), s.business, s.brand
	g.EntitlementID, g.IntegrationType = e.ID, e.IntegrationType
	g.Status, g.CreatedAt, g.UpdatedAt, g.Metadata = grantPending, at, at, metadata{}
	fillGrant(e, &g)
	s.grants = append(s.grants, &g)
	if g.IntegrationType.atOnce() { // it is created as delivered (FACTS 3.8)
		g.Status, g.DeliveredAt = grantDelivered, &at
	}
	s.emit("entitlement_grant.created", &g, at)
	if g.Status == grantDelivered {
		s.emit("entitlement_grant.delivered", &g, at)
	}
}

// revocable reports whether there is anything to revoke.
func (g *grant) revocable() bool { return g.Status == grantDelivered || g.Status == grantPending }

func (s *Simulator) revoke(g *grant, reason string, at time.Time) {
	at = g.change(at)
	g.Status, g.RevokedAt, g.RevocationReason = grantRevoked, &at, &reason
	s.emit("entitlement_grant.revoked", g, at)
}

// change advances updated_at, which must differ after each change: it orders the bodies.
func (g *grant) change(at time.Time) time.Time {
	if !at.After(g.UpdatedAt) {
		at = g.UpdatedAt.Add(time.Microsecond)
	}
	g.UpdatedAt = at
	return at
}
