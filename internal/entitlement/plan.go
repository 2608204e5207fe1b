package entitlement

import (
	"cmp"
	"slices"
	"time"
)

// PlanStatus is the state of an account's plan.
type PlanStatus string

// The plan statuses. The first three give access; cancelled gives access until the end of the
// paid period.
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

// compare is negative if s is worse than t. Both give access.
func (s PlanStatus) compare(t PlanStatus) int {
	rank := func(s PlanStatus) int {
		return slices.Index([]PlanStatus{PlanCancelled, PlanPastDue, PlanTrialing, PlanActive}, s)
	}
	return cmp.Or(cmp.Compare(rank(s), rank(t)), cmp.Compare(s, t))
}

// NoPlan is the name that stands for no plan with access.
const NoPlan = "none"

// Plan is a plan that gives access.
type Plan struct {
	Name   string
	Status PlanStatus
	// ExpiresAt is when access ends; zero means never.
	ExpiresAt time.Time
}

// join combines two sources of one plan: a pass and a subscription for example, or two
// products that give it. The plan gets the better status and the later end.
func (p Plan) join(q Plan) Plan {
	if p.Status.compare(q.Status) < 0 {
		p.Status = q.Status
	}
	if endsLater(q.ExpiresAt, p.ExpiresAt) {
		p.ExpiresAt = q.ExpiresAt
	}
	return p
}

// plans are all plans of an account at one instant.
type plans struct {
	current   []Plan // plans with access, each name once
	lastEnded access // of the others, the one that ended last; its status is empty if there is none
}

// add counts one more source of access.
func (p *plans) add(a access) {
	if !a.current {
		if p.lastEnded.status == "" || p.lastEnded.compare(a) < 0 {
			p.lastEnded = a
		}
		return
	}
	plan := Plan{Name: a.plan, Status: a.status, ExpiresAt: a.until}
	for i, held := range p.current {
		if held.Name == plan.Name {
			p.current[i] = held.join(plan)
			return
		}
	}
	p.current = append(p.current, plan)
}

// access is what one subscription, or all passes of one plan, give at one instant.
type access struct {
	plan    string
	status  PlanStatus
	current bool      // access is given now
	endless bool      // access never ends
	until   time.Time // when access ends, ended, or would have ended
}

// compare orders by when access ended, then by name and status.
func (a access) compare(b access) int {
	return cmp.Or(a.until.Compare(b.until), cmp.Compare(a.plan, b.plan), cmp.Compare(a.status, b.status))
}

// accessAt judges a renewal by the clock. During the grace, the plan ends with the grace.
func (r Renewal) accessAt(now time.Time, grace time.Duration) access {
	a := access{plan: r.Plan, status: r.Status, until: r.Until}
	if end := r.accessEnd(grace); !now.Before(r.Until) && now.Before(end) {
		a.until = end
	}
	a.current = r.Access && now.Before(a.until)
	switch {
	case a.current && r.Status == PlanActive && now.Before(r.TrialUntil):
		a.status = PlanTrialing
	case !a.current && (r.Status == PlanActive || r.Status == PlanPastDue):
		a.status = PlanExpired // nothing about the next period is known yet
	}
	return a
}

// accessEnd is the latest end of access: the end of the period or, for a plan that renews, of
// the grace after it. A plan that is known to end has no grace.
func (r Renewal) accessEnd(grace time.Duration) time.Time {
	if !r.Renews || grace <= 0 {
		return r.Until
	}
	return r.Until.Add(grace)
}

// stack chains the passes of each plan in the order of their payments: a pass that was bought
// while another one runs begins when that one ends.
//
// It keeps only the ends. A payment is never in the future, so an end in the future means
// access now; this also tolerates a clock that is behind Dodo's.
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
		if a.endless || now.Before(a.until) {
			a.status, a.current = PlanActive, true
		}
	}
	return stacks
}

// lastYear is the last year that RFC 3339 can express.
const lastYear = 9999

// add appends a pass.
func (a *access) add(p Pass) {
	a.endless = a.endless || p.Lasts == 0
	if !a.endless {
		if p.PaidAt.After(a.until) {
			a.until = p.PaidAt
		}
		a.until = a.until.Add(p.Lasts)
		a.endless = a.until.Year() > lastYear
	}
	if a.endless {
		a.until = time.Time{}
	}
}
