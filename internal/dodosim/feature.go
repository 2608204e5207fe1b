package dodosim

import (
	"slices"
	"time"
)

// grantStatus is where a grant stands (FACTS 3.6). Feature flags are delivered as
// soon as they are created (FACTS 3.8), so nothing is ever pending.
type grantStatus string

const (
	grantDelivered grantStatus = "Delivered"
	grantRevoked   grantStatus = "Revoked"
)

// integration is the only one that the simulator plays.
const integration = "feature_flag"

// feature is what a flag confers.
type feature struct {
	FeatureType string `json:"feature_type"`
	FeatureID   string `json:"feature_id"`
}

// flag is an entitlement of the kind feature flag, as a product lists it.
type flag struct {
	ID                string  `json:"id"`
	Name              string  `json:"name"`
	Description       *string `json:"description"`
	IntegrationType   string  `json:"integration_type"`
	IntegrationConfig feature `json:"integration_config"`
}

// addFlags makes one entitlement of each feature that a product has and that is new.
func (s *Simulator) addFlags(p Product) {
	for _, name := range p.Features {
		if !slices.ContainsFunc(s.flags, func(f flag) bool { return f.Name == name }) {
			s.flags = append(s.flags, flag{
				ID: newID("ent_"), Name: name, IntegrationType: integration, IntegrationConfig: feature{"boolean", name},
			})
		}
	}
}

// flagsOf are the entitlements that are attached to a product. The caller holds s.mu.
func (s *Simulator) flagsOf(p Product) []flag {
	flags := []flag{}
	for _, f := range s.flags {
		if slices.Contains(p.Features, f.Name) {
			flags = append(flags, f)
		}
	}
	return flags
}

// grant is the object of FACTS 3.8. Guarded by [Simulator.mu].
type grant struct {
	ID               string      `json:"id"`
	BusinessID       string      `json:"business_id"`
	BrandID          string      `json:"brand_id"`
	EntitlementID    string      `json:"entitlement_id"`
	CustomerID       string      `json:"customer_id"`
	PaymentID        *string     `json:"payment_id"`
	SubscriptionID   *string     `json:"subscription_id"`
	Status           grantStatus `json:"status"`
	IntegrationType  string      `json:"integration_type"`
	Feature          feature     `json:"feature"`
	LicenseKey       *string     `json:"license_key"`
	Delivery         *string     `json:"digital_product_delivery"`
	DeliveredAt      time.Time   `json:"delivered_at"`
	RevokedAt        *time.Time  `json:"revoked_at"`
	RevocationReason *string     `json:"revocation_reason"`
	ErrorCode        *string     `json:"error_code"`
	ErrorMessage     *string     `json:"error_message"`
	OAuthURL         *string     `json:"oauth_url"`
	OAuthExpiresAt   *time.Time  `json:"oauth_expires_at"`
	Metadata         metadata    `json:"metadata"`
	CreatedAt        time.Time   `json:"created_at"`
	UpdatedAt        time.Time   `json:"updated_at"`
}

func (g *grant) objectID() string { return g.ID }

// payload is the grant as webhooks carry it.
func (g *grant) payload() any {
	return struct {
		*grant
		PayloadType string `json:"payload_type"`
	}{g, "EntitlementGrant"}
}

// grantBought gives what a payment has bought once. What the subscription in a mixed
// cart gives follows the subscription. The caller holds s.mu.
func (s *Simulator) grantBought(p *payment) {
	if p.Status != Succeeded {
		return
	}
	for _, l := range p.lines {
		if l.product.recurring() {
			continue
		}
		s.giveCredits(l, p.Customer, "one_time", "payment", p.PaymentID, p.Metadata, p.happened())
		for _, f := range s.flagsOf(l.product) {
			s.grantFlag(f, grant{CustomerID: p.Customer.CustomerID, PaymentID: new(p.PaymentID)}, p.happened())
		}
	}
}

// revokeRefunded takes back what a payment bought once that is refunded in full.
func (s *Simulator) revokeRefunded(p *payment, at time.Time) {
	if p.refunded < p.TotalAmount {
		return
	}
	s.disableRefunded(p)
	for _, g := range s.grants {
		if text(g.PaymentID) == p.PaymentID && g.Status == grantDelivered {
			s.revoke(g, "refund", at)
		}
	}
}

// revocationReasons are Dodo's, in its spelling (FACTS 3.8).
var revocationReasons = map[SubscriptionStatus]string{
	SubscriptionActive:    "plan_changed",
	SubscriptionPastDue:   "plan_changed",
	SubscriptionOnHold:    "subscription_on_hold",
	SubscriptionPaused:    "SubscriptionPaused",
	SubscriptionCancelled: "subscription_cancelled",
	SubscriptionExpired:   "subscription_expired",
}

// syncFeatures gives and takes what follows from a subscription's status and product.
// That a grant comes back under its own id is UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) syncFeatures(sub *subscription, at time.Time) {
	var due []flag
	if sub.Status == SubscriptionActive || sub.Status == SubscriptionPastDue {
		due = s.flagsOf(sub.plan.lines[0].product)
	}
	for _, g := range s.grants {
		if text(g.SubscriptionID) != sub.SubscriptionID {
			continue
		}
		i := slices.IndexFunc(due, func(f flag) bool { return f.ID == g.EntitlementID })
		switch {
		case i < 0 && g.Status == grantDelivered:
			s.revoke(g, revocationReasons[sub.Status], at)
		case i >= 0 && g.Status == grantRevoked:
			at := g.change(at)
			g.Status, g.DeliveredAt, g.RevokedAt, g.RevocationReason = grantDelivered, at, nil, nil
			s.emit("entitlement_grant.delivered", g, at)
		}
		if i >= 0 {
			due = slices.Delete(due, i, i+1)
		}
	}
	for _, f := range due {
		s.grantFlag(f, grant{CustomerID: sub.Customer.CustomerID, SubscriptionID: new(sub.SubscriptionID)}, at)
	}
}

// grantFlag completes a grant that says whose it is and what for.
func (s *Simulator) grantFlag(f flag, g grant, at time.Time) {
	g.ID, g.BusinessID, g.BrandID = newID("entg_"), s.business, s.brand
	g.EntitlementID, g.IntegrationType, g.Feature = f.ID, f.IntegrationType, f.IntegrationConfig
	g.Status, g.DeliveredAt, g.CreatedAt, g.UpdatedAt = grantDelivered, at, at, at
	g.Metadata = metadata{}
	s.grants = append(s.grants, &g)
	s.emit("entitlement_grant.created", &g, at)
	s.emit("entitlement_grant.delivered", &g, at)
}

func (s *Simulator) revoke(g *grant, reason string, at time.Time) {
	at = g.change(at)
	g.Status, g.RevokedAt, g.RevocationReason = grantRevoked, &at, &reason
	s.emit("entitlement_grant.revoked", g, at)
}

// change moves updated_at, which never stands still: by it bodies are told apart.
func (g *grant) change(at time.Time) time.Time {
	if !at.After(g.UpdatedAt) {
		at = g.UpdatedAt.Add(time.Microsecond)
	}
	g.UpdatedAt = at
	return at
}
