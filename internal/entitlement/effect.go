package entitlement

import (
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"strconv"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/ledger"
)

// ErrUnknownProduct means that a cart names a product that has no terms.
var ErrUnknownProduct = errors.New("product is not in the catalog")

// Terms are what one piece of a product gives. They are frozen into an object when it is first
// applied (or earlier, into its order), so that a change of the catalog never changes what
// somebody has already bought.
type Terms struct {
	Credits       int64         `json:"credits,omitempty"`        // per piece
	CreditsExpire time.Duration `json:"credits_expire,omitempty"` // after the payment; 0: never, or with the period of a subscription
	CreditsStay   bool          `json:"credits_stay,omitempty"`   // credits never expire, not even those of a subscription
	// CreditsMonthly: the credits are given for each paid month. They expire with it unless
	// the other fields say otherwise.
	CreditsMonthly bool          `json:"credits_monthly,omitempty"`
	Plan           string        `json:"plan,omitempty"`
	Lasts          time.Duration `json:"lasts,omitempty"` // how long one piece gives the plan; 0: no end
	Feature        string        `json:"feature,omitempty"`
	Seats          int64         `json:"seats,omitempty"`     // per piece
	OnCharge       config.Rates  `json:"on_charge,omitempty"` // credits of an on-demand charge, by currency
	// MinAmount is the least that one piece must bring, see [Payment.Underpaid]. It protects
	// the operator and is not part of what the customer was promised: while it is not met, a
	// newer amount replaces it ([Record.Fold]).
	MinAmount config.Amounts `json:"min_amount,omitempty"`
}

// givesSomething reports whether a purchase on these terms gives anything.
func (t Terms) givesSomething() bool {
	return t.Credits > 0 || t.Plan != "" || t.Feature != "" || t.Seats > 0
}

// Equal reports whether both terms give the same.
func (t Terms) Equal(u Terms) bool { return reflect.DeepEqual(t, u) }

// Pass is access to a plan from one purchase. Passes of the same plan run one after the other,
// in the order of their payments, see [Account.Snapshot].
type Pass struct {
	Plan   string        `json:"plan"`
	PaidAt time.Time     `json:"paid_at"`
	Lasts  time.Duration `json:"lasts,omitempty"` // 0: no end
}

// Standing is what an object contributes to an account besides credits. The zero value
// contributes nothing.
type Standing struct {
	// Paid: this object makes has_paid true by itself, because it bought something other than
	// a plan.
	Paid bool `json:"paid,omitempty"`
	// PaidAt is when the payment in force was made; zero for none.
	PaidAt time.Time `json:"paid_at,omitzero"`
	Passes []Pass    `json:"passes,omitempty"`
	// Renewal is the access that a subscription gives; nil for other objects.
	Renewal *Renewal `json:"renewal,omitempty"`
	// Freshness of a subscription; nil if nothing is left to ask Dodo, and for other objects.
	Freshness *Freshness `json:"next,omitempty"`
	// Feature is the name of the feature that was delivered; else empty.
	Feature string `json:"feature,omitempty"`
	// Seats of one-time purchases. Those of a subscription are in Renewal.
	Seats int64 `json:"seats,omitempty"`
}

// IsZero reports whether the object contributes nothing.
func (s Standing) IsZero() bool {
	return !s.Paid && s.PaidAt.IsZero() && len(s.Passes) == 0 && s.Renewal == nil && s.Freshness == nil && s.Feature == "" && s.Seats == 0
}

// Effect is everything that an object contributes to its account.
type Effect struct {
	Grants   []ledger.Target
	Standing Standing
	// successors maps a former grant ID to its current ID. A grant is named differently when
	// less is known of its subscription.
	successors map[string]string
}

// Effect is what the payment with the given id gives under terms (by Dodo product id). It is a
// pure function, independent of the order in which facts arrived. Grants lists every cart line
// that ever gave credits, with amount 0 if it gives none now.
//
// A payment that is [Payment.Underpaid] gives nothing.
//
// A cart line without terms is left out and reported as [ErrUnknownProduct]; the other lines
// still count. An amount beyond 2^53-1 is [ledger.ErrRange], and the effect is empty.
func (p Payment) Effect(id string, terms map[string]Terms, policy config.DisputePolicy) (Effect, error) {
	if p.Status != PaymentSucceeded || p.Subscription != "" {
		return Effect{}, nil
	}
	if p.Underpaid(terms, policy) {
		return Effect{}, nil
	}
	undone, full := p.reversed(policy)
	var (
		e       Effect
		unknown error
	)
	for i, line := range p.Cart {
		t, ok := terms[line.ProductID]
		if !ok {
			unknown = fmt.Errorf("cart line %d: %w", i, ErrUnknownProduct)
			continue
		}
		if t.Credits > 0 {
			targets, err := p.grants(id, i, t, undone, full)
			if err != nil {
				return Effect{}, fmt.Errorf("cart line %d: %w", i, err)
			}
			e.Grants = append(e.Grants, targets...)
		}
		if !full {
			e.Standing.addLine(p.CreatedAt, t, line.Quantity)
		}
	}
	return e, unknown
}

// grants are credits × quantity, at once or monthly, less the reversed share, rounded down.
func (p Payment) grants(id string, line int, t Terms, undone int64, full bool) ([]ledger.Target, error) {
	quantity := p.Cart[line].Quantity
	if quantity < 0 || t.Credits > ledger.Max/max(quantity, 1) {
		return nil, ledger.ErrRange
	}
	given, all := make(schedule), t.Credits*quantity
	if t.CreditsMonthly {
		var err error
		if given, all, err = t.monthly(p.CreatedAt, quantity); err != nil {
			return nil, err
		}
	} else {
		var expire time.Time
		if t.CreditsExpire > 0 {
			expire = p.CreatedAt.Add(t.CreditsExpire)
		}
		given.add(0, p.CreatedAt, expire, all)
	}
	switch {
	case full:
		all = 0
	case undone > 0:
		all = share(all, p.Total-undone, p.Total)
	}
	return given.targets(Ref{KindPayment, id}.String()+"/"+strconv.Itoa(line), all), nil
}

// share is floor(amount × part / whole) for 0 <= part <= whole, whole > 0. It uses 128 bits
// so that the product cannot overflow.
func share(amount, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(q)
}

// addLine counts one cart line of a payment in force. Several pieces of a plan on one line are
// one pass that lasts as long as all of them.
func (s *Standing) addLine(paidAt time.Time, t Terms, quantity int64) {
	if quantity <= 0 {
		return
	}
	s.PaidAt = paidAt
	s.Seats = addCapped(s.Seats, timesQuantity(t.Seats, quantity))
	if t.Plan == "" {
		s.Paid = true
		return
	}
	s.Passes = append(s.Passes, Pass{Plan: t.Plan, PaidAt: paidAt, Lasts: multiplyCapped(t.Lasts, quantity)})
}

// addCapped is a + b, at most [ledger.Max]. Both are at least 0.
func addCapped(a, b int64) int64 { return min(a, ledger.Max) + min(b, ledger.Max-min(a, ledger.Max)) }

// multiplyCapped is d × n, at most the longest duration (about 292 years).
func multiplyCapped(d time.Duration, n int64) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	if d > 0 && n > int64(longest/d) {
		return longest
	}
	return d * time.Duration(n)
}
