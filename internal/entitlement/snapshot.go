package entitlement

import (
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Account is everything about an account that entitlements follow from.
type Account struct {
	// Rev grows with every change of the account; 0 before the first.
	Rev    int64
	Ledger ledger.Account
	// HeldUntil is when the next hold runs out, which gives back what it holds:
	// what is known of the account is out of date then. Zero: nothing is held.
	HeldUntil time.Time
	// StandingsRev was the Rev when Standings changed last.
	StandingsRev int64
	// Standings by the object that contributes them ([Ref.String]).
	Standings map[string]Standing
	// Grace is how long a plan that renews outlives its period, when Dodo has been asked and
	// has nothing new to say. While Dodo has not answered, UnansweredGrace counts if it is
	// longer. Neither is stored: the caller sets them.
	Grace, UnansweredGrace time.Duration
}

// Snapshot is what a request sees of an account at one instant.
type Snapshot struct {
	// Credits that can be spent now.
	Credits int64
	// Debt is how many credits the account owes: credits that come pay them first.
	Debt int64
	// Subscribed: the account has, or had, a subscription. Which ones go on, their objects
	// say.
	Subscribed bool
	// HasPaid: a payment is in force, or a plan gives access.
	HasPaid bool
	// Plans are all plans that give access now, the highest first, each once; nil for
	// none. A plan that gives none is never named, so that comparing names alone is
	// safe. Not to be changed.
	Plans []Plan
	// Plan is the highest of Plans, or [NoPlan].
	Plan string
	// PlanStatus is the status of Plan or, without one, of the plan that gave
	// access last.
	PlanStatus PlanStatus
	// PlanExpiresAt ends that plan; zero for none and for one without end.
	PlanExpiresAt time.Time
	// PaymentDate is when the newest payment in force was made; zero for none.
	PaymentDate time.Time
	// Features are the names of the features that Dodo has delivered and that add-ons
	// give, sorted, each once. Dodo's come as they are: any text. Not to be changed.
	Features []string
	// Seats are those of all purchases in force together.
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

// Snapshot judges the account at now: expiry of credits and plans follows the
// clock, with no job and no event in between. The ranking says which plan is the
// highest.
func (a Account) Snapshot(now time.Time, ranking config.Ranking) Snapshot {
	s, _ := a.SnapshotUntil(now, ranking)
	return s
}

// SnapshotUntil is [Account.Snapshot] with the instant until which it is the same
// as long as nothing happens to the account; zero for ever. From until on it may
// be another. It is not after now when a hold has run out since the account was
// read: the account is out of date already, and says no more than it did then.
func (a Account) SnapshotUntil(now time.Time, ranking config.Ranking) (s Snapshot, until time.Time) {
	s = Snapshot{Plan: NoPlan, PlanStatus: PlanNone}
	s.Credits, s.Debt = a.Ledger.AvailableOrOwed(now)
	next := horizon{now: now, at: a.HeldUntil}
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
		s.Seats = plus(s.Seats, st.Seats)
		if st.Renewal != nil {
			grace := a.graceOf(st.Next)
			s.renew(*st.Renewal, &known, now, grace)
			next.add(st.Renewal.TrialUntil)
			next.add(st.Renewal.Until)
			next.add(st.Renewal.outlives(grace))
		}
		if st.Next != nil {
			next.add(st.Next.Due)
			next.add(a.owedUntil(st.Next))
		}
	}
	for _, a := range stack(passes, now) {
		known.add(a)
		next.add(a.until)
	}
	slices.Sort(s.Features)
	s.Features = slices.Compact(s.Features)
	s.see(known, ranking)
	return s, next.at
}

// renew counts what a subscription gives at now.
func (s *Snapshot) renew(r Renewal, known *plans, now time.Time, grace time.Duration) {
	a := r.at(now, grace)
	if r.Plan != "" {
		known.add(a)
	}
	for _, plan := range r.Plans {
		a.plan = plan
		known.add(a)
	}
	if a.now {
		s.Features = append(s.Features, r.Features...)
		s.Seats = plus(s.Seats, r.Seats)
	}
}

// see sets everything that follows from the plans of the account.
func (s *Snapshot) see(known plans, ranking config.Ranking) {
	switch {
	case len(known.held) > 0:
		s.Plans, s.HasPaid = known.held, true
		slices.SortFunc(s.Plans, func(a, b Plan) int { return ranking.Compare(b.Name, a.Name) })
		s.Plan, s.PlanStatus, s.PlanExpiresAt = s.Plans[0].Name, s.Plans[0].Status, s.Plans[0].ExpiresAt
	case known.ended.status != "":
		s.PlanStatus, s.PlanExpiresAt = known.ended.status, known.ended.until
	}
}

// horizon is the first of some instants that is after now, or what it begins with
// if that is earlier; zero is none.
type horizon struct{ now, at time.Time }

func (h *horizon) add(t time.Time) {
	if t.After(h.now) && (h.at.IsZero() || t.Before(h.at)) {
		h.at = t
	}
}
