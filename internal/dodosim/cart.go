package dodosim

import (
	"math"
	"strings"
	"time"
)

const (
	maxCartLines = 20 // FACTS 2.1
	maxCodes     = 20 // FACTS 2.1
	fullDiscount = 10_000
)

// cartItem is a line as payments show it.
type cartItem struct {
	ProductID string `json:"product_id"`
	Quantity  int32  `json:"quantity"`
}

// line is what one product of the cart costs, and what of it came back. Lines of the
// same product are one, because refunds name a line by its product (FACTS 2.9).
type line struct {
	product  Product
	quantity int64
	full     int64 // before discounts
	paid     int64 // after them; all lines together make the payment's total
	refunded int64
}

// bill is the cart with prices, in minor units of one currency.
type bill struct {
	currency        string
	subtotal, total int64
	lines           []line
	codes           []Discount
}

// price makes the bill of a cart of known products, as it is paid at the checkout.
func (s *Simulator) price(cart []cartItem, codes []Discount, terms terms) (bill, *Error) {
	b := bill{codes: codes}
	for _, item := range cart {
		product, refusal := s.findProduct(item.ProductID)
		if refusal != nil {
			return bill{}, refusal
		}
		if b.currency == "" {
			b.currency = product.Currency
		}
		if product.Currency != b.currency {
			return bill{}, refuse(codeUnsupportedMoney, "the simulator converts no currency: %s and %s are in one cart", b.currency, product.Currency)
		}
		amount := terms.first(product) * int64(item.Quantity)
		b.subtotal += amount
		if b.subtotal > math.MaxInt32 { // amounts are int32 (FACTS 1.8)
			return bill{}, refuse(codeIntegerConversion, "the total of the cart is too large")
		}
		b.add(product, int64(item.Quantity), amount)
	}
	if refusal := b.checkRecurring(terms); refusal != nil {
		return bill{}, refusal
	}
	b.discount()
	return b, nil
}

// discount applies the codes in order, each on what the one before it left. Parts of a
// minor unit stay with the merchant: UNCONFIRMED.
func (b *bill) discount() {
	b.total = b.subtotal
	for _, code := range b.codes {
		b.total -= b.total * int64(code.BasisPoints) / fullDiscount
	}
	b.spread()
}

// recurring finds the line that makes a subscription of the cart.
func (b *bill) recurring() (line, bool) {
	for _, l := range b.lines {
		if l.product.recurring() {
			return l, true
		}
	}
	return line{}, false
}

func (b *bill) add(product Product, quantity, amount int64) {
	for i := range b.lines {
		if b.lines[i].product.ID == product.ID {
			b.lines[i].quantity += quantity
			b.lines[i].full += amount
			return
		}
	}
	b.lines = append(b.lines, line{product: product, quantity: quantity, full: amount})
}

// spread shares the discounted total among the lines by their prices; what rounding
// leaves goes to the first lines, one minor unit each.
func (b *bill) spread() {
	rest := b.total
	for i := range b.lines {
		if b.subtotal > 0 {
			b.lines[i].paid = b.lines[i].full * b.total / b.subtotal
		}
		rest -= b.lines[i].paid
	}
	for i := range b.lines {
		if rest > 0 && b.lines[i].paid < b.lines[i].full {
			b.lines[i].paid++
			rest--
		}
	}
}

// findDiscounts looks the codes up, without regard to case. A code twice is refused:
// UNCONFIRMED.
func (s *Simulator) findDiscounts(codes []string) ([]Discount, *Error) {
	if len(codes) > maxCodes {
		return nil, refuse(codeInvalidParameters, "at most %d discount codes are allowed", maxCodes)
	}
	var found []Discount
	for _, code := range codes {
		discount, ok := s.discount(code)
		if !ok {
			return nil, refuse(codeInvalidDiscount, "there is no such discount code")
		}
		for _, before := range found {
			if before.Code == discount.Code {
				return nil, refuse(codeInvalidDiscount, "discount code %s is already applied", discount.Code)
			}
		}
		found = append(found, discount)
	}
	return found, nil
}

func (s *Simulator) discount(code string) (Discount, bool) {
	code = strings.ToUpper(strings.TrimSpace(code))
	for _, d := range s.options.Discounts {
		if d.Code == code {
			return d, true
		}
	}
	return Discount{}, false
}

// discountDetail is an entry of payment.discounts.
type discountDetail struct {
	Position             int       `json:"position"`
	DiscountID           string    `json:"discount_id"`
	BusinessID           string    `json:"business_id"`
	Type                 string    `json:"type"`
	Code                 string    `json:"code"`
	Amount               int       `json:"amount"`
	TimesUsed            int       `json:"times_used"`
	RestrictedTo         []string  `json:"restricted_to"`
	CreatedAt            time.Time `json:"created_at"`
	PreserveOnPlanChange bool      `json:"preserve_on_plan_change"`
	Metadata             metadata  `json:"metadata"`
}

// details describes the codes as a payment shows them; null when there are none, as in
// the published samples. The caller holds s.mu.
func (s *Simulator) details(codes []Discount) []discountDetail {
	var details []discountDetail
	for i, d := range codes {
		details = append(details, discountDetail{
			Position:     i,
			DiscountID:   s.discountIDs[d.Code],
			BusinessID:   s.business,
			Type:         "percentage",
			Code:         d.Code,
			Amount:       d.BasisPoints,
			TimesUsed:    s.discountUses[d.Code],
			RestrictedTo: []string{},
			CreatedAt:    s.started,
			Metadata:     metadata{},
		})
	}
	return details
}
