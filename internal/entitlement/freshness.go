package entitlement

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// UnansweredGrace is the shortest time that a renewing plan outlives its period while Dodo has
// not confirmed the next one, because it cannot be reached or has not been asked yet.
const UnansweredGrace = time.Hour

// Freshness says until when Dodo's reports about a subscription are current. A webhook may be
// lost, so Dodo is asked before an account is refused something because of an old report.
type Freshness struct {
	// StaleAt is the end of the period or term in Dodo's newest report. If only a charge of
	// the subscription is known, it is when that charge was made.
	StaleAt time.Time `json:"due"`
	// ReportedAt is when Dodo last reported the subscription's state; zero if it never has.
	ReportedAt time.Time `json:"said,omitzero"`
	// PeriodStart is the start of the newest period that Dodo reported; zero if it has
	// reported none.
	PeriodStart time.Time `json:"since,omitzero"`
	// Renews: the subscription was expected to continue after StaleAt.
	Renews bool `json:"renews,omitempty"`
	// Unpaid: no successful charge of the period is known.
	Unpaid bool `json:"unpaid,omitempty"`
}

// freshness is nil for a subscription that has ended or stopped, and for one that nobody has
// paid for.
func (s Subscription) freshness() *Freshness {
	n := Freshness{StaleAt: s.State.PeriodEnd, ReportedAt: s.State.At, PeriodStart: s.State.PeriodStart}
	switch s.State.Status {
	case SubscriptionActive:
		n.Renews = !s.State.CancelAtEnd
		n.Unpaid = !s.State.OnDemand && !slices.ContainsFunc(s.paymentTimes(), s.State.period().mayContain)
	case SubscriptionPastDue:
		n.StaleAt = s.pastDueUntil()
	case "", SubscriptionPending:
		n = Freshness{StaleAt: s.firstCharged(), Renews: true}
		if n.StaleAt.IsZero() {
			return nil
		}
		return &n
	default:
		return s.chargedAfterStop()
	}
	if end := s.State.ExpiresAt; !end.IsZero() && !end.After(n.StaleAt) {
		n.StaleAt, n.Renews = end, false
	}
	return &n
}

// chargedAfterStop is the freshness of a stopped subscription that has a charge after the
// stop, which means that it may have been resumed. It is nil if there is no such charge. A
// charge that began before the stop may have succeeded after it, and Dodo does not say when;
// only a cancelled or expired subscription is never charged again, so its last charge is
// normally older.
func (s Subscription) chargedAfterStop() *Freshness {
	charged := s.lastCharged()
	stopped := s.State.At
	if s.State.Status != SubscriptionCancelled && s.State.Status != SubscriptionExpired {
		stopped = stopped.Add(-maxProcessingTime)
	}
	if !charged.After(stopped) {
		return nil
	}
	return &Freshness{StaleAt: charged, ReportedAt: s.State.At, PeriodStart: s.State.PeriodStart, Renews: true}
}

// lastCharged is the start of the last charge that has succeeded or still may; zero for none.
func (s Subscription) lastCharged() (last time.Time) {
	for _, p := range s.Charges {
		if (p.pays() || p.Status == PaymentProcessing) && p.CreatedAt.After(last) {
			last = p.CreatedAt
		}
	}
	return last
}

// firstCharged is when the first successful charge was made; zero for none.
func (s Subscription) firstCharged() time.Time {
	var first time.Time
	for _, p := range s.Charges {
		if p.pays() && (first.IsZero() || p.CreatedAt.Before(first)) {
			first = p.CreatedAt
		}
	}
	return first
}

// isRefreshed reports whether Dodo has reported the subscription since the older report went
// stale.
func (n *Freshness) isRefreshed() bool { return !n.ReportedAt.Before(n.StaleAt) }

// graceFor is the grace of one subscription. An earlier release stored standings without a
// Freshness.
func (a Account) graceFor(n *Freshness) time.Duration {
	if n == nil || n.isRefreshed() {
		return a.Grace
	}
	return max(a.Grace, a.UnansweredGrace)
}

// protectedUntil is the instant before which the account must not be refused because of a
// missing report. Once Dodo has answered, it may be refused at once.
func (a Account) protectedUntil(n *Freshness) time.Time {
	if !n.Renews || n.isRefreshed() {
		return n.StaleAt
	}
	return n.StaleAt.Add(a.graceFor(n))
}

// Doubt is a subscription that should be checked with Dodo, because the last report about it
// may be out of date.
type Doubt struct {
	Subscription string // Dodo's id
	// Since is the start of the newest period that Dodo reported; zero if it has reported
	// none.
	Since time.Time
	// Untold: Dodo has reported a charge of it, but never the subscription itself.
	Untold bool
	// Over: its period is over, so requests see its plan as ended or in grace. Other doubts do
	// not show in requests: a charge that is still being processed, for example.
	Over bool
	// Owed: it has been paid or was expected to continue, and Dodo has not yet said what
	// happened. The account must not be told that it has not paid.
	Owed bool
}

// Doubts are the account's subscriptions that should be checked with Dodo, in the order of
// their ids. It is nil for almost all accounts.
func (a Account) Doubts(now time.Time) []Doubt {
	var doubts []Doubt
	prefix := Ref{Kind: KindSubscription}.String()
	for name, st := range a.Standings {
		id, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if d, open := a.doubt(st, now); open {
			d.Subscription = id
			doubts = append(doubts, d)
		}
	}
	slices.SortFunc(doubts, func(d, e Doubt) int { return cmp.Compare(d.Subscription, e.Subscription) })
	return doubts
}

func (a Account) doubt(s Standing, now time.Time) (d Doubt, open bool) {
	gone := s.Renewal == nil || !now.Before(s.Renewal.Until)
	if s.Freshness == nil { // an earlier release stored it, or Dodo reported its end
		ended := s.Renewal == nil || s.Renewal.Status != PlanActive && s.Renewal.Status != PlanPastDue
		return Doubt{Over: true}, gone && !ended
	}
	n, due := s.Freshness, !now.Before(s.Freshness.StaleAt)
	d = Doubt{Since: n.PeriodStart, Untold: n.ReportedAt.IsZero(), Over: due && gone, Owed: due && now.Before(a.protectedUntil(n))}
	return d, due || n.Unpaid
}
