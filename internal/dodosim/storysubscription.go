package dodosim

import (
	"slices"
	"time"
)

// subscribe is a first purchase of a subscription.
func (c *scene) subscribe() *Error {
	session, refusal := c.checkout(subscribed, stockMonthly)
	if refusal == nil {
		_, refusal = c.pays(session, CardVisa)
	}
	return refusal
}

// subscription is the one for the story: the requested one, the account's latest, or a new
// one. It has one of the statuses; a new one gets the first, active.
func (c *scene) subscription(statuses ...SubscriptionStatus) (*subscription, *Error) {
	if c.wish.Subscription != "" {
		sub, refusal := c.findSubscription(c.wish.Subscription)
		if refusal == nil && !slices.Contains(statuses, sub.Status) {
			return nil, refuse(codeInactive, "subscription %s is %s", sub.SubscriptionID, sub.Status)
		}
		return sub, refusal
	}
	if c.wish.Session == "" {
		for _, sub := range slices.Backward(c.subscriptionOrder) {
			if c.isAccounts(sub.Metadata) && slices.Contains(statuses, sub.Status) && (c.wish.Product == "" || c.wish.Product == sub.ProductID) {
				return sub, nil
			}
		}
	}
	if refusal := c.subscribe(); refusal != nil {
		return nil, refusal
	}
	return c.subscriptionOrder[len(c.subscriptionOrder)-1], nil
}

// bill makes the next cycle due now, and charges it.
func (c *scene) bill(sub *subscription) *Error {
	if sub.OnDemand {
		return refuse(codeInvalidParameters, "subscription %s is on demand and does not renew", sub.SubscriptionID)
	}
	sub.CancelAtNextBillingDate = false
	sub.billNext(c.now)
	if !sub.ExpiresAt.After(c.now) {
		return refuse(codeTermOver, "the term of subscription %s is over", sub.SubscriptionID)
	}
	c.renew(sub, c.now)
	return nil
}

// renewed charges the next cycle early, as if the billing date had been patched.
func (c *scene) renewed() *Error {
	before := len(c.events)
	sub, refusal := c.subscription(SubscriptionActive)
	if refusal != nil || c.hasEmitted(before, "subscription.renewed") {
		return refusal // a first charge renews, too
	}
	return c.bill(sub)
}

// hasEmitted reports whether an event of the type was emitted after the first since events.
func (c *scene) hasEmitted(since int, eventType string) bool {
	return slices.ContainsFunc(c.events[since:], func(e *event) bool { return e.Type == eventType })
}

// updated changes the metadata or, if none was requested, moves the billing date by a day.
func (c *scene) updated() *Error {
	before := len(c.events)
	sub, refusal := c.subscription(SubscriptionActive)
	if refusal != nil || c.hasEmitted(before, "subscription.updated") {
		return refusal
	}
	request := patchRequest{NextBillingDate: new(sub.NextBillingDate.AddDate(0, 0, 1))}
	if len(c.wish.Metadata) > 0 {
		request = patchRequest{Metadata: c.metadata()}
	}
	c.apply(request, sub, c.now)
	return nil
}

// miss gives the subscription a card that fails, and charges the next cycle.
func (c *scene) miss(grace int) *Error {
	sub, refusal := c.subscription(SubscriptionActive)
	if refusal != nil {
		return refusal
	}
	with, refusal := findCard(CardFailsLater)
	if refusal != nil {
		return refusal
	}
	c.attach(sub, with, c.now)
	before := c.options.GracePeriodDays
	c.options.GracePeriodDays = grace
	defer func() { c.options.GracePeriodDays = before }()
	return c.bill(sub)
}

// hold is an unpaid renewal without grace.
func (c *scene) hold() *Error {
	if c.wish.Type == "dunning.started" {
		defer temporarily(&c.options.Dunning)()
	}
	return c.miss(0)
}

// fallBehind is an unpaid renewal with grace: three days, Dodo's default (FACTS 3.4), unless
// the options say otherwise.
func (c *scene) fallBehind() *Error {
	const usual = 3
	if days := c.options.GracePeriodDays; days > 0 {
		return c.miss(days)
	}
	return c.miss(usual)
}

