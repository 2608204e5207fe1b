package dodosim

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// productCredit is a credit entitlement as a product lists it (FACTS 2.8).
type productCredit struct {
	ID                string  `json:"id"`
	CreditID          string  `json:"credit_entitlement_id"`
	Name              string  `json:"credit_entitlement_name"`
	Unit              string  `json:"credit_entitlement_unit"`
	Amount            decimal `json:"credits_amount"`
	OverageEnabled    bool    `json:"overage_enabled"`
	OverageBehavior   string  `json:"overage_behavior"`
	ProrationBehavior string  `json:"proration_behavior"`
	RolloverEnabled   bool    `json:"rollover_enabled"`
	TrialExpires      bool    `json:"trial_credits_expire_after_trial"`
}

// cartCredit is a credit entitlement as a subscription lists it (FACTS 2.7).
type cartCredit struct {
	CreditID        string  `json:"credit_entitlement_id"`
	Name            string  `json:"credit_entitlement_name"`
	ProductID       string  `json:"product_id"`
	Unit            string  `json:"unit"`
	Amount          decimal `json:"credits_amount"`
	Remaining       decimal `json:"remaining_balance"`
	Overage         decimal `json:"overage_balance"`
	OverageEnabled  bool    `json:"overage_enabled"`
	OverageBehavior string  `json:"overage_behavior"`
	RolloverEnabled bool    `json:"rollover_enabled"`
}

// creditUsage is an item of GET /subscriptions/{id}/credit-usage.
type creditUsage struct {
	CreditID          string   `json:"credit_entitlement_id"`
	Name              string   `json:"credit_entitlement_name"`
	Unit              string   `json:"unit"`
	Balance           decimal  `json:"balance"`
	Overage           decimal  `json:"overage"`
	OverageEnabled    bool     `json:"overage_enabled"`
	OverageLimit      *decimal `json:"overage_limit"`
	RemainingHeadroom *decimal `json:"remaining_headroom"`
	LimitReached      bool     `json:"limit_reached"`
}

func usableCredits(credits []ProductCredit) bool {
	seen := make(map[string]bool)
	for _, c := range credits {
		amount, ok := parseDecimal(c.Amount.String(), maxPlaces)
		if !ok || !amount.positive() || strings.TrimSpace(c.Name) == "" || strings.TrimSpace(c.Unit) == "" || seen[c.Name] {
			return false
		}
		seen[c.Name] = true
	}
	return true
}

// addCredits makes the credit entitlements that a product gives and that are new.
func (s *Simulator) addCredits(p Product, now time.Time) {
	for _, given := range p.Credits {
		if slices.ContainsFunc(s.credits, func(c *credit) bool { return c.Name == given.Name }) {
			continue
		}
		id := newID("cde_")
		s.credits = append(s.credits, &credit{
			ID: id, BusinessID: s.business, Name: given.Name, Unit: given.Unit, Precision: maxPlaces,
			OverageBehavior: "forgive_at_reset", CreatedAt: now, UpdatedAt: now,
		})
		if s.catalogCredits == nil {
			s.catalogCredits = make(map[string]string)
		}
		s.catalogCredits[given.Name] = id
	}
}

// given finds the credit entitlement of a product's credit, which may have been renamed,
// and nothing once it was deleted.
func (s *Simulator) given(from ProductCredit) (*credit, decimal, bool) {
	c, refusal := s.findCredit(s.catalogCredits[from.Name])
	amount, ok := parseDecimal(from.Amount.String(), maxPlaces)
	return c, amount, ok && refusal == nil
}

// creditsOf are the credits that a product gives. The caller holds s.mu.
func (s *Simulator) creditsOf(p Product) []productCredit {
	credits := []productCredit{}
	for _, from := range p.Credits {
		if c, amount, ok := s.given(from); ok {
			credits = append(credits, productCredit{
				ID: mappingID(p.ID, c.ID), CreditID: c.ID, Name: c.Name, Unit: c.Unit, Amount: amount,
				OverageEnabled: c.OverageEnabled, OverageBehavior: c.OverageBehavior, ProrationBehavior: "no_prorate",
				RolloverEnabled: c.RolloverEnabled,
			})
		}
	}
	return credits
}

