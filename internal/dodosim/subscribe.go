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
		TermCount:           plan.product.Term.Count,
		TermInterval:        plan.product.Term.Interval,
	}
	switch {
	case with.decline != "":
	case session.method != nil:
		sub.use(session.method)
	default:
		s.attach(sub, with, now)
	}
	s.setPlan(sub, planBill(plan.product, plan.quantity, session.bill.codes))
	sub.ExpiresAt = sub.term().after(now)
	sub.NextBillingDate = sub.cycle().after(now)
	if price := plan.product.TrialPrice; sub.TrialPeriodDays > 0 && price > 0 {
		sub.TrialAmount = new(int64(price) * plan.quantity)
	}
	if sub.TrialPeriodDays > 0 {
		sub.NextBillingDate = now.AddDate(0, 0, sub.TrialPeriodDays)
	}
	if sub.TrialPeriodDays == 0 {
		s.useCycle(sub)
	}
	if with.decline != "" {
		sub.Status = SubscriptionFailed
	}
	s.subscriptions[sub.SubscriptionID] = sub
	s.subscriptionOrder = append(s.subscriptionOrder, sub)
	return sub
}

// planBill is what one cycle of a recurring product costs. Codes lower every cycle for
// which they are valid, not only the first.
func planBill(p Product, quantity int64, codes []*coupon) bill {
	b := bill{currency: p.Currency, codes: codes, subtotal: int64(p.Price) * quantity}
	b.add(p, quantity, b.subtotal)
	b.discount()
	return b
}

// setPlan puts a subscription on a plan, from the next charge on. A code that it had
// before goes on counting its cycles. The caller holds s.mu.
func (s *Simulator) setPlan(sub *subscription, plan bill) {
	l := plan.lines[0]
	left := make(map[string]int)
	for _, code := range plan.codes {
		if code.SubscriptionCycles == nil {
			continue
		}
		left[code.DiscountID] = *code.SubscriptionCycles
		if before, ok := sub.cyclesLeft[code.DiscountID]; ok {
			left[code.DiscountID] = before
		}
	}
	sub.plan, sub.cyclesLeft = plan, left
	sub.ProductID = l.product.ID
	sub.Quantity = int32(l.quantity) // fits, see checkRecurring
	sub.RecurringPreTaxAmount = plan.total
	sub.Currency = plan.currency
	sub.CycleCount, sub.CycleInterval = l.product.Every.Count, l.product.Every.Interval
	s.showDiscounts(sub)
	s.showMeters(sub)
}

// showDiscounts spells out the codes of the plan in the object.
func (s *Simulator) showDiscounts(sub *subscription) {
	sub.Discounts, sub.DiscountID, sub.DiscountCyclesRemaining = s.details(sub.plan.codes), nil, nil
	for i := range sub.Discounts {
		if left, limited := sub.cyclesLeft[sub.Discounts[i].DiscountID]; limited {
			sub.Discounts[i].CyclesRemaining = new(left)
		}
	}
	if len(sub.Discounts) > 0 {
		sub.DiscountID = new(sub.Discounts[0].DiscountID)
		sub.DiscountCyclesRemaining = sub.Discounts[0].CyclesRemaining
	}
}

// useCycle counts a cycle that has been paid with the codes of the plan. A code that was
// valid for no more is gone from the next one.
func (s *Simulator) useCycle(sub *subscription) {
	var valid []*coupon
	for _, code := range sub.plan.codes {
		if left, limited := sub.cyclesLeft[code.DiscountID]; limited {
			sub.cyclesLeft[code.DiscountID] = left - 1
			if left <= 1 {
				continue
			}
		}
		valid = append(valid, code)
	}
	l := sub.plan.lines[0]
	s.setPlan(sub, planBill(l.product, l.quantity, valid))
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
	if sub.TrialPeriodDays == 0 {
		s.giveCycle(sub, sub.CreatedAt)
	} else {
		s.giveTrial(sub, sub.CreatedAt)
	}
}
