package dodo

import (
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// maxTrial is Dodo's longest trial, in days (FACTS 2.1).
const maxTrial = 10000

// readSubscription reads a subscription object (FACTS 2.7). eventType and at come from the
// envelope: the type replaces a missing status, and at is the time of the state. An API read
// has no type, and at is when it began.
func readSubscription(d *details, in scope, eventType string, at time.Time) Fact {
	s := entitlement.SubscriptionState{
		At:          at,
		Status:      entitlement.SubscriptionStatus(d.Status.get(in)),
		ProductID:   d.ProductID.get(in),
		Quantity:    d.Quantity.get(in),
		CreatedAt:   d.CreatedAt.get(in),
		PeriodStart: d.PeriodStart.get(in),
		PeriodEnd:   d.PeriodEnd.get(in),
		ExpiresAt:   d.ExpiresAt.get(in),
		CancelAtEnd: d.CancelAtEnd.get(in),
	}
	hint := in.lenient() // these fields matter only if other events were missed
	s.OnDemand = d.OnDemand.get(hint)
	s.Cycle = readCycle(&d.billing, hint)
	if price, present := d.Price.lookup(hint); present {
		s.Price, s.Currency = price, d.Currency.get(hint)
		s.Discounted = d.DiscountID.get(hint) != "" || len(d.Discounts.get(hint)) > 0
	}
	if s.TrialDays = d.TrialDays.get(in); s.TrialDays > maxTrial {
		in.refuse("trial_period_days", "is too large")
	}
	if s.Status == "" {
		s.Status = subscriptionStatusOf[eventType]
	}
	s.Addons = readAddons(d, in, s.Status)
	switch s.Status {
	case entitlement.SubscriptionPaused, entitlement.SubscriptionOnHold:
		s.StoppedAt = d.PausedAt.get(hint)
	case entitlement.SubscriptionCancelled:
		s.StoppedAt = d.CancelledAt.get(hint)
	}
	graceEnd := d.GraceEnd.get(in)
	in.requireAccess(s, graceEnd)
	observe := entitlement.Observed
	if eventType == renewedType {
		observe = entitlement.Renewed
	}
	known := observe(s)
	known.GraceEndsAt = graceEnd

	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: requiredID(&d.SubscriptionID, in, "subscription_id")}
	clues := readClues(&d.listItem, in)
	clues.SubscriptionID = ref.ID
	return Fact{Fact: entitlement.Fact{Ref: ref, Subscription: known}, Clues: clues}
}

// readAddons reads the add-ons of a subscription. They may be unreadable if it is not active,
// because its end does not need them.
func readAddons(d *details, in scope, status entitlement.SubscriptionStatus) entitlement.Addons {
	if status != entitlement.SubscriptionActive {
		in = in.lenient()
	}
	items := d.Addons.get(in)
	if len(items) == 0 {
		return ""
	}
	quantities := make(map[string]int64, len(items))
	for i := range items {
		item, in := items[i].get(in)
		n, present := item.Quantity.lookup(in)
		if !present || n > maxQuantity {
			in.refuse("quantity", "is missing or too large")
		}
		quantities[requiredID(&item.AddonID, in, "addon_id")] += n
	}
	return entitlement.NewAddons(quantities)
}

// maxPeriod is the longest accepted billing period.
const maxPeriod = 100 * 365 * 24 * time.Hour

// readCycle is the approximate length of a billing period; 0 if unknown.
func readCycle(b *billing, in scope) time.Duration {
	const day = 24 * time.Hour
	count := b.Count.get(in)
	unit := map[string]time.Duration{"day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day}[b.Interval.get(in)]
	if unit > 0 && count > int64(maxPeriod/unit) {
		return maxPeriod
	}
	return unit * time.Duration(count)
}

// renewedType is the one type that says more than the body: a billing date can also move
// without a renewal.
const renewedType = "subscription.renewed"

// subscriptionStatusOf maps types that imply a status. The other types imply none: even an
// unpaused subscription may be on hold (FACTS 3.6).
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

// requireAccess refuses a subscription that gives access, but not clearly to which product or
// until when. One without access may leave that out: its end must not fail because of a field
// that no longer matters.
func (in scope) requireAccess(s entitlement.SubscriptionState, graceEnd time.Time) {
	ends := true // next_billing_date is when access ends
	switch s.Status {
	case "":
		in.refuse("status", "is missing")
		return
	case entitlement.SubscriptionActive:
		in.requirePeriod(s)
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
		in.refuse("product_id", "is missing")
	}
	if ends && s.PeriodEnd.IsZero() {
		in.refuse("next_billing_date", "is missing")
	}
}

// requirePeriod refuses an active subscription that does not say what was paid for.
func (in scope) requirePeriod(s entitlement.SubscriptionState) {
	switch {
	case s.Quantity == 0:
		in.refuse("quantity", "is missing")
	case s.PeriodStart.IsZero():
		in.refuse("previous_billing_date", "is missing")
	case s.PeriodEnd.Before(s.PeriodStart) && !s.PeriodEnd.IsZero():
		in.refuse("next_billing_date", "is before previous_billing_date")
	case s.TrialDays > 0 && s.CreatedAt.IsZero(): // the trial begins then
		in.refuse("created_at", "is missing")
	}
}
