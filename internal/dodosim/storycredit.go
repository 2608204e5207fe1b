package dodosim

import (
	"slices"
	"time"
)

// What a story adds to a catalog without credits of a kind.
var (
	stockCredits = Product{
		ID: "pdt_sim_credits", Name: "Credits", Price: 500, Currency: "USD", Credits: []ProductCredit{{Name: "Credits", Unit: "credit", Amount: "10"}},
	}
	stockRollover = monthlyCredits("pdt_sim_rollover", ProductCredit{
		Name: "Lasting credits", Amount: "10", ExpiresAfterDays: 30, Rollover: &Rollover{Percent: 100, MaxCount: 1},
	})
	stockOverage = monthlyCredits("pdt_sim_overage", ProductCredit{
		Name: "Elastic credits", Amount: "10", Overage: &Overage{Behavior: InvoiceAtBilling, Price: "50"},
	})
	stockLow = monthlyCredits("pdt_sim_low", ProductCredit{Name: "Watched credits", Amount: "10", LowBalancePercent: 20})
)

func monthlyCredits(id string, given ProductCredit) Product {
	given.Unit = "credit"
	return Product{ID: id, Name: given.Name + ", monthly", Price: 900, Currency: "USD", Every: Period{1, Month}, Credits: []ProductCredit{given}}
}

func credits(p Product) bool { return sold(p) && len(p.Credits) > 0 }

// giving selects products that are subscribed to without a trial and give credits of a kind.
func giving(kind func(ProductCredit) bool) need {
	return func(p Product) bool { return subscribed(p) && buyable(p) && slices.ContainsFunc(p.Credits, kind) }
}

// The kinds of credits in the stories.
func rollingOver(c ProductCredit) bool       { return c.Rollover != nil && c.Rollover.MaxCount > 0 }
func warnsOfLowBalance(c ProductCredit) bool { return c.LowBalancePercent > 0 }
func allowsOverage(c ProductCredit) bool {
	return c.Overage != nil && c.Overage.Limit == 0 && c.Overage.Behavior == InvoiceAtBilling
}

// credited buys credits, and returns the account that has them.
func (c *scene) credited() (*creditAccount, *Error) {
	session, refusal := c.checkout(credits, stockCredits)
	if refusal != nil {
		return nil, refusal
	}
	p, refusal := c.pays(session, CardVisa)
	if refusal != nil {
		return nil, refusal
	}
	for _, a := range c.accounts {
		if a.CustomerID == p.Customer.CustomerID && len(a.grants) > 0 && valueOrEmpty(a.grants[len(a.grants)-1].SourceID) == p.PaymentID {
			return a, nil
		}
	}
	return nil, impossible("the credits of payment %s are gone from the catalog", p.PaymentID)
}

// use spends credits, like a merchant's entry.
func (c *scene) use(a *creditAccount, amount decimal, line creditEntry) *Error {
	of, refusal := c.findCredit(a.CreditID)
	if refusal == nil {
		_, refusal = c.take(of, a, amount, line, c.now)
	}
	return refusal
}

// deduct spends one credit.
func (c *scene) deduct() *Error {
	a, refusal := c.credited()
	if refusal != nil {
		return refusal
	}
	return c.use(a, whole(1).min(a.Balance), creditEntry{ReferenceType: new("api")})
}

// adjust removes one credit in the dashboard.
func (c *scene) adjust() *Error {
	a, refusal := c.credited()
	if refusal != nil {
		return refusal
	}
	return c.use(a, whole(1).min(a.Balance), creditEntry{Transaction: "manual_adjustment", Description: new("Manual credit adjustment")})
}

// expireCredit ends a grant of credits now.
func (c *scene) expireCredit() *Error {
	a, refusal := c.credited()
	if refusal != nil {
		return refusal
	}
	c.endGrant(a)
	return nil
}

// endGrant ends the latest grant. A grant that ends at its own start would have no length, and
// so could not roll over.
func (c *scene) endGrant(a *creditAccount) {
	last := a.grants[len(a.grants)-1]
	last.ExpiresAt = new(later(c.now, last.CreatedAt.Add(time.Microsecond)))
	c.expireCredits(*last.ExpiresAt)
}

// subscribedCredits are the credits of a new subscription, of the given kind.
func (c *scene) subscribedCredits(kind func(ProductCredit) bool, otherwise Product) (*subscription, *creditAccount, *Error) {
	if refusal := c.granted(giving(kind), otherwise); refusal != nil {
		return nil, nil, refusal
	}
	sub := c.subscriptionOrder[len(c.subscriptionOrder)-1]
	for _, g := range c.givenBy(sub) {
		if a := c.account(g.ID, sub.Customer.CustomerID); kind(g.from) && a != nil && len(a.grants) > 0 {
			return sub, a, nil
		}
	}
	return nil, nil, impossible("the credits of subscription %s are gone from the catalog", sub.SubscriptionID)
}

// rollOver ends grants until the remaining credits are carried, or forfeited.
func (c *scene) rollOver() *Error {
	before := len(c.events)
	_, a, refusal := c.subscribedCredits(rollingOver, stockRollover)
	for i := 0; refusal == nil && !c.hasEmitted(before, c.wish.Type); i++ {
		if i > maxPeriod {
			return impossible("the credits roll over too often")
		}
		c.endGrant(a)
	}
	return refusal
}

// overdraw spends more than the balance, and pays for it with the next cycle.
func (c *scene) overdraw() *Error {
	sub, a, refusal := c.subscribedCredits(allowsOverage, stockOverage)
	if refusal != nil {
		return refusal
	}
	if refusal := c.use(a, a.Balance.add(whole(1)), creditEntry{ReferenceType: new("api")}); refusal != nil {
		return refusal
	}
	return c.bill(sub)
}

// runLow spends the whole balance.
func (c *scene) runLow() *Error {
	_, a, refusal := c.subscribedCredits(warnsOfLowBalance, stockLow)
	if refusal != nil {
		return refusal
	}
	return c.use(a, a.Balance, creditEntry{ReferenceType: new("api")})
}
