package dodosim

import "time"

// newSubscription is the subscription that a try to pay a session starts: active, or
// failed if the card was declined, which is final, so that each try makes one of its own
// (UNCONFIRMED, as for payments). The caller holds s.mu.
func (s *Simulator) newSubscription(session *session, plan line, with card, now time.Time) *subscription {
	sub := &subscription{
		SubscriptionID:      newID("sub_"),
		BrandID:             s.brand,
		Status:              SubscriptionActive,
		CreatedAt:           now,
		PreviousBillingDate: now,
		TrialPeriodDays:     session.terms.trial(plan.product),
		OnDemand:            session.terms.OnDemand != nil,
		Customer:            *session.customer,
		Billing:             session.billing,
		Metadata:            session.metadata,
		Addons:              []any{},
		CreditEntitlements:  []any{},
		MeterEntitlements:   []any{},
		Meters:              []any{},
		TermCount:           plan.product.Term.Count,
		TermInterval:        plan.product.Term.Interval,
	}
	if with.decline == "" {
		s.attach(sub, with, now)
	}
	s.setPlan(sub, planBill(plan.product, plan.quantity, session.bill.codes))
	sub.ExpiresAt = sub.term().after(now)
	sub.NextBillingDate = sub.cycle().after(now)
	if sub.TrialPeriodDays > 0 {
		sub.NextBillingDate = now.AddDate(0, 0, sub.TrialPeriodDays)
	}
	if with.decline != "" {
		sub.Status = SubscriptionFailed
	}
	s.subscriptions[sub.SubscriptionID] = sub
	s.subscriptionOrder = append(s.subscriptionOrder, sub)
	return sub
}

// planBill is what one cycle of a recurring product costs. Codes lower every cycle, not
// only the first: UNCONFIRMED for codes without subscription_cycles.
func planBill(p Product, quantity int64, codes []Discount) bill {
	b := bill{currency: p.Currency, codes: codes, subtotal: int64(p.Price) * quantity}
	b.add(p, quantity, b.subtotal)
	b.discount()
	return b
}

// setPlan puts a subscription on a plan, from the next charge on. The caller holds s.mu.
func (s *Simulator) setPlan(sub *subscription, plan bill) {
	l := plan.lines[0]
	sub.plan = plan
	sub.ProductID = l.product.ID
	sub.Quantity = int32(l.quantity) // fits, see checkRecurring
	sub.RecurringPreTaxAmount = plan.total
	sub.Currency = plan.currency
	sub.CycleCount, sub.CycleInterval = l.product.Every.Count, l.product.Every.Interval
	sub.Discounts, sub.DiscountID = s.details(plan.codes), nil
	if len(sub.Discounts) > 0 {
		sub.DiscountID = new(sub.Discounts[0].DiscountID)
	}
}

// announceStart sends the events of a first charge, in the order of FACTS 3.4. Real
// order and delays are UNCONFIRMED, and webhooks overtake each other anyway. The caller
// holds s.mu.
func (s *Simulator) announceStart(sub *subscription, first *payment) {
	if sub.Status == SubscriptionFailed {
		s.announce(first)
		s.tell(sub, sub.CreatedAt, "failed")
		return
	}
	s.tell(sub, sub.CreatedAt, "active")
	s.announce(first)
	if sub.TrialPeriodDays == 0 || s.options.RenewedAtTrialStart {
		s.tell(sub, sub.CreatedAt, "renewed")
	}
	s.tell(sub, sub.CreatedAt, "updated")
}
