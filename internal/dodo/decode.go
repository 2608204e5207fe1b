package dodo

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// ErrUnclear says of an event: authentic, as far as Dodo's signature goes, but about
// money in a way that cannot be understood. To be kept and looked at by a human, not to
// be refused: Dodo would only send it again.
var ErrUnclear = errors.New("cannot be understood")

const (
	maxLines    = 1000      // of a cart; Dodo sells at most 100 (SPEC) in one payment
	maxRefunds  = 1000      // of one payment
	maxDisputes = 1000      // of one payment
	maxQuantity = 1<<31 - 1 // int32 in SPEC
	maxID       = 128       // bytes of one of Dodo's ids
	maxEmail    = 320       // bytes, RFC 5321: 64 + "@" + 255
)

// The limits of metadata (FACTS 4).
const (
	maxPairs = 50
	maxKey   = 40
	maxValue = 500 // characters
)

// Decode reads the body of a verified webhook. It returns [ErrMalformed] for
// what is not one unambiguous JSON object, and [ErrUnclear], with as much of the
// event as was understood but without a fact, for one whose effect cannot be
// told. The errors name fields, never values.
func Decode(body []byte) (Event, error) {
	doc, giveBack, err := borrow(body)
	defer giveBack()
	if err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var bad faults
	envelope := fields{doc: doc, faults: &bad}
	e := Event{BusinessID: envelope.id("business_id"), Timestamp: envelope.time("timestamp")}
	bad.unclear = nil // little is lost without these two
	if e.Type = envelope.text("type"); !isEventType(e.Type) {
		e.Type = ""
		envelope.refuse("type", "is missing or no event type")
	}
	if !KnownType(e.Type) { // nor does what is no type at all say what the rest means
		return e, bad.err()
	}
	var fact Fact
	switch kind, _, _ := strings.Cut(e.Type, "."); kind {
	case "payment":
		fact = readPayment(envelope.payload("Payment"), e.Type, e.Timestamp)
	case "refund":
		fact = readRefund(envelope.payload("Refund"), e.Type)
	case "dispute":
		fact = readDispute(envelope.payload("Dispute"), e.Type)
	case "subscription":
		if e.Timestamp.IsZero() { // nothing else says which of two bodies is newer
			envelope.refuse("timestamp", "is missing or no timestamp")
		}
		fact = readSubscription(envelope.payload("Subscription"), e.Type, e.Timestamp)
	case "entitlement_grant":
		if !isFeature(envelope.hints("data")) {
			return e, bad.err()
		}
		fact = readFeature(envelope.payload("EntitlementGrant"), e.Type, e.Timestamp)
	default: // without an effect, whatever its data are
		return e, bad.err()
	}
	if err := bad.err(); err != nil {
		return e, err
	}
	fact.Business = cmp.Or(e.BusinessID, fact.Business)
	e.Fact = &fact
	return e, nil
}

// isEventType is what a type may look like: words joined by dots.
func isEventType(s string) bool {
	return isWord(strings.ReplaceAll(s, ".", "_"), 64) && s[0] != '.'
}

// payload is the envelope's data, which says itself what kind of object it is.
func (f fields) payload(kind string) fields {
	if f.raw("data") == nil {
		f.refuse("data", "is missing")
	}
	data := f.object("data")
	if t := data.text("payload_type"); t != "" && !strings.EqualFold(t, kind) {
		data.refuse("payload_type", "does not fit the event's type")
	}
	return data
}

// readPayment reads a payment object (FACTS 2.5). eventType and happenedAt come
// from the envelope and fill in for a missing status or creation time; a read by
// API has neither.
func readPayment(data fields, eventType string, happenedAt time.Time) Fact {
	p := entitlement.Payment{
		Status:        entitlement.PaymentStatus(data.word("status")),
		Currency:      data.currency(),
		Cart:          readCart(data),
		Subscription:  subscriptionOf(data),
		CreatedAt:     data.time("created_at"),
		RefundedFully: data.word("refund_status") == "full",
		Refunds:       readRefunds(data),
		Disputes:      readDisputes(data),
	}
	p.Total, _ = data.whole("total_amount")
	p.Tax, _ = data.asHint().whole("tax")
	if method, _ := data.asHint().flag("is_update_payment_method"); p.Total == 0 {
		p.MethodOnly = method
	}
	if p.Status == "" { // null for a moment (FAQ Q53)
		p.Status = paymentStatusOf[eventType]
	}
	if p.CreatedAt.IsZero() {
		p.CreatedAt = happenedAt
	}
	if p.CreatedAt.IsZero() { // credits and plans run from then on
		data.refuse("created_at", "is missing")
	}
	clues := readCustomer(data)
	clues.Metadata = readMetadata(data.hints("metadata"))
	clues.SessionID = data.id("checkout_session_id")
	clues.SubscriptionID = p.Subscription
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(data), Payment: p}, Clues: clues, Business: data.asHint().id("business_id")}
}

