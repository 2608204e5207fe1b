package dodosim

import (
	"net/http"
	"net/mail"
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

// getCustomer answers GET /customers/{id}.
func (s *Simulator) getCustomer(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return customerObject{customer: c, BusinessID: s.business, CreatedAt: c.created}, nil
}

// findCustomer looks a customer up. The caller holds s.mu.
func (s *Simulator) findCustomer(id string) (customer, *Error) {
	c, ok := s.customers[id]
	if !ok {
		return customer{}, refuse(codeNotFound, "there is no customer %s", id)
	}
	return c, nil
}

// buyer is who pays, as far as the checkout page or the merchant said.
type buyer struct {
	email, name string
	phone       *string
}

// customerFor finds or makes the customer of a buyer: the most recent one with that
// e-mail, unless the session insists on a new one (FACTS 2.1). That the e-mail is
// compared without regard to case, and that a reused customer keeps its name, is
// UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) customerFor(b buyer, alwaysNew bool) customer {
	email := strings.ToLower(b.email)
	if known, ok := s.customersByEmail[email]; ok && !alwaysNew {
		return known
	}
	c := customer{
		CustomerID: newID("cus_"),
		Email:      b.email,
		Name:       b.name,
		Phone:      b.phone,
		Metadata:   metadata{},
		created:    s.now(),
	}
	s.customers[c.CustomerID] = c
	s.customersByEmail[email] = c
	return c
}

// validEmail accepts a bare address, with no display name around it.
func validEmail(email string) bool {
	address, err := mail.ParseAddress(email)
	return err == nil && address.Address == email && len(email) <= 254
}
