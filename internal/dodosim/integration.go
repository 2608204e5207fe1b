package dodosim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// IntegrationKind is the service in which an entitlement gives access (FACTS 2.14).
type IntegrationKind string

// The kinds of entitlements. Grants of the last three are delivered as soon as they are
// created, the others wait for [Simulator.DeliverGrant] (FACTS 3.8; that digital files do
// not wait is UNCONFIRMED).
const (
	Discord      IntegrationKind = "discord"
	Telegram     IntegrationKind = "telegram"
	GitHub       IntegrationKind = "github"
	Figma        IntegrationKind = "figma"
	Framer       IntegrationKind = "framer"
	Notion       IntegrationKind = "notion"
	DigitalFiles IntegrationKind = "digital_files"
	LicenseKey   IntegrationKind = "license_key"
	FeatureFlag  IntegrationKind = "feature_flag"
)

// atOnce reports whether delivery needs nobody's action.
func (kind IntegrationKind) atOnce() bool {
	return kind == DigitalFiles || kind == LicenseKey || kind == FeatureFlag
}

// Integration is an entitlement that a product grants, of any kind; [Product.Features] is for
// feature flags only. Products that name the same integration share it.
type Integration struct {
	// Kind is the service. A LicenseKey hands out the product's licence key, so it requires
	// [Product.LicenseKeys].
	Kind IntegrationKind `json:"kind"`
	// Name identifies it: the repository, the server, the chat, the file or the template. For
	// a feature flag it is the feature_id.
	Name string `json:"name"`
}

// is reports whether an entitlement belongs to the integration.
func (i Integration) is(e entitlement) bool { return i.Kind == e.IntegrationType && i.Name == e.Name }

// granted are all integrations of a product, its features included.
func (p Product) granted() []Integration {
	all := make([]Integration, 0, len(p.Features)+len(p.Integrations))
	for _, name := range p.Features {
		all = append(all, Integration{FeatureFlag, name})
	}
	return append(all, p.Integrations...)
}

// checkIntegrations refuses what cannot be granted.
func (p Product) checkIntegrations() error {
	seen := make(map[Integration]bool)
	for _, i := range p.granted() {
		switch {
		case !integrations[string(i.Kind)]:
			return fmt.Errorf("%q is not a kind of entitlement", i.Kind)
		case i.Name == "":
			return fmt.Errorf("an entitlement of the kind %s has no name", i.Kind)
		case i.Kind == LicenseKey && !p.LicenseKeys:
			return fmt.Errorf("the entitlement %s needs licence keys", i.Name)
		case seen[i] && i.Kind != FeatureFlag:
			return fmt.Errorf("the entitlement %s appears twice", i.Name)
		}
		seen[i] = true
	}
	return nil
}

// config is what Dodo stores for an integration.
func (i Integration) config() any {
	switch i.Kind {
	case GitHub:
		return map[string]any{"target_id": i.Name, "permission": "pull"}
	case Discord:
		return map[string]any{"guild_id": i.Name, "role_id": nil}
	case Telegram:
		return map[string]any{"chat_id": i.Name}
	case Figma:
		return map[string]any{"figma_file_id": i.Name}
	case Framer:
		return map[string]any{"framer_template_id": i.Name}
	case Notion:
		return map[string]any{"notion_template_id": i.Name}
	case DigitalFiles:
		return map[string]any{"digital_files": i.files()}
	case LicenseKey:
		return map[string]any{"activations_limit": nil, "activation_message": nil}
	}
	return feature{"boolean", i.Name}
}

// licenseGrant is a grant's licence key.
type licenseGrant struct {
	Key              string     `json:"key"`
	ActivationsUsed  int        `json:"activations_used"`
	ActivationsLimit *int       `json:"activations_limit"`
	ExpiresAt        *time.Time `json:"expires_at"`
}

// fileDelivery is a grant's digital files. Its URLs do not work.
type fileDelivery struct {
	Files        []deliveredFile `json:"files"`
	Instructions *string         `json:"instructions"`
	ExternalURL  *string         `json:"external_url"`
}

type deliveredFile struct {
	FileID      string `json:"file_id"`
	Filename    string `json:"filename"`
	DownloadURL string `json:"download_url"`
	ExpiresIn   int    `json:"expires_in"`
}

func (i Integration) files() *fileDelivery {
	return &fileDelivery{Files: []deliveredFile{{
		FileID: "file_" + i.Name, Filename: i.Name, DownloadURL: "https://files.invalid/" + i.Name, ExpiresIn: 3600,
	}}}
}

