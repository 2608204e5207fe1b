package dodosim

import (
	"net/http"
	"slices"
)

// activationRequest is the body of the three calls that apps make with a licence key.
// They need no API key (FACTS 1.2).
type activationRequest struct {
	Key        *string `json:"license_key"`
	InstanceID *string `json:"license_key_instance_id"`
	Name       *string `json:"name"`
}

type validation struct {
	Valid bool `json:"valid"`
}

// activation is an instance with its licence key and product.
type activation struct {
	*instance
	Customer customer         `json:"customer"`
	Product  activatedProduct `json:"product"`
}

type activatedProduct struct {
	ProductID string  `json:"product_id"`
	Name      *string `json:"name"`
}

func (l *license) instance(id string) *instance {
	for _, i := range l.instances {
		if i.ID == id {
			return i
		}
	}
	return nil
}

// validateLicense answers POST /licenses/validate. An unknown key is invalid, and not an
// error.
func (s *Simulator) validateLicense(r *http.Request) (any, error) {
	request, refusal := readJSON[activationRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Key == nil:
		return nil, refuse(codeInvalidBody, "license_key is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.licenseOf(*request.Key)
	valid := l != nil && l.Status == licenseActive && (request.InstanceID == nil || l.instance(*request.InstanceID) != nil)
	return validation{valid}, nil
}

// usableLicense finds a key that is active. The caller holds s.mu.
func (s *Simulator) usableLicense(key string) (*license, *Error) {
	l := s.licenseOf(key)
	switch {
	case l == nil:
		return nil, refuse(codeLicenseNotFound, "there is no such licence key")
	case l.Status != licenseActive:
		return nil, refuse(codeLicenseInactive, "the licence key is %s", l.Status)
	}
	return l, nil
}

// activateLicense answers POST /licenses/activate.
func (s *Simulator) activateLicense(r *http.Request) (any, error) {
	request, refusal := readJSON[activationRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Key == nil || request.Name == nil:
		return nil, refuse(codeInvalidBody, "license_key and name are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, refusal := s.usableLicense(*request.Key)
	switch {
	case refusal != nil:
		return nil, refusal
	case l.ActivationsLimit != nil && len(l.instances) >= *l.ActivationsLimit:
		return nil, refuse(codeLicenseLimit, "the licence key is in use %d times", len(l.instances))
	}
	made := &instance{ID: newID("lki_"), LicenseID: l.ID, BusinessID: s.business, Name: *request.Name, CreatedAt: s.now()}
	l.instances = append(l.instances, made)
	product := activatedProduct{ProductID: l.ProductID}
	if p, refusal := s.findProduct(l.ProductID); refusal == nil {
		product.Name = new(p.Name)
	}
	return created(activation{made, s.customers[l.CustomerID], product})
}

// deactivateLicense answers POST /licenses/deactivate, without a body.
func (s *Simulator) deactivateLicense(r *http.Request) (any, error) {
	request, refusal := readJSON[activationRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Key == nil || request.InstanceID == nil:
		return nil, refuse(codeInvalidBody, "license_key and license_key_instance_id are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, refusal := s.usableLicense(*request.Key)
	if refusal != nil {
		return nil, refusal
	}
	gone := l.instance(*request.InstanceID)
	if gone == nil {
		return nil, refuse(codeNotFound, "the licence key has no instance %s", *request.InstanceID)
	}
	l.instances = slices.DeleteFunc(l.instances, func(i *instance) bool { return i == gone })
	return emptyAnswer(http.StatusOK), nil
}

// findInstance looks an instance up. The caller holds s.mu.
func (s *Simulator) findInstance(id string) (*instance, *Error) {
	for _, l := range s.licenses {
		if found := l.instance(id); found != nil {
			return found, nil
		}
	}
	return nil, refuse(codeNotFound, "there is no licence key instance %s", id)
}

// getInstance answers GET /license_key_instances/{id}.
func (s *Simulator) getInstance(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, refusal := s.findInstance(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return *found, nil
}

// patchInstance answers PATCH /license_key_instances/{id}.
func (s *Simulator) patchInstance(r *http.Request) (any, error) {
	request, refusal := readJSON[activationRequest](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Name == nil:
		return nil, refuse(codeInvalidBody, "name is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, refusal := s.findInstance(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	found.Name = *request.Name
	return *found, nil
}

// listInstances answers GET /license_key_instances, newest first like payments: UNCONFIRMED.
// Instances never belong to a grant here.
func (s *Simulator) listInstances(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window, of, grant := q.page(), q.text("license_key_id"), q.text("grant_id")
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []instance{}
	for _, l := range s.licenses {
		for _, i := range l.instances {
			if grant == "" && (of == "" || of == l.ID) {
				items = append(items, *i)
			}
		}
	}
	slices.SortStableFunc(items, func(a, b instance) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list[instance]{Items: slicePage(items, window)}, nil
}

// routesWithoutKey are the routes that need no API key (FACTS 1.2): apps call them on machines
// of customers, and customers open them themselves.
var routesWithoutKey = map[string]bool{
	"POST /licenses/validate": true, "POST /licenses/activate": true, "POST /licenses/deactivate": true,
	"GET /invoices/payments/{id}": true, "GET /invoices/refunds/{id}": true,
}
