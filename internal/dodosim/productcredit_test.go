package dodosim_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// Products give credits: once, and with every paid cycle, but not in a trial.
func TestProductCredits(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) {
		pictures := func(amount string) []dodosim.ProductCredit {
			return []dodosim.ProductCredit{{Name: "Pictures", Unit: "picture", Amount: json.Number(amount)}}
		}
		o.Products = append(o.Products,
			dodosim.Product{ID: "pdt_ten", Price: 500, Currency: "USD", Credits: pictures("10")},
			dodosim.Product{ID: "pdt_plan", Price: 500, Currency: "USD", Every: monthly, TrialDays: 7, Credits: pictures("2.5")})
	})
	paid := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_ten","quantity":2}],"customer":` + adaJSON + `,"metadata":{"a":"b"}}`))
	if got := shop.news(); got != "payment.succeeded credit.added" {
		t.Errorf("events %s", got)
	}
	of := shop.ask("GET", "/products/pdt_ten", "")["credit_entitlements"].([]any)[0].(object)["credit_entitlement_id"]
	owner := shop.payment(paid.PaymentID)["customer"].(object)["customer_id"]
	path := fmt.Sprintf("/credit-entitlements/%v/balances/%v", of, owner)
	if got := shop.ask("GET", path+"/ledger", "")["items"].([]any)[0].(object); got["amount"] != "20" || got["reference_id"] != paid.PaymentID || got["metadata"].(object)["a"] != "b" {
		t.Errorf("entry %v", got)
	}

	id := shop.pay(shop.checkout(strings.Replace(cartOf("pdt_plan"), "{", `{"customer":`+adaJSON+`,`, 1))).SubscriptionID
	if got := shop.news(); strings.Contains(got, "credit") {
		t.Errorf("a trial gave credits: %s", got)
	}
	shop.sim.Advance(8 * day)
	if got := shop.news(); !strings.HasSuffix(got, "subscription.renewed subscription.updated credit.added") {
		t.Errorf("events %s", got)
	}
	shop.ask("POST", path+"/ledger-entries", `{"entry_type":"debit","amount":"21"}`)
	usage, err := shop.client().Subscriptions.GetCreditUsage(t.Context(), id)
	if err != nil || len(usage.Items) != 1 || usage.Items[0].Balance != "1.5" || usage.Items[0].LimitReached {
		t.Errorf("%+v, %v", usage, err)
	}
	cart := shop.ask("GET", "/subscriptions/"+id, "")["credit_entitlement_cart"].([]any)[0].(object)
	if cart["credits_amount"] != "2.5" || cart["remaining_balance"] != "1.5" {
		t.Errorf("cart %v", cart)
	}
	shop.ask("PATCH", fmt.Sprint("/credit-entitlements/", of), `{"overage_enabled":true,"overage_limit":4}`)
	shop.ask("POST", path+"/ledger-entries", `{"entry_type":"debit","amount":"5.5"}`)
	if got := shop.ask("GET", "/subscriptions/"+id+"/credit-usage", "")["items"].([]any)[0].(object); got["overage"] != "4" || got["remaining_headroom"] != "0" || got["limit_reached"] != true {
		t.Errorf("usage %v", got)
	}
	shop.sim.Advance(31 * day)
	if got := shop.items(path+"/grants", "source_type"); !slices.Equal(got, []any{"subscription", "subscription", "one_time"}) {
		t.Errorf("grants %v", got)
	}
	shop.refuses(refusal{"GET", "/subscriptions/sub_no/credit-usage", "", 404, "NOT_FOUND"})
	shop.flush()
}
