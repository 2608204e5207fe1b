package dodo

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// ErrUnclear says of an event: authentic, as far as Dodo's signature goes, but about
// money in a way that cannot be understood. To be kept and looked at by a human, not to
// be refused: Dodo would only send it again.
var ErrUnclear = errors.New("cannot be understood")

const (
	maxQuantity = 1<<31 - 1 // int32 in SPEC
	maxID       = 128       // bytes of one of Dodo's ids
	maxEmail    = 320       // bytes, RFC 5321: 64 + "@" + 255
)

// Decode reads the body of a verified webhook. It returns [ErrMalformed] for
// what is not one unambiguous JSON object, and [ErrUnclear], with as much of the
// event as was understood but without a fact, for one whose effect cannot be
// told. The errors name fields, never values.
func Decode(body []byte) (Event, error) {
	said, _ := spareEnvelopes.Get().(*envelope)
	defer func() {
		*said = envelope{}
		spareEnvelopes.Put(said)
	}()
	if err := parse(body, said); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	in := within(body)
	e := Event{BusinessID: said.BusinessID.get(in), Timestamp: said.Timestamp.get(in)}
	in.unclear = fault{} // little is lost without these two
	if e.Type = said.Type.get(in); !isEventType(e.Type) {
		e.Type = ""
		in.refuse("type", "is missing or no event type")
	}
	if !KnownType(e.Type) { // nor does what is no type at all say what the rest means
		return e, in.err()
	}
	var fact Fact
	switch kind, _, _ := strings.Cut(e.Type, "."); kind {
	case "payment":
		d, in := said.payload(in, "Payment")
		fact = readPayment(d, in, e.Type, e.Timestamp)
	case "refund":
		d, in := said.payload(in, "Refund")
		fact = readRefund(d, in, e.Type)
	case "dispute":
		d, in := said.payload(in, "Dispute")
		fact = readDispute(d, in, e.Type)
	case "subscription":
		if e.Timestamp.IsZero() { // nothing else says which of two bodies is newer
			in.refuse("timestamp", "is missing or no timestamp")
		}
		d, in := said.payload(in, "Subscription")
		fact = readSubscription(d, in, e.Type, e.Timestamp)
	case "entitlement_grant":
		if d, in := said.Data.hint(in); !isFeature(&d.listed, in) {
			return e, in.err()
		}
		d, in := said.payload(in, "EntitlementGrant")
		fact = readFeature(&d.listed, in, e.Type, e.Timestamp)
	default: // without an effect, whatever its data are
		return e, in.err()
	}
	if err := in.err(); err != nil {
		return e, err
	}
	fact.Business = cmp.Or(e.BusinessID, fact.Business)
	e.Fact = &fact
	return e, nil
}

var spareEnvelopes = sync.Pool{New: func() any { return new(envelope) }}

// isEventType is what a type may look like: words joined by dots.
func isEventType(s string) bool {
	return isWord(strings.ReplaceAll(s, ".", "_"), 64) && s[0] != '.'
}

// payload is the envelope's data, which says itself what kind of object it is.
func (said *envelope) payload(in scope, kind string) (*details, scope) {
	if !said.Data.is(in) {
		in.refuse("data", "is missing")
	}
	data, of := said.Data.get(in)
	if t := data.PayloadType.get(of); t != "" && !strings.EqualFold(t, kind) {
		of.refuse("payload_type", "does not fit the event's type")
	}
	return data, of
}

// readPayment reads a payment object (FACTS 2.5). eventType and happenedAt come
// from the envelope and fill in for a missing status or creation time; a read by
// API has neither.
func readPayment(d *details, in scope, eventType string, happenedAt time.Time) Fact {
	hint := in.hint()
	p := entitlement.Payment{
		Status:        entitlement.PaymentStatus(d.Status.get(in)),
		Total:         d.Total.get(in),
		Tax:           d.Tax.get(hint),
		Currency:      d.Currency.get(in),
		Cart:          readCart(d, in),
		Subscription:  subscriptionOf(d, in),
		CreatedAt:     d.CreatedAt.get(in),
		RefundedFully: d.RefundStatus.get(in) == "full",
		Refunds:       readRefunds(d, in),
		Disputes:      readDisputes(d, in),
	}
	if method := d.MethodOnly.get(hint); p.Total == 0 {
		p.MethodOnly = method
	}
	if p.Status == "" { // null for a moment (FAQ Q53)
		p.Status = paymentStatusOf[eventType]
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = happenedAt
	}
	if p.CreatedAt.IsZero() { // credits and plans run from then on
		in.refuse("created_at", "is missing")
	}
	clues := readClues(&d.listed, in)
	clues.SessionID = d.SessionID.get(in)
	clues.SubscriptionID = p.Subscription
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(&d.listed, in), Payment: p}, Clues: clues, Business: d.BusinessID.get(hint)}
}

