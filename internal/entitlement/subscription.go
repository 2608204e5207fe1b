package entitlement

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// SubscriptionStatus is the status of a subscription as Dodo writes it, in lower case. Dodo
// may add values (FACTS 3.6).
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

// rank breaks ties between reports of the same instant: a status that ends a subscription
// comes last.
func (s SubscriptionStatus) rank() int {
	return 1 + slices.Index([]SubscriptionStatus{
		SubscriptionPending, SubscriptionOnHold, SubscriptionPaused, SubscriptionPastDue, SubscriptionActive,
		SubscriptionCancelled, SubscriptionFailed, SubscriptionExpired,
	}, s)
}

// SubscriptionState is what one body (of an event or an API read) says about a subscription.
type SubscriptionState struct {
	// At is when the event happened, or when the object was read. The body may be newer than
	// its event, never older (FACTS 3.1).
	At          time.Time          `json:"at"`
	Status      SubscriptionStatus `json:"status"`
	ProductID   string             `json:"product_id"` // Dodo's id
	Quantity    int64              `json:"quantity"`
	CreatedAt   time.Time          `json:"created_at"`
	PeriodStart time.Time          `json:"period_start"` // previous_billing_date
	PeriodEnd   time.Time          `json:"period_end"`   // next_billing_date
	// CancelAtEnd: it ends with the period (cancel_at_next_billing_date).
	CancelAtEnd bool `json:"cancel_at_end,omitempty"`
	// TrialDays is how many days from CreatedAt are free; 0 for no trial.
	TrialDays int64 `json:"trial_days,omitempty"`
	// ExpiresAt ends the whole term; zero if Dodo does not say.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// Cycle is the approximate length of a period; 0 if Dodo does not say.
	Cycle time.Duration `json:"cycle,omitempty"`
	// OnDemand: the merchant charges it at any time, not once for each period.
	OnDemand bool `json:"on_demand,omitempty"`
	// Price of a whole period before tax, in minor units of Currency. Currency is empty if
	// Dodo does not say. A charge may be smaller because of a discount, or in another
	// currency.
	Price    int64  `json:"price,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Discounted: a discount code makes charges smaller than Price.
	Discounted bool `json:"discounted,omitempty"`
	// Addons are all current add-ons. They replace those of older bodies.
	Addons Addons `json:"addons,omitempty"`
	// StoppedAt is when it was paused or cancelled; zero if it was not or Dodo does not say.
	StoppedAt time.Time `json:"stopped_at,omitzero"`
}

// Ongoing reports whether the subscription has not ended at now. It will be charged again, or
// would be once its payment method works, it is resumed, or its cancellation is undone.
func (s SubscriptionState) Ongoing(now time.Time) bool {
	switch s.Status {
	case SubscriptionActive, SubscriptionPastDue, SubscriptionOnHold, SubscriptionPaused:
		return true
	case SubscriptionCancelled: // some servers say so as soon as it is scheduled (FACTS 3.5)
		return s.CancelAtEnd && now.Before(s.PeriodEnd)
	}
	return false
}

// trialEnd is when the trial ends; CreatedAt if there is no trial.
func (s SubscriptionState) trialEnd() time.Time {
	return s.CreatedAt.AddDate(0, 0, int(min(s.TrialDays, maxTrial)))
}

// compare is a total order: by time, then by rank of the status. The other fields only break
// ties, so that a merge never depends on the order of arrival.
func (s SubscriptionState) compare(t SubscriptionState) int {
	return cmp.Or(
		s.At.Compare(t.At),
		cmp.Compare(s.Status.rank(), t.Status.rank()),
		s.PeriodEnd.Compare(t.PeriodEnd),
		s.PeriodStart.Compare(t.PeriodStart),
		cmp.Compare(boolRank(s.CancelAtEnd), boolRank(t.CancelAtEnd)),
		cmp.Compare(s.ProductID, t.ProductID),
		cmp.Compare(s.Quantity, t.Quantity),
		s.ExpiresAt.Compare(t.ExpiresAt),
		s.CreatedAt.Compare(t.CreatedAt),
		cmp.Compare(s.TrialDays, t.TrialDays),
		cmp.Compare(s.Cycle, t.Cycle),
		cmp.Compare(boolRank(s.OnDemand), boolRank(t.OnDemand)),
		cmp.Compare(s.Status, t.Status),
		cmp.Compare(s.Price, t.Price),
		cmp.Compare(s.Currency, t.Currency),
		cmp.Compare(boolRank(s.Discounted), boolRank(t.Discounted)),
		cmp.Compare(s.Addons, t.Addons),
		s.StoppedAt.Compare(t.StoppedAt),
	)
}

// Subscription is what is known about one subscription. The zero value means that nothing is
// known.
type Subscription struct {
	// State is the newest reported state.
	State SubscriptionState `json:"state,omitzero"`
	// Periods in which it was seen active, by their start in milliseconds since 1970.
	// [Subscription.Effect] decides which of them were paid.
	Periods map[string]Period `json:"running,omitempty"`
	// Granted are periods, by the same key, that an earlier release counted as paid because
	// their start was new. They keep what they gave. Nothing is added to them.
	Granted map[string]Period `json:"periods,omitempty"`
	// Seen are periods, by the same key, in which the subscription was seen in a status other
	// than active. Its charges decide whether they were paid.
	Seen map[string]Period `json:"seen,omitempty"`
	// Renewals are the times of reported renewals, by milliseconds since 1970: the start of
	// the renewed period, or an instant within it.
	Renewals map[string]time.Time `json:"renewals,omitempty"`
	// Charges by Dodo's payment id.
	Charges map[string]Payment `json:"charges,omitempty"`
	// GraceEndsAt is when access ends while the subscription is past_due: the latest reported
	// instant. Only webhooks have it (FACTS 2.7), so an API read must not erase it.
	GraceEndsAt time.Time `json:"grace_ends_at,omitzero"`
	// Access is when the subscription gave access. Monthly credits depend on it.
	Access Access `json:"access,omitzero"`
}

// Observed is a subscription that is known from one body.
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

// Renewed is a subscription that is known from one body that Dodo sent because of a renewal.
// The body may be newer than its event (FACTS 3.1): a period that begins after the event is
// not the renewed one.
func Renewed(s SubscriptionState) Subscription {
	known, at := Observed(s), s.At
	if !s.PeriodStart.IsZero() && s.PeriodStart.Before(at) {
		at = s.PeriodStart
	}
	known.Renewals = map[string]time.Time{periodKey(at): at}
	return known
}

func periodKey(start time.Time) string { return strconv.FormatInt(start.UnixMilli(), 10) }

// IsZero reports whether nothing is known. It has a pointer receiver so that encoding a record
// does not copy the subscription.
func (s *Subscription) IsZero() bool {
	return s.State == (SubscriptionState{}) && len(s.Periods) == 0 && len(s.Granted) == 0 && len(s.Seen) == 0 &&
		len(s.Renewals) == 0 && len(s.Charges) == 0 && s.GraceEndsAt.IsZero() && s.Access.IsZero()
}

// Merge combines two reports about the same subscription. It is commutative, associative and
// idempotent: the newest state wins; periods and charges are united.
func (s Subscription) Merge(t Subscription) Subscription {
	m := Subscription{State: s.State}
	if s.State.compare(t.State) < 0 {
		m.State = t.State
	}
	m.Periods = mergeMaps(s.Periods, t.Periods, Period.merge)
	m.Granted = mergeMaps(s.Granted, t.Granted, Period.merge)
	m.Seen = mergeMaps(s.Seen, t.Seen, Period.merge)
	m.Renewals = mergeMaps(s.Renewals, t.Renewals, func(a, b time.Time) time.Time { return slices.MinFunc([]time.Time{a, b}, time.Time.Compare) })
	m.Charges = mergeMaps(s.Charges, t.Charges, Payment.Merge)
	m.Access = s.Access.merge(t.Access)
	m.GraceEndsAt = s.GraceEndsAt
	if t.GraceEndsAt.After(m.GraceEndsAt) {
		m.GraceEndsAt = t.GraceEndsAt
	}
	return m
}

// mergeMaps returns the union of two maps. It joins the values of keys that both have.
func mergeMaps[K comparable, V any](a, b map[K]V, join func(V, V) V) map[K]V {
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
