package dodosim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Trigger requests an event.
type Trigger struct {
	// Type is the event, one of [EventTypes].
	Type string `json:"type"`

	// Account selects the payment or subscription: the latest that has this text as a value in
	// its metadata. A waiting checkout of the account is paid. If there is none, the customer
	// buys something, with the metadata of the last purchase, or with the account as user_id.
	Account string `json:"account,omitempty"`
	// Session, Payment, Subscription and Dispute select the object instead.
	Session      string `json:"session,omitempty"`
	Payment      string `json:"payment,omitempty"`
	Subscription string `json:"subscription,omitempty"`
	Dispute      string `json:"dispute,omitempty"`
	// Existing requires an existing object: nothing is bought.
	Existing bool `json:"existing,omitempty"`

	// Product and Quantity are what is bought, if anything is. Default: one of the first
	// suitable product of the catalog.
	Product  string `json:"product,omitempty"`
	Quantity int32  `json:"quantity,omitempty"`
	// Amount is what is refunded, in minor units. Default: all.
	Amount int `json:"amount,omitempty"`
	// RDR makes dispute.lost about a payment that Rapid Dispute Resolution settled before the
	// dispute was opened.
	RDR bool `json:"rdr,omitempty"`
	// Email and Name are the buyer's; Metadata is the checkout's.
	Email    string            `json:"email,omitempty"`
	Name     string            `json:"name,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// EventTypes are the events that Dodo sends (FACTS 3.3), in alphabetical order. Each can be
// the Type of a [Trigger].
func EventTypes() []string {
	types := make([]string, 0, len(eventTypes))
	for t := range eventTypes {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Trigger makes an event happen, as the end of a story that leads to it: somebody buys and
// asks for a refund, or a card fails and the subscription goes on hold. It returns all events
// of the story, including the requested one. Its objects can then be read by the API, and
// continue: a renewal follows a month later. The error is an *[Error] if the event cannot
// happen; part of the story may have happened then.
func (s *Simulator) Trigger(wish Trigger) ([]Event, error) {
	tell, known := stories[wish.Type]
	if !known {
		return nil, refuse(codeInvalidParameters, "there is no event %q", wish.Type)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.events)
	if refusal := tell(&scene{Simulator: s, wish: wish, now: s.now()}); refusal != nil {
		return nil, refusal
	}
	var happened []Event
	found := false
	for _, e := range s.events[before:] {
		happened = append(happened, e.Event)
		found = found || e.Type == wish.Type
	}
	if !found {
		return nil, fmt.Errorf("trigger %s: the story ended without it", wish.Type)
	}
	return happened, nil
}

// story leads to an event. It is called with s.mu held.
type story func(*scene) *Error

// scene is the state of a story.
type scene struct {
	*Simulator
	wish Trigger
	now  time.Time
}

// temporarily sets an option until restore is called. Other goroutines read it with s.mu held.
func temporarily(option *bool) (restore func()) {
	before := *option
	*option = true
	return func() { *option = before }
}

// mentions reports whether the text is a value of the metadata.
func (m metadata) mentions(text string) bool {
	for _, raw := range m {
		var value any
		if json.Unmarshal(raw, &value) == nil && fmt.Sprint(value) == text {
			return true
		}
	}
	return false
}

// isAccounts reports whether metadata belongs to the story's account.
func (c *scene) isAccounts(m metadata) bool {
	return c.wish.Account != "" && m.mentions(c.wish.Account)
}

// metadata is the metadata of the story's checkout: that of the account's last purchase, by
// which its app finds the account, and that of the request.
func (c *scene) metadata() metadata {
	m := make(metadata)
	if last := c.lastPayment(); last != nil {
		m = maps.Clone(last.Metadata)
	}
	for key, value := range c.wish.Metadata {
		m[key], _ = json.Marshal(value) // a string
	}
	if c.wish.Account != "" && !m.mentions(c.wish.Account) {
		m["user_id"], _ = json.Marshal(c.wish.Account)
	}
	return m
}

// buyer is the buyer in the story: the account's customer, if it has bought before.
func (c *scene) buyer() *customerRequest {
	if c.wish.Email == "" {
		if last := c.lastPayment(); last != nil {
			return &customerRequest{CustomerID: new(last.Customer.CustomerID)}
		}
	}
	email, name := cmp.Or(c.wish.Email, someEmail), cmp.Or(c.wish.Name, someName)
	if local := c.wish.Account; c.wish.Email == "" && local != "" && validEmail(local+"@example.com") && !strings.Contains(local, "@") {
		email = local + "@example.com"
	}
	return &customerRequest{Email: new(email), Name: new(name)}
}

// lastPayment is the account's latest payment, or nil.
func (c *scene) lastPayment() *payment {
	for _, p := range slices.Backward(c.paymentOrder) {
		if c.isAccounts(p.Metadata) {
			return p
		}
	}
	return nil
}

// need is a story's condition for a product.
type need func(Product) bool

func sold(p Product) bool       { return !p.Archived && !p.recurring() && p.Price > 0 }
func subscribed(p Product) bool { return !p.Archived && p.recurring() }

// product is what is bought: the requested product, or what the story needs.
func (c *scene) product(fits need, otherwise Product) (Product, *Error) {
	if c.wish.Product != "" {
		p, refusal := c.findProduct(c.wish.Product)
		if refusal == nil && !fits(p) {
			return p, refuse(codeInvalidParameters, "product %s cannot lead to %s", p.ID, c.wish.Type)
		}
		return p, refusal
	}
	for _, o := range c.offers {
		if fits(o.Product) {
			return o.Product, nil
		}
	}
	complete, err := completeProducts([]Product{otherwise})
	if err != nil {
		return Product{}, refuse(codeInternal, "%v", err)
	}
	c.addToCatalog(complete, nil, nil)
	return complete[0], nil
}

// checkout is the session that the story pays: the requested one, a waiting one of the
// account, or a new one.
func (c *scene) checkout(fits need, otherwise Product) (*session, *Error) {
	if c.wish.Session != "" {
		session, refusal := c.findSession(c.wish.Session)
		if refusal == nil && !slices.ContainsFunc(session.bill.lines, func(l line) bool { return fits(l.product) }) {
			return nil, refuse(codeInvalidParameters, "session %s cannot lead to %s", session.id, c.wish.Type)
		}
		return session, refusal
	}
	if waiting := c.waiting(fits); waiting != nil {
		return waiting, nil
	}
	if c.wish.Existing {
		return nil, refuse(codeNotFound, "there is nothing that %s could happen to", c.wish.Type)
	}
	p, refusal := c.product(fits, otherwise)
	if refusal != nil {
		return nil, refusal
	}
	meta := c.metadata()
	if refusal := meta.check(); refusal != nil {
		return nil, refusal
	}
	session, refusal := c.newSession(checkoutRequest{
		ProductCart: []cartRequest{{ProductID: new(p.ID), Quantity: new(max(c.wish.Quantity, 1))}},
		Customer:    c.buyer(), Metadata: meta,
	})
	if refusal != nil {
		return nil, refusal
	}
	c.sessions[session.id] = session
	return session, nil
}

// waiting is the account's latest session that can be paid and fits the story.
func (c *scene) waiting(fits need) (latest *session) {
	for _, session := range c.sessions {
		serves := func(l line) bool {
			return fits(l.product) && (c.wish.Product == "" || l.product.ID == c.wish.Product)
		}
		if c.isAccounts(session.metadata) && session.recharges == nil && session.usable(c.now) == nil &&
			(session.abandoned == nil || c.wish.Type != "abandoned_checkout.detected" && c.wish.Type != "abandoned_checkout.recovered") &&
			slices.ContainsFunc(session.bill.lines, serves) && (latest == nil || session.created.After(latest.created)) {
			latest = session
		}
	}
	return latest
}

// pays pays a session with a test card.
func (c *scene) pays(session *session, number string) (*payment, *Error) {
	with, refusal := findCard(number)
	if refusal != nil {
		return nil, refusal
	}
	by := session.buyer
	by.email, by.name = cmp.Or(by.email, someEmail), cmp.Or(by.name, someName)
	return c.pay(session, with, by)
}