// mappingID is the UUID of what attaches a credit entitlement to a product.
func mappingID(product, creditID string) string {
	sum := sha256.Sum256([]byte(product + " " + creditID))
	h := hex.EncodeToString(sum[:])
	return h[:8] + "-" + h[8:12] + "-8" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32] // RFC 9562, version 8
}

// creditCart is what a subscription's product gives, and what is left of what the
// subscription has been given. The caller holds s.mu.
func (s *Simulator) creditCart(sub *subscription) []cartCredit {
	cart := []cartCredit{}
	for _, from := range sub.plan.lines[0].product.Credits {
		c, amount, ok := s.given(from)
		if !ok {
			continue
		}
		item := cartCredit{
			CreditID: c.ID, Name: c.Name, ProductID: sub.ProductID, Unit: c.Unit, Amount: amount, Remaining: zero(), Overage: zero(),
			OverageEnabled: c.OverageEnabled, OverageBehavior: c.OverageBehavior, RolloverEnabled: c.RolloverEnabled,
		}
		if a := s.account(c.ID, sub.Customer.CustomerID); a != nil {
			item.Overage = a.Overage
			for _, g := range a.grants {
				if text(g.SourceID) == sub.SubscriptionID {
					item.Remaining = item.Remaining.add(g.Remaining)
				}
			}
		}
		cart = append(cart, item)
	}
	return cart
}

// giveCycle gives the credits of a paid cycle. A free trial gives none, and no credit of
// an earlier cycle is taken back: UNCONFIRMED for products without trial credits and
// expiry.
func (s *Simulator) giveCycle(sub *subscription, at time.Time) {
	s.giveCredits(sub.plan.lines[0], sub.Customer, "subscription", "subscription", sub.SubscriptionID, sub.Metadata, at)
}

// giveCredits gives what a line brings, for every piece. The caller holds s.mu.
func (s *Simulator) giveCredits(l line, to customer, source, reference, id string, meta metadata, at time.Time) {
	for _, from := range l.product.Credits {
		c, amount, ok := s.given(from)
		if !ok {
			continue
		}
		a := s.accountFor(c.ID, to.CustomerID, at)
		g := creditGrant{Initial: amount.times(l.quantity), SourceType: source, SourceID: new(id), Metadata: meta}
		if c.ExpiresAfterDays != nil {
			g.ExpiresAt = new(at.AddDate(0, 0, *c.ExpiresAfterDays))
		}
		s.give(c, a, g, creditEntry{ReferenceType: new(reference), ReferenceID: new(id), Metadata: meta}, at)
	}
}

type creditUsageList struct {
	SubscriptionID string        `json:"subscription_id"`
	Items          []creditUsage `json:"items"`
}

// getCreditUsage answers GET /subscriptions/{id}/credit-usage with what the customer has
// of the credits that the product gives.
func (s *Simulator) getCreditUsage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	answer := creditUsageList{SubscriptionID: sub.SubscriptionID, Items: []creditUsage{}}
	for _, from := range sub.plan.lines[0].product.Credits {
		c, _, ok := s.given(from)
		if !ok {
			continue
		}
		item := creditUsage{CreditID: c.ID, Name: c.Name, Unit: c.Unit, Balance: zero(), Overage: zero(), OverageEnabled: c.OverageEnabled}
		if a := s.account(c.ID, sub.Customer.CustomerID); a != nil {
			item.Balance, item.Overage = a.Balance, a.Overage
		}
		if c.OverageEnabled && c.OverageLimit != nil {
			limit := whole(*c.OverageLimit)
			left := limit.sub(limit.min(item.Overage))
			item.OverageLimit, item.RemainingHeadroom, item.LimitReached = &limit, &left, !left.positive()
		}
		answer.Items = append(answer.Items, item)
	}
	return snapshot(answer)
}
