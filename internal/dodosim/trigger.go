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

// Trigger is a wish that something happens, of which an event tells.
type Trigger struct {
	// Type is the event, one of [EventTypes].
	Type string `json:"type"`

	// Account says whose the payment or subscription is: the latest that has this text as a
	// value in its metadata. A checkout of his that waits is paid. If there is nothing, the
	// customer buys something, with the metadata of the last purchase, or with the account as
	// user_id.
	Account string `json:"account,omitempty"`
	// Session, Payment, Subscription and Dispute name what it happens to, instead.
	Session      string `json:"session,omitempty"`
	Payment      string `json:"payment,omitempty"`
	Subscription string `json:"subscription,omitempty"`
	Dispute      string `json:"dispute,omitempty"`
	// Existing says that it happens to what there is: nobody buys anything for it.
	Existing bool `json:"existing,omitempty"`

	// Product and Quantity are what is bought, if something is. Default: one of the first
	// product of the catalog that can lead to the event.
	Product  string `json:"product,omitempty"`
	Quantity int32  `json:"quantity,omitempty"`
	// Amount is what is refunded, in minor units. Default: all.
	Amount int `json:"amount,omitempty"`
	// RDR lets dispute.lost be about a payment that was settled by Rapid Dispute Resolution
	// before the dispute was opened.
	RDR bool `json:"rdr,omitempty"`
	// Email and Name are the buyer's, Metadata the checkout's.
	Email    string            `json:"email,omitempty"`
	Name     string            `json:"name,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// EventTypes are the events that Dodo knows (FACTS 3.3), in alphabetical order. Each can
// be the Type of a [Trigger].
func EventTypes() []string {
	types := make([]string, 0, len(eventTypes))
	for t := range eventTypes {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Trigger makes an event happen, as the end of a story that can lead to it: somebody buys
// and asks for his money back, a card fails and the subscription goes on hold. It returns
// all events of the story, the wanted one among them. What it is about can then be read
// by the API, and goes on: a renewal follows a month later. The error is an *[Error] if it
// cannot happen, and then a part of the story may have.
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

// story makes things happen that end with an event. It is called with s.mu held.
type story func(*scene) *Error

// scene is where a story happens.
type scene struct {
	*Simulator
	wish Trigger
	now  time.Time
}

// during has an option for the time of the story. Others read these with s.mu held, too.
func during(option *bool) (restore func()) {
	before := *option
	*option = true
	return func() { *option = before }
}

// mentions reports whether the metadata has the text as a value.
func (m metadata) mentions(text string) bool {
	for _, raw := range m {
		var value any
		if json.Unmarshal(raw, &value) == nil && fmt.Sprint(value) == text {
			return true
		}
	}
	return false
}

// theirs reports whether something is of the account that the story is about.
func (c *scene) theirs(m metadata) bool { return c.wish.Account != "" && m.mentions(c.wish.Account) }

// metadata is what a checkout of the story carries: what the account's last purchase did,
// in which its app knows to find the account, with what the wish says.
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

// buyer is who buys in the story: the account's customer, if it has bought before.
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

// lastPayment is the account's latest, or nil.
func (c *scene) lastPayment() *payment {
	for _, p := range slices.Backward(c.paymentOrder) {
		if c.theirs(p.Metadata) {
			return p
		}
	}
	return nil
}

// need is what a product must have for a story.
type need func(Product) bool

func sold(p Product) bool       { return !p.Archived && !p.recurring() && p.Price > 0 }
func subscribed(p Product) bool { return !p.Archived && p.recurring() }

// product is what is bought: what was asked for, or what the story needs.
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
	c.fill(complete, nil, nil)
	return complete[0], nil
}

// checkout is where the story pays: the session that was asked for, one of the account
// that waits, or a new one.
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

// waiting is the latest session of the account that can be paid and leads somewhere.
func (c *scene) waiting(fits need) (latest *session) {
	for _, session := range c.sessions {
		serves := func(l line) bool {
			return fits(l.product) && (c.wish.Product == "" || l.product.ID == c.wish.Product)
		}
		if c.theirs(session.metadata) && session.recharges == nil && session.usable(c.now) == nil &&
			(session.abandoned == nil || c.wish.Type != "abandoned_checkout.detected" && c.wish.Type != "abandoned_checkout.recovered") &&
			slices.ContainsFunc(session.bill.lines, serves) && (latest == nil || session.created.After(latest.created)) {
			latest = session
		}
	}
	return latest
}

// pays pays a session by a test card.
func (c *scene) pays(session *session, number string) (*payment, *Error) {
	with, refusal := findCard(number)
	if refusal != nil {
		return nil, refusal
	}
	by := session.buyer
	by.email, by.name = cmp.Or(by.email, someEmail), cmp.Or(by.name, someName)
	return c.pay(session, with, by)
}
