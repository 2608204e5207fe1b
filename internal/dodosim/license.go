package dodosim

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// licence states (FACTS 3.6).
const (
	licenseActive   = "active"
	licenseExpired  = "expired"
	licenseDisabled = "disabled"
)

var (
	licenseStatuses = wordSet("active expired disabled")
	licenseSources  = wordSet("auto import manual")
)

// license is a licence key in the shape of the API and of webhooks (FACTS 3.8). Guarded
// by [Simulator.mu].
type license struct {
	ID               string     `json:"id"`
	BusinessID       string     `json:"business_id"`
	BrandID          string     `json:"brand_id"`
	CustomerID       string     `json:"customer_id"`
	ProductID        string     `json:"product_id"`
	PaymentID        *string    `json:"payment_id"`
	SubscriptionID   *string    `json:"subscription_id"`
	Key              string     `json:"key"`
	Status           string     `json:"status"`
	Source           string     `json:"source"`
	ActivationsLimit *int       `json:"activations_limit"`
	InstancesCount   int        `json:"instances_count"`
	ExpiresAt        *time.Time `json:"expires_at"`
	CreatedAt        time.Time  `json:"created_at"`

	instances []*instance
	withdrawn bool // disabled by the merchant, whatever the status of the subscription
}

// instance is one activation of a licence key.
type instance struct {
	ID         string    `json:"id"`
	LicenseID  string    `json:"license_key_id"`
	BusinessID string    `json:"business_id"`
	Name       string    `json:"name"`
	CreatedAt  time.Time `json:"created_at"`
}

func (l *license) objectID() string { return l.ID }

// payload is the licence key as webhooks carry it.
func (l *license) payload() any {
	return struct {
		*license
		PayloadType string `json:"payload_type"`
	}{l, "LicenseKey"}
}

// newKey makes a key of a common form. Dodo's form is UNCONFIRMED.
func newKey() string {
	raw := strings.ToUpper(newID("")[:20])
	return strings.Join([]string{raw[:5], raw[5:10], raw[10:15], raw[15:]}, "-")
}

// issue makes the keys that a payment has bought: one for each product, however many pieces
// (UNCONFIRMED). The caller holds s.mu.
func (s *Simulator) issue(p *payment) {
	if p.Status != Succeeded {
		return
	}
	for _, l := range p.lines {
		if !l.product.LicenseKeys {
			continue
		}
		made := &license{
			CustomerID: p.Customer.CustomerID, ProductID: l.product.ID, PaymentID: new(p.PaymentID), Key: newKey(), Source: "auto",
		}
		if l.product.recurring() {
			made.SubscriptionID = p.SubscriptionID
		}
		if limit := l.product.ActivationsLimit; limit > 0 {
			made.ActivationsLimit = new(limit)
		}
		s.addLicense(made, p.outcomeTime())
		s.handOut(made, l.product)
	}
}

func (s *Simulator) addLicense(l *license, at time.Time) {
	l.ID, l.BusinessID, l.BrandID = newID("lic_"), s.business, s.brand
	l.Status, l.CreatedAt = licenseActive, at
	s.licenses = append(s.licenses, l)
	s.emit("license_key.created", l, at)
}

// licensesOf are the keys that a payment has bought.
func (s *Simulator) licensesOf(p *payment) []string {
	var keys []string
	for _, l := range s.licenses {
		if valueOrEmpty(l.PaymentID) == p.PaymentID {
			keys = append(keys, l.Key)
		}
	}
	return keys
}

// syncLicenses makes a subscription's keys follow its status: disabled while it gives no
// access, expired when it is over. That is UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) syncLicenses(sub *subscription) {
	status := licenseDisabled
	switch {
	case sub.over():
		status = licenseExpired
	case sub.Status == SubscriptionActive || sub.Status == SubscriptionPastDue:
		status = licenseActive
	}
	for _, l := range s.licenses {
		if valueOrEmpty(l.SubscriptionID) == sub.SubscriptionID && !l.withdrawn {
			l.Status = status
		}
	}
}

// disableRefunded disables the keys of a payment's one-time purchases after it was refunded in
// full.
func (s *Simulator) disableRefunded(p *payment) {
	for _, l := range s.licenses {
		if valueOrEmpty(l.PaymentID) == p.PaymentID && l.SubscriptionID == nil && p.refunded == p.TotalAmount {
			l.Status = licenseDisabled
		}
	}
}

// shownLicense is the key in its current state: it may have expired.
func (s *Simulator) shownLicense(l *license) *license {
	if l.Status == licenseActive && l.ExpiresAt != nil && !s.now().Before(*l.ExpiresAt) {
		l.Status = licenseExpired
	}
	l.InstancesCount = len(l.instances)
	return l
}

