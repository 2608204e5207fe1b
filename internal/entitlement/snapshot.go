package entitlement

import (
	"cmp"
	"slices"
	"time"

	"github.com/dodogate/dodogate/internal/ledger"
)

// Account is everything about an account that entitlements follow from.
type Account struct {
	Ledger ledger.Account
	// Standings by the object that contributes them ([Ref.String]).
	Standings map[string]Standing
}

// PlanStatus is the state of an account's plan.
type PlanStatus string

// The plan statuses that one-time purchases lead to.
const (
	PlanActive  PlanStatus = "active"
	PlanExpired PlanStatus = "expired"
	PlanNone    PlanStatus = "none"
)

// NoPlan is the plan's name where no plan gives access.
const NoPlan = "none"

// Snapshot is what a request sees of an account at one instant.
type Snapshot struct {
	// Credits that can be spent now.
	Credits int64
	// HasPaid: a payment is in force, or a plan gives access.
	HasPaid bool
	// Plan is the plan that gives access now, or [NoPlan]. A plan that has
	// ended is never named, so that comparing the name alone is safe.
	Plan string
	// PlanStatus is the status of Plan or, without one, of the plan that ended
	// last.
	PlanStatus PlanStatus
	// PlanExpiresAt ends that plan; zero for none and for one without end.
	PlanExpiresAt time.Time
	// PaymentDate is when the newest payment in force was made; zero for none.
	PaymentDate time.Time
}

// Snapshot judges the account at now: expiry of credits and plans follows the
// clock, with no job and no event in between.
func (a Account) Snapshot(now time.Time) Snapshot {
	s := Snapshot{Credits: a.Ledger.Balance(now), Plan: NoPlan, PlanStatus: PlanNone}
	var passes []Pass
	for _, st := range a.Standings {
		s.HasPaid = s.HasPaid || st.Paid
		if st.PaidAt.After(s.PaymentDate) {
			s.PaymentDate = st.PaidAt
		}
		passes = append(passes, st.Passes...)
	}
	ends := planEnds(passes)
	if len(ends) == 0 {
		return s
	}
	last := slices.MaxFunc(ends, planEnd.compare)
	s.PlanExpiresAt = last.at
	if last.never || now.Before(last.at) {
		s.Plan, s.PlanStatus, s.HasPaid = last.plan, PlanActive, true
	} else {
		s.PlanStatus = PlanExpired
	}
	return s
}

// planEnd is when access to a plan ends.
type planEnd struct {
	plan  string
	at    time.Time
	never bool
}

// compare orders by how long access lasts, then by name.
func (e planEnd) compare(f planEnd) int {
	switch {
	case e.never && !f.never:
		return 1
	case f.never && !e.never:
		return -1
	}
	return cmp.Or(e.at.Compare(f.at), cmp.Compare(e.plan, f.plan))
}

// planEnds stacks the passes of each plan in the order of their payments: a pass
// bought while another still runs begins where that one ends.
//
// Only ends are kept. A payment is never in the future, so an end in the future
// means access now; this also forgives a clock that runs behind Dodo's.
func planEnds(passes []Pass) []planEnd {
	slices.SortFunc(passes, func(a, b Pass) int {
		return cmp.Or(cmp.Compare(a.Plan, b.Plan), a.PaidAt.Compare(b.PaidAt), cmp.Compare(a.Lasts, b.Lasts))
	})
	var ends []planEnd
	for _, p := range passes {
		if len(ends) == 0 || ends[len(ends)-1].plan != p.Plan {
			ends = append(ends, planEnd{plan: p.Plan})
		}
		e := &ends[len(ends)-1]
		e.never = e.never || p.Lasts == 0
		if e.never {
			e.at = time.Time{}
			continue
		}
		if p.PaidAt.After(e.at) {
			e.at = p.PaidAt
		}
		if e.at = e.at.Add(p.Lasts); e.at.Year() > lastYear {
			e.never, e.at = true, time.Time{}
		}
	}
	return ends
}

// lastYear is the last one that RFC 3339 can write.
const lastYear = 9999
