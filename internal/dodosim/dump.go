package dodosim

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// dump is the simulator's whole state, in the shapes of the API where they exist. It contains
// no secrets: no API key, no webhook secrets, no values of headers.
type dump struct {
	BusinessID     string           `json:"business_id"`
	BrandID        string           `json:"brand_id"`
	Now            time.Time        `json:"now"`
	Ahead          Duration         `json:"ahead,omitzero"`
	Options        Behavior         `json:"options"`
	Products       []Product        `json:"products"`
	Addons         []addonObject    `json:"addons"`
	Discounts      []discountObject `json:"discounts"`
	Entitlements   []entitlement    `json:"entitlements"`
	Customers      []customerDump   `json:"customers"`
	Sessions       []sessionDump    `json:"checkout_sessions"`
	Payments       []*payment       `json:"payments"`
	Subscriptions  []*subscription  `json:"subscriptions"`
	Refunds        []*refund        `json:"refunds"`
	Disputes       []disputeObject  `json:"disputes"`
	Payouts        []*payout        `json:"payouts"`
	Grants         []*grant         `json:"entitlement_grants"`
	Licenses       []*license       `json:"license_keys"`
	Credits        []*credit        `json:"credit_entitlements"`
	CreditBalances []creditDump     `json:"credit_balances"`
	Usage          []usageEvent     `json:"usage_events"`
	Endpoints      []endpointDump   `json:"webhook_endpoints"`
	Held           bool             `json:"webhooks_held"`
	Events         []Event          `json:"events"`
	Calls          map[string]int   `json:"api_calls"`
}

type customerDump struct {
	customerObject
	Methods []string         `json:"payment_methods"` // their ids
	Wallets []*walletBalance `json:"wallets"`
}

type sessionDump struct {
	ID             string     `json:"session_id"`
	CreatedAt      time.Time  `json:"created_at"`
	ExpiresAt      time.Time  `json:"expires_at"`
	Email          string     `json:"customer_email,omitempty"`
	Cart           []cartItem `json:"product_cart"`
	Total          int64      `json:"total_amount"`
	Currency       string     `json:"currency"`
	Metadata       metadata   `json:"metadata"`
	PaymentID      string     `json:"payment_id,omitempty"` // of the latest try
	SubscriptionID string     `json:"subscription_id,omitempty"`
	Paid           bool       `json:"paid"`
}

type creditDump struct {
	*creditAccount
	Grants []*creditGrant `json:"grants"`
	Ledger []*creditEntry `json:"ledger"`
}

type endpointDump struct {
	*webhookEndpoint
	Headers []string `json:"headers"` // their names
}

// Dump returns the simulator's state as JSON without secrets. The form is for people and for
// tests that look for something; fields may be added.
func (s *Simulator) Dump() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := dump{
		BusinessID: s.business, BrandID: s.brand, Now: s.now(), Ahead: Duration(s.ahead.Load()), Options: s.options.Behavior,
		Products: s.catalog(), Addons: []addonObject{}, Discounts: []discountObject{}, Entitlements: orEmpty(s.entitlements),
		Payments: orEmpty(s.paymentOrder), Subscriptions: []*subscription{}, Refunds: orEmpty(s.refundOrder), Disputes: []disputeObject{},
		Payouts: orEmpty(s.payouts), Grants: []*grant{}, Licenses: []*license{}, Credits: orEmpty(s.credits), CreditBalances: []creditDump{},
		Usage: orEmpty(s.usage), Endpoints: []endpointDump{}, Held: s.held(), Events: []Event{}, Calls: s.countedCalls(),
		Customers: s.dumpCustomers(), Sessions: s.dumpSessions(),
	}
	for _, x := range s.extras {
		d.Addons = append(d.Addons, s.addonObject(x))
	}
	for _, c := range s.coupons {
		d.Discounts = append(d.Discounts, s.discountObject(c))
	}
	for _, sub := range s.subscriptionOrder {
		d.Subscriptions = append(d.Subscriptions, s.shown(sub))
	}
	for _, of := range s.disputeOrder {
		d.Disputes = append(d.Disputes, of.object())
	}
	for _, g := range s.grants {
		d.Grants = append(d.Grants, g.shown())
	}
	for _, l := range s.licenses {
		d.Licenses = append(d.Licenses, s.shownLicense(l))
	}
	for _, a := range s.accounts {
		d.CreditBalances = append(d.CreditBalances, creditDump{a, orEmpty(a.grants), orEmpty(a.entries)})
	}
	for _, h := range s.hooks {
		shown := *h
		shown.URL = plainURL(h.URL)
		d.Endpoints = append(d.Endpoints, endpointDump{&shown, orEmpty(slices.Sorted(maps.Keys(h.headers)))})
	}
	for _, e := range s.events {
		d.Events = append(d.Events, e.Event)
	}
	return json.Marshal(d)
}

// Catalog returns the current catalog, with the discounts that are a share of the total.
func (s *Simulator) Catalog() Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Catalog{Products: s.catalog(), Options: s.options.Behavior}
	for _, x := range s.extras {
		c.Addons = append(c.Addons, x.Addon)
	}
	for _, code := range s.coupons {
		if code.Type == "percentage" {
			c.Discounts = append(c.Discounts, Discount{Code: code.Code, BasisPoints: code.Amount})
		}
	}
	return c
}

func (s *Simulator) catalog() []Product {
	products := make([]Product, 0, len(s.offers))
	for _, o := range s.offers {
		products = append(products, o.Product)
	}
	return products
}

func (s *Simulator) countedCalls() map[string]int {
	calls := make(map[string]int, len(s.calls))
	for call, count := range s.calls {
		name := call.method + " " + call.path
		if call == (apiCall{}) {
			name = "unknown routes"
		}
		calls[name] = count
	}
	return calls
}

func (s *Simulator) dumpCustomers() []customerDump {
	customers := make([]customerDump, 0, len(s.customerOrder))
	for _, id := range s.customerOrder {
		c := customerDump{s.customerObject(s.customers[id]), []string{}, []*walletBalance{}}
		for _, m := range s.methods[id] {
			c.Methods = append(c.Methods, m.id)
		}
		if w := s.wallets[id]; w != nil {
			c.Wallets = orEmpty(w.balances)
		}
		customers = append(customers, c)
	}
	return customers
}

func (s *Simulator) dumpSessions() []sessionDump {
	sessions := make([]sessionDump, 0, len(s.sessions))
	for _, session := range s.sessions {
		d := sessionDump{
			ID: session.id, CreatedAt: session.created, ExpiresAt: session.expires, Email: session.buyer.email,
			Cart: orEmpty(session.cart), Total: session.bill.total, Currency: session.bill.currency, Metadata: session.metadata,
			Paid: session.paid(),
		}
		if session.last != nil {
			d.PaymentID = session.last.PaymentID
		}
		if session.subscription != nil {
			d.SubscriptionID = session.subscription.SubscriptionID
		}
		sessions = append(sessions, d)
	}
	slices.SortFunc(sessions, func(a, b sessionDump) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return sessions
}

// plainURL removes the parts of a URL that may contain a token.
func plainURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// orEmpty is a list that JSON shows as one.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
