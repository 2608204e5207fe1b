package dodosim

import "time"

// due is when something happens to the subscription next; false if nothing will. What became
// due during a processing charge, or in a pause, happens afterwards.
func (sub *subscription) due() (time.Time, bool) {
	at, comes := sub.planned()
	if comes && at.Before(sub.notBefore) {
		at = sub.notBefore
	}
	return at, comes
}

// planned is due by the dates alone. A term that ends with a cycle ends before another charge.
func (sub *subscription) planned() (time.Time, bool) {
	switch {
	case sub.processing != nil:
		return time.Time{}, false
	case sub.Status == SubscriptionPastDue:
		return *sub.grace, true
	case sub.Status != SubscriptionActive:
		return time.Time{}, false
	case sub.ExpiresAt.After(sub.NextBillingDate) && (!sub.OnDemand || sub.CancelAtNextBillingDate):
		return sub.NextBillingDate, true
	}
	return sub.ExpiresAt, true
}

// handleDue performs what is due. Afterwards the next thing is due later, or never. The caller
// holds s.mu.
func (s *Simulator) handleDue(sub *subscription, at time.Time) {
	switch {
	case sub.Status == SubscriptionPastDue:
		s.endGrace(sub, at)
	case !at.Before(sub.ExpiresAt):
		sub.Status = SubscriptionExpired
		s.emitAll(sub, at, "expired", "updated")
	case sub.CancelAtNextBillingDate:
		s.endScheduled(sub, at)
	default:
		s.renew(sub, at)
	}
}

// renew charges the next cycle, with the scheduled plan if there is one.
func (s *Simulator) renew(sub *subscription, at time.Time) {
	s.takeForUsage(sub, at, at)
	change, before, due := sub.ScheduledChange, sub.plan, s.cycleBill(sub)
	if change != nil {
		s.setPlan(sub, change.plan)
		arrears := due.total - before.total
		due = change.plan
		due.increasePrice(arrears)
	}
	p := s.charge(sub, due, s.renewalMetadata(sub), at)
	failed := func(at time.Time) {
		if change != nil {
			s.setPlan(sub, before) // the change stays scheduled for the charge that succeeds
		}
		s.missPayment(sub, p, at)
	}
	switch {
	case s.takesLong(sub):
		s.renewSlowly(sub, p, change, failed)
	case p.Status == Succeeded:
		s.announce(p)
		s.beginRenewed(sub, change, at, at)
	default:
		s.announce(p)
		failed(at)
	}
}

// renewSlowly is a renewal whose charge is processing before it succeeds or fails. The
// subscription stays active meanwhile. That its dates stay, too, is UNCONFIRMED:
// Options.DatesMoveFirst moves them immediately, and back if the charge fails.
func (s *Simulator) renewSlowly(sub *subscription, p *payment, change *scheduledChange, failed func(at time.Time)) {
	outcome, began := p.Status, p.CreatedAt
	previous, next, metered := sub.PreviousBillingDate, sub.NextBillingDate, sub.metered
	s.processSlowly(sub, p, func(at time.Time) {
		moved := s.options.DatesMoveFirst && sub.PreviousBillingDate.Equal(began)
		switch {
		case sub.over():
		case outcome == Succeeded && moved:
			s.payRenewed(sub, change, at)
		case outcome == Succeeded:
			s.beginRenewed(sub, change, began, at)
		case sub.Status == SubscriptionActive:
			if moved {
				sub.PreviousBillingDate, sub.metered = previous, metered
				sub.billNext(next)
			}
			failed(at)
		}
	})
	if s.options.DatesMoveFirst {
		sub.begin(began)
		s.emitAll(sub, began, "updated")
	}
}

// beginRenewed starts the paid cycle, at the time of the charge, which may be before the money
// arrived.
func (s *Simulator) beginRenewed(sub *subscription, change *scheduledChange, began, at time.Time) {
	sub.begin(began)
	s.payRenewed(sub, change, at)
}

// payRenewed does what follows when the money of a started cycle has arrived.
func (s *Simulator) payRenewed(sub *subscription, change *scheduledChange, at time.Time) {
	sub.ScheduledChange = nil
	s.useCycle(sub)
	if change != nil {
		s.emitAll(sub, at, "plan_changed")
	}
	s.emitAll(sub, at, "renewed", "updated")
	s.settleOverage(sub, at)
	s.giveCycle(sub, at)
}

// renewalMetadata is the metadata of the payments of later cycles.
func (s *Simulator) renewalMetadata(sub *subscription) metadata {
	if s.options.BareRenewals {
		return metadata{}
	}
	return sub.Metadata
}

// cycleBill is the cost of the next cycle, with the unpaid usage and invoiced overage of the
// last one. Discounts do not apply to those: UNCONFIRMED. The caller holds s.mu.
func (s *Simulator) cycleBill(sub *subscription) bill {
	what := sub.plan
	what.increasePrice(s.overageDue(sub) + s.usageDue(sub, sub.NextBillingDate))
	return what
}

// begin starts a paid cycle.
func (sub *subscription) begin(at time.Time) {
	sub.metered = nil
	sub.PreviousBillingDate = at
	sub.billNext(sub.cycle().after(at))
}

// billNext moves the next billing date, and with it a change that waits for it.
func (sub *subscription) billNext(at time.Time) {
	sub.NextBillingDate = at
	if sub.ScheduledChange != nil {
		sub.ScheduledChange.EffectiveAt = at
	}
}

