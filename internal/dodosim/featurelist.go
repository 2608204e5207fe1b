package dodosim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

var (
	integrations  = wordSet("discord telegram github figma framer notion digital_files license_key feature_flag")
	grantStatuses = wordSet("Pending Delivered Failed Revoked")
)

// listedEntitlement is an entitlement as GET /entitlements lists it.
type listedEntitlement struct {
	entitlement
	BusinessID string    `json:"business_id"`
	IsActive   bool      `json:"is_active"`
	Metadata   metadata  `json:"metadata"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// listEntitlements answers GET /entitlements, in the order of the catalog.
func (s *Simulator) listEntitlements(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	kind := q.oneOf("integration_type", integrations)
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []listedEntitlement{}
	for _, e := range s.entitlements {
		if kind == "" || kind == string(e.IntegrationType) {
			items = append(items, listedEntitlement{e, s.business, true, metadata{}, s.started, s.started})
		}
	}
	return list[listedEntitlement]{Items: slicePage(items, window)}, nil
}

// listGrants answers GET /entitlements/{id}/grants, newest first like payments:
// UNCONFIRMED.
func (s *Simulator) listGrants(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	status, customer := q.oneOf("status", grantStatuses), q.text("customer_id")
	if q.refusal != nil {
		return nil, q.refusal
	}
	id := r.PathValue("id")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, refusal := s.findEntitlement(id); refusal != nil {
		return nil, refusal
	}
	items := []grant{}
	for _, g := range slices.Backward(s.grants) {
		if g.EntitlementID == id && (status == "" || status == string(g.Status)) && (customer == "" || customer == g.CustomerID) {
			items = append(items, *g.shown())
		}
	}
	return snapshot(list[grant]{Items: slicePage(items, window)})
}

// listCustomerGrants answers GET /customers/{id}/entitlement-grants, newest first like
// payments: UNCONFIRMED.
func (s *Simulator) listCustomerGrants(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	status, kind := q.oneOf("status", grantStatuses), q.oneOf("integration_type", integrations)
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	items := []grant{}
	for _, g := range slices.Backward(s.grants) {
		if g.CustomerID == c.CustomerID && (status == "" || status == string(g.Status)) && (kind == "" || kind == string(g.IntegrationType)) {
			items = append(items, *g.shown())
		}
	}
	return snapshot(list[grant]{Items: slicePage(items, window)})
}

// customerEntitlement is a grant as GET /customers/{id}/entitlements lists it, with its
// status in lower case (FACTS 3.6).
type customerEntitlement struct {
	GrantID         string          `json:"grant_id"`
	EntitlementID   string          `json:"entitlement_id"`
	Name            string          `json:"entitlement_name"`
	Description     *string         `json:"entitlement_description"`
	IntegrationType IntegrationKind `json:"integration_type"`
	Status          string          `json:"status"`
	DeliveredAt     *time.Time      `json:"delivered_at"`
	RevokedAt       *time.Time      `json:"revoked_at"`
	CreatedAt       time.Time       `json:"created_at"`
	UpdatedAt       time.Time       `json:"updated_at"`
}

// listCustomerEntitlements answers GET /customers/{id}/entitlements, which has no pages.
func (s *Simulator) listCustomerEntitlements(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	items := []customerEntitlement{}
	for _, g := range slices.Backward(s.grants) {
		if g.CustomerID != c.CustomerID {
			continue
		}
		i := slices.IndexFunc(s.entitlements, func(e entitlement) bool { return e.ID == g.EntitlementID })
		items = append(items, customerEntitlement{
			GrantID: g.ID, EntitlementID: g.EntitlementID, Name: s.entitlements[i].Name, Description: s.entitlements[i].Description,
			IntegrationType: g.IntegrationType, Status: strings.ToLower(string(g.Status)), DeliveredAt: g.DeliveredAt,
			RevokedAt: g.RevokedAt, CreatedAt: g.CreatedAt, UpdatedAt: g.UpdatedAt,
		})
	}
	return snapshot(list[customerEntitlement]{Items: items})
}
