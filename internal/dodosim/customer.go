package dodosim

import (
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// customer is the object as payments and refunds show it (FACTS 2.5).
type customer struct {
	CustomerID string   `json:"customer_id"`
	Email      string   `json:"email"`
	Name       string   `json:"name"`
	Phone      *string  `json:"phone_number"`
	Metadata   metadata `json:"metadata"`

	created time.Time
}

// customerObject is a customer as GET /customers/{id} shows it.
type customerObject struct {
	customer
	BusinessID string    `json:"business_id"`
	CreatedAt  time.Time `json:"created_at"`
}

func (s *Simulator) customerObject(c customer) customerObject {
	return customerObject{customer: c, BusinessID: s.business, CreatedAt: c.created}
}

// getCustomer answers GET /customers/{id}.
func (s *Simulator) getCustomer(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return s.customerObject(c), nil
}

// customerDetails is the body of POST and PATCH /customers. Creating a customer requires both
// fields; in a patch, an absent or null one changes nothing.
type customerDetails struct {
	Email    *string  `json:"email"`
	Name     *string  `json:"name"`
	Phone    *string  `json:"phone_number"`
	Metadata metadata `json:"metadata"`
}

func (request customerDetails) check() *Error {
	switch {
	case request.Email != nil && !validEmail(*request.Email):
		return refuse(codeInvalidParameters, "email must be an e-mail address")
	case request.Name != nil && strings.TrimSpace(*request.Name) == "":
		return refuse(codeInvalidParameters, "name is empty")
	}
	return request.Metadata.check()
}

// createCustomer answers POST /customers. That two customers may have the same e-mail is
// UNCONFIRMED (FACTS 2.6).
func (s *Simulator) createCustomer(r *http.Request) (any, error) {
	request, refusal := readJSON[customerDetails](r)
	switch {
	case refusal != nil:
		return nil, refusal
	case request.Email == nil || request.Name == nil:
		return nil, refuse(codeInvalidBody, "email and name are required")
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.newCustomer(buyer{email: *request.Email, name: *request.Name, phone: request.Phone}, request.Metadata.orEmpty())
	return s.customerObject(c), nil
}

// patchCustomer answers PATCH /customers/{id}. Existing payments and subscriptions keep
// showing the former details, and metadata is replaced, not merged: both UNCONFIRMED.
func (s *Simulator) patchCustomer(r *http.Request) (any, error) {
	request, refusal := readJSON[customerDetails](r)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := request.check(); refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	if request.Email != nil {
		c.Email = *request.Email
	}
	if request.Name != nil {
		c.Name = *request.Name
	}
	if request.Phone != nil {
		c.Phone = request.Phone
	}
	if request.Metadata != nil {
		c.Metadata = request.Metadata
	}
	s.customers[c.CustomerID] = c
	return s.customerObject(c), nil
}

// listCustomers answers GET /customers, newest first like payments: UNCONFIRMED. The name may
// be a part in any case; the e-mail must be complete.
func (s *Simulator) listCustomers(r *http.Request) (any, error) {
	q := query{values: r.URL.Query()}
	window := q.page()
	from, to := q.instant("created_at_gte"), q.instant("created_at_lte")
	email, name := q.text("email"), strings.ToLower(q.text("name"))
	if q.refusal != nil {
		return nil, q.refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []customerObject{}
	for _, id := range slices.Backward(s.customerOrder) {
		c := s.customers[id]
		if within(c.created, from, to) && (email == "" || strings.EqualFold(c.Email, email)) &&
			strings.Contains(strings.ToLower(c.Name), name) {
			items = append(items, s.customerObject(c))
		}
	}
	return list[customerObject]{Items: slicePage(items, window)}, nil
}

// findCustomer looks a customer up. The caller holds s.mu.
func (s *Simulator) findCustomer(id string) (customer, *Error) {
	c, ok := s.customers[id]
	if !ok {
		return customer{}, refuse(codeNotFound, "there is no customer %s", id)
	}
	return c, nil
}

// buyer is who pays, as entered on the checkout page or sent by the merchant.
type buyer struct {
	email, name string
	phone       *string
}

// customerFor finds or makes the customer of a buyer: the most recent one with that e-mail,
// unless the session requires a new one (FACTS 2.1). That case is ignored in the e-mail, and
// that an existing customer keeps the name, is UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) customerFor(b buyer, alwaysNew bool) customer {
	if known, ok := s.customerOf(b.email); ok && !alwaysNew {
		return known
	}
	return s.newCustomer(b, metadata{})
}

// customerOf is the most recent customer with an e-mail.
func (s *Simulator) customerOf(email string) (customer, bool) {
	for _, id := range slices.Backward(s.customerOrder) {
		if known := s.customers[id]; strings.EqualFold(known.Email, email) {
			return known, true
		}
	}
	return customer{}, false
}

func (s *Simulator) newCustomer(b buyer, meta metadata) customer {
	c := customer{
		CustomerID: newID("cus_"),
		Email:      b.email,
		Name:       b.name,
		Phone:      b.phone,
		Metadata:   meta,
		created:    s.now(),
	}
	s.customers[c.CustomerID] = c
	s.customerOrder = append(s.customerOrder, c.CustomerID)
	return c
}

// validEmail accepts a bare address, with no display name around it.
func validEmail(email string) bool {
	address, err := mail.ParseAddress(email)
	return err == nil && address.Address == email && len(email) <= 254
}
