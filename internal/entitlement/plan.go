package entitlement

import (
	"cmp"
	"slices"
	"time"
)

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

// compare is negative when the status s is worse than t for a plan that gives access.
func (s PlanStatus) compare(t PlanStatus) int {
	rank := func(s PlanStatus) int {
		return slices.Index([]PlanStatus{PlanCancelled, PlanPastDue, PlanTrialing, PlanActive}, s)
	}
	return cmp.Or(cmp.Compare(rank(s), rank(t)), cmp.Compare(s, t))
}

// NoPlan is the plan's name where no plan gives access.
const NoPlan = "none"

// Plan is a plan that gives access.
type Plan struct {
	Name   string
	Status PlanStatus
	// ExpiresAt is when access ends; zero for never.
	ExpiresAt time.Time
}

// join is what two sources of one plan come to: a pass and a subscription for example,
// or two products that give it. The plan has the better status of the two, and lasts as
// long as either of them.
func (p Plan) join(q Plan) Plan {
	if p.Status.compare(q.Status) < 0 {
		p.Status = q.Status
	}
	if later(q.ExpiresAt, p.ExpiresAt) {
		p.ExpiresAt = q.ExpiresAt
	}
	return p
}

// plans are all plans of an account at an instant.
type plans struct {
	held  []Plan // they give access now; each name is there once
	ended access // of the others, the one that gave access last; no status: there is none
}

// add counts one more source of access.
func (p *plans) add(a access) {
	if !a.now {
		if p.ended.status == "" || p.ended.compare(a) < 0 {
			p.ended = a
		}
		return
	}
	plan := Plan{Name: a.plan, Status: a.status, ExpiresAt: a.until}
	for i, held := range p.held {
		if held.Name == plan.Name {
			p.held[i] = held.join(plan)
			return
		}
	}
	p.held = append(p.held, plan)
}

// access is what one subscription, or all passes of one plan, come to at an
// instant.
type access struct {
	plan   string
	status PlanStatus
	now    bool      // it gives access
	never  bool      // and its access never ends
	until  time.Time // when access ends, ended, or would have ended
}

// compare orders by when access ended, then by name and status.
func (a access) compare(b access) int {
	return cmp.Or(a.until.Compare(b.until), cmp.Compare(a.plan, b.plan), cmp.Compare(a.status, b.status))
}

// at judges a renewal by the clock. In the grace, the plan ends with the grace.
func (r Renewal) at(now time.Time, grace time.Duration) access {
	a := access{plan: r.Plan, status: r.Status, until: r.Until}
	if end := r.outlives(grace); !now.Before(r.Until) && now.Before(end) {
		a.until = end
	}
	a.now = r.Access && now.Before(a.until)
	switch {
	case a.now && r.Status == PlanActive && now.Before(r.TrialUntil):
		a.status = PlanTrialing
	case !a.now && (r.Status == PlanActive || r.Status == PlanPastDue):
		a.status = PlanExpired // whatever comes next has not been heard of yet
	}
	return a
}

// outlives is when access ends at the latest: with the period, or the grace after it for a
// plan that goes on. A plan whose end was told has none.
func (r Renewal) outlives(grace time.Duration) time.Time {
	if !r.Renews || grace <= 0 {
		return r.Until
	}
	return r.Until.Add(grace)
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
	var stacks []access
	for _, p := range passes {
		if len(stacks) == 0 || stacks[len(stacks)-1].plan != p.Plan {
			stacks = append(stacks, access{plan: p.Plan})
		}
		stacks[len(stacks)-1].add(p)
	}
	for i := range stacks {
		a := &stacks[i]
		a.status = PlanExpired
		if a.never || now.Before(a.until) {
			a.status, a.now = PlanActive, true
		}
	}
	return stacks
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
