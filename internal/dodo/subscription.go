package dodo

import (
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// maxTrial is the longest trial that Dodo sells, in days (FACTS 2.1).
const maxTrial = 10000

// maxDiscounts is far more than one subscription can have (FACTS 2.7).
const maxDiscounts = 1000

// readSubscription reads a subscription object (FACTS 2.7). eventType and at
// come from the envelope: the type fills in for a missing status, and at is when
// what the body says was so. A read by API has no type, and at is when it began.
func readSubscription(data fields, eventType string, at time.Time) Fact {
	s := entitlement.SubscriptionState{
		At:          at,
		Status:      entitlement.SubscriptionStatus(data.word("status")),
		ProductID:   data.id("product_id"),
		Quantity:    data.quantity(),
		CreatedAt:   data.time("created_at"),
		PeriodStart: data.time("previous_billing_date"),
		PeriodEnd:   data.time("next_billing_date"),
		ExpiresAt:   data.time("expires_at"),
	}
	s.CancelAtEnd, _ = data.flag("cancel_at_next_billing_date")
	hint := data.asHint() // what these say is of use only when others were missed
	s.OnDemand, _ = hint.flag("on_demand")
	s.Cycle = readCycle(hint)
	if price, said := hint.whole("recurring_pre_tax_amount"); said {
		s.Price, s.Currency = price, hint.currency()
		s.Discounted = hint.id("discount_id") != "" || len(hint.items("discounts", maxDiscounts)) > 0
	}
	if s.TrialDays, _ = data.whole("trial_period_days"); s.TrialDays > maxTrial {
		data.refuse("trial_period_days", "is too large")
	}
	if s.Status == "" {
		s.Status = subscriptionStatusOf[eventType]
	}
	s.Addons = readAddons(data, s.Status)
	switch s.Status {
	case entitlement.SubscriptionPaused, entitlement.SubscriptionOnHold:
		s.StoppedAt = hint.time("paused_at")
	case entitlement.SubscriptionCancelled:
		s.StoppedAt = hint.time("cancelled_at")
	}
	graceEnd := data.time("past_due_ends_at")
	data.wantAccess(s, graceEnd)
	observe := entitlement.Observed
	if eventType == renewedType {
		observe = entitlement.Renewed
	}
	known := observe(s)
	known.GraceEndsAt = graceEnd

	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: data.wantID("subscription_id")}
	clues := readCustomer(data)
	clues.Metadata = readMetadata(data.hints("metadata"))
	clues.SubscriptionID = ref.ID
	return Fact{Fact: entitlement.Fact{Ref: ref, Subscription: known}, Clues: clues}
}

// readAddons reads what a subscription has besides its product. Those of one that is not
// active may be left out, as everything that its end does not need.
func readAddons(data fields, status entitlement.SubscriptionStatus) entitlement.Addons {
	if status != entitlement.SubscriptionActive {
		data = data.asHint()
	}
	items := data.list("addons", entitlement.MaxAddons)
	if len(items) == 0 {
		return ""
	}
	quantities := make(map[string]int64, len(items))
	for _, item := range items {
		n, said := item.whole("quantity")
		if !said || n > maxQuantity {
			item.refuse("quantity", "is missing or too large")
		}
		quantities[item.wantID("addon_id")] += n
	}
	return entitlement.NewAddons(quantities)
}

// longest is the longest billing period there may be.
const longest = 100 * 365 * 24 * time.Hour

// readCycle is about how long a billing period is; 0 when that is not said.
func readCycle(data fields) time.Duration {
	const day = 24 * time.Hour
	count, _ := data.whole("payment_frequency_count")
	unit := map[string]time.Duration{"day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day}[data.word("payment_frequency_interval")]
	if unit > 0 && count > int64(longest/unit) {
		return longest
	}
	return unit * time.Duration(count)
}

// renewedType is the one type that says more than the body does: a billing date also moves
// for other reasons than a renewal.
const renewedType = "subscription.renewed"

// subscriptionStatusOf are the types that say what became of the subscription.
// After the others it can be anything: even an unpaused one may be on hold
// (FACTS 3.6).
var subscriptionStatusOf = map[string]entitlement.SubscriptionStatus{
	"subscription.active":    entitlement.SubscriptionActive,
	renewedType:              entitlement.SubscriptionActive,
	"subscription.past_due":  entitlement.SubscriptionPastDue,
	"subscription.on_hold":   entitlement.SubscriptionOnHold,
	"subscription.paused":    entitlement.SubscriptionPaused,
	"subscription.cancelled": entitlement.SubscriptionCancelled,
	"subscription.failed":    entitlement.SubscriptionFailed,
	"subscription.expired":   entitlement.SubscriptionExpired,
}

// wantAccess refuses a subscription that gives access of which it is not clear to
// what, or until when. One that gives none may leave that out: its end must not
// be held up by a field that has become pointless.
func (f fields) wantAccess(s entitlement.SubscriptionState, graceEnd time.Time) {
	ends := true // next_billing_date tells when access ends
	switch s.Status {
	case "":
		f.refuse("status", "is missing")
		return
	case entitlement.SubscriptionActive:
		f.wantPeriod(s)
	case entitlement.SubscriptionPastDue:
		ends = graceEnd.IsZero()
	case entitlement.SubscriptionCancelled:
		if !s.CancelAtEnd {
			return
		}
	default:
		return
	}
	if s.ProductID == "" {
		f.refuse("product_id", "is missing")
	}
	if ends && s.PeriodEnd.IsZero() {
		f.refuse("next_billing_date", "is missing")
	}
}

// wantPeriod refuses an active subscription that does not say what was paid for.
func (f fields) wantPeriod(s entitlement.SubscriptionState) {
	switch {
	case s.Quantity == 0:
		f.refuse("quantity", "is missing")
	case s.PeriodStart.IsZero():
		f.refuse("previous_billing_date", "is missing")
	case s.PeriodEnd.Before(s.PeriodStart) && !s.PeriodEnd.IsZero():
		f.refuse("next_billing_date", "is before previous_billing_date")
	case s.TrialDays > 0 && s.CreatedAt.IsZero(): // the trial runs from then on
		f.refuse("created_at", "is missing")
	}
}