// findLicense looks up a licence by its id. The caller holds s.mu.
func (s *Simulator) findLicense(id string) (*license, *Error) {
	for _, l := range s.licenses {
		if l.ID == id {
			return s.shownLicense(l), nil
		}
	}
	return nil, refuse(codeNotFound, "there is no licence key %s", id)
}

// licenseOf looks up a licence by its key; nil if there is none.
func (s *Simulator) licenseOf(key string) *license {
	for _, l := range s.licenses {
		if l.Key == key {
			return s.shownLicense(l)
		}
	}
	return nil
}

// licenseRequest is the body of POST and PATCH /license_keys.
type licenseRequest struct {
	Key              *string    `json:"key"`
	CustomerID       *string    `json:"customer_id"`
	ProductID        *string    `json:"product_id"`
	ActivationsLimit *int       `json:"activations_limit"`
	ExpiresAt        *time.Time `json:"expires_at"`
	Disabled         *bool      `json:"disabled"`
}

func (request licenseRequest) check() *Error {
	if n := request.ActivationsLimit; n != nil && (*n < 1 || *n > math.MaxInt32) {
		return refuse(codeInvalidParameters, "activations_limit must be at least 1")
	}
	return nil
}

// importLicense answers POST /license_keys, which adds a key of the merchant's own.
func (s *Simulator) importLicense(r *http.Request) (any, error) {
	request, refusal := readJSON[licenseRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case valueOrEmpty(request.Key) == "" || request.CustomerID == nil || request.ProductID == nil:
		return nil, refuse(codeInvalidBody, "key, customer_id and product_id are required")
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, refusal := s.findCustomer(*request.CustomerID); refusal != nil {
		return nil, refusal
	}
	if _, refusal := s.findProduct(*request.ProductID); refusal != nil {
		return nil, refusal
	}
	if s.licenseOf(*request.Key) != nil {
		return nil, refuse(codeLicenseExists, "there is this licence key already")
	}
	l := &license{
		CustomerID: *request.CustomerID, ProductID: *request.ProductID, Key: *request.Key, Source: "import",
		ActivationsLimit: request.ActivationsLimit, ExpiresAt: request.ExpiresAt,
	}
	s.addLicense(l, s.now())
	return created(l)
}

// getLicense answers GET /license_keys/{id}.
func (s *Simulator) getLicense(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, refusal := s.findLicense(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(l)
}

// patchLicense answers PATCH /license_keys/{id}. An absent or null field changes nothing; that
// null does not clear a value is UNCONFIRMED.
func (s *Simulator) patchLicense(r *http.Request) (any, error) {
	request, refusal := readJSON[licenseRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, refusal := s.findLicense(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	switch limit := request.ActivationsLimit; {
	case request.ExpiresAt != nil && l.SubscriptionID != nil:
		return nil, &Error{Status: http.StatusBadRequest, Code: codeInvalidParameters, Message: "the key of a subscription ends with it"}
	case limit != nil && *limit < len(l.instances):
		return nil, refuse(codeInvalidParameters, "the key is in use in %d places", len(l.instances))
	}
	setPointer(&l.ActivationsLimit, request.ActivationsLimit)
	if request.ExpiresAt != nil {
		l.ExpiresAt = request.ExpiresAt
		if l.Status == licenseExpired {
			l.Status = licenseActive // unless the new time is over, too
		}
	}
	setIfPresent(&l.withdrawn, request.Disabled)
	switch {
	case request.Disabled == nil:
	case *request.Disabled:
		l.Status = licenseDisabled
	case l.Status == licenseDisabled:
		l.Status = licenseActive
	}
	return snapshot(s.shownLicense(l))
}

// listLicenses answers GET /license_keys, newest first like payments: UNCONFIRMED.
func (s *Simulator) listLicenses(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	from, to := q.instant("created_at_gte"), q.instant("created_at_lte")
	status, source := q.oneOf("status", licenseStatuses), q.oneOf("source", licenseSources)
	customer, product := q.text("customer_id"), q.text("product_id")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []*license{}
	for _, l := range slices.Backward(s.licenses) {
		s.shownLicense(l)
		if within(l.CreatedAt, from, to) && (status == "" || status == l.Status) && (source == "" || source == l.Source) &&
			(customer == "" || customer == l.CustomerID) && (product == "" || product == l.ProductID) {
			items = append(items, l)
		}
	}
	return snapshot(list[*license]{Items: slicePage(items, window)})
}
