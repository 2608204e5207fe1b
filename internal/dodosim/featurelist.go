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

// listedFlag is an entitlement as GET /entitlements lists it.
type listedFlag struct {
	flag
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
	items := []listedFlag{}
	for _, f := range s.flags {
		if kind == "" || kind == f.IntegrationType {
			items = append(items, listedFlag{f, s.business, true, metadata{}, s.started, s.started})
		}
	}
	return list[listedFlag]{Items: slicePage(items, window)}, nil
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
	if !slices.ContainsFunc(s.flags, func(f flag) bool { return f.ID == id }) {
		return nil, refuse(codeNotFound, "there is no entitlement %s", id)
	}
	items := []grant{}
	for _, g := range slices.Backward(s.grants) {
		if g.EntitlementID == id && (status == "" || status == string(g.Status)) && (customer == "" || customer == g.CustomerID) {
			items = append(items, *g)
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
		if g.CustomerID == c.CustomerID && (status == "" || status == string(g.Status)) && (kind == "" || kind == g.IntegrationType) {
			items = append(items, *g)
		}
	}
	return snapshot(list[grant]{Items: slicePage(items, window)})
}

// customerEntitlement is a grant as GET /customers/{id}/entitlements lists it, with its
// status in lower case (FACTS 3.6).
type customerEntitlement struct {
	GrantID         string     `json:"grant_id"`
	EntitlementID   string     `json:"entitlement_id"`
	Name            string     `json:"entitlement_name"`
	Description     *string    `json:"entitlement_description"`
	IntegrationType string     `json:"integration_type"`
	Status          string     `json:"status"`
	DeliveredAt     time.Time  `json:"delivered_at"`
	RevokedAt       *time.Time `json:"revoked_at"`
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
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
		i := slices.IndexFunc(s.flags, func(f flag) bool { return f.ID == g.EntitlementID })
		items = append(items, customerEntitlement{
			GrantID: g.ID, EntitlementID: g.EntitlementID, Name: s.flags[i].Name, Description: s.flags[i].Description,
			IntegrationType: g.IntegrationType, Status: strings.ToLower(string(g.Status)), DeliveredAt: g.DeliveredAt,
			RevokedAt: g.RevokedAt, CreatedAt: g.CreatedAt, UpdatedAt: g.UpdatedAt,
		})
	}
	return snapshot(list[customerEntitlement]{Items: items})
}
