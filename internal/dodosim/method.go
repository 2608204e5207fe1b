package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// method is a customer's saved card. Only subscriptions save one; one-time purchases do not.
// Guarded by [Simulator.mu].
type method struct {
	id       string
	card     card
	lastUsed time.Time
}

// methodItem is a method as GET /customers/{id}/payment-methods lists it.
type methodItem struct {
	PaymentMethodID   string       `json:"payment_method_id"`
	PaymentMethod     string       `json:"payment_method"`
	PaymentMethodType string       `json:"payment_method_type"`
	RecurringEnabled  bool         `json:"recurring_enabled"`
	LastUsedAt        time.Time    `json:"last_used_at"`
	Card              *cardSummary `json:"card"`
}

// cardSummary is sparse as in a real capture (FACTS 3.9).
type cardSummary struct {
	Last4       string `json:"last4_digits"`
	Network     string `json:"card_network"`
	Type        string `json:"card_type"`
	ExpiryMonth string `json:"expiry_month"`
	ExpiryYear  string `json:"expiry_year"`
}

// attach makes a card the subscription's instrument and one of its customer's methods. The
// same number again is another method: UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) attach(sub *subscription, with card, now time.Time) {
	m := &method{id: newID("pm_"), card: with, lastUsed: now}
	owner := sub.Customer.CustomerID
	s.methods[owner] = append(s.methods[owner], m)
	sub.use(m)
}

// use makes a saved method the subscription's instrument.
func (sub *subscription) use(m *method) {
	sub.card, sub.declined = m.card, 0
	sub.PaymentMethodID = new(m.id)
}

// findMethod looks a method of a customer up. The caller holds s.mu.
func (s *Simulator) findMethod(customerID, id string) (*method, *Error) {
	for _, m := range s.methods[customerID] {
		if m.id == id {
			return m, nil
		}
	}
	return nil, refuse(codeNotFound, "the customer has no payment method %s", id)
}

// listMethods answers GET /customers/{id}/payment-methods, newest first: UNCONFIRMED.
func (s *Simulator) listMethods(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	items := []methodItem{}
	for _, m := range slices.Backward(s.methods[c.CustomerID]) {
		item := methodItem{PaymentMethodID: m.id, RecurringEnabled: true, LastUsedAt: m.lastUsed}
		if m.card.upi() {
			item.PaymentMethod, item.PaymentMethodType = "upi", "upi_collect"
		} else {
			item.PaymentMethod, item.PaymentMethodType = "card", "credit"
			item.Card = &cardSummary{m.card.lastFour(), m.card.network, "credit", "06", "32"} // FACTS 5.2
		}
		items = append(items, item)
	}
	return list[methodItem]{Items: items}, nil
}

// deleteMethod answers DELETE /customers/{id}/payment-methods/{method}.
func (s *Simulator) deleteMethod(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, refusal := s.findCustomer(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	if refusal := s.removeMethod(c.CustomerID, r.PathValue("method")); refusal != nil {
		return nil, refusal
	}
	return emptyAnswer(http.StatusNoContent), nil
}

// removeMethod deletes a method. Which subscriptions prevent that is UNCONFIRMED; here all
// that can still continue.
func (s *Simulator) removeMethod(customerID, id string) *Error {
	m, refusal := s.findMethod(customerID, id)
	if refusal != nil {
		return refusal
	}
	for _, sub := range s.subscriptionOrder {
		if !sub.over() && valueOrEmpty(sub.PaymentMethodID) == m.id {
			return refuse(codeMethodInUse, "subscription %s is charged to this payment method", sub.SubscriptionID)
		}
	}
	s.methods[customerID] = slices.DeleteFunc(s.methods[customerID], func(other *method) bool { return other == m })
	return nil
}
