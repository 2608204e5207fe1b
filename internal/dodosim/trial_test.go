package dodosim_test

import (
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// taster sells a trial for 150, and then a month for 1000.
func taster(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{
			ID: "pdt_taste", Price: 1000, Currency: "USD", Every: monthly, TrialDays: 7, TrialPrice: 150,
		})
	})
}

// A paid trial is charged at once, and its price is not the cycle's.
func TestPaidTrial(t *testing.T) {
	shop := taster(t)
	price := shop.ask("GET", "/products/pdt_taste", "")["price"].(map[string]any)
	if price["trial_amount"] != 150.0 || price["trial_period_days"] != 7.0 {
		t.Error(price)
	}
	cart := strings.Replace(cartOf("pdt_taste"), `"quantity":1}]`, `"quantity":2}],"discount_codes":["HALF"]`, 1)
	preview := shop.ask("POST", "/checkouts/preview", cart)
	if preview["total_price"] != 300.0 || preview["trial_amount"] != 300.0 || preview["recurring_breakup"].(map[string]any)["total_amount"] != 1000.0 {
		t.Error(preview)
	}
	paid := shop.pay(shop.checkout(cart))
	if got := shop.news(); got != "subscription.active payment.succeeded subscription.updated" {
		t.Error(got)
	}
	sub := shop.ask("GET", "/subscriptions/"+paid.SubscriptionID, "")
	if sub["trial_amount"] != 300.0 || sub["recurring_pre_tax_amount"] != 1000.0 || sub["next_billing_date"] != "2030-03-08T12:00:00Z" {
		t.Error(sub)
	}
	shop.sim.Advance(7 * day)
	if got := shop.news(); got != "payment.succeeded subscription.renewed subscription.updated" {
		t.Error(got)
	}
	var totals []any
	for _, p := range shop.payments(paid.SubscriptionID) {
		totals = append(totals, p["total_amount"])
	}
	if len(totals) != 2 || totals[0] != 300.0 || totals[1] != 1000.0 {
		t.Error(totals)
	}
	shop.flush()
}

// A session without the trial, or with another length of it.
func TestPaidTrialBySession(t *testing.T) {
	for name, test := range map[string]struct {
		days  string
		total float64
		next  string
	}{
		"none":   {"0", 1000, "2030-04-01T12:00:00Z"},
		"longer": {"30", 150, "2030-03-31T12:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			shop := taster(t)
			cart := strings.Replace(cartOf("pdt_taste"), "{", `{"subscription_data":{"trial_period_days":`+test.days+`},`, 1)
			paid := shop.pay(shop.checkout(cart))
			sub := shop.ask("GET", "/subscriptions/"+paid.SubscriptionID, "")
			if got := shop.payment(paid.PaymentID)["total_amount"]; got != test.total || sub["next_billing_date"] != test.next {
				t.Error(got, sub)
			}
		})
	}
}

func TestTrialPriceIsChecked(t *testing.T) {
	for name, product := range map[string]dodosim.Product{
		"sold once": {TrialPrice: 1}, "no trial": {Every: monthly, TrialPrice: 1}, "negative": {Every: monthly, TrialDays: 1, TrialPrice: -1},
	} {
		o := options()
		product.ID, product.Currency = "pdt_this", "USD"
		o.Products = append(o.Products, product)
		if _, err := dodosim.New(o); err == nil {
			t.Error("accepted:", name)
		}
	}
}