// charge makes a payment without the customer. It belongs to no session and lists no products.
func (s *Simulator) charge(sub *subscription, what bill, meta metadata, at time.Time) *payment {
	p := s.newPayment(charge{at: at, bill: what, customer: sub.Customer, billing: sub.Billing, metadata: meta})
	p.belongTo(sub)
	p.chargeCard(sub.card, sub.card.forLater())
	s.recordPayment(p)
	return p
}

// missPayment handles a failed renewal (FACTS 3.4). The billing dates stay, because the unpaid
// cycle has not started.
func (s *Simulator) missPayment(sub *subscription, p *payment, at time.Time) {
	defer s.retryLater(sub, p, at)
	if days := s.options.GracePeriodDays; days > 0 {
		sub.Status = SubscriptionPastDue
		sub.grace = new(at.AddDate(0, 0, days))
		s.emitAll(sub, at, "past_due", "updated")
		return
	}
	s.putOnHold(sub, at)
}

func (s *Simulator) endGrace(sub *subscription, at time.Time) {
	if s.options.CancelAfterGrace {
		s.cancelNow(sub, at)
		return
	}
	s.putOnHold(sub, at)
}

// cancelNow ends a subscription at once.
func (s *Simulator) cancelNow(sub *subscription, at time.Time) {
	sub.Status = SubscriptionCancelled
	sub.CancelledAt = new(at)
	sub.CancelAtNextBillingDate = false
	sub.ScheduledChange, sub.PausedAt, sub.grace = nil, nil, nil
	sub.exhaustDunning()
	s.emitAll(sub, at, "cancelled", "updated")
}

// endScheduled ends a subscription whose cancellation was scheduled. The flag stays, because
// it says how the subscription ended.
func (s *Simulator) endScheduled(sub *subscription, at time.Time) {
	sub.ScheduledChange = nil
	if s.options.EarlyCancelled {
		sub.Status = SubscriptionExpired
		s.emitAll(sub, at, "expired", "updated")
		return
	}
	sub.Status = SubscriptionCancelled
	sub.CancelledAt = new(at)
	s.emitAll(sub, at, "cancelled", "updated")
}

// ReplaceCard gives a subscription another test card, like its customer in the portal. A
// subscription on hold or past due is charged what it owes, and becomes active again if that
// succeeds; the Attempt is that payment, and empty if nothing is owed. A card that is declined
// immediately is not attached. The error is an *[Error].
func (s *Simulator) ReplaceCard(subscriptionID, cardNumber string) (Attempt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(subscriptionID)
	if refusal != nil {
		return Attempt{}, refusal
	}
	with, refusal := findCard(cardNumber)
	switch {
	case refusal != nil:
		return Attempt{}, refusal
	case with.upi() && !takesUPI(sub.Billing, sub.Currency):
		return Attempt{}, noUPI()
	}
	now := s.now()
	if refusal := sub.cardReplaceable(now); refusal != nil {
		return Attempt{}, refusal
	}
	switch {
	case sub.owes():
		p := s.chargeDues(sub, with, now)
		s.recordPayment(p)
		s.settleDues(sub, p, with, nil, now)
		return Attempt{PaymentID: p.PaymentID, SubscriptionID: sub.SubscriptionID, Status: p.Status}, nil
	case with.decline != "":
		return Attempt{SubscriptionID: sub.SubscriptionID, Status: Failed}, nil
	}
	s.attach(sub, with, now)
	s.emitAll(sub, now, "update_payment_method", "updated")
	return Attempt{SubscriptionID: sub.SubscriptionID, Status: Succeeded}, nil
}

// owes reports whether a cycle is unpaid.
func (sub *subscription) owes() bool {
	return sub.Status == SubscriptionOnHold || sub.Status == SubscriptionPastDue
}

// chargeDues charges what is owed to a new card. The customer is present: only a card that is
// declined immediately fails.
func (s *Simulator) chargeDues(sub *subscription, with card, now time.Time) *payment {
	p := s.newPayment(charge{at: now, bill: s.cycleBill(sub), customer: sub.Customer, billing: sub.Billing, metadata: s.renewalMetadata(sub)})
	p.belongTo(sub)
	p.chargeCard(with, with.decline)
	return p
}

// settleDues does what follows from a payment of dues, by a new card or a saved method. Which
// cycle it pays is UNCONFIRMED: here a past due subscription continues with the current cycle,
// and a hold, which gave no access, is followed by a new cycle. There is no renewed event
// (FACTS 3.4).
func (s *Simulator) settleDues(sub *subscription, p *payment, with card, saved *method, now time.Time) {
	s.announce(p)
	if p.Status != Succeeded {
		return
	}
	if saved != nil {
		sub.use(saved)
	} else {
		s.attach(sub, with, now)
	}
	p.PaymentMethodID = sub.PaymentMethodID
	s.recovered(sub, p, now, "active", "update_payment_method", "updated")
}

// recovered makes a subscription active again after its dues were paid.
func (s *Simulator) recovered(sub *subscription, p *payment, now time.Time, events ...string) {
	began := now
	if sub.Status == SubscriptionPastDue {
		began = sub.NextBillingDate
	}
	sub.Status = SubscriptionActive
	sub.grace, sub.missed = nil, nil
	s.useCycle(sub)
	sub.begin(began)
	for !sub.NextBillingDate.After(now) { // the grace was longer than a cycle
		sub.begin(sub.NextBillingDate)
	}
	s.emitAll(sub, now, events...)
	s.recoverDunning(sub, p, now)
	s.settleOverage(sub, now)
	s.giveCycle(sub, now)
}
