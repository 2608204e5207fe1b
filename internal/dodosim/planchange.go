package dodosim

import (
	"net/http"
	"slices"
	"time"
)

// The proration modes of FACTS 2.7.
const (
	prorated   = "prorated_immediately"
	difference = "difference_immediately"
	full       = "full_immediately"
	doNotBill  = "do_not_bill"
)

// nextBillingDate is the effective_at of a change that waits.
const nextBillingDate = "next_billing_date"

// scheduledChange is a plan change that takes effect at the next billing date.
type scheduledChange struct {
	ID                 string           `json:"id"`
	ProductID          string           `json:"product_id"`
	ProductName        *string          `json:"product_name"`
	ProductDescription *string          `json:"product_description"`
	Quantity           int64            `json:"quantity"`
	EffectiveAt        time.Time        `json:"effective_at"`
	CreatedAt          time.Time        `json:"created_at"`
	Addons             []scheduledAddon `json:"addons"`

	plan bill
}

// planChangeRequest is the body of POST /subscriptions/{id}/change-plan.
type planChangeRequest struct {
	ProductID     *string            `json:"product_id"`
	Quantity      *int32             `json:"quantity"`
	Mode          *string            `json:"proration_billing_mode"`
	EffectiveAt   *string            `json:"effective_at"`
	OnFailure     *string            `json:"on_payment_failure"`
	DiscountCodes []string           `json:"discount_codes"`
	DiscountCode  *string            `json:"discount_code"`
	Metadata      metadata           `json:"metadata"`
	Addons        []addonRequestItem `json:"addons"`
}