func paymentRef(data fields) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindPayment, ID: data.wantID("payment_id")}
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
func subscriptionOf(data fields) string {
	one, several := data.id("subscription_id"), data.items("subscription_ids", maxLines)
	if one != "" || len(several) == 0 {
		return one
	}
	first, _ := scalar(data.doc.raw(several[0].at))
	if !isWord(first, maxID) {
		data.refuse("subscription_ids", "has no id in it")
	}
	return first
}

func readCart(data fields) []entitlement.Line {
	var cart []entitlement.Line
	for _, item := range data.list("product_cart", maxLines) {
		line := entitlement.Line{ProductID: item.wantID("product_id"), Quantity: item.quantity()}
		if line.Quantity == 0 {
			item.refuse("quantity", "is missing")
		}
		cart = append(cart, line)
	}
	return cart
}

// quantity is how many pieces of a product; 0 when that is absent or null.
func (f fields) quantity() int64 {
	const name = "quantity"
	n, said := f.whole(name)
	if said && (n < 1 || n > maxQuantity) {
		f.refuse(name, "is not a quantity")
		return 0
	}
	return n
}

func readRefunds(data fields) map[string]entitlement.Refund {
	items := data.list("refunds", maxRefunds)
	if len(items) == 0 {
		return nil
	}
	refunds := make(map[string]entitlement.Refund, len(items))
	for _, item := range items {
		id, refund := readOneRefund(item)
		if _, ok := refunds[id]; ok {
			item.refuse("refund_id", "is there twice")
		}
		refunds[id] = refund
	}
	return refunds
}

// readOneRefund reads a refund object, or an item of a payment's refunds, which
// has the same fields (FACTS 2.5, 2.9). The amount may be absent: 0.
func readOneRefund(data fields) (id string, r entitlement.Refund) {
	r.Status = entitlement.RefundStatus(data.word("status"))
	r.Currency = data.currency()
	r.Amount, _ = data.whole("amount")
	if partial, said := data.flag("is_partial"); said {
		r.Full = !partial
	}
	return data.wantID("refund_id"), r
}

// readRefund makes a refund object a fact about its payment that says nothing
// but that. A refund's metadata is its own and not the payment's (FACTS 2.9), so
// it is no clue.
func readRefund(data fields, eventType string) Fact {
	id, refund := readOneRefund(data)
	if refund.Status == "" {
		refund.Status = refundStatusOf[eventType]
	}
	if refund.Status == entitlement.RefundSucceeded && !refund.Full && refund.Amount == 0 {
		data.refuse("amount", "is missing")
	}
	p := entitlement.Payment{Refunds: map[string]entitlement.Refund{id: refund}}
	return Fact{Fact: entitlement.Fact{Ref: paymentRef(data), Payment: p}, Clues: readCustomer(data)}
}

var refundStatusOf = map[string]entitlement.RefundStatus{
	"refund.succeeded": entitlement.RefundSucceeded,
	"refund.failed":    entitlement.RefundFailed,
}

func readCustomer(data fields) Clues {
	customer := data.hints("customer")
	email, _ := scalar(customer.raw("email"))
	if len(email) > maxEmail {
		email = ""
	}
	return Clues{CustomerID: customer.id("customer_id"), CustomerEmail: email}
}

// metadataName is a name as text, without a copy if it is one of ours.
func metadataName(said []byte) string {
	switch string(said) {
	case keyOrder:
		return keyOrder
	case keyAccount:
		return keyAccount
	case keyProduct:
		return keyProduct
	case keyProof:
		return keyProof
	}
	return string(said)
}

// readMetadata keeps the pairs that Dodo's own rules allow (FACTS 4), numbers
// and booleans as they are written. Of more than 50, the first ones stay, and
// the order proof always does.
func readMetadata(metadata fields) map[string]string {
	if metadata.first() >= metadata.end() {
		return nil
	}
	var pairs map[string]string
	var left map[string]bool // those that are not kept, which must not be there twice either
	for i := metadata.first(); i < metadata.end(); i = metadata.doc.nodes[i].next {
		name := metadataName(metadata.doc.name(i))
		if _, kept := pairs[name]; kept || left[name] {
			metadata.ambiguous("", "names a key twice")
		}
		value, ok := scalar(metadata.doc.raw(i))
		if !ok || len(name) > maxKey || utf8.RuneCountInString(value) > maxValue || len(pairs) >= maxPairs && !isProofKey(name) {
			if left == nil {
				left = make(map[string]bool)
			}
			left[name] = true
			continue
		}
		if pairs == nil {
			pairs = make(map[string]string)
		}
		pairs[name] = value
	}
	return pairs
}
