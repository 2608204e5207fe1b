package dodosim

import (
	"net/http"
	"slices"
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
	if !slices.ContainsFunc(s.flags, func(f flag) bool { return f.ID == id }) {
		return nil, refuse(codeNotFound, "there is no entitlement %s", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []grant{}
	for _, g := range slices.Backward(s.grants) {
		if g.EntitlementID == id && (status == "" || status == string(g.Status)) && (customer == "" || customer == g.CustomerID) {
			items = append(items, *g)
		}
	}
	return snapshot(list[grant]{Items: slicePage(items, window)})
}