// changePlan answers POST /subscriptions/{id}/change-plan, without a body, as in the published
// API description; newer servers name the payment. That a declined charge is not an error of
// the call is UNCONFIRMED.
func (s *Simulator) changePlan(r *http.Request) (any, error) {
	request, refusal := readJSON[planChangeRequest](r)
	if refusal != nil {
		return nil, refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, plan, refusal := s.planFor(r.PathValue("id"), request)
	if refusal != nil {
		return nil, refusal
	}
	s.toPlan(sub, plan, request)
	return emptyAnswer(http.StatusOK), nil
}

// toPlan makes a change that planFor has allowed, now or later. The caller holds s.mu.
func (s *Simulator) toPlan(sub *subscription, plan bill, request planChangeRequest) {
	if valueOrEmpty(request.EffectiveAt) == nextBillingDate {
		s.schedulePlan(sub, plan)
	} else {
		s.switchPlan(sub, plan, request)
	}
}

// planFor finds the subscription and prices its new plan. The caller holds s.mu.
func (s *Simulator) planFor(id string, request planChangeRequest) (*subscription, bill, *Error) {
	if refusal := request.check(); refusal != nil {
		return nil, bill{}, refusal
	}
	sub, refusal := s.findSubscription(id)
	if refusal != nil {
		return nil, bill{}, refusal
	}
	plan, refusal := s.newPlan(sub, request)
	if refusal != nil {
		return nil, bill{}, refusal
	}
	return sub, plan, sub.changeable(plan)
}

// check refuses values that are invalid for any subscription.
func (request planChangeRequest) check() *Error {
	later := valueOrEmpty(request.EffectiveAt) == nextBillingDate
	switch {
	case request.ProductID == nil || request.Quantity == nil || request.Mode == nil:
		return refuse(codeInvalidBody, "product_id, quantity and proration_billing_mode are required")
	case *request.Quantity < 1:
		return refuse(codeInvalidQuantity, "quantity must be at least 1")
	case *request.Mode != prorated && *request.Mode != difference && *request.Mode != full && *request.Mode != doNotBill:
		return refuse(codeInvalidBody, "proration_billing_mode has no such value")
	case request.EffectiveAt != nil && *request.EffectiveAt != "immediately" && !later:
		return refuse(codeInvalidBody, "effective_at has no such value")
	case request.OnFailure != nil && *request.OnFailure != "prevent_change" && *request.OnFailure != "apply_change":
		return refuse(codeInvalidBody, "on_payment_failure has no such value")
	case later && *request.Mode != full:
		return refuse(codeChangeMode, "next_billing_date goes with full_immediately only")
	}
	return request.Metadata.check()
}

// newPlan prices the requested plan. Without codes of its own, it keeps the codes that are
// marked to stay.
func (s *Simulator) newPlan(sub *subscription, request planChangeRequest) (bill, *Error) {
	if request.DiscountCode != nil {
		request.DiscountCodes = append(request.DiscountCodes, *request.DiscountCode)
	}
	codes, refusal := s.findDiscounts(request.DiscountCodes)
	if refusal != nil {
		return bill{}, refusal
	}
	if request.DiscountCodes == nil {
		for _, code := range sub.plan.codes {
			if code.PreserveOnPlanChange {
				codes = append(codes, code)
			}
		}
	}
	product, refusal := s.findProduct(*request.ProductID)
	if refusal != nil {
		return bill{}, refusal
	}
	if !product.recurring() {
		return bill{}, refuse(codeInvalidParameters, "product %s is not recurring", product.ID)
	}
	if product.Archived {
		return bill{}, refuse(codeProductDeleted, "product %s is archived", product.ID)
	}
	addons, refusal := s.addonLines(request.Addons, product)
	if refusal != nil {
		return bill{}, refusal
	}
	plan := planBill(product, int64(*request.Quantity), addons, codes)
	if refusal := s.checkRecurring(&plan, terms{}); refusal != nil {
		return bill{}, refusal
	}
	return plan, plan.checkCodes()
}

// changeable reports whether the subscription can change to a plan.
func (sub *subscription) changeable(plan bill) *Error {
	switch {
	case sub.Status != SubscriptionActive:
		return refuse(codeChangeInactive, "subscription %s is %s", sub.SubscriptionID, sub.Status)
	case sub.OnDemand:
		return refuse(codeChangeOnDemand, "subscription %s is on demand", sub.SubscriptionID)
	case sub.CancelAtNextBillingDate:
		return refuse(codeChangeLeaving, "subscription %s is about to be cancelled", sub.SubscriptionID)
	case sub.processing != nil: // UNCONFIRMED
		return refuse(codePaymentPending, "payment %s is processing", sub.processing.PaymentID)
	case sub.ScheduledChange != nil:
		return refuse(codeChangeScheduled, "subscription %s has a scheduled change", sub.SubscriptionID)
	case plan.currency != sub.Currency:
		return refuse(codeUnsupportedMoney, "the simulator converts no currency: the subscription is in %s", sub.Currency)
	}
	return nil
}

// schedulePlan schedules the change. The caller holds s.mu.
func (s *Simulator) schedulePlan(sub *subscription, plan bill) {
	l := plan.lines[0]
	sub.ScheduledChange = &scheduledChange{
		ID:                 newID("spc_"), // a guess
		ProductID:          l.product.ID,
		ProductName:        new(l.product.Name),
		ProductDescription: l.product.description(),
		Quantity:           l.quantity,
		EffectiveAt:        sub.NextBillingDate,
		CreatedAt:          s.now(),
		Addons:             plan.scheduledAddons(),
		plan:               plan,
	}
	s.emitAll(sub, s.now(), "updated")
}

// switchPlan makes the change immediately. It charges the whole new price, or that less the
// old price, or that less the unused part of the old cycle. If nothing is left to charge there
// is no payment, and no credit either. The cycle starts again except with do_not_bill:
// UNCONFIRMED (FACTS 8). The caller holds s.mu.
func (s *Simulator) switchPlan(sub *subscription, plan bill, request planChangeRequest) {
	now := s.now()
	due := sub.dueNow(plan, *request.Mode, s.options.ProratedKeepsCycle, now)
	keepsCycle := *request.Mode == doNotBill || *request.Mode == prorated && s.options.ProratedKeepsCycle
	if *request.Mode == doNotBill || due.total == 0 {
		s.setPlan(sub, plan)
		if !keepsCycle {
			s.useCycle(sub)
			sub.begin(now)
		}
		s.emitAll(sub, now, "plan_changed", "updated")
		return
	}
	meta := request.Metadata
	if meta == nil {
		meta = sub.Metadata
	}
	p := s.charge(sub, due, meta, now)
	s.announce(p)
	switch {
	case p.Status == Succeeded:
		s.setPlan(sub, plan)
		if !keepsCycle {
			s.useCycle(sub)
			sub.begin(now)
		}
		s.emitAll(sub, now, "plan_changed", "updated")
		if !keepsCycle {
			s.giveCycle(sub, now)
		}
	case valueOrEmpty(request.OnFailure) == "apply_change": // otherwise the old plan stays, the default: UNCONFIRMED
		s.setPlan(sub, plan)
		s.putOnHold(sub, now)
	}
}

// dueNow is the immediate charge of a plan change. If a prorated change keeps the cycle, the
// new plan costs only the rest of the cycle.
func (sub *subscription) dueNow(plan bill, mode string, keepsCycle bool, now time.Time) bill {
	if length := sub.NextBillingDate.Sub(sub.PreviousBillingDate); keepsCycle && mode == prorated && length > 0 && !sub.inTrial() {
		passed := float64(now.Sub(sub.PreviousBillingDate)) / float64(length)
		plan.reducePrice(int64(float64(plan.total) * min(max(passed, 0), 1)))
	}
	if refund := sub.unused(mode, now); refund > 0 {
		plan.reducePrice(min(refund, plan.total))
	}
	if mode == doNotBill {
		plan.reducePrice(plan.total)
	}
	return plan
}

// unused is what a mode gives back for the current cycle. The price of a trial is not given
// back.
func (sub *subscription) unused(mode string, now time.Time) int64 {
	length := sub.NextBillingDate.Sub(sub.PreviousBillingDate)
	switch {
	case sub.inTrial() || length <= 0:
		return 0
	case mode == difference:
		return sub.plan.total
	case mode == prorated:
		share := float64(sub.NextBillingDate.Sub(now)) / float64(length)
		return int64(float64(sub.plan.total) * max(share, 0))
	}
	return 0
}

// reducePrice subtracts an amount from a plan's lines, in their order.
func (b *bill) reducePrice(by int64) {
	b.lines = slices.Clone(b.lines)
	b.total -= by
	for i := range b.lines {
		cut := min(by, b.lines[i].paid)
		b.lines[i].paid -= cut
		by -= cut
	}
}

// increasePrice adds an amount to a plan's product.
func (b *bill) increasePrice(by int64) {
	b.lines = slices.Clone(b.lines)
	b.lines[0].full += by
	b.lines[0].paid += by
	b.subtotal += by
	b.total += by
}

// unschedulePlan answers DELETE /subscriptions/{id}/change-plan/scheduled.
func (s *Simulator) unschedulePlan(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil { // 404 is for a change that does not exist
		refusal.Status = http.StatusUnprocessableEntity
		return nil, refusal
	}
	if refusal := s.unschedule(sub); refusal != nil {
		return nil, refusal
	}
	return emptyAnswer(http.StatusNoContent), nil
}

// unschedule cancels a scheduled change. The caller holds s.mu.
func (s *Simulator) unschedule(sub *subscription) *Error {
	if sub.ScheduledChange == nil {
		return refuse(codeNoScheduledChange, "subscription %s has no scheduled change", sub.SubscriptionID)
	}
	sub.ScheduledChange = nil
	s.emitAll(sub, s.now(), "updated")
	return nil
}
