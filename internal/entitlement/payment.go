package entitlement

import (
	"cmp"
	"slices"
	"time"

	"github.com/dodogate/dodogate/config"
)

// PaymentStatus is the status of a payment as Dodo writes it, in lower case. Dodo adds values
// without notice (FACTS 2.5).
type PaymentStatus string

// The payment statuses that are final in practice (FACTS 2.5, FAQ Q53), and processing.
const (
	PaymentSucceeded  PaymentStatus = "succeeded"
	PaymentFailed     PaymentStatus = "failed"
	PaymentCancelled  PaymentStatus = "cancelled"
	PaymentProcessing PaymentStatus = "processing"
)

// rank orders statuses by how final they are. A success is never withdrawn by reports about
// earlier attempts.
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
	default: // requires_…, partially_captured…, and values that Dodo may add
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
	Amount   int64        `json:"amount,omitempty"`   // minor units of Currency; 0 if unknown
	Currency string       `json:"currency,omitempty"` // ISO 4217; empty if unknown
	Full     bool         `json:"full,omitempty"`     // is_partial was false
	// CreatedAt is when it was made, UTC; zero if unknown. Only statistics depend on it.
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// Payment is what is known about one payment: everything, or only that it has a refund. The
// zero value means that nothing is known.
type Payment struct {
	Status       PaymentStatus `json:"status,omitempty"`
	Total        int64         `json:"total,omitempty"`        // minor units, tax included
	Tax          int64         `json:"tax,omitempty"`          // minor units, a part of Total; 0 if unknown
	Currency     string        `json:"currency,omitempty"`     // ISO 4217
	Cart         []Line        `json:"cart,omitempty"`         // empty for a subscription's charge (FAQ Q54)
	Subscription string        `json:"subscription,omitempty"` // set when the charge belongs to one
	CreatedAt    time.Time     `json:"created_at,omitzero"`    // UTC
	// MethodOnly: it was for an amount of 0, made only to change a payment method. It pays for
	// nothing.
	MethodOnly bool              `json:"method_only,omitempty"`
	Refunds    map[string]Refund `json:"refunds,omitempty"` // by Dodo's refund id
	// Disputes has the most final status of each dispute, by Dodo's dispute id.
	Disputes map[string]DisputeStatus `json:"disputes,omitempty"`
	// RefundedFully is set once the payment itself has refund_status "full". Dodo says so even
	// if its list of refunds is truncated.
	RefundedFully bool `json:"refunded_fully,omitempty"`
}

// Merge combines two reports about the same payment. It is commutative, associative and
// idempotent. Refunds merge one by one. The payment's own fields are all taken from the side
// that knows more, by an order that does not depend on arrival.
func (p Payment) Merge(q Payment) Payment {
	m := p
	if p.compare(q) < 0 {
		m = q
	}
	m.RefundedFully = p.RefundedFully || q.RefundedFully
	m.Refunds = mergeMaps(p.Refunds, q.Refunds, Refund.merge)
	m.Disputes = mergeMaps(p.Disputes, q.Disputes, DisputeStatus.merge)
	return m
}

// compare is a total order of the fields that describe the payment itself. The more final
// status and the side with a cart win; the other fields only break ties, so that a merge never
// depends on the order of arrival.
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
		cmp.Compare(boolRank(p.MethodOnly), boolRank(q.MethodOnly)),
		cmp.Compare(p.Tax, q.Tax),
	)
}

// boolRank orders false before true.
func boolRank(b bool) int {
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
		cmp.Compare(boolRank(r.Full), boolRank(s.Full)),
		cmp.Compare(r.Currency, s.Currency),
		r.CreatedAt.Compare(s.CreatedAt),
		cmp.Compare(r.Status, s.Status),
	)
}

// reversed is how much of the payment no longer counts: the refunded amount, or all of it if a
// dispute takes it.
func (p Payment) reversed(policy config.DisputePolicy) (amount int64, full bool) {
	for _, d := range p.Disputes {
		if d.takesMoney(policy) {
			return p.Total, true
		}
	}
	return p.Refunded()
}

// Refunded is the amount that was given back, in the payment's minor units: between 0 and
// Total, and Total if any refund was full. It ignores refunds that are [Payment.Incomparable].
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

// Incomparable reports whether it is unknown how much of the payment a refund gave back: a
// partial refund in another currency. Amounts are comparable only within one currency (FACTS
// 6, pitfall 14).
func (p Payment) Incomparable(r Refund) bool {
	return r.Status == RefundSucceeded && !r.Full && r.Currency != "" && p.Currency != "" && r.Currency != p.Currency
}
