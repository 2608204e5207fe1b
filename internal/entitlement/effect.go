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

// ErrUnknownProduct says that a cart names a product without known terms.
var ErrUnknownProduct = errors.New("product is not in the catalog")

// Terms is what buying one piece of a product gives. They are frozen into an
// object when it is first applied (or earlier, into its order), so that a later
// change of the catalog never changes what somebody already bought.
type Terms struct {
	Credits       int64         `json:"credits,omitempty"`        // per piece
	CreditsExpire time.Duration `json:"credits_expire,omitempty"` // after the payment; 0: never, and with the period of a subscription
	CreditsStay   bool          `json:"credits_stay,omitempty"`   // they never expire, those of a subscription neither
	// CreditsMonthly: they are given for each month of what is paid, and expire with it
	// unless the other fields say otherwise.
	CreditsMonthly bool          `json:"credits_monthly,omitempty"`
	Plan           string        `json:"plan,omitempty"`
	Lasts          time.Duration `json:"lasts,omitempty"` // of the plan, per piece; 0: without end
	Feature        string        `json:"feature,omitempty"`
	Seats          int64         `json:"seats,omitempty"`     // per piece
	OnCharge       config.Rates  `json:"on_charge,omitempty"` // what a charge on demand gives, by currency
	// MinAmount is the least that a piece must have brought, see [Payment.Underpaid].
	// It is the operator's guard and not part of what the customer was promised: until
	// it is met, a later one counts ([Record.Fold]).
	MinAmount config.Amounts `json:"min_amount,omitempty"`
}

// gives reports whether a purchase gives anything by these terms.
func (t Terms) gives() bool { return t.Credits > 0 || t.Plan != "" || t.Feature != "" || t.Seats > 0 }

// Equal reports whether the two give the same.
func (t Terms) Equal(u Terms) bool { return reflect.DeepEqual(t, u) }

// Pass is access to a plan that one purchase gives. Passes of one plan follow
// each other in the order of their payments, see [Account.Snapshot].
type Pass struct {
	Plan   string        `json:"plan"`
	PaidAt time.Time     `json:"paid_at"`
	Lasts  time.Duration `json:"lasts,omitempty"` // 0: without end
}

// Standing is what an object contributes to an account besides credits. The
// zero value contributes nothing.
type Standing struct {
	// Paid: the object alone makes has_paid true, because it bought something
	// that is not a plan.
	Paid bool `json:"paid,omitempty"`
	// PaidAt is when the payment in force was made; zero when none is.
	PaidAt time.Time `json:"paid_at,omitzero"`
	Passes []Pass    `json:"passes,omitempty"`
	// Renewal is the access that a subscription gives; nil for other objects.
	Renewal *Renewal `json:"renewal,omitempty"`
	// Next is what Dodo has not said of a subscription yet; nil if it has said all, and for
	// other objects.
	Next *Next `json:"next,omitempty"`
	// Feature is the name of the feature that a grant of it delivers; else empty.
	Feature string `json:"feature,omitempty"`
	// Seats that were bought once. Those of a subscription are in Renewal.
	Seats int64 `json:"seats,omitempty"`
}

// IsZero reports whether the object contributes nothing.
func (s Standing) IsZero() bool {
	return !s.Paid && s.PaidAt.IsZero() && len(s.Passes) == 0 && s.Renewal == nil && s.Next == nil && s.Feature == "" && s.Seats == 0
}

// Effect is everything that an object contributes to its account.
type Effect struct {
	Grants   []ledger.Target
	Standing Standing
	// heirs are the grants here, by other names that they may have had when less was
	// known.
	heirs map[string]string
}

// Effect is what the payment with the given id gives under terms (by Dodo
// product id): a pure function, the same for every order in which the facts
// behind it arrived. Every line of the cart that ever gave a grant is named in
// Grants, with amount 0 when it gives nothing now.
//
// A payment that is [Payment.Underpaid] gives nothing.
//
// A cart line without terms is left out and reported by [ErrUnknownProduct],
// beside the effect of the other lines; an amount beyond 2^53-1 is
// [ledger.ErrRange] and no effect at all.
func (p Payment) Effect(id string, terms map[string]Terms, policy config.DisputePolicy) (Effect, error) {
	if p.Status != PaymentSucceeded || p.Subscription != "" {
		return Effect{}, nil
	}
	if p.Underpaid(terms, policy) {
		return Effect{}, nil
	}
	undone, full := p.undone(policy)
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
			e.Standing.add(p.CreatedAt, t, line.Quantity)
		}
	}
	return e, unknown
}

// grants are credits × quantity, at once or by the month, less the share that is undone,
// rounded down.
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
		given.give(0, p.CreatedAt, expire, all)
	}
	switch {
	case full:
		all = 0
	case undone > 0:
		all = share(all, p.Total-undone, p.Total)
	}
	return given.targets(Ref{KindPayment, id}.String()+"/"+strconv.Itoa(line), all), nil
}

// share is floor(amount × part / whole) for 0 <= part <= whole, whole > 0,
// through 128 bits so that the product cannot overflow.
func share(amount, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(q)
}

// add counts one cart line of a payment in force. A line of several pieces of a
// plan is one pass that lasts as long as all of them.
func (s *Standing) add(paidAt time.Time, t Terms, quantity int64) {
	if quantity <= 0 {
		return
	}
	s.PaidAt = paidAt
	s.Seats = plus(s.Seats, pieces(t.Seats, quantity))
	if t.Plan == "" {
		s.Paid = true
		return
	}
	s.Passes = append(s.Passes, Pass{Plan: t.Plan, PaidAt: paidAt, Lasts: times(t.Lasts, quantity)})
}

// plus is a + b, held to the largest number of anything that an account has. Both are not
// negative.
func plus(a, b int64) int64 { return min(a, ledger.Max) + min(b, ledger.Max-min(a, ledger.Max)) }

// times is d × n, held to the longest duration there is (about 292 years).
func times(d time.Duration, n int64) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	if d > 0 && n > int64(longest/d) {
		return longest
	}
	return d * time.Duration(n)
}
