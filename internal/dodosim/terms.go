package dodosim

import (
	"fmt"
	"math"
)

// terms are a checkout's changes of its recurring product (subscription_data of FACTS 2.1).
type terms struct {
	TrialDays *int           `json:"trial_period_days"`
	OnDemand  *onDemandTerms `json:"on_demand"`
}

// onDemandTerms make a subscription that is charged when the merchant requests it, not by the
// calendar.
type onDemandTerms struct {
	MandateOnly     *bool   `json:"mandate_only"`
	ProductPrice    *int64  `json:"product_price"`
	ProductCurrency *string `json:"product_currency"`
}

func (t terms) check() *Error {
	if t.TrialDays != nil && (*t.TrialDays < 0 || *t.TrialDays > maxTrialDays) {
		return refuse(codeInvalidParameters, "trial_period_days must be between 0 and %d", maxTrialDays)
	}
	switch d := t.OnDemand; {
	case d == nil:
		return nil
	case d.MandateOnly == nil:
		return refuse(codeInvalidBody, "on_demand needs mandate_only")
	case d.ProductPrice != nil && (*d.ProductPrice < 0 || *d.ProductPrice > math.MaxInt32):
		return refuse(codeInvalidParameters, "product_price must be between 0 and %d", math.MaxInt32)
	}
	return nil
}

// trial is the number of days before a product's first charge. An on-demand subscription has
// no calendar, and so no trial: UNCONFIRMED.
func (t terms) trial(p Product) int {
	switch {
	case !p.recurring() || t.OnDemand != nil:
		return 0
	case t.TrialDays != nil:
		return *t.TrialDays
	}
	return p.TrialDays
}

// first is the price of one piece at the checkout.
func (t terms) first(p Product) int64 {
	switch {
	case t.trial(p) > 0:
		return int64(p.TrialPrice)
	case !p.recurring() || t.OnDemand == nil:
		return int64(p.Price)
	case *t.OnDemand.MandateOnly:
		return 0
	case t.OnDemand.ProductPrice != nil:
		return *t.OnDemand.ProductPrice
	}
	return int64(p.Price)
}

// checkRecurring refuses carts that cannot become a subscription. Several subscriptions in one
// payment are newer than the published API description (FACTS 2.5). The price of a cycle must
// be in range even if the checkout charges less. More than one piece is refused unless an
// option allows it: Dodo is reported to refuse it.
func (s *Simulator) checkRecurring(b *bill, t terms) *Error {
	count, pieces, cycle := 0, int64(0), int64(0)
	for _, l := range b.lines {
		if l.product.recurring() {
			count++
			pieces = max(pieces, l.quantity)
		}
		if l.product.recurring() || l.addon {
			cycle = addPrice(cycle, l)
		}
	}
	fits := cycle <= math.MaxInt32
	switch {
	case count > 1:
		return refuse(codeUnsupportedAction, "the simulator plays one subscription per checkout")
	case pieces > 1 && !s.options.SubscriptionQuantities:
		return refuse(codeInvalidQuantity, "the quantity of a subscription must be 1, unless the option subscription_quantities is on")
	case !fits:
		return refuse(codeIntegerConversion, "the recurring amount is too large")
	case count == 0 && t.OnDemand != nil:
		return refuse(codeInvalidParameters, "on_demand needs a recurring product in the cart")
	case t.OnDemand != nil && t.OnDemand.ProductCurrency != nil && *t.OnDemand.ProductCurrency != b.currency:
		return refuse(codeUnsupportedMoney, "the simulator converts no currency: the cart is in %s", b.currency)
	}
	return nil
}

// addPrice adds the price of a line in each cycle, up to the largest amount.
func addPrice(sum int64, l line) int64 {
	if l.quantity > math.MaxInt32 {
		return math.MaxInt32 + 1
	}
	return min(sum+int64(l.product.Price)*l.quantity, math.MaxInt32+1)
}

// sentence tells a customer what happens after the checkout.
func (t terms) sentence(l line) string {
	switch {
	case l.addon && t.OnDemand == nil:
		return money(int64(l.product.Price)*l.quantity, l.product.Currency) + " in each billing cycle"
	case !l.product.recurring():
		return ""
	}
	if t.OnDemand != nil {
		return "Later charges on demand"
	}
	price, every := money(int64(l.product.Price)*l.quantity, l.product.Currency), l.product.Every.each()
	switch days := t.trial(l.product); {
	case days > 0 && l.product.TrialPrice > 0:
		trial := money(int64(l.product.TrialPrice)*l.quantity, l.product.Currency)
		return fmt.Sprintf("%d days for %s, then %s %s", days, trial, price, every)
	case days > 0:
		return fmt.Sprintf("%d days free, then %s %s", days, price, every)
	case len(l.product.Meters) > 0:
		return fmt.Sprintf("%s %s, and what you use", price, every)
	}
	return price + " " + every
}
