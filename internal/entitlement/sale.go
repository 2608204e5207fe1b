package entitlement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dodogate/dodogate/config"
)

// Sale is what one payment or one refund counts for in the statistics of its day. No entitlement
// follows from it.
type Sale struct {
	// Product is Dodo's id. Of a cart with several products it is all their ids, with " + "
	// between them, because Dodo does not say what each of them cost.
	Product  string `json:"product"`
	Quantity int64  `json:"quantity,omitempty"`
	Currency string `json:"currency"`        // ISO 4217
	Total    int64  `json:"total,omitempty"` // minor units, tax included
	// Refunded is the amount of the refund. Of a payment it is what else was given back: by a
	// dispute that was lost, or by a refund whose day is unknown.
	Refunded int64 `json:"refunded,omitempty"`
	// Payment is Dodo's id of the payment that was refunded; empty for a payment.
	Payment string `json:"payment,omitempty"`
}

// DatedSale is a sale and when it was made.
type DatedSale struct {
	Sale
	At time.Time // UTC
}

// Sales are the payments that a record knows to have succeeded and their refunds, by Dodo's ids.
// ref names the object. They depend on the merged state only, not on the order of its facts.
func (r Record) Sales(ref Ref) map[string]DatedSale {
	sales := make(map[string]DatedSale)
	if ref.Kind == KindPayment && r.Payment.Subscription == "" {
		products, quantity := r.Payment.bought()
		r.Payment.addSales(sales, ref.ID, products, quantity)
	}
	for id, p := range r.Subscription.Charges {
		p.addSales(sales, id, r.Subscription.productAt(p.CreatedAt), 1)
	}
	return sales
}

// maxNamed is how many products of a cart are named.
const maxNamed = 8

// bought are the ids of the products in the cart, and how many pieces there are.
func (p Payment) bought() (ids string, quantity int64) {
	var all []string
	for _, line := range p.Cart {
		all = append(all, line.ProductID)
		quantity += line.Quantity
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if n := len(all) - maxNamed; n > 0 {
		all = append(all[:maxNamed:maxNamed], fmt.Sprintf("%d more", n))
	}
	return strings.Join(all, " + "), quantity
}

// addSales adds the payment and its refunds, unless nobody has paid, or the time or the product is
// unknown. All refunds together are never more than what was given back.
func (p Payment) addSales(sales map[string]DatedSale, id, product string, quantity int64) {
	if !p.pays() || p.CreatedAt.IsZero() || product == "" {
		return
	}
	left, _ := p.reversed(config.DisputeIgnore)
	for _, refund := range p.datedRefunds() {
		r := p.Refunds[refund]
		amount := left
		if !r.Full {
			amount = min(left, r.Amount)
		}
		left -= amount
		sales[refund] = DatedSale{At: r.CreatedAt, Sale: Sale{Product: product, Currency: p.Currency, Refunded: amount, Payment: id}}
	}
	sales[id] = DatedSale{At: p.CreatedAt, Sale: Sale{
		Product: product, Quantity: quantity, Currency: p.Currency, Total: p.Total, Refunded: left,
	}}
}

// datedRefunds are the refunds that gave money back and whose time is known, the oldest first.
func (p Payment) datedRefunds() (ids []string) {
	for id, r := range p.Refunds {
		if r.Status == RefundSucceeded && !r.CreatedAt.IsZero() && !p.Incomparable(r) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(p.Refunds[a].CreatedAt.Compare(p.Refunds[b].CreatedAt), cmp.Compare(a, b))
	})
	return ids
}

// productAt is the product that was subscribed to at a time, by Dodo's id: that of the period
// which contains the time, if that had only one; else the newest.
func (s Subscription) productAt(at time.Time) string {
	var in Period
	for _, p := range s.Periods {
		if p.contains(at) && p.Start.After(in.Start) {
			in = p
		}
	}
	if len(in.Bought) == 1 {
		for product := range in.Bought {
			return product
		}
	}
	return s.State.ProductID
}
