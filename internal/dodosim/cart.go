package dodosim

import "math"

const (
	maxCartLines = 20 // FACTS 2.1
	maxCodes     = 20 // FACTS 2.1
	fullDiscount = 10_000
)

// cartItem is a line as payments show it.
type cartItem struct {
	ProductID string `json:"product_id"`
	Quantity  int32  `json:"quantity"`

	credits []creditOverride
	addons  []addonRequestItem
}

// line is one product of the cart: what it costs, and how much was refunded. Equal products
// share a line, because refunds name a line by its product (FACTS 2.9).
type line struct {
	id       string // in payments
	product  Product
	quantity int64
	full     int64 // before discounts
	paid     int64 // after them; all lines together make the payment's total
	refunded int64

	trial bool // a paid trial, to which codes do not apply
	addon bool // the product is an add-on of the subscription
}

// bill is the cart with prices, in minor units of one currency.
type bill struct {
	currency        string
	subtotal, total int64
	lines           []line
	codes           []*coupon
	cuts            []int64 // what each code took off
}

// price makes the bill of a cart of known products, as paid at the checkout.
func (s *Simulator) price(cart []cartItem, codes []*coupon, terms terms) (bill, *Error) {
	b := bill{codes: codes}
	for _, item := range cart {
		product, refusal := s.findProduct(item.ProductID)
		if refusal != nil {
			return bill{}, refusal
		}
		if product, refusal = s.overrideCredits(product, item.credits); refusal != nil {
			return bill{}, refusal
		}
		if product.Archived {
			return bill{}, refuse(codeProductDeleted, "product %s is archived", product.ID)
		}
		if b.currency == "" {
			b.currency = product.Currency
		}
		if product.Currency != b.currency {
			return bill{}, refuse(codeUnsupportedMoney, "the simulator converts no currency: %s and %s are in one cart", b.currency, product.Currency)
		}
		amount := terms.first(product) * int64(item.Quantity)
		b.subtotal += amount
		b.add(product, int64(item.Quantity), amount)
		addons, refusal := s.addonLines(item.addons, product)
		if refusal != nil {
			return bill{}, refusal
		}
		b.attach(addons, terms.trial(product) > 0 || terms.OnDemand != nil)
		if b.subtotal < 0 || b.subtotal > math.MaxInt32 { // amounts are int32 (FACTS 1.8)
			return bill{}, refuse(codeIntegerConversion, "the total of the cart is too large")
		}
	}
	for i := range b.lines {
		b.lines[i].trial = terms.trial(b.lines[i].product) > 0
	}
	if refusal := s.checkRecurring(&b, terms); refusal != nil {
		return bill{}, refusal
	}
	if refusal := b.checkCodes(); refusal != nil {
		return bill{}, refusal
	}
	b.discount()
	return b, nil
}

// discount applies the codes in order, each to the remaining price of the lines that it
// covers. Fractions of a minor unit stay with the merchant: UNCONFIRMED.
func (b *bill) discount() {
	for i := range b.lines {
		b.lines[i].paid = b.lines[i].full
	}
	b.total, b.cuts = b.subtotal, nil
	for _, code := range b.codes {
		cut := b.applyCode(code)
		b.total -= cut
		b.cuts = append(b.cuts, cut)
	}
}

// applyCode takes a code's share off the lines that it covers, in proportion to their price;
// the remainder of rounding goes to the first lines, one minor unit each.
func (b *bill) applyCode(code *coupon) int64 {
	base := b.covered(code)
	off := code.off(base, b.currency)
	if base == 0 {
		return 0
	}
	rest := base - off
	before := make([]int64, len(b.lines))
	for i := range b.lines {
		if l := &b.lines[i]; code.lowers(*l) {
			before[i] = l.paid
			l.paid = l.paid * (base - off) / base
			rest -= l.paid
		}
	}
	for i := range b.lines {
		if l := &b.lines[i]; rest > 0 && l.paid < before[i] {
			l.paid++
			rest--
		}
	}
	return off
}

// covered is the current price of the lines that a code covers.
func (b *bill) covered(code *coupon) int64 {
	var base int64
	for _, l := range b.lines {
		if code.lowers(l) {
			base += l.paid
		}
	}
	return base
}

// recurring finds the line that makes the cart a subscription.
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
		if !b.lines[i].addon && b.lines[i].product.ID == product.ID {
			b.lines[i].quantity += quantity
			b.lines[i].full += amount
			return
		}
	}
	b.lines = append(b.lines, line{product: product, quantity: quantity, full: amount})
}
