package entitlement

import (
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Account is everything about an account that decides its entitlements.
type Account struct {
	// Rev grows with every change of the account; 0 before the first.
	Rev    int64
	Ledger ledger.Account
	// HeldUntil is when the next hold expires and returns its credits, so that this snapshot
	// of the account is out of date. Zero: there are no holds.
	HeldUntil time.Time
	// StandingsRev is the Rev of the last change of Standings.
	StandingsRev int64
	// Standings by the object that contributes them ([Ref.String]).
	Standings map[string]Standing
	// Grace is how long a renewing plan outlives its period if Dodo was asked and reported
	// nothing new. Until Dodo answers, UnansweredGrace counts if it is longer. Neither is
	// stored: the caller sets them.
	Grace, UnansweredGrace time.Duration
}

// Snapshot is an account as one request sees it, at one instant.
type Snapshot struct {
	// Credits that can be spent now.
	Credits int64
	// Debt is how many credits the account owes. New credits pay it first.
	Debt int64
	// Subscribed: the account has, or had, a subscription. The subscriptions' own records say
	// which ones continue.
	Subscribed bool
	// HasPaid: a payment is in force, or a plan gives access.
	HasPaid bool
	// Plans are all plans that give access now, highest first, without duplicates; nil for
	// none. Because a plan without access is never listed, comparing names is enough.
	// Read-only.
	Plans []Plan
	// Plan is the highest of Plans, or [NoPlan].
	Plan string
	// PlanStatus is the status of Plan or, if there is none, of the plan that ended last.
	PlanStatus PlanStatus
	// PlanExpiresAt is when that plan ends; zero if there is none or it has no end.
	PlanExpiresAt time.Time
	// PaymentDate is the time of the newest payment in force; zero for none.
	PaymentDate time.Time
	// Features are the names of features that Dodo delivered or add-ons give, sorted, without
	// duplicates. Dodo's names are passed on unchanged and may be any text. Read-only.
	Features []string
	// Seats is the sum over all purchases in force.
	Seats int64
}

// PlanNames are the names of Plans.
func (s Snapshot) PlanNames() []string {
	names := make([]string, len(s.Plans))
	for i, p := range s.Plans {
		names[i] = p.Name
	}
	return names
}

// Snapshot judges the account at now. Credits and plans expire by the clock, without a job or
// an event. The ranking says which plan is the highest.
func (a Account) Snapshot(now time.Time, ranking config.Ranking) Snapshot {
	s, _ := a.SnapshotUntil(now, ranking)
	return s
}

// SnapshotUntil is [Account.Snapshot] with the instant until which the snapshot stays valid if
// the account does not change; zero means forever. The instant is not after now if a hold has
// expired since the account was read: then the account is already out of date.
func (a Account) SnapshotUntil(now time.Time, ranking config.Ranking) (s Snapshot, until time.Time) {
	s = Snapshot{Plan: NoPlan, PlanStatus: PlanNone}
	s.Credits, s.Debt = a.Ledger.AvailableOrOwed(now)
	next := earliestAfter{now: now, at: a.HeldUntil}
	for _, g := range a.Ledger.Grants {
		next.add(g.StartsAt)
		next.add(g.ExpiresAt)
	}
	var (
		passes []Pass
		known  plans
	)
	for object, st := range a.Standings {
		s.Subscribed = s.Subscribed || isSubscription(object)
		if st.Feature != "" {
			s.Features = append(s.Features, st.Feature)
		}
		s.HasPaid = s.HasPaid || st.Paid
		if st.PaidAt.After(s.PaymentDate) {
			s.PaymentDate = st.PaidAt
		}
		passes = append(passes, st.Passes...)
		s.Seats = addCapped(s.Seats, st.Seats)
		if st.Renewal != nil {
			grace := a.graceFor(st.Freshness)
			s.addRenewal(*st.Renewal, &known, now, grace)
			next.add(st.Renewal.TrialUntil)
			next.add(st.Renewal.Until)
			next.add(st.Renewal.accessEnd(grace))
		}
		if st.Freshness != nil {
			next.add(st.Freshness.StaleAt)
			next.add(a.protectedUntil(st.Freshness))
		}
	}
	for _, a := range stack(passes, now) {
		known.add(a)
		next.add(a.until)
	}
	slices.Sort(s.Features)
	s.Features = slices.Compact(s.Features)
	s.setPlans(known, ranking)
	return s, next.at
}

// addRenewal counts what a subscription gives at now.
func (s *Snapshot) addRenewal(r Renewal, known *plans, now time.Time, grace time.Duration) {
	a := r.accessAt(now, grace)
	if r.Plan != "" {
		known.add(a)
	}
	for _, plan := range r.Plans {
		a.plan = plan
		known.add(a)
	}
	if a.current {
		s.Features = append(s.Features, r.Features...)
		s.Seats = addCapped(s.Seats, r.Seats)
	}
}

// setPlans sets everything that depends on the plans of the account.
func (s *Snapshot) setPlans(known plans, ranking config.Ranking) {
	switch {
	case len(known.current) > 0:
		s.Plans, s.HasPaid = known.current, true
		slices.SortFunc(s.Plans, func(a, b Plan) int { return ranking.Compare(b.Name, a.Name) })
		s.Plan, s.PlanStatus, s.PlanExpiresAt = s.Plans[0].Name, s.Plans[0].Status, s.Plans[0].ExpiresAt
	case known.lastEnded.status != "":
		s.PlanStatus, s.PlanExpiresAt = known.lastEnded.status, known.lastEnded.until
	}
}

// earliestAfter keeps the earliest added instant after now. An initial at that is already past
// stays. Zero is none.
type earliestAfter struct{ now, at time.Time }

func (h *earliestAfter) add(t time.Time) {
	if t.After(h.now) && (h.at.IsZero() || t.Before(h.at)) {
		h.at = t
	}
}
