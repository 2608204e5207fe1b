package entitlement

import (
	"slices"
	"strings"
	"time"

	"github.com/dodogate/dodogate/config"
)

// Sale is what one payment counts for in the statistics of its day. No entitlement follows from it.
type Sale struct {
	// Product is Dodo's id. Of a cart with several products it is all their ids, with " + "
	// between them, because Dodo does not say what each of them cost.
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
	Currency string `json:"currency"` // ISO 4217
	Total    int64  `json:"total"`    // minor units, tax included
	// Refunded is how much of Total was given back, or taken by a dispute that was lost.
	Refunded int64 `json:"refunded,omitempty"`
}

// Sales are the payments that a record knows to have succeeded, by Dodo's payment id, each with
// its time. ref names the object.
func (r Record) Sales(ref Ref) map[string]DatedSale {
	sales := make(map[string]DatedSale)
	if ref.Kind == KindPayment && r.Payment.Subscription == "" {
		if s, is := r.Payment.sale(); is && len(r.Payment.Cart) > 0 {
			sales[ref.ID] = s
		}
	}
	for id, p := range r.Subscription.Charges {
		s, is := p.sale()
		if s.Product, s.Quantity = r.Subscription.productAt(p.CreatedAt), 1; is && s.Product != "" {
			sales[id] = s
		}
	}
	return sales
}

// DatedSale is a sale and when it was made.
type DatedSale struct {
	Sale
	At time.Time // UTC
}

// sale is what the payment counts for; false if nobody has paid, or nobody knows when.
func (p Payment) sale() (DatedSale, bool) {
	s := DatedSale{At: p.CreatedAt, Sale: Sale{Currency: p.Currency, Total: p.Total}}
	var products []string
	for _, line := range p.Cart {
		products = append(products, line.ProductID)
		s.Quantity += line.Quantity
	}
	slices.Sort(products)
	s.Product = strings.Join(slices.Compact(products), " + ")
	s.Refunded, _ = p.reversed(config.DisputeIgnore)
	return s, p.pays() && !p.CreatedAt.IsZero()
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
