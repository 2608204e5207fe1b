package dodo

import (
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// maxTrial is the longest trial that Dodo sells, in days (FACTS 2.1).
const maxTrial = 10000

// readSubscription reads a subscription object (FACTS 2.7). eventType and at
// come from the envelope: the type fills in for a missing status, and at is when
// what the body says was so. A read by API has no type, and at is when it began.
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
	hint := in.hint() // what these say is of use only when others were missed
	s.OnDemand = d.OnDemand.get(hint)
	s.Cycle = readCycle(&d.billing, hint)
	if price, said := d.Price.look(hint); said {
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
	in.wantAccess(s, graceEnd)
	observe := entitlement.Observed
	if eventType == renewedType {
		observe = entitlement.Renewed
	}
	known := observe(s)
	known.GraceEndsAt = graceEnd

	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: want(&d.SubscriptionID, in, "subscription_id")}
	clues := readClues(&d.listed, in)
	clues.SubscriptionID = ref.ID
	return Fact{Fact: entitlement.Fact{Ref: ref, Subscription: known}, Clues: clues}
}

// readAddons reads what a subscription has besides its product. Those of one that is not
// active may be left out, as everything that its end does not need.
func readAddons(d *details, in scope, status entitlement.SubscriptionStatus) entitlement.Addons {
	if status != entitlement.SubscriptionActive {
		in = in.hint()
	}
	items := d.Addons.get(in)
	if len(items) == 0 {
		return ""
	}
	quantities := make(map[string]int64, len(items))
	for i := range items {
		item, in := items[i].get(in)
		n, said := item.Quantity.look(in)
		if !said || n > maxQuantity {
			in.refuse("quantity", "is missing or too large")
		}
		quantities[want(&item.AddonID, in, "addon_id")] += n
	}
	return entitlement.NewAddons(quantities)
}

// longest is the longest billing period there may be.
const longest = 100 * 365 * 24 * time.Hour

// readCycle is about how long a billing period is; 0 when that is not said.
func readCycle(b *billing, in scope) time.Duration {
	const day = 24 * time.Hour
	count := b.Count.get(in)
	unit := map[string]time.Duration{"day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day}[b.Interval.get(in)]
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
func (in scope) wantAccess(s entitlement.SubscriptionState, graceEnd time.Time) {
	ends := true // next_billing_date tells when access ends
	switch s.Status {
	case "":
		in.refuse("status", "is missing")
		return
	case entitlement.SubscriptionActive:
		in.wantPeriod(s)
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

// wantPeriod refuses an active subscription that does not say what was paid for.
func (in scope) wantPeriod(s entitlement.SubscriptionState) {
	switch {
	case s.Quantity == 0:
		in.refuse("quantity", "is missing")
	case s.PeriodStart.IsZero():
		in.refuse("previous_billing_date", "is missing")
	case s.PeriodEnd.Before(s.PeriodStart) && !s.PeriodEnd.IsZero():
		in.refuse("next_billing_date", "is before previous_billing_date")
	case s.TrialDays > 0 && s.CreatedAt.IsZero(): // the trial runs from then on
		in.refuse("created_at", "is missing")
	}
}
