package dodosim_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func TestOfficialSDKDiscounts(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	made, err := client.Discounts.New(ctx, dodopayments.DiscountNewParams{
		Amount: dodopayments.F(int64(2500)), Type: dodopayments.F(dodopayments.DiscountTypePercentage), Code: dodopayments.F("summer"),
		UsageLimit: dodopayments.F(int64(2)), RestrictedTo: dodopayments.F([]string{"pdt_book"}),
	})
	if err != nil || made.Code != "SUMMER" || made.TimesUsed != 0 {
		t.Fatalf("%+v, %v", made, err)
	}
	changed, err := client.Discounts.Update(ctx, made.DiscountID, dodopayments.DiscountUpdateParams{Amount: dodopayments.F(int64(4000))})
	if err != nil || changed.Amount != 4000 || changed.UsageLimit != 2 {
		t.Errorf("%+v, %v", changed, err)
	}
	for range 2 {
		paid := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":1},{"product_id":"pdt_book","quantity":1}],"discount_codes":["Summer"]}`))
		if got := shop.payment(paid.PaymentID); got["total_amount"] != 999+1500.0 || got["discount_id"] != made.DiscountID {
			t.Errorf("payment %v", got)
		}
	}
	if got, err := client.Discounts.Get(ctx, made.DiscountID); err != nil || got.TimesUsed != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	shop.refuses(
		refusal{"GET", "/discounts/code/SUMMER", "", 422, "DISCOUNT_CODE_USAGE_LIMIT_EXCEEDED"},
		refusal{"POST", "/checkouts", `{"product_cart":[{"product_id":"pdt_book","quantity":1}],"discount_codes":["SUMMER"]}`, 422, "DISCOUNT_CODE_USAGE_LIMIT_EXCEEDED"},
	)
	page, err := client.Discounts.List(ctx, dodopayments.DiscountListParams{ProductID: dodopayments.F("pdt_book"), Active: dodopayments.F(false)})
	if err != nil || len(page.Items) != 1 || page.Items[0].DiscountID != made.DiscountID {
		t.Errorf("%+v, %v", page, err)
	}
	if got, err := client.Discounts.GetByCode(ctx, "half"); err != nil || got.Amount != 5000 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := client.Discounts.Delete(ctx, made.DiscountID); err != nil {
		t.Error(err)
	}
	shop.refuses(refusal{"GET", "/discounts/code/SUMMER", "", 404, "NOT_FOUND"}, refusal{"GET", "/discounts/" + made.DiscountID, "", 404, "NOT_FOUND"})
}

// Every condition of a code, by the checkout that it refuses.
func TestDiscountConditions(t *testing.T) {
	shop := magazine(t, nil)
	known := shop.ask("POST", "/customers", adaJSON)["customer_id"].(string)
	for name, test := range map[string]struct{ discount, code string }{
		"expired":        {`"expires_at":"2000-01-01T00:00:00Z"`, "DISCOUNT_CODE_EXPIRED"},
		"not yet active": {`"starts_at":"2100-01-01T00:00:00Z"`, "DISCOUNT_NOT_YET_ACTIVE"},
		"other product":  {`"restricted_to":["pdt_book"]`, "DISCOUNT_NOT_AVAILABLE_FOR_PRODUCT"},
		"minimum":        {`"currency_options":[{"currency":"USD","minimum_subtotal":1000}]`, "DISCOUNT_MINIMUM_SUBTOTAL_NOT_MET"},
		"existing":       {`"customer_eligibility":"existing"`, "DISCOUNT_CUSTOMER_NOT_ELIGIBLE"},
		"specific":       {`"customer_eligibility":"specific"`, "DISCOUNT_CUSTOMER_NOT_ELIGIBLE"},
		"other currency": {`"type":"flat","currency_options":[{"currency":"EUR","is_default":true,"max_amount_possible":5}]`, "UNSUPPORTED_CURRENCY"},
	} {
		t.Run(name, func(t *testing.T) {
			shop.t = t
			made := shop.ask("POST", "/discounts", `{"type":"percentage","amount":1000,`+test.discount+`}`)
			shop.refuses(refusal{"POST", "/checkouts", with(fmt.Sprintf(`"discount_codes":["%s"],"customer":{"customer_id":"%s"}`, made["code"], known)), 422, test.code})
		})
	}
	shop.t = t
	specific := shop.ask("POST", "/discounts", `{"type":"percentage","amount":1000,"customer_eligibility":"specific","per_customer_usage_limit":1}`)
	path := fmt.Sprint("/discounts/", specific["discount_id"], "/customers")
	shop.refuses(refusal{"POST", path, `{"customer_ids":["` + known + `","cus_no"]}`, 422, "INVALID_REQUEST_PARAMETERS"}, refusal{"POST", path, `{}`, 422, "INVALID_REQUEST_BODY"})
	for range 2 { // idempotent
		shop.ask("POST", path, `{"customer_ids":["`+known+`"]}`)
	}
	if got := shop.items(path, "customer_id"); !slices.Equal(got, []any{known}) {
		t.Errorf("customers %v", got)
	}
	order := with(fmt.Sprintf(`"discount_codes":["%s"],"customer":{"customer_id":"%s"}`, specific["code"], known))
	session, other := shop.checkout(order), shop.checkout(order)
	shop.pay(session)
	if _, err := shop.sim.Pay(other, dodosim.CardVisa); err == nil {
		t.Error("a customer used a code twice that is good for once")
	}
	if status, _ := shop.call("DELETE", path+"/"+known, ""); status != http.StatusNoContent {
		t.Error(status)
	}
	first := shop.ask("POST", "/discounts", `{"type":"flat","amount":1,"customer_eligibility":"first_time","currency_options":[{"currency":"USD","is_default":true,"max_amount_possible":300}]}`)
	shop.refuses(
		refusal{"DELETE", path + "/" + known, "", 404, "NOT_FOUND"},
		refusal{"POST", "/checkouts", with(fmt.Sprintf(`"discount_codes":["%s"],"customer":{"customer_id":"%s"}`, first["code"], known)), 422, "DISCOUNT_CUSTOMER_NOT_ELIGIBLE"},
	)
	paid := shop.pay(shop.checkout(with(fmt.Sprintf(`"discount_codes":["%s"],"customer":{"email":"new@example.com"}`, first["code"]))))
	if got := shop.payment(paid.PaymentID)["total_amount"]; got != 699.0 {
		t.Errorf("a flat discount of 300 left %v", got)
	}
}

