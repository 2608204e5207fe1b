package dodosim

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"time"
)

// productCredit is a credit entitlement as a product lists it (FACTS 2.8).
type productCredit struct {
	ID                string  `json:"id"`
	CreditID          string  `json:"credit_entitlement_id"`
	Name              string  `json:"credit_entitlement_name"`
	Unit              string  `json:"credit_entitlement_unit"`
	Amount            decimal `json:"credits_amount"`
	Currency          *string `json:"currency"`
	PricePerUnit      *string `json:"price_per_unit"`
	ProrationBehavior string  `json:"proration_behavior"`
	TrialCredits      *string `json:"trial_credits"`
	TrialExpires      bool    `json:"trial_credits_expire_after_trial"`
	creditTerms
}

// cartCredit is a credit entitlement as a subscription lists it (FACTS 2.7).
type cartCredit struct {
	CreditID  string  `json:"credit_entitlement_id"`
	Name      string  `json:"credit_entitlement_name"`
	ProductID string  `json:"product_id"`
	Unit      string  `json:"unit"`
	Amount    decimal `json:"credits_amount"`
	Remaining decimal `json:"remaining_balance"`
	Overage   decimal `json:"overage_balance"`
	creditTerms
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

// addCredits makes the product's credit entitlements that do not exist yet.
func (s *Simulator) addCredits(p Product, now time.Time) {
	for _, given := range p.Credits {
		if slices.ContainsFunc(s.credits, func(c *credit) bool { return c.Name == given.Name }) {
			continue
		}
		id := newID("cde_")
		s.credits = append(s.credits, &credit{
			ID: id, BusinessID: s.business, Name: given.Name, Unit: given.Unit, Precision: maxPlaces,
			OverageBehavior: string(ForgiveAtReset), CreatedAt: now, UpdatedAt: now,
		})
		if s.catalogCredits == nil {
			s.catalogCredits = make(map[string]string)
		}
		s.catalogCredits[given.Name] = id
	}
}

// creditsOf are the credits that a product gives. The caller holds s.mu.
func (s *Simulator) creditsOf(p Product) []productCredit {
	credits := []productCredit{}
	for _, g := range s.given(p) {
		item := productCredit{
			ID: mappingID(p.ID, g.ID), CreditID: g.ID, Name: g.Name, Unit: g.Unit, Amount: g.amount,
			ProrationBehavior: "no_prorate", TrialExpires: g.from.TrialExpires, creditTerms: g.terms,
		}
		if g.from.TrialAmount != "" {
			item.TrialCredits = new(g.from.TrialAmount.String())
		}
		if o := g.from.Overage; o != nil && o.Price != "" {
			item.PricePerUnit, item.Currency = new(o.Price.String()), new(p.Currency)
		}
		credits = append(credits, item)
	}
	return credits
}

// mappingID is the UUID of the link between a product and a credit entitlement.
func mappingID(product, creditID string) string {
	sum := sha256.Sum256([]byte(product + " " + creditID))
	h := hex.EncodeToString(sum[:])
	return h[:8] + "-" + h[8:12] + "-8" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32] // RFC 9562, version 8
}

// creditCart is what a subscription's product gives, and what is left of what the subscription
// was given. The caller holds s.mu.
func (s *Simulator) creditCart(sub *subscription) []cartCredit {
	cart := []cartCredit{}
	for _, g := range s.givenBy(sub) {
		item := cartCredit{
			CreditID: g.ID, Name: g.Name, ProductID: sub.ProductID, Unit: g.Unit, Amount: g.amount, Remaining: zero(), Overage: zero(),
			creditTerms: g.terms,
		}
		if a := s.account(g.ID, sub.Customer.CustomerID); a != nil {
			item.Overage = a.Overage
			for _, g := range a.grants {
				if valueOrEmpty(g.SourceID) == sub.SubscriptionID {
					item.Remaining = item.Remaining.add(g.Remaining)
				}
			}
		}
		cart = append(cart, item)
	}
	return cart
}

// giveCycle grants the credits of a paid cycle. Credits of earlier cycles are not taken back:
// UNCONFIRMED for credits that do not expire.
func (s *Simulator) giveCycle(sub *subscription, at time.Time) {
	for _, g := range s.givenBy(sub) {
		s.giveTo(g, g.amount.times(int64(sub.Quantity)), sub.source(at, g.terms.expiry(at)))
	}
}

// giveTrial gives the credits of a trial, if there are any (FACTS 2.8).
func (s *Simulator) giveTrial(sub *subscription, at time.Time) {
	for _, g := range s.givenBy(sub) {
		amount, ok := parseDecimal(g.from.TrialAmount, maxPlaces)
		if !ok {
			continue
		}
		expires := g.terms.expiry(at)
		if g.from.TrialExpires {
			expires = new(sub.NextBillingDate)
		}
		s.giveTo(g, amount.times(int64(sub.Quantity)), sub.source(at, expires))
	}
}

// creditSource is the reason, recipient and expiry of a grant of credits.
type creditSource struct {
	to              customer
	kind, reference string
	id              string
	metadata        metadata
	at              time.Time
	expires         *time.Time
}

func (sub *subscription) source(at time.Time, expires *time.Time) creditSource {
	return creditSource{sub.Customer, "subscription", "subscription", sub.SubscriptionID, sub.Metadata, at, expires}
}

// giveBought grants the credits of a one-time line, for every piece. The caller holds s.mu.
func (s *Simulator) giveBought(l line, p *payment) {
	at := p.outcomeTime()
	for _, g := range s.given(l.product) {
		from := creditSource{p.Customer, "one_time", "payment", p.PaymentID, p.Metadata, at, g.terms.expiry(at)}
		s.giveTo(g, g.amount.times(l.quantity), from)
	}
}

func (s *Simulator) giveTo(g givenCredit, amount decimal, from creditSource) {
	a := s.accountFor(g.ID, from.to.CustomerID, from.at)
	s.give(g.credit, a,
		creditGrant{Initial: amount, SourceType: from.kind, SourceID: new(from.id), Metadata: from.metadata, ExpiresAt: from.expires},
		creditEntry{ReferenceType: new(from.reference), ReferenceID: new(from.id), Metadata: from.metadata}, from.at)
}

type creditUsageList struct {
	SubscriptionID string        `json:"subscription_id"`
	Items          []creditUsage `json:"items"`
}

// getCreditUsage answers GET /subscriptions/{id}/credit-usage with the customer's balances of
// the product's credits.
func (s *Simulator) getCreditUsage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	answer := creditUsageList{SubscriptionID: sub.SubscriptionID, Items: []creditUsage{}}
	for _, g := range s.givenBy(sub) {
		item := creditUsage{
			CreditID: g.ID, Name: g.Name, Unit: g.Unit, Balance: zero(), Overage: zero(), OverageEnabled: g.terms.OverageEnabled,
		}
		if a := s.account(g.ID, sub.Customer.CustomerID); a != nil {
			item.Balance, item.Overage = a.Balance, a.Overage
		}
		if limit := g.terms.OverageLimit; g.terms.OverageEnabled && limit != nil {
			left := limit.sub(limit.min(item.Overage))
			item.OverageLimit, item.RemainingHeadroom, item.LimitReached = limit, &left, !left.positive()
		}
		answer.Items = append(answer.Items, item)
	}
	return snapshot(answer)
}
