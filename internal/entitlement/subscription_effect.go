package entitlement

import (
	"fmt"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// startsTogether is how far apart two starts may be and still mean the same
// period: bodies about one period were seen to differ by seconds (FACTS 3.9).
const startsTogether = 2 * time.Minute

// Renewal is access that a subscription gives.
type Renewal struct {
	Plan   string     `json:"plan"`
	Status PlanStatus `json:"status"`
	// Access until Until; without Access, Until is when it would have ended.
	Access bool      `json:"access,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// TrialUntil: before it the plan is trialing rather than active.
	TrialUntil time.Time `json:"trial_until,omitzero"`
}

// TermsOf says what a product gives, by Dodo's id, in the period of a subscription
// that begins at start, or by a payment, when start is zero.
type TermsOf func(productID string, start time.Time) (Terms, bool)

// Effect is what the subscription with the given id gives: for every period that
// was paid the product's credits, and access to the plan by its status. A pure
// function, the same for every order in which the facts behind it arrived.
//
// A product that brought too little in a period gives nothing in it, see
// [Record.Underpaid]. A product without terms gives nothing and is reported by [ErrUnknownProduct],
// beside the effect of the others; an amount beyond 2^53-1 is [ledger.ErrRange]
// and no effect at all.
func (s Subscription) Effect(id string, termsOf TermsOf, policy config.DisputePolicy) (Effect, error) {
	var (
		e       = Effect{heirs: make(map[string]string)}
		unknown error
		grant   = func(key string) string { return Ref{KindSubscription, id}.String() + "/" + key }
		periods = s.cycles()
		charges = s.chargesOf(periods, policy)
		short   = s.shortfalls(periods, charges, termsOf)
	)
	for i, p := range periods {
		var (
			credits int64
			expire  time.Time
			paid    bool
		)
		for product, quantity := range p.Bought {
			t, ok := termsOf(product, p.since[product])
			if !ok {
				unknown = fmt.Errorf("period of %s: %w", p.Start.Format(time.DateOnly), ErrUnknownProduct)
				continue
			}
			if falls(short, i, product) {
				continue
			}
			paid = true
			if t.Credits > ledger.Max/max(quantity, 1) {
				return Effect{}, ledger.ErrRange
			}
			if t.Credits > 0 && (credits == 0 || later(p.expiry(t), expire)) {
				expire = p.expiry(t)
			}
			credits = max(credits, t.Credits*quantity)
			if t.Plan == "" && !charges[i].void() {
				e.Standing.Paid = true
			}
		}
		if credits > 0 {
			e.Grants = append(e.Grants, ledger.Target{
				ID: grant(periodKey(p.Start)), Amount: charges[i].share(credits), CreatedAt: p.Start, ExpiresAt: expire,
			})
			for _, key := range slices.Concat(p.keys, charges[i].keys) {
				e.heirs[grant(key)] = grant(periodKey(p.Start))
			}
		}
		if paid && !charges[i].void() && p.Start.After(e.Standing.PaidAt) {
			e.Standing.PaidAt = p.Start
		}
	}
	if r, ok := s.renewal(termsOf, periods, charges, short); ok {
		e.Standing.Renewal = &r
	}
	return e, unknown
}

// expiry is when the credits of a period end: with it, unless the product says
// how long they last or that they stay.
func (p Period) expiry(t Terms) time.Time {
	switch {
	case t.CreditsStay:
		return time.Time{}
	case t.CreditsExpire > 0:
		return p.Start.Add(t.CreditsExpire)
	}
	return p.End
}

// later reports whether a ends after b, of which zero never does.
func later(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// cycle is one or several periods that are one and the same: their starts differ
// by a moment, or a change of plan began a new one before the old one ended.
type cycle struct {
	Period
	since map[string]time.Time // the start of the period in which a product came in
	keys  []string             // of its periods
}

// cycles are the periods, put together and in order.
func (s Subscription) cycles() []cycle {
	var sorted []cycle
	for _, p := range s.paid() {
		since := make(map[string]time.Time, len(p.Bought))
		for product := range p.Bought {
			since[product] = p.Start
		}
		sorted = append(sorted, cycle{p, since, []string{periodKey(p.Start)}})
	}
	slices.SortFunc(sorted, func(a, b cycle) int { return a.compare(b.Period) })
	var cycles []cycle
	for _, c := range sorted {
		if n := len(cycles); n > 0 && cycles[n-1].continuedBy(c.Period) {
			cycles[n-1] = cycles[n-1].join(c)
			continue
		}
		cycles = append(cycles, c)
	}
	return cycles
}

// join puts a later cycle to this one.
func (c cycle) join(later cycle) cycle {
	since := unite(c.since, later.since, func(first, _ time.Time) time.Time { return first })
	return cycle{c.merge(later.Period), since, slices.Concat(c.keys, later.keys)}
}

func (p Period) continuedBy(q Period) bool {
	if q.Start.Sub(p.Start) < startsTogether {
		return true
	}
	if !q.Start.Before(p.End) {
		return false
	}
	for product := range q.Bought {
		if _, same := p.Bought[product]; same {
			return false // it was renewed early
		}
	}
	return true
}

// charge is the money behind one period.
type charge struct {
	total, kept  int64          // minor units
	net          config.Amounts // before tax, whatever was given back since
	paid, undone int            // payments that succeeded, and those of them that do not count any more
	keys         []string       // of periods that were taken for paid before this one was heard of
}

// void reports whether everything that was paid was given back.
func (c charge) void() bool { return c.paid > 0 && c.paid == c.undone }

// share is the part of the credits that is still paid for, rounded down.
func (c charge) share(credits int64) int64 {
	switch {
	case c.void():
		return 0
	case c.total == 0 || c.kept == c.total:
		return credits
	}
	return share(credits, c.kept, c.total)
}

// chargesOf says for each period which money is behind it: each payment belongs
// to the period that it was made in, else to the one whose start is nearest.
func (s Subscription) chargesOf(periods []cycle, policy config.DisputePolicy) []charge {
	charges := make([]charge, len(periods))
	if len(periods) == 0 {
		return charges
	}
	for _, p := range s.Charges {
		if p.Status != PaymentSucceeded || p.MethodOnly {
			continue
		}
		c := &charges[periodOf(periods, p.CreatedAt)]
		undone, full := p.undone(policy)
		c.paid++
		c.keys = append(c.keys, periodKey(p.CreatedAt))
		for key, seen := range s.Seen {
			if seen.mayHold(p.CreatedAt) {
				c.keys = append(c.keys, key)
			}
		}
		if full {
			c.undone++
		}
		if c.net == nil {
			c.net = make(config.Amounts)
		}
		c.net[p.Currency] += p.net()
		c.total += p.Total
		c.kept += p.Total - undone
	}
	return charges
}

// periodOf is the last period that had begun by then, allowing for clocks and
// steps that differ by a moment; the first one for what is older than all.
func periodOf(periods []cycle, at time.Time) int {
	last := 0
	for i, p := range periods {
		if !p.Start.After(at.Add(startsTogether)) {
			last = i
		}
	}
	return last
}

// defaultGrace is how long a past_due subscription keeps its access where Dodo
// does not say; Dodo's own default (FACTS 3.4).
const defaultGrace = 3 * 24 * time.Hour

// renewal is the access that the subscription gives by its newest state
// (FACTS 3.6). It is false for one that never gave any.
func (s Subscription) renewal(termsOf TermsOf, periods []cycle, charges []charge, short []shortfall) (Renewal, bool) {
	t, known := termsOf(s.State.ProductID, s.State.PeriodStart)
	if !known || t.Plan == "" {
		return Renewal{}, false
	}
	r := Renewal{Plan: t.Plan, Until: s.State.PeriodEnd}
	switch s.State.Status {
	case SubscriptionActive:
		r.Status, r.Access = PlanActive, true
		if s.State.TrialDays > 0 {
			r.TrialUntil = s.State.trialEnd()
		}
	case SubscriptionPastDue:
		r.Status, r.Access = PlanPastDue, true
		r.Until = s.State.PeriodEnd.Add(defaultGrace)
		if s.GraceEndsAt.After(s.State.PeriodEnd) { // else it was an earlier one's
			r.Until = s.GraceEndsAt
		}
	case SubscriptionCancelled:
		r.Status, r.Access = PlanCancelled, s.State.CancelAtEnd
	case SubscriptionOnHold:
		r.Status = PlanOnHold
	case SubscriptionPaused:
		r.Status = PlanPaused
	case SubscriptionExpired, SubscriptionFailed:
		r.Status = PlanExpired
	default:
		return Renewal{}, false
	}
	if end := s.State.ExpiresAt; !end.IsZero() && end.Before(r.Until) {
		r.Until = end
	}
	if len(periods) > 0 {
		now := periodOf(periods, s.State.PeriodStart)
		if charges[now].void() || falls(short, now, s.State.ProductID) {
			r.Access = false
		}
	}
	return r, true
}

// maxTrial is the longest trial that Dodo knows, in days (FACTS 2.1).
const maxTrial = 10000