// fillGrant adds the values for the kind, except a licence key: see issue.
func fillGrant(e entitlement, g *grant) {
	switch e.IntegrationType {
	case FeatureFlag:
		g.Feature = &feature{"boolean", e.Name}
	case DigitalFiles:
		g.Delivery = Integration{e.IntegrationType, e.Name}.files()
	case GitHub, Discord, Figma, Notion:
		g.OAuthURL = new("https://connect.invalid/" + g.ID)
		g.OAuthExpiresAt = new(g.CreatedAt.Add(24 * time.Hour)) // a guess
	}
}

// handOut puts a licence key into the grants that wait for it. The caller holds s.mu.
func (s *Simulator) handOut(l *license, p Product) {
	attached := s.entitlementsOf(p)
	for _, g := range s.grants {
		of := slices.ContainsFunc(attached, func(e entitlement) bool { return e.ID == g.EntitlementID })
		bought := g.SubscriptionID == nil && valueOrEmpty(g.PaymentID) == valueOrEmpty(l.PaymentID) ||
			g.SubscriptionID != nil && *g.SubscriptionID == valueOrEmpty(l.SubscriptionID)
		if g.IntegrationType == LicenseKey && g.license == nil && of && bought {
			g.license = l
		}
	}
}

// findGrant looks a grant up. The caller holds s.mu.
func (s *Simulator) findGrant(id string) (*grant, *Error) {
	for _, g := range s.grants {
		if g.ID == id {
			return g, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no grant %s", id)
}

// pendingGrant finds a grant that has not been delivered.
func (s *Simulator) pendingGrant(id string) (*grant, error) {
	g, refusal := s.findGrant(id)
	switch {
	case refusal != nil:
		return nil, refusal
	case g.Status != grantPending && g.Status != grantFailed:
		return nil, fmt.Errorf("grant %s is %s", id, g.Status)
	}
	return g, nil
}

// DeliverGrant delivers a grant, as if its customer had connected an account. The id is one of
// [Simulator.Events], or of GET /entitlements/{id}/grants.
func (s *Simulator) DeliverGrant(grantID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.pendingGrant(grantID)
	if err != nil {
		return fmt.Errorf("deliver grant: %w", err)
	}
	g.ErrorCode, g.ErrorMessage = nil, nil
	s.deliverGrant(g, s.now())
	return nil
}

func (s *Simulator) deliverGrant(g *grant, at time.Time) {
	at = g.change(at)
	g.Status, g.DeliveredAt = grantDelivered, &at
	s.emit("entitlement_grant.delivered", g, at)
}

// FailGrant makes the delivery of a pending grant fail. It is not retried (FACTS 3.3).
func (s *Simulator) FailGrant(grantID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.pendingGrant(grantID)
	if err != nil {
		return fmt.Errorf("fail grant: %w", err)
	}
	s.rejectGrant(g, s.now())
	return nil
}

// getEntitlement answers GET /entitlements/{id}.
func (s *Simulator) getEntitlement(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, refusal := s.findEntitlement(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return listedEntitlement{e, s.business, true, metadata{}, s.started, s.started}, nil
}

// findEntitlement looks an entitlement up. The caller holds s.mu.
func (s *Simulator) findEntitlement(id string) (entitlement, *Error) {
	i := slices.IndexFunc(s.entitlements, func(e entitlement) bool { return e.ID == id })
	if i < 0 {
		return entitlement{}, refuse(codeNotFound, "there is no entitlement %s", id)
	}
	return s.entitlements[i], nil
}

// revokeGrant answers DELETE /entitlements/{id}/grants/{grant}. It is permanent, and may be
// repeated (FACTS 2.14).
func (s *Simulator) revokeGrant(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, refusal := s.findEntitlement(r.PathValue("id")); refusal != nil {
		return nil, refusal
	}
	g, refusal := s.findGrant(r.PathValue("grant"))
	switch {
	case refusal != nil:
		return nil, refusal
	case g.EntitlementID != r.PathValue("id"):
		return nil, refuse(codeNotFound, "the entitlement has no grant %s", g.ID)
	}
	g.withdrawn = true
	if g.Status != grantRevoked {
		s.revoke(g, "manual", s.now())
	}
	return snapshot(g.shown())
}

func (s *Simulator) rejectGrant(g *grant, at time.Time) {
	at = g.change(at)
	g.Status, g.ErrorCode, g.ErrorMessage = grantFailed, new("DELIVERY_FAILED"), new("The integration refused the delivery.")
	s.emit("entitlement_grant.failed", g, at)
}
