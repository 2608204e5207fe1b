package dodosim

import "time"

// newSubscription makes the subscription of a session. It is pending until the first attempt
// to pay. The caller holds s.mu.
func (s *Simulator) newSubscription(session *session, plan line, now time.Time) *subscription {
	sub := &subscription{
		SubscriptionID:  newID("sub_"),
		BrandID:         s.brand,
		Status:          SubscriptionPending,
		CreatedAt:       now,
		TrialPeriodDays: session.terms.trial(plan.product),
		OnDemand:        session.terms.OnDemand != nil,
		Metadata:        session.metadata,
		TermCount:       plan.product.Term.Count,
		TermInterval:    plan.product.Term.Interval,
	}
	s.refreshPlan(sub, session, plan, now)
	s.subscriptions[sub.SubscriptionID] = sub
	s.subscriptionOrder = append(s.subscriptionOrder, sub)
	return sub
}

// refreshPlan sets a subscription's plan and buyer from the session, and the dates for a start
// at now.
func (s *Simulator) refreshPlan(sub *subscription, session *session, plan line, now time.Time) {
	sub.began, sub.PreviousBillingDate = now, now
	sub.Customer, sub.Billing = *session.customer, session.billing
	s.setPlan(sub, planBill(plan.product, plan.quantity, session.bill.addons(), session.bill.codes))
	sub.ExpiresAt = sub.term().after(now)
	sub.NextBillingDate = sub.cycle().after(now)
	if sub.TrialPeriodDays > 0 {
		sub.NextBillingDate = now.AddDate(0, 0, sub.TrialPeriodDays)
		if price := plan.product.TrialPrice; price > 0 {
			sub.TrialAmount = new(int64(price) * plan.quantity)
		}
	}
}

// start starts a subscription with an attempt to pay: active, or failed if the card was
// declined, which is final. So each attempt to pay a checkout makes a subscription of its own
// (UNCONFIRMED, as for payments). The caller holds s.mu.
func (s *Simulator) start(sub *subscription, session *session, plan line, with card, now time.Time) {
	s.refreshPlan(sub, session, plan, now)
	sub.Status = SubscriptionActive
	switch {
	case with.decline != "":
		sub.Status = SubscriptionFailed
	case session.method != nil:
		sub.use(session.method)
	default:
		s.attach(sub, with, now)
	}
	if sub.TrialPeriodDays == 0 {
		s.useCycle(sub)
	}
}

// planBill is the cost of one cycle of a recurring product with its add-ons. Codes apply to
// every cycle for which they are valid, not only to the first.
func planBill(p Product, quantity int64, addons []line, codes []*coupon) bill {
	b := bill{currency: p.Currency, codes: codes, subtotal: int64(p.Price) * quantity}
	b.add(p, quantity, b.subtotal) // the first line is the product, in all plans
	b.attach(addons, false)
	b.discount()
	return b
}

// setPlan sets a subscription's plan, from the next charge on. A code that it already had
// keeps its count of cycles. The caller holds s.mu.
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
	sub.Addons = plan.addonItems()
	sub.RecurringPreTaxAmount = plan.total
	sub.Currency = plan.currency
	sub.CycleCount, sub.CycleInterval = l.product.Every.Count, l.product.Every.Interval
	s.showDiscounts(sub)
	s.showMeters(sub)
}

// showDiscounts writes the codes of the plan into the object.
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

// useCycle counts a paid cycle for the codes of the plan. A code that is no longer valid is
// removed from the next one.
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
	s.setPlan(sub, planBill(l.product, l.quantity, sub.plan.addons(), valid))
}

// announceStart emits the events of a first charge, in the order of FACTS 3.4. The real order
// and delays are UNCONFIRMED, and webhooks overtake each other anyway. The caller holds s.mu.
func (s *Simulator) announceStart(sub *subscription, first *payment) {
	if sub.Status == SubscriptionFailed {
		s.announce(first)
		s.emitAll(sub, sub.began, "failed")
		return
	}
	s.emitAll(sub, sub.began, "active")
	s.announce(first)
	if sub.TrialPeriodDays == 0 || s.options.RenewedAtTrialStart {
		s.emitAll(sub, sub.began, "renewed")
	}
	s.emitAll(sub, sub.began, "updated")
	if sub.TrialPeriodDays == 0 {
		s.giveCycle(sub, sub.began)
	} else {
		s.giveTrial(sub, sub.began)
	}
}
