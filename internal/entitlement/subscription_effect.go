package entitlement

import (
	"fmt"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Renewal is access that a subscription gives.
type Renewal struct {
	Plan   string     `json:"plan"` // the product's; empty if it gives none
	Status PlanStatus `json:"status"`
	// Access until Until; without Access, Until is when it would have ended.
	Access bool      `json:"access,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Renews: Dodo goes on with it after Until, as far as is known.
	Renews bool `json:"renews,omitempty"`
	// TrialUntil: before it the plan is trialing rather than active.
	TrialUntil time.Time `json:"trial_until,omitzero"`
	// Plans that add-ons give besides Plan; Features and Seats that product and add-ons
	// give: all for as long as there is access.
	Plans    []string `json:"plans,omitempty"`
	Features []string `json:"features,omitempty"`
	Seats    int64    `json:"seats,omitempty"`
}

// gives is a renewal of what is subscribed to by its newest state, without its times; false
// for nothing. A plan is named once.
func (s SubscriptionState) gives(termsOf TermsOf) (Renewal, bool) {
	product, _ := termsOf(s.ProductID, s.PeriodStart)
	r := Renewal{Plan: product.Plan, Seats: pieces(product.Seats, s.Quantity)}
	for id, quantity := range s.Addons.All() {
		t, _ := termsOf(id, s.PeriodStart)
		r.Seats = plus(r.Seats, pieces(t.Seats, quantity))
		if t.Plan != "" && t.Plan != r.Plan && !slices.Contains(r.Plans, t.Plan) {
			r.Plans = append(r.Plans, t.Plan)
		}
		if t.Feature != "" && !slices.Contains(r.Features, t.Feature) {
			r.Features = append(r.Features, t.Feature)
		}
	}
	return r, r.Plan != "" || len(r.Plans) > 0 || len(r.Features) > 0 || r.Seats > 0
}

// TermsOf says what a product gives, by Dodo's id, in the period of a subscription
// that begins at start, or by a payment, when start is zero.
type TermsOf func(productID string, start time.Time) (Terms, bool)

// Effect is what the subscription with the given id gives: for every cycle that
// was paid the product's credits, and access to the plan by its status. A pure
// function, the same for every order in which the facts behind it arrived.
//
// The law of its credits: a cycle gives what its money buys.
//
//   - A cycle begins with the first charge, a trial or a renewal, and with a charge of the
//     whole price in the middle of another one. Other changes of plan are part of the cycle
//     that they are made in, wherever Dodo moves the billing dates.
//   - It gives the credits of the choice (product and quantity) that it began with. If that
//     was only seen later, and the charge is smaller than its price, it gives the share of
//     them that the charge pays for.
//   - Each further charge adds its amount before tax to the price of the first choice. The
//     sum buys the most expensive choice that a charge was made for: all its credits for its
//     price, or the same share of both. What is left of the sum buys credits at the rate of
//     the choice that gives the fewest for its price. Later charges never lower what earlier
//     ones have bought.
//   - A charge that cannot be compared with prices (there is a discount, or another currency)
//     buys the choice that it was made for, once.
//   - A change without a charge gives the plan, and no credits before the next renewal.
//   - A charge that was given back in full buys nothing. If a part was, the cycle gives the
//     share of its credits that is still paid for.
//
// Charges on demand give credits of their own, see [Subscription.payOnDemand]. Add-ons are a
// part of the choice: their credits come with those of the product.
//
// A product that gives its credits monthly gives them for each month of the cycle, see
// [gift.grants], and the law counts all of them.
//
// A product that brought too little in a period gives nothing in it, see
// [Record.Underpaid]. A product without terms gives nothing and is reported by [ErrUnknownProduct],
// beside the effect of the others; an amount beyond 2^53-1 is [ledger.ErrRange]
// and no effect at all.
func (s Subscription) Effect(id string, termsOf TermsOf, policy config.DisputePolicy) (Effect, error) {
	var (
		e       = Effect{heirs: make(map[string]string)}
		unknown error
		cycles  = s.cycles()
		charges = s.chargesOf(cycles, policy)
		short   = s.shortfalls(cycles, charges, termsOf)
	)
	stops := s.stops()
	for i, c := range cycles {
		paid := false
		for _, o := range c.offers {
			t, ok := termsOf(o.ProductID, o.since)
			if !ok {
				unknown = fmt.Errorf("period of %s: %w", c.Start.Format(time.DateOnly), ErrUnknownProduct)
			}
			counts := ok && !falls(short, i, o.ProductID)
			paid = paid || counts
			if counts && t.Plan == "" && !charges[i].void() {
				e.Standing.Paid = true
			}
		}
		g, err := s.gives(c, s.priced(termsOf, func(product string) bool { return falls(short, i, product) }), policy)
		if err != nil {
			return Effect{}, err
		}
		if g.credits > 0 {
			e.grant(id, c, g.grants(charges[i], sooner(stops, superseded(cycles, charges, i))), charges[i].keys)
		}
		if paid && !charges[i].void() && c.Start.After(e.Standing.PaidAt) {
			e.Standing.PaidAt = c.Start
		}
	}
	if err := s.payOnDemand(&e, id, termsOf, policy); err != nil {
		return Effect{}, err
	}
	if _, ok := termsOf(s.State.ProductID, s.State.PeriodStart); !ok && s.State.Status == SubscriptionActive && len(s.Periods) > 0 {
		unknown = fmt.Errorf("what is subscribed to now: %w", ErrUnknownProduct)
	}
	if r, ok := s.renewal(termsOf, cycles, charges, short); ok {
		e.Standing.Renewal = &r
	}
	e.Standing.Next = s.next()
	return e, unknown
}

// grant adds what a cycle gives in its months. Whatever their grants were called when less
// was known, by one of the keys or by a period that is part of it now, go on as these.
func (e *Effect) grant(id string, c cycle, months []ledger.Target, keys []string) {
	name := func(key string) string { return Ref{KindSubscription, id}.String() + "/" + key }
	for _, g := range months {
		number := g.ID // so far
		g.ID = name(periodKey(c.Start) + number)
		e.Grants = append(e.Grants, g)
		for _, key := range slices.Concat(c.keys, keys) {
			e.heirs[name(key+number)] = g.ID
		}
	}
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

// chargesOf says for each cycle which money is behind it. What was paid for a change and
// given back in full buys nothing, and takes nothing from what the others bought.
func (s Subscription) chargesOf(cycles []cycle, policy config.DisputePolicy) []charge {
	charges := make([]charge, len(cycles))
	for i, cycle := range cycles {
		c := &charges[i]
		for n, id := range cycle.charges {
			p := s.Charges[id]
			undone, full := p.undone(policy)
			c.paid++
			c.keys = append(c.keys, periodKey(p.CreatedAt))
			for key, seen := range s.Seen {
				if seen.mayHold(p.CreatedAt) {
					c.keys = append(c.keys, key)
				}
			}
			if c.net == nil {
				c.net = make(config.Amounts)
			}
			c.net[p.Currency] += p.net()
			if full {
				c.undone++
			}
			if full && n > 0 {
				continue
			}
			c.total += p.Total
			c.kept += p.Total - undone
		}
	}
	return charges
}

// endWith takes back access beyond an instant; zero takes all of it.
func (r *Renewal) endWith(end time.Time) {
	if end.IsZero() {
		r.Access = false
	} else if end.Before(r.Until) {
		r.Until, r.Renews = end, false
	}
}

// stillPaid is until when access is paid for by an earlier cycle that had not ended when
// the given one took its place, which was given back in full; zero if there is none.
func stillPaid(cycles []cycle, charges []charge, now int) time.Time {
	for i := now - 1; i >= 0; i-- {
		if !charges[i].void() && cycles[i].End.After(cycles[now].Start.Add(startsTogether)) {
			return cycles[i].End
		}
	}
	return time.Time{}
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
	r, gives := s.State.gives(termsOf)
	if !gives {
		return Renewal{}, false
	}
	r.Until = s.State.PeriodEnd
	switch s.State.Status {
	case SubscriptionActive:
		r.Status, r.Access, r.Renews = PlanActive, true, !s.State.CancelAtEnd
		if r.Renews {
			r.Until = s.whileProcessing(r.Until)
		}
		if s.State.TrialDays > 0 {
			r.TrialUntil = s.State.trialEnd()
		}
	case SubscriptionPastDue:
		r.Status, r.Access = PlanPastDue, true
		r.Until = s.pastDueUntil()
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
	if end := s.State.ExpiresAt; !end.IsZero() && !end.After(r.Until) {
		r.Until, r.Renews = end, false
	}
	if len(periods) > 0 {
		now := periodOf(periods, s.State.PeriodStart)
		if charges[now].void() {
			r.endWith(stillPaid(periods, charges, now))
		}
		if falls(short, now, s.State.ProductID) {
			r.Access = false
		}
	}
	return r, true
}

// pastDueUntil is when the access of a subscription ends that is past due.
func (s Subscription) pastDueUntil() time.Time {
	if s.GraceEndsAt.After(s.State.PeriodEnd) { // else it was an earlier one's
		return s.GraceEndsAt
	}
	return s.State.PeriodEnd.Add(defaultGrace)
}

// processingTakes is how long a plan outlives its period while the charge for the next one
// is being processed. Indian cards and UPI take 48 hours, at times 51 (FACTS 3.4); a charge
// that is forgotten must not give access for ever.
const processingTakes = 7 * 24 * time.Hour

// whileProcessing is until when an active subscription gives access whose period ends then
// and whose next charge may be under way. Its dates may have moved already, or move when
// the money is there.
func (s Subscription) whileProcessing(end time.Time) time.Time {
	until := end
	for _, p := range s.Charges {
		if p.Status != PaymentProcessing {
			continue
		}
		limit := p.CreatedAt.Add(processingTakes)
		switch {
		case !p.CreatedAt.Before(end.Add(-checkoutTakes)):
			if limit.After(until) {
				until = limit
			}
		case s.unfinished(s.State.period()) && limit.Before(until):
			until = limit
		}
	}
	return until
}

// maxTrial is the longest trial that Dodo knows, in days (FACTS 2.1).
const maxTrial = 10000
