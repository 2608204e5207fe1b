package entitlement

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/config"
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
	)
}

// Period is one billing period that was seen running, and what was subscribed to
// in it.
type Period struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Bought is the quantity of each product, by Dodo's id: more than one after a
	// change of plan within the period.
	Bought map[string]int64 `json:"bought"`
	// Prices are what Dodo says that the period costs with a product: the most that
	// was said, before tax.
	Prices map[string]config.Amounts `json:"prices,omitempty"`
}

// Subscription is what is known about one subscription. The zero value knows
// nothing.
type Subscription struct {
	// State is the newest.
	State SubscriptionState `json:"state,omitzero"`
	// Periods that were paid, by their start in milliseconds since 1970.
	Periods map[string]Period `json:"periods,omitempty"`
	// Seen are periods, likewise, in which the subscription was seen in another
	// status than active: it is for the charges to say whether they were paid.
	Seen map[string]Period `json:"seen,omitempty"`
	// Charges by Dodo's payment id.
	Charges map[string]Payment `json:"charges,omitempty"`
	// GraceEndsAt ends the access of a past_due one: the latest that was said.
	// Only webhooks say it (FACTS 2.7), so a read by API must not lose it.
	GraceEndsAt time.Time `json:"grace_ends_at,omitzero"`
}

// Observed is a subscription that is known by one body. An active one has paid
// for the period that it is in.
func Observed(s SubscriptionState) Subscription {
	known := Subscription{State: s}
	if s.ProductID == "" || s.Quantity <= 0 || !s.PeriodStart.Before(s.PeriodEnd) {
		return known
	}
	running := Period{Start: s.PeriodStart, End: s.PeriodEnd, Bought: map[string]int64{s.ProductID: s.Quantity}}
	if s.Currency != "" {
		running.Prices = map[string]config.Amounts{s.ProductID: {s.Currency: s.Price}}
	}
	period := map[string]Period{periodKey(s.PeriodStart): running}
	switch s.Status {
	case SubscriptionActive:
		known.Periods = period
	case SubscriptionPastDue, SubscriptionOnHold, SubscriptionPaused, SubscriptionCancelled, SubscriptionExpired:
		known.Seen = period
	}
	return known
}

func periodKey(start time.Time) string { return strconv.FormatInt(start.UnixMilli(), 10) }

// IsZero reports whether nothing is known.
func (s Subscription) IsZero() bool {
	return s.State == (SubscriptionState{}) && len(s.Periods) == 0 && len(s.Seen) == 0 && len(s.Charges) == 0 && s.GraceEndsAt.IsZero()
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
	m.Seen = unite(s.Seen, t.Seen, Period.merge)
	m.Charges = unite(s.Charges, t.Charges, Payment.Merge)
	m.GraceEndsAt = s.GraceEndsAt
	if t.GraceEndsAt.After(m.GraceEndsAt) {
		m.GraceEndsAt = t.GraceEndsAt
	}
	return m
}

func (p Period) merge(q Period) Period {
	m := Period{Start: p.Start, End: p.End}
	if q.End.After(p.End) {
		m.End = q.End
	}
	if q.Start.Before(p.Start) {
		m.Start = q.Start
	}
	m.Bought = unite(p.Bought, q.Bought, larger)
	m.Prices = unite(p.Prices, q.Prices, func(a, b config.Amounts) config.Amounts { return unite(a, b, larger) })
	return m
}

func larger(a, b int64) int64 { return max(a, b) }

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
