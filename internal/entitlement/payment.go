package entitlement

import (
	"cmp"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
)

// PaymentStatus is the status of a payment as Dodo writes it, in lower case.
// The set is open: Dodo adds values without notice (FACTS 2.5).
type PaymentStatus string

// The payment statuses that are final in practice (FACTS 2.5, FAQ Q53), and the
// one that says that work is under way.
const (
	PaymentSucceeded  PaymentStatus = "succeeded"
	PaymentFailed     PaymentStatus = "failed"
	PaymentCancelled  PaymentStatus = "cancelled"
	PaymentProcessing PaymentStatus = "processing"
)

// rank orders statuses by how final they are. Money that arrived stays arrived,
// whatever is said about the attempts before it.
func (s PaymentStatus) rank() int {
	switch s {
	case "":
		return 0
	case PaymentProcessing:
		return 2
	case PaymentCancelled:
		return 3
	case PaymentFailed:
		return 4
	case PaymentSucceeded:
		return 5
	default: // requires_…, partially_captured…, and what is not known yet
		return 1
	}
}

// Line is one line of a payment's cart.
type Line struct {
	ProductID string `json:"product_id"` // Dodo's id
	Quantity  int64  `json:"quantity"`
}

// RefundStatus is the status of a refund as Dodo writes it, in lower case.
type RefundStatus string

// The refund statuses (FACTS 3.6).
const (
	RefundPending   RefundStatus = "pending"
	RefundReview    RefundStatus = "review"
	RefundFailed    RefundStatus = "failed"
	RefundSucceeded RefundStatus = "succeeded"
)

func (s RefundStatus) rank() int {
	switch s {
	case RefundPending:
		return 2
	case RefundReview:
		return 3
	case RefundFailed:
		return 4
	case RefundSucceeded:
		return 5
	case "":
		return 0
	default:
		return 1
	}
}

// Refund is one refund of a payment.
type Refund struct {
	Status   RefundStatus `json:"status"`
	Amount   int64        `json:"amount,omitempty"`   // minor units of Currency; 0 when Dodo did not say
	Currency string       `json:"currency,omitempty"` // ISO 4217; empty when Dodo did not say
	Full     bool         `json:"full,omitempty"`     // is_partial was false
}

// Payment is what is known about one payment: everything, or as little as that
// one refund of it was made. The zero value knows nothing.
type Payment struct {
	Status       PaymentStatus `json:"status,omitempty"`
	Total        int64         `json:"total,omitempty"`        // minor units, tax included
	Tax          int64         `json:"tax,omitempty"`          // minor units, a part of Total; 0 when Dodo did not say
	Currency     string        `json:"currency,omitempty"`     // ISO 4217
	Cart         []Line        `json:"cart,omitempty"`         // empty for a subscription's charge (FAQ Q54)
	Subscription string        `json:"subscription,omitempty"` // set when the charge belongs to one
	CreatedAt    time.Time     `json:"created_at,omitzero"`    // UTC
	// MethodOnly: it was of nothing, and made only to change a payment method. It
	// pays for nothing.
	MethodOnly bool              `json:"method_only,omitempty"`
	Refunds    map[string]Refund `json:"refunds,omitempty"` // by Dodo's refund id
	// Disputes by Dodo's dispute id, the furthest status of each.
	Disputes map[string]DisputeStatus `json:"disputes,omitempty"`
	// RefundedFully is set once the payment itself says refund_status "full",
	// which it does also where its list of refunds is cut short.
	RefundedFully bool `json:"refunded_fully,omitempty"`
}

// Merge joins two states of knowledge about the same payment. It is
// commutative, associative and idempotent: refunds merge one by one, and of the
// payment's own fields the side that knows more wins as a whole, by an order
// that does not depend on which came first.
func (p Payment) Merge(q Payment) Payment {
	m := p
	if p.compare(q) < 0 {
		m = q
	}
	m.RefundedFully = p.RefundedFully || q.RefundedFully
	m.Refunds = unite(p.Refunds, q.Refunds, Refund.merge)
	m.Disputes = unite(p.Disputes, q.Disputes, DisputeStatus.merge)
	return m
}

// compare is a total order of the fields that describe the payment itself. The
// further status and the side that names a cart come last; what follows only
// breaks ties, so that a merge never depends on arrival.
func (p Payment) compare(q Payment) int {
	return cmp.Or(
		cmp.Compare(p.Status.rank(), q.Status.rank()),
		cmp.Compare(len(p.Cart), len(q.Cart)),
		cmp.Compare(p.Subscription, q.Subscription),
		cmp.Compare(p.Total, q.Total),
		cmp.Compare(p.Currency, q.Currency),
		p.CreatedAt.Compare(q.CreatedAt),
		slices.CompareFunc(p.Cart, q.Cart, compareLines),
		cmp.Compare(p.Status, q.Status),
		cmp.Compare(flag(p.MethodOnly), flag(q.MethodOnly)),
		cmp.Compare(p.Tax, q.Tax),
	)
}

// flag orders false before true.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareLines(a, b Line) int {
	return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.Quantity, b.Quantity))
}

func (r Refund) merge(s Refund) Refund {
	if r.compare(s) < 0 {
		return s
	}
	return r
}

func (r Refund) compare(s Refund) int {
	return cmp.Or(
		cmp.Compare(r.Status.rank(), s.Status.rank()),
		cmp.Compare(r.Amount, s.Amount),
		cmp.Compare(flag(r.Full), flag(s.Full)),
		cmp.Compare(r.Currency, s.Currency),
		cmp.Compare(r.Status, s.Status),
	)
}

// undone is how much of the payment does not count any more: what was refunded,
// and all of it by a dispute that takes it.
func (p Payment) undone(policy config.DisputePolicy) (amount int64, full bool) {
	for _, d := range p.Disputes {
		if d.takes(policy) {
			return p.Total, true
		}
	}
	return p.Refunded()
}

// Refunded is how much of the payment was given back, in its own minor units:
// between 0 and Total, and Total whenever the refund was full. Refunds that are
// [Payment.Incomparable] do not count.
func (p Payment) Refunded() (amount int64, full bool) {
	if p.RefundedFully {
		return p.Total, true
	}
	for _, r := range p.Refunds {
		if r.Status != RefundSucceeded {
			continue
		}
		if r.Full {
			return p.Total, true
		}
		if !p.Incomparable(r) {
			amount += min(r.Amount, p.Total-amount)
		}
	}
	return amount, amount > 0 && amount == p.Total
}

// Incomparable reports whether it cannot be told how much of the payment a refund
// gave back: it is a partial one in another currency, and amounts are comparable
// within one currency alone (FACTS 6, pitfall 14).
func (p Payment) Incomparable(r Refund) bool {
	return r.Status == RefundSucceeded && !r.Full && r.Currency != "" && p.Currency != "" && r.Currency != p.Currency
}