// winBack pays for a subscription on hold with another card.
func (c *scene) winBack() *Error {
	defer temporarily(&c.options.Dunning)()
	sub, refusal := c.subscription(SubscriptionOnHold, SubscriptionActive)
	if refusal != nil {
		return refusal
	}
	if sub.Status == SubscriptionActive {
		c.wish.Subscription = sub.SubscriptionID
		if refusal := c.miss(0); refusal != nil {
			return refusal
		}
	}
	c.startDunning(sub, string(SubscriptionOnHold), c.now) // it may have been held without
	return c.replaceCard(sub)
}

// replaceCard gives a subscription a valid card, which pays what is owed.
func (c *scene) replaceCard(sub *subscription) *Error {
	if refusal := sub.cardReplaceable(c.now); refusal != nil {
		return refusal
	}
	with, refusal := findCard(CardMastercard)
	if refusal != nil {
		return refusal
	}
	if sub.owes() {
		p := c.chargeDues(sub, with, c.now)
		c.recordPayment(p)
		c.settleDues(sub, p, with, nil, c.now)
		return nil
	}
	c.attach(sub, with, c.now)
	c.emitAll(sub, c.now, "update_payment_method", "updated")
	return nil
}

func (c *scene) changeCard() *Error {
	sub, refusal := c.subscription(SubscriptionActive, SubscriptionOnHold, SubscriptionPastDue, SubscriptionPaused)
	if refusal == nil {
		refusal = c.replaceCard(sub)
	}
	return refusal
}

func (c *scene) pause() *Error {
	sub, refusal := c.subscription(SubscriptionActive)
	if refusal == nil {
		c.apply(patchRequest{Status: new(string(SubscriptionPaused))}, sub, c.now)
	}
	return refusal
}

func (c *scene) unpause() *Error {
	sub, refusal := c.subscription(SubscriptionPaused, SubscriptionActive)
	if refusal != nil {
		return refusal
	}
	if sub.Status == SubscriptionActive {
		c.apply(patchRequest{Status: new(string(SubscriptionPaused))}, sub, c.now)
	}
	c.apply(patchRequest{Status: new(string(SubscriptionActive))}, sub, c.now)
	return nil
}

// changePlan changes the subscription to the requested product, or to another one in the same
// currency, and charges it in full.
func (c *scene) changePlan() *Error {
	target := c.wish.Product
	c.wish.Product = "" // the subscription is one of another product
	sub, refusal := c.subscription(SubscriptionActive)
	if refusal != nil {
		return refusal
	}
	if target == "" {
		other, refusal := c.product(func(p Product) bool {
			return subscribed(p) && p.ID != sub.ProductID && p.Currency == sub.Currency
		}, otherPlan(sub))
		if refusal != nil {
			return refusal
		}
		target = other.ID
	}
	request := planChangeRequest{ProductID: &target, Quantity: new(max(c.wish.Quantity, 1)), Mode: new(full)}
	sub, plan, refusal := c.planFor(sub.SubscriptionID, request)
	if refusal != nil {
		return refusal
	}
	c.switchPlan(sub, plan, request)
	return nil
}

// otherPlan is a stock product in the currency of the subscription that is not its own.
func otherPlan(sub *subscription) Product {
	other := stockYearly
	if sub.ProductID == other.ID {
		other = stockMonthly
	}
	other.Currency = sub.Currency
	return other
}

// cancelSubscription cancels like the customer in the portal.
func (c *scene) cancelSubscription() *Error {
	sub, refusal := c.subscription(SubscriptionActive, SubscriptionOnHold, SubscriptionPastDue, SubscriptionPaused)
	if refusal == nil {
		c.apply(patchRequest{
			Status: new(string(SubscriptionCancelled)), CancelReason: new("cancelled_by_customer"), Feedback: new("unused"),
		}, sub, c.now)
	}
	return refusal
}

func (c *scene) failToSubscribe() *Error {
	session, refusal := c.checkout(subscribed, stockMonthly)
	if refusal == nil {
		_, refusal = c.pays(session, CardDeclined)
	}
	return refusal
}

// expire ends the term now.
func (c *scene) expire() *Error {
	sub, refusal := c.subscription(SubscriptionActive)
	if refusal != nil {
		return refusal
	}
	sub.ExpiresAt = c.now
	sub.NextBillingDate = later(sub.NextBillingDate, c.now)
	c.handleDue(sub, c.now)
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
