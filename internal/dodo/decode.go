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

// ErrUnclear is for an event that is authentic by its signature and is about money, but cannot
// be understood. It must be kept for a human and not be refused: Dodo would only send it
// again.
var ErrUnclear = errors.New("cannot be understood")

const (
	maxQuantity = 1<<31 - 1 // int32 in SPEC
	maxID       = 128       // bytes of one of Dodo's ids
	maxEmail    = 320       // bytes, RFC 5321: 64 + "@" + 255
)

// Decode reads the body of a verified webhook. It returns [ErrMalformed] if the body is not
// one unambiguous JSON object. It returns [ErrUnclear], and the readable part of the event
// without a fact, if the effect is unclear. The errors name fields, never values.
func Decode(body []byte) (Event, error) {
	env, _ := envelopePool.Get().(*envelope)
	defer func() {
		*env = envelope{}
		envelopePool.Put(env)
	}()
	if err := parse(body, env); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	in := scopeOf(body)
	e := Event{BusinessID: env.BusinessID.get(in), Timestamp: env.Timestamp.get(in)}
	in.unclear = fault{} // these two fields are not essential
	if e.Type = env.Type.get(in); !isEventType(e.Type) {
		e.Type = ""
		in.refuse("type", "is missing or no event type")
	}
	if !KnownType(e.Type) { // includes a missing or invalid type
		return e, in.err()
	}
	var fact Fact
	switch kind, _, _ := strings.Cut(e.Type, "."); kind {
	case "payment":
		d, in := env.payload(in, "Payment")
		fact = readPayment(d, in, e.Type, e.Timestamp)
	case "refund":
		d, in := env.payload(in, "Refund")
		fact = readRefund(d, in, e.Type)
	case "dispute":
		d, in := env.payload(in, "Dispute")
		fact = readDispute(d, in, e.Type)
	case "subscription":
		if e.Timestamp.IsZero() { // needed to order two bodies
			in.refuse("timestamp", "is missing or no timestamp")
		}
		d, in := env.payload(in, "Subscription")
		fact = readSubscription(d, in, e.Type, e.Timestamp)
	case "entitlement_grant":
		if d, in := env.Data.getLenient(in); !isFeature(&d.listItem, in) {
			return e, in.err()
		}
		d, in := env.payload(in, "EntitlementGrant")
		fact = readFeature(&d.listItem, in, e.Type, e.Timestamp)
	default: // no effect, whatever its data are
		return e, in.err()
	}
	if err := in.err(); err != nil {
		return e, err
	}
	fact.Business = cmp.Or(e.BusinessID, fact.Business)
	e.Fact = &fact
	return e, nil
}

var envelopePool = sync.Pool{New: func() any { return new(envelope) }}

// isEventType reports whether s looks like an event type: words joined by dots.
func isEventType(s string) bool {
	return isWord(strings.ReplaceAll(s, ".", "_"), 64) && s[0] != '.'
}

// payload is the envelope's data, checked against the kind of object that it names.
func (env *envelope) payload(in scope, kind string) (*details, scope) {
	if !env.Data.isSet(in) {
		in.refuse("data", "is missing")
	}
	data, of := env.Data.get(in)
	if t := data.PayloadType.get(of); t != "" && !strings.EqualFold(t, kind) {
		of.refuse("payload_type", "does not fit the event's type")
	}
	return data, of
}

// readPayment reads a payment object (FACTS 2.5). eventType and happenedAt come from the
// envelope and replace a missing status or creation time; an API read has neither.
func readPayment(d *details, in scope, eventType string, happenedAt time.Time) Fact {
	hint := in.lenient()
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
	if p.Status == "" { // briefly null (FAQ Q53)
		p.Status = paymentStatusOf[eventType]
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = happenedAt
	}
	if p.CreatedAt.IsZero() { // credits and plans run from that time
		in.refuse("created_at", "is missing")
	}
	clues := readClues(&d.listItem, in)
	clues.SessionID = d.SessionID.get(in)
	clues.SubscriptionID = p.Subscription
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(&d.listItem, in), Payment: p}, Clues: clues, Business: d.BusinessID.get(hint)}
}

func paymentRef(d *listItem, in scope) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: requiredID(&d.PaymentID, in, "payment_id")}
}

var paymentStatusOf = map[string]entitlement.PaymentStatus{
	"payment.succeeded":  entitlement.PaymentSucceeded,
	"payment.failed":     entitlement.PaymentFailed,
	"payment.cancelled":  entitlement.PaymentCancelled,
	"payment.processing": entitlement.PaymentProcessing,
}

// subscriptionOf is the subscription that a payment belongs to. A payment for several
// subscriptions at once has no subscription_id (FACTS 2.5, newer than 1.113.0); then it is the
// first one, which is enough to know that the charge belongs to a subscription.
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
		cart[i] = entitlement.Line{ProductID: requiredID(&item.ProductID, in, "product_id"), Quantity: item.Quantity.get(in)}
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
			in.refuse("refund_id", "appears twice")
		}
		refunds[id] = refund
	}
	return refunds
}

// readOneRefund reads a refund object, or an item of a payment's refunds, which has the same
// fields (FACTS 2.5, 2.9). A missing amount is 0.
func readOneRefund(c *refundOrDispute, in scope) (id string, r entitlement.Refund) {
	r.Status = entitlement.RefundStatus(c.Status.get(in))
	r.Currency = c.Currency.get(in)
	r.Amount = c.Amount.get(in)
	r.CreatedAt = c.CreatedAt.get(in.lenient())
	if partial, present := c.IsPartial.lookup(in); present {
		r.Full = !partial
	}
	return requiredID(&c.RefundID, in, "refund_id"), r
}

// readRefund turns a refund object into a fact about its payment with only that refund. A
// refund has metadata of its own, not the payment's (FACTS 2.9), so it is no clue.
func readRefund(d *details, in scope, eventType string) Fact {
	id, refund := readOneRefund(&d.refundOrDispute, in)
	if refund.Status == "" {
		refund.Status = refundStatusOf[eventType]
	}
	if refund.Status == entitlement.RefundSucceeded && !refund.Full && refund.Amount == 0 {
		in.refuse("amount", "is missing")
	}
	p := entitlement.Payment{Refunds: map[string]entitlement.Refund{id: refund}}
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(&d.listItem, in), Payment: p}, Clues: readCustomer(&d.listItem, in)}
}

var refundStatusOf = map[string]entitlement.RefundStatus{
	"refund.succeeded": entitlement.RefundSucceeded,
	"refund.failed":    entitlement.RefundFailed,
}

func readCustomer(d *listItem, in scope) Clues {
	customer, in := d.Customer.getLenient(in)
	return Clues{CustomerID: customer.CustomerID.get(in), CustomerEmail: customer.Email.get(in)}
}

func readClues(d *listItem, in scope) Clues {
	clues := readCustomer(d, in)
	clues.Metadata = d.Metadata.get(in)
	return clues
}
