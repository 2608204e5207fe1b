package entitlement

import (
	"cmp"
	"slices"
	"time"

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
	// Token is the store's own note of this state, opaque and often nil. Handed back with
	// the next hold or end, it makes that cheaper if the state is still the same, and
	// changes nothing if it is not.
	Token any
}

// PlanStatus is the state of an account's plan.
type PlanStatus string

// The plan statuses. The first three give access; cancelled does until the end of
// the period that was paid.
const (
	PlanActive    PlanStatus = "active"
	PlanTrialing  PlanStatus = "trialing"
	PlanPastDue   PlanStatus = "past_due"
	PlanOnHold    PlanStatus = "on_hold"
	PlanPaused    PlanStatus = "paused"
	PlanCancelled PlanStatus = "cancelled"
	PlanExpired   PlanStatus = "expired"
	PlanNone      PlanStatus = "none"
)

// NoPlan is the plan's name where no plan gives access.
const NoPlan = "none"

// Snapshot is what a request sees of an account at one instant.
type Snapshot struct {
	// Credits that can be spent now.
	Credits int64
	// HasPaid: a payment is in force, or a plan gives access.
	HasPaid bool
	// Plan is the plan that gives access now, or [NoPlan]. A plan that gives none
	// is never named, so that comparing the name alone is safe.
	Plan string
	// PlanStatus is the status of Plan or, without one, of the plan that gave
	// access last.
	PlanStatus PlanStatus
	// PlanExpiresAt ends that plan; zero for none and for one without end.
	PlanExpiresAt time.Time
	// PaymentDate is when the newest payment in force was made; zero for none.
	PaymentDate time.Time
	// Features are the names of the features that Dodo has delivered, sorted, each
	// once. They come from Dodo as they are: any text. Not to be changed.
	Features []string
}

// Snapshot judges the account at now: expiry of credits and plans follows the
// clock, with no job and no event in between.
func (a Account) Snapshot(now time.Time) Snapshot {
	s, _ := a.SnapshotUntil(now)
	return s
}

// SnapshotUntil is [Account.Snapshot] with the instant until which it is the same
// as long as nothing happens to the account; zero for ever. From until on it may
// be another. It is not after now when a hold has run out since the account was
// read: the account is out of date already, and says no more than it did then.
func (a Account) SnapshotUntil(now time.Time) (s Snapshot, until time.Time) {
	s = Snapshot{Credits: a.Ledger.Available(now), Plan: NoPlan, PlanStatus: PlanNone}
	next := horizon{now: now, at: a.HeldUntil}
	for _, g := range a.Ledger.Grants {
		next.add(g.ExpiresAt)
	}
	var (
		passes  []Pass
		choices []access
	)
	for _, st := range a.Standings {
		if st.Feature != "" {
			s.Features = append(s.Features, st.Feature)
		}
		s.HasPaid = s.HasPaid || st.Paid
		if st.PaidAt.After(s.PaymentDate) {
			s.PaymentDate = st.PaidAt
		}
		passes = append(passes, st.Passes...)
		if st.Renewal != nil {
			choices = append(choices, st.Renewal.at(now))
			next.add(st.Renewal.TrialUntil)
		}
	}
	slices.Sort(s.Features)
	s.Features = slices.Compact(s.Features)
	choices = append(choices, stack(passes, now)...)
	for _, c := range choices {
		next.add(c.until)
	}
	if len(choices) == 0 {
		return s, next.at
	}
	best := slices.MaxFunc(choices, access.compare)
	s.PlanStatus, s.PlanExpiresAt = best.status, best.until
	if best.now {
		s.Plan, s.HasPaid = best.plan, true
	}
	return s, next.at
}

// horizon is the first of some instants that is after now, or what it begins with
// if that is earlier; zero is none.
type horizon struct{ now, at time.Time }

func (h *horizon) add(t time.Time) {
	if t.After(h.now) && (h.at.IsZero() || t.Before(h.at)) {
		h.at = t
	}
}

// access is what one subscription, or all passes of one plan, come to at an
// instant.
type access struct {
	plan   string
	status PlanStatus
	now    bool      // it gives access
	never  bool      // and always will
	until  time.Time // when access ends, ended, or would have ended
}

// compare orders by whether there is access, how long it lasts, then by name and
// status.
func (a access) compare(b access) int {
	return cmp.Or(
		cmp.Compare(flag(a.now), flag(b.now)),
		cmp.Compare(flag(a.never), flag(b.never)),
		a.until.Compare(b.until),
		cmp.Compare(a.plan, b.plan),
		cmp.Compare(a.status, b.status),
	)
}

// at judges a renewal by the clock.
func (r Renewal) at(now time.Time) access {
	a := access{plan: r.Plan, status: r.Status, until: r.Until, now: r.Access && now.Before(r.Until)}
	switch {
	case a.now && r.Status == PlanActive && now.Before(r.TrialUntil):
		a.status = PlanTrialing
	case !a.now && (r.Status == PlanActive || r.Status == PlanPastDue):
		a.status = PlanExpired // whatever comes next has not been heard of yet
	}
	return a
}

// stack puts the passes of each plan one behind the other in the order of their
// payments: a pass bought while another still runs begins where that one ends.
//
// Only ends are kept. A payment is never in the future, so an end in the future
// means access now; this also forgives a clock that runs behind Dodo's.
func stack(passes []Pass, now time.Time) []access {
	slices.SortFunc(passes, func(a, b Pass) int {
		return cmp.Or(cmp.Compare(a.Plan, b.Plan), a.PaidAt.Compare(b.PaidAt), cmp.Compare(a.Lasts, b.Lasts))
	})
	var plans []access
	for _, p := range passes {
		if len(plans) == 0 || plans[len(plans)-1].plan != p.Plan {
			plans = append(plans, access{plan: p.Plan})
		}
		plans[len(plans)-1].add(p)
	}
	for i := range plans {
		a := &plans[i]
		a.status = PlanExpired
		if a.never || now.Before(a.until) {
			a.status, a.now = PlanActive, true
		}
	}
	return plans
}

// lastYear is the last one that RFC 3339 can write.
const lastYear = 9999

// add appends a pass.
func (a *access) add(p Pass) {
	a.never = a.never || p.Lasts == 0
	if !a.never {
		if p.PaidAt.After(a.until) {
			a.until = p.PaidAt
		}
		a.until = a.until.Add(p.Lasts)
		a.never = a.until.Year() > lastYear
	}
	if a.never {
		a.until = time.Time{}
	}
}
