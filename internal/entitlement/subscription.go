package entitlement

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// SubscriptionStatus is the status of a subscription as Dodo writes it, in lower
// case. The set is open (FACTS 3.6).
type SubscriptionStatus string

// The subscription statuses (FACTS 3.6).
const (
	SubscriptionPending   SubscriptionStatus = "pending"
	SubscriptionActive    SubscriptionStatus = "active"
	SubscriptionPastDue   SubscriptionStatus = "past_due"
	SubscriptionOnHold    SubscriptionStatus = "on_hold"
	SubscriptionPaused    SubscriptionStatus = "paused"
	SubscriptionCancelled SubscriptionStatus = "cancelled"
	SubscriptionFailed    SubscriptionStatus = "failed"
	SubscriptionExpired   SubscriptionStatus = "expired"
)

// rank breaks ties between bodies of the same instant: what ends a subscription
// comes after what it ends.
func (s SubscriptionStatus) rank() int {
	return 1 + slices.Index([]SubscriptionStatus{
		SubscriptionPending, SubscriptionOnHold, SubscriptionPaused, SubscriptionPastDue, SubscriptionActive,
		SubscriptionCancelled, SubscriptionFailed, SubscriptionExpired,
	}, s)
}

// SubscriptionState is what one body says about a subscription.
type SubscriptionState struct {
	// At is when the body's event happened, or when the object was read. The body
	// may be newer than that, never older (FACTS 3.1).
	At          time.Time          `json:"at"`
	Status      SubscriptionStatus `json:"status"`
	ProductID   string             `json:"product_id"` // Dodo's id
	Quantity    int64              `json:"quantity"`
	CreatedAt   time.Time          `json:"created_at"`
	PeriodStart time.Time          `json:"period_start"` // previous_billing_date
	PeriodEnd   time.Time          `json:"period_end"`   // next_billing_date
	// CancelAtEnd: it ends with the period (cancel_at_next_billing_date).
	CancelAtEnd bool `json:"cancel_at_end,omitempty"`
	// TrialDays is how long it is free from CreatedAt on; 0 for no trial.
	TrialDays int64 `json:"trial_days,omitempty"`
	// ExpiresAt ends the whole term; zero when Dodo does not say.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Cycle is about how long a period is; 0 when Dodo does not say.
	Cycle time.Duration `json:"cycle,omitempty"`
	// OnDemand: it is charged when the merchant likes, not once for each period.
	OnDemand bool `json:"on_demand,omitempty"`
	// Price of a whole period before tax, in minor units of Currency; no Currency when
	// Dodo does not say. A charge may be less, by a discount, or in another currency.
	Price    int64  `json:"price,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Discounted: a discount code makes its charges smaller than Price.
	Discounted bool `json:"discounted,omitempty"`
	// Addons are all that it has now, in place of what any older body says.
	Addons Addons `json:"addons,omitempty"`
	// StoppedAt is when it was paused or cancelled, if it is; zero when Dodo does not say.
	StoppedAt time.Time `json:"stopped_at,omitzero"`
}

// Ongoing reports whether the subscription has not ended at now: it is charged again, or
// would be once its payment method works, it is resumed or its cancellation is undone.
func (s SubscriptionState) Ongoing(now time.Time) bool {
	switch s.Status {
	case SubscriptionActive, SubscriptionPastDue, SubscriptionOnHold, SubscriptionPaused:
		return true
	case SubscriptionCancelled: // which some servers say as soon as it is scheduled (FACTS 3.5)
		return s.CancelAtEnd && now.Before(s.PeriodEnd)
	}
	return false
}

// trialEnd is when the trial ends; CreatedAt without one.
func (s SubscriptionState) trialEnd() time.Time {
	return s.CreatedAt.AddDate(0, 0, int(min(s.TrialDays, maxTrial)))
}

// compare is a total order: the newest event, then the further status, then what
// is left only so that a merge never depends on arrival.
func (s SubscriptionState) compare(t SubscriptionState) int {
	return cmp.Or(
		s.At.Compare(t.At),
		cmp.Compare(s.Status.rank(), t.Status.rank()),
		s.PeriodEnd.Compare(t.PeriodEnd),
		s.PeriodStart.Compare(t.PeriodStart),
		cmp.Compare(flag(s.CancelAtEnd), flag(t.CancelAtEnd)),
		cmp.Compare(s.ProductID, t.ProductID),
		cmp.Compare(s.Quantity, t.Quantity),
		s.ExpiresAt.Compare(t.ExpiresAt),
		s.CreatedAt.Compare(t.CreatedAt),
		cmp.Compare(s.TrialDays, t.TrialDays),
		cmp.Compare(s.Cycle, t.Cycle),
		cmp.Compare(flag(s.OnDemand), flag(t.OnDemand)),
		cmp.Compare(s.Status, t.Status),
		cmp.Compare(s.Price, t.Price),
		cmp.Compare(s.Currency, t.Currency),
		cmp.Compare(flag(s.Discounted), flag(t.Discounted)),
		cmp.Compare(s.Addons, t.Addons),
		s.StoppedAt.Compare(t.StoppedAt),
	)
}

// Subscription is what is known about one subscription. The zero value knows
// nothing.
type Subscription struct {
	// State is the newest.
	State SubscriptionState `json:"state,omitzero"`
	// Periods in which it was seen active, by their start in milliseconds since 1970.
	// What stands behind them is decided in [Subscription.Effect].
	Periods map[string]Period `json:"running,omitempty"`
	// Granted are periods, likewise, that an earlier release has counted as paid because
	// their start was new. They keep what they gave. Nothing is added to them.
	Granted map[string]Period `json:"periods,omitempty"`
	// Seen are periods, likewise, in which the subscription was seen in another
	// status than active: it is for the charges to say whether they were paid.
	Seen map[string]Period `json:"seen,omitempty"`
	// Renewals are the times at which Dodo told of a renewal, in milliseconds since 1970:
	// the start of the renewed period, or a moment within it.
	Renewals map[string]time.Time `json:"renewals,omitempty"`
	// Charges by Dodo's payment id.
	Charges map[string]Payment `json:"charges,omitempty"`
	// GraceEndsAt ends the access of a past_due one: the latest that was said.
	// Only webhooks say it (FACTS 2.7), so a read by API must not lose it.
	GraceEndsAt time.Time `json:"grace_ends_at,omitzero"`
	// Access is since when it gives none. Credits by calendar follow it.
	Access Access `json:"access,omitzero"`
}

// Observed is a subscription that is known by one body.
func Observed(s SubscriptionState) Subscription {
	known := Subscription{State: s, Access: s.access()}
	if s.ProductID == "" || s.Quantity <= 0 || !s.PeriodStart.Before(s.PeriodEnd) {
		return known
	}
	period := map[string]Period{periodKey(s.PeriodStart): s.period()}
	switch s.Status {
	case SubscriptionActive:
		known.Periods = period
	case SubscriptionPastDue, SubscriptionOnHold, SubscriptionPaused, SubscriptionCancelled, SubscriptionExpired:
		known.Seen = period
	}
	return known
}

// Renewed is a subscription that is known by one body, which Dodo sent because of a
// renewal. The body may be newer than its event (FACTS 3.1): a period that begins after
// the event is not the one that was renewed.
func Renewed(s SubscriptionState) Subscription {
	known, at := Observed(s), s.At
	if !s.PeriodStart.IsZero() && s.PeriodStart.Before(at) {
		at = s.PeriodStart
	}
	known.Renewals = map[string]time.Time{periodKey(at): at}
	return known
}

func periodKey(start time.Time) string { return strconv.FormatInt(start.UnixMilli(), 10) }

// IsZero reports whether nothing is known. It takes a pointer so that writing a record does
// not copy it.
func (s *Subscription) IsZero() bool {
	return s.State == (SubscriptionState{}) && len(s.Periods) == 0 && len(s.Granted) == 0 && len(s.Seen) == 0 &&
		len(s.Renewals) == 0 && len(s.Charges) == 0 && s.GraceEndsAt.IsZero() && s.Access.IsZero()
}

// Merge joins two states of knowledge about the same subscription. It is
// commutative, associative and idempotent: the newest state wins, periods and
// charges are united.
func (s Subscription) Merge(t Subscription) Subscription {
	m := Subscription{State: s.State}
	if s.State.compare(t.State) < 0 {
		m.State = t.State
	}
	m.Periods = unite(s.Periods, t.Periods, Period.merge)
	m.Granted = unite(s.Granted, t.Granted, Period.merge)
	m.Seen = unite(s.Seen, t.Seen, Period.merge)
	m.Renewals = unite(s.Renewals, t.Renewals, func(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{a, b}, time.Time.Compare) })
	m.Charges = unite(s.Charges, t.Charges, Payment.Merge)
	m.Access = s.Access.merge(t.Access)
	m.GraceEndsAt = s.GraceEndsAt
	if t.GraceEndsAt.After(m.GraceEndsAt) {
		m.GraceEndsAt = t.GraceEndsAt
	}
	return m
}

// unite joins two maps, and the values that both have.
func unite[K comparable, V any](a, b map[K]V, join func(V, V) V) map[K]V {
	if len(a) == 0 && len(b) == 0 {
		return nil
	}
	m := maps.Clone(a)
	if m == nil {
		m = make(map[K]V, len(b))
	}
	for k, v := range b {
		if known, ok := m[k]; ok {
			v = join(known, v)
		}
		m[k] = v
	}
	return m
}
