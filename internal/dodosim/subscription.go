package dodosim

import (
	"net/http"
	"time"
)

// SubscriptionStatus is the state of a subscription (FACTS 3.6).
type SubscriptionStatus string

// The states that the simulator produces.
const (
	// SubscriptionPending was created by POST /subscriptions, and nobody has attempted to pay.
	SubscriptionPending   SubscriptionStatus = "pending"
	SubscriptionActive    SubscriptionStatus = "active"
	SubscriptionPastDue   SubscriptionStatus = "past_due" // only with Options.GracePeriodDays
	SubscriptionOnHold    SubscriptionStatus = "on_hold"
	SubscriptionPaused    SubscriptionStatus = "paused"
	SubscriptionCancelled SubscriptionStatus = "cancelled"
	SubscriptionFailed    SubscriptionStatus = "failed"
	SubscriptionExpired   SubscriptionStatus = "expired"
)

// subscription is the object of FACTS 2.7, in the shape of the API and of webhooks.
// Guarded by [Simulator.mu].
type subscription struct {
	SubscriptionID          string             `json:"subscription_id"`
	BrandID                 string             `json:"brand_id"`
	ProductID               string             `json:"product_id"`
	Status                  SubscriptionStatus `json:"status"`
	Quantity                int32              `json:"quantity"`
	RecurringPreTaxAmount   int64              `json:"recurring_pre_tax_amount"`
	Currency                string             `json:"currency"`
	TaxInclusive            bool               `json:"tax_inclusive"`
	CreatedAt               time.Time          `json:"created_at"`
	PreviousBillingDate     time.Time          `json:"previous_billing_date"`
	NextBillingDate         time.Time          `json:"next_billing_date"`
	ExpiresAt               time.Time          `json:"expires_at"`
	CycleCount              int                `json:"payment_frequency_count"`
	CycleInterval           Interval           `json:"payment_frequency_interval"`
	TermCount               int                `json:"subscription_period_count"`
	TermInterval            Interval           `json:"subscription_period_interval"`
	TrialPeriodDays         int                `json:"trial_period_days"`
	TrialAmount             *int64             `json:"trial_amount"`
	CancelAtNextBillingDate bool               `json:"cancel_at_next_billing_date"`
	CancelledAt             *time.Time         `json:"cancelled_at"`
	CancellationFeedback    *string            `json:"cancellation_feedback"`
	CancellationComment     *string            `json:"cancellation_comment"`
	PausedAt                *time.Time         `json:"paused_at"`
	OnDemand                bool               `json:"on_demand"`
	Customer                customer           `json:"customer"`
	Billing                 billing            `json:"billing"`
	Metadata                metadata           `json:"metadata"`
	Addons                  []addonItem        `json:"addons"`
	PaymentMethodID         *string            `json:"payment_method_id"`
	Discounts               []discountDetail   `json:"discounts"`
	DiscountID              *string            `json:"discount_id"`
	DiscountCyclesRemaining *int               `json:"discount_cycles_remaining"`
	ScheduledChange         *scheduledChange   `json:"scheduled_change"`
	CreditEntitlements      []cartCredit       `json:"credit_entitlement_cart"`
	MeterEntitlements       []creditMeter      `json:"meter_credit_entitlement_cart"`
	Meters                  []cartMeter        `json:"meters"`
	CustomFieldResponses    []any              `json:"custom_field_responses"`
	CustomerBusinessName    *string            `json:"customer_business_name"`
	TaxID                   *string            `json:"tax_id"`

	began time.Time  // when it was first paid: later than CreatedAt if it was pending
	plan  bill       // what a cycle costs
	card  card       // what it is charged to
	grace *time.Time // when past_due ends

	missed     *payment  // the latest attempt to charge what is owed
	missedAt   time.Time // when that began
	processing *payment  // a charge without a result
	notBefore  time.Time // when the latest such charge got a result, or a pause ended
	declined   int       // number of on-demand charges declined in a row

	dunning       *dunning                // the latest attempt to recover it
	metered       map[string]decimal      // credits taken for the usage of the cycle, by meter
	creditChanges map[string]creditChange // the merchant's, by credit entitlement

	cyclesLeft map[string]int // of the plan's codes that are valid for some cycles only
}

// cycle and term are the lengths that the object has in two fields each.
func (sub *subscription) cycle() Period { return Period{sub.CycleCount, sub.CycleInterval} }
func (sub *subscription) term() Period  { return Period{sub.TermCount, sub.TermInterval} }

// inTrial reports whether the first charge has not happened yet.
func (sub *subscription) inTrial() bool {
	return sub.TrialPeriodDays > 0 && sub.PreviousBillingDate.Equal(sub.began)
}

// over reports whether the subscription can no longer change.
func (sub *subscription) over() bool {
	switch sub.Status {
	case SubscriptionCancelled, SubscriptionFailed, SubscriptionExpired:
		return true
	}
	return false
}

// shown is the subscription as the merchant sees it. It is a copy that is valid only while the
// caller holds s.mu.
func (s *Simulator) shown(sub *subscription) *subscription {
	shown := *sub
	shown.CreditEntitlements = s.creditCart(sub)
	if s.options.EarlyCancelled && sub.Status == SubscriptionActive && sub.CancelAtNextBillingDate {
		shown.Status = SubscriptionCancelled
	}
	return &shown
}

// subscriptionSubject is a subscription as webhooks carry it.
type subscriptionSubject struct {
	*subscription
	simulator *Simulator
}

func (about subscriptionSubject) objectID() string { return about.SubscriptionID }

// payload has past_due_ends_at only if there can be a grace period: servers that know it send
// it only in webhooks, and null outside grace (FACTS 2.7).
func (about subscriptionSubject) payload() any {
	type object struct {
		*subscription
		PayloadType string `json:"payload_type"`
	}
	plain := object{about.simulator.shown(about.subscription), "Subscription"}
	if about.simulator.options.GracePeriodDays == 0 && about.grace == nil {
		return plain
	}
	return struct {
		object
		PastDueEndsAt *time.Time `json:"past_due_ends_at"`
	}{plain, about.grace}
}

// emitAll emits events of a subscription. The caller holds s.mu.
func (s *Simulator) emitAll(sub *subscription, at time.Time, names ...string) {
	for _, name := range names {
		s.emit("subscription."+name, subscriptionSubject{sub, s}, at)
	}
	s.syncGrants(sub, at)
	s.syncLicenses(sub)
	s.logger().Info("subscription changed", "subscription", sub.SubscriptionID, "status", sub.Status, "events", names)
}

// findSubscription looks a subscription up. The caller holds s.mu.
func (s *Simulator) findSubscription(id string) (*subscription, *Error) {
	sub, ok := s.subscriptions[id]
	if !ok {
		return nil, refuse(codeNotFound, "there is no subscription %s", id)
	}
	return sub, nil
}

// getSubscription answers GET /subscriptions/{id}. A missing one is 404, as a missing
// payment.
func (s *Simulator) getSubscription(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, refusal := s.findSubscription(r.PathValue("id"))
	if refusal != nil {
		return nil, refusal
	}
	return snapshot(s.shown(sub))
}