func paymentRef(d *listed, in scope) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: want(&d.PaymentID, in, "payment_id")}
}

var paymentStatusOf = map[string]entitlement.PaymentStatus{
	"payment.succeeded":  entitlement.PaymentSucceeded,
	"payment.failed":     entitlement.PaymentFailed,
	"payment.cancelled":  entitlement.PaymentCancelled,
	"payment.processing": entitlement.PaymentProcessing,
}

// subscriptionOf also knows the payments for several subscriptions at once,
// which name none in subscription_id (FACTS 2.5, newer than 1.113.0). One is
// enough to tell that the charge belongs to a subscription.
func subscriptionOf(d *details, in scope) string {
	one, several := d.SubscriptionID.get(in), d.SubscriptionIDs.get(in)
	if one != "" || len(several) == 0 {
		return one
	}
	first := several[0].value
	if !isWord(first, maxID) {
		in.refuse("subscription_ids", "has no id in it")
	}
	return first
}

func readCart(d *details, in scope) []entitlement.Line {
	items := d.Cart.get(in)
	if len(items) == 0 {
		return nil
	}
	cart := make([]entitlement.Line, len(items))
	for i := range items {
		item, in := items[i].get(in)
		cart[i] = entitlement.Line{ProductID: want(&item.ProductID, in, "product_id"), Quantity: item.Quantity.get(in)}
		if cart[i].Quantity == 0 {
			in.refuse("quantity", "is missing")
		}
	}
	return cart
}

func readRefunds(d *details, in scope) map[string]entitlement.Refund {
	items := d.Refunds.get(in)
	if len(items) == 0 {
		return nil
	}
	refunds := make(map[string]entitlement.Refund, len(items))
	for i := range items {
		item, in := items[i].get(in)
		id, refund := readOneRefund(item, in)
		if _, ok := refunds[id]; ok {
			in.refuse("refund_id", "is there twice")
		}
		refunds[id] = refund
	}
	return refunds
}

// readOneRefund reads a refund object, or an item of a payment's refunds, which
// has the same fields (FACTS 2.5, 2.9). The amount may be absent: 0.
func readOneRefund(c *change, in scope) (id string, r entitlement.Refund) {
	r.Status = entitlement.RefundStatus(c.Status.get(in))
	r.Currency = c.Currency.get(in)
	r.Amount = c.Amount.get(in)
	if partial, said := c.IsPartial.look(in); said {
		r.Full = !partial
	}
	return want(&c.RefundID, in, "refund_id"), r
}

// readRefund makes a refund object a fact about its payment that says nothing
// but that. A refund's metadata is its own and not the payment's (FACTS 2.9), so
// it is no clue.
func readRefund(d *details, in scope, eventType string) Fact {
	id, refund := readOneRefund(&d.change, in)
	if refund.Status == "" {
		refund.Status = refundStatusOf[eventType]
	}
	if refund.Status == entitlement.RefundSucceeded && !refund.Full && refund.Amount == 0 {
		in.refuse("amount", "is missing")
	}
	p := entitlement.Payment{Refunds: map[string]entitlement.Refund{id: refund}}
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(&d.listed, in), Payment: p}, Clues: readCustomer(&d.listed, in)}
}

var refundStatusOf = map[string]entitlement.RefundStatus{
	"refund.succeeded": entitlement.RefundSucceeded,
	"refund.failed":    entitlement.RefundFailed,
}

func readCustomer(d *listed, in scope) Clues {
	customer, in := d.Customer.hint(in)
	return Clues{CustomerID: customer.CustomerID.get(in), CustomerEmail: customer.Email.get(in)}
}

func readClues(d *listed, in scope) Clues {
	clues := readCustomer(d, in)
	clues.Metadata = d.Metadata.get(in)
	return clues
}