func TestDiscountRefusals(t *testing.T) {
	shop := open(t, nil)
	id := shop.ask("POST", "/discounts", `{"type":"percentage","amount":1000,"code":"mine"}`)["discount_id"].(string)
	for _, body := range []string{
		`{"type":"percentage","amount":0}`, `{"type":"percentage","amount":10001}`, `{"type":"percentage","amount":1,"code":"ab"}`,
		`{"type":"percentage","amount":1,"code":"Mine"}`, `{"type":"percentage","amount":1,"usage_limit":0}`,
		`{"type":"percentage","amount":1,"usage_limit":1,"per_customer_usage_limit":2}`, `{"type":"flat","amount":1}`,
		`{"type":"percentage","amount":1,"starts_at":"2030-01-02T00:00:00Z","expires_at":"2030-01-01T00:00:00Z"}`,
		`{"type":"percentage","amount":1,"currency_options":[{"currency":"USD","is_default":true},{"currency":"EUR","is_default":true}]}`,
		`{"type":"percentage","amount":1,"currency_options":[{"currency":"USD","max_amount_possible":0}]}`,
	} {
		shop.refuses(refusal{"POST", "/discounts", body, 422, "INVALID_REQUEST_PARAMETERS"})
	}
	shop.refuses(
		refusal{"POST", "/discounts", `{"amount":1}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/discounts", `{"type":"gift","amount":1}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"PATCH", "/discounts/" + id, `{"amount":0}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/discounts/dsc_no", `{}`, 404, "NOT_FOUND"},
		refusal{"DELETE", "/discounts/dsc_no", "", 404, "NOT_FOUND"},
		refusal{"GET", "/discounts/dsc_no/customers", "", 404, "NOT_FOUND"},
		refusal{"GET", "/discounts?discount_type=gift", "", 422, "INVALID_QUERY_PARAMS"},
	)
	if got := shop.ask("GET", "/discounts/"+id, "")["amount"]; got != 1000.0 {
		t.Errorf("a refused patch left %v", got)
	}
}

// A code for two cycles lowers two, and a change of plan keeps it only if it is marked so.
func TestDiscountCycles(t *testing.T) {
	shop := magazine(t, nil)
	shop.ask("POST", "/discounts", `{"type":"percentage","amount":5000,"code":"twice","subscription_cycles":2,"preserve_on_plan_change":true}`)
	id := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pro","quantity":1}],"discount_codes":["TWICE","TENTH"]}`)).SubscriptionID
	if got := shop.ask("GET", "/subscriptions/"+id, ""); got["discount_cycles_remaining"] != 1.0 {
		t.Errorf("%v", got)
	}
	shop.sim.Advance(31 * day)
	if got := shop.items("/subscriptions", "discount_cycles_remaining"); !slices.Equal(got, []any{nil}) {
		t.Errorf("after two cycles %v", got)
	}
	shop.sim.Advance(31 * day)
	if got := shop.items("/payments?subscription_id="+id, "total_amount"); !slices.Equal(got, []any{1800.0, 900.0, 900.0}) {
		t.Errorf("payments %v", got)
	}

	kept := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pro","quantity":1}],"discount_codes":["TWICE","TENTH"]}`)).SubscriptionID
	shop.ask("POST", "/subscriptions/"+kept+"/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"}`)
	if got := shop.subscription(kept).Amount; got != 2500 {
		t.Errorf("with the code that survives %d", got)
	}
	shop.ask("POST", "/subscriptions/"+kept+"/change-plan", `{"product_id":"pdt_team","quantity":2,"proration_billing_mode":"do_not_bill","discount_codes":[]}`)
	if got := shop.subscription(kept).Amount; got != 10000 {
		t.Errorf("with all codes removed %d", got)
	}
}
