package dodosim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// withAddons is a cart of one piece of a product, with add-ons.
func withAddons(product, addons string) string {
	return strings.Replace(cartOf(product), `"quantity":1`, `"quantity":1,"addons":[`+addons+`]`, 1)
}

const (
	twoSeats = `{"addon_id":"adn_seat","quantity":2}`
	support  = `{"addon_id":"adn_support","quantity":1}`
)

// TestOfficialSDKAddons is the catalog of add-ons by the SDK.
func TestOfficialSDKAddons(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	made := whole(client.Addons.New(ctx, dodopayments.AddonNewParams{
		Name: dodopayments.F("Storage"), Price: dodopayments.F(int64(250)), Currency: dodopayments.F(dodopayments.CurrencyUsd),
		TaxCategory: dodopayments.F(dodopayments.TaxCategorySaas), Description: dodopayments.F("A terabyte"),
	})).in(t)
	if made.Price != 250 || made.TaxCategory != dodopayments.TaxCategorySaas || !strings.HasPrefix(made.ID, "adn_") {
		t.Errorf("%+v", made)
	}
	changed := whole(client.Addons.Update(ctx, made.ID, dodopayments.AddonUpdateParams{Price: dodopayments.F(int64(300))})).in(t)
	if changed.Price != 300 || changed.Name != "Storage" || changed.Description != "A terabyte" {
		t.Errorf("%+v", changed)
	}
	if got := whole(client.Addons.Get(ctx, made.ID)).in(t); got.Price != 300 {
		t.Errorf("%+v", got)
	}
	list := whole(client.Addons.List(ctx, dodopayments.AddonListParams{})).in(t)
	if len(list.Items) != 4 || list.Items[0].ID != "adn_seat" || list.Items[3].ID != made.ID {
		t.Errorf("%+v", list)
	}
	const storage = `{"name":"Storage","price":250,"currency":"USD","tax_category":"saas"}`
	shop.refuses(
		refusal{"GET", "/addons/adn_none", "", 404, "NOT_FOUND"},
		refusal{"GET", "/addons?page_size=101", "", 422, "INVALID_QUERY_PARAMS"},
		refusal{"PATCH", "/addons/adn_none", `{}`, 404, "NOT_FOUND"},
		refusal{"PATCH", "/addons/adn_seat", `{"price":-1}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"PATCH", "/addons/adn_seat", `{"name":""}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/addons", strings.Replace(storage, "saas", "tools", 1), 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/addons", strings.Replace(storage, "USD", "XXX", 1), 422, "UNSUPPORTED_CURRENCY"},
		refusal{"POST", "/addons", strings.Replace(storage, `"price":250,`, "", 1), 422, "INVALID_REQUEST_BODY"},
	)
	if got := shop.items("/addons", "price"); !slices.Equal(got, []any{500.0, 1000.0, 100.0, 300.0}) {
		t.Error("a refused change was made:", got)
	}
}

// addonsOf shows a subscription's add-ons.
func (s *shop) addonsOf(id string) string {
	s.t.Helper()
	return fmt.Sprint(s.ask("GET", "/subscriptions/"+id, "")["addons"])
}

// TestAddonsAreCharged: with the first payment and with each renewal, each as a line of its
// own.
func TestAddonsAreCharged(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.pay(shop.checkout(withAddons("pdt_pro", twoSeats+","+support+`,{"addon_id":"adn_seat","quantity":1}`))).SubscriptionID
	if got := shop.addonsOf(id); got != "[map[addon_id:adn_seat quantity:3] map[addon_id:adn_support quantity:1]]" {
		t.Error(got)
	}
	if got := shop.subscription(id).Amount; got != 4500 {
		t.Error("a cycle costs", got)
	}
	shop.sim.Advance(31 * day)
	payments := shop.payments(id)
	if len(payments) != 2 {
		t.Fatal(payments)
	}
	for _, p := range payments {
		if p["total_amount"] != 4500.0 || p["product_cart"] != nil {
			t.Error(p)
		}
		lines := shop.items("/payments/"+p["payment_id"].(string)+"/line-items", "amount")
		if !slices.Equal(lines, []any{2000.0, 1500.0, 1000.0}) {
			t.Error("lines", lines)
		}
	}
	refund := shop.ask("POST", "/refunds", fmt.Sprintf(`{"payment_id":%q,"items":[{"item_id":"adn_seat","amount":500}]}`, payments[1]["payment_id"]))
	if refund["amount"] != 500.0 {
		t.Error(refund)
	}
	shop.ask("PATCH", "/addons/adn_seat", `{"price":9900}`)
	if got := shop.subscription(id).Amount; got != 4500 {
		t.Error("after the add-on's price was changed, a cycle costs", got)
	}
	shop.flush()
}

// TestAddonsOfTerms: what add-ons cost at the checkout, and in a cycle.
func TestAddonsOfTerms(t *testing.T) {
	for name, test := range map[string]struct {
		product, terms string
		first          float64
		cycle          int
	}{
		"a discount lowers them":       {"pdt_pro", `,"discount_codes":["HALF"]`, 1500, 1500},
		"a trial gives them away":      {"pdt_try", ``, 0, 2000},
		"on demand they cost nothing":  {"pdt_pro", `,"subscription_data":{"on_demand":{"mandate_only":false,"product_price":700}}`, 700, 3000},
		"with a mandate only, as well": {"pdt_pro", `,"subscription_data":{"on_demand":{"mandate_only":true}}`, 0, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			shop := magazine(t, nil)
			id := shop.pay(shop.checkout(strings.TrimSuffix(withAddons(test.product, twoSeats), "}") + test.terms + "}")).SubscriptionID
			if got := shop.payments(id)[0]["total_amount"]; got != test.first {
				t.Error("paid at the checkout:", got)
			}
			if got := shop.subscription(id).Amount; got != test.cycle {
				t.Error("a cycle costs", got)
			}
		})
	}
}

// TestAddonsOfPlanChanges: a change names all add-ons that there are to be.
func TestAddonsOfPlanChanges(t *testing.T) {
	const change = `"product_id":"pdt_pro","quantity":1,"proration_billing_mode":`
	for name, test := range map[string]struct {
		fields  string
		charged int // in cents; 0: there is no payment
		addons  string
	}{
		"more of them, by the difference": {change + `"difference_immediately","addons":[` + twoSeats + `,` + support + `]`, 1000, "[map[addon_id:adn_seat quantity:2] map[addon_id:adn_support quantity:1]]"},
		"all of them anew":                {change + `"full_immediately","addons":[` + twoSeats + `]`, 3000, "[map[addon_id:adn_seat quantity:2]]"},
		"others, prorated at once":        {change + `"prorated_immediately","addons":[` + support + `,{"addon_id":"adn_seat","quantity":1}]`, 500, "[map[addon_id:adn_support quantity:1] map[addon_id:adn_seat quantity:1]]"},
		"left out, and so removed":        {change + `"difference_immediately"`, 0, "[]"},
		"null, and so removed":            {change + `"do_not_bill","addons":null`, 0, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			shop := magazine(t, nil)
			id := shop.pay(shop.checkout(withAddons("pdt_pro", twoSeats))).SubscriptionID
			preview := shop.ask("POST", "/subscriptions/"+id+"/change-plan/preview", "{"+test.fields+"}")
			shop.changePlan(id, test.fields)
			if got := shop.addonsOf(id); got != test.addons {
				t.Error(got)
			}
			charged := 0.0
			if payments := shop.payments(id); len(payments) > 1 {
				charged = payments[1]["total_amount"].(float64)
				total := 0.0
				for _, amount := range shop.items("/payments/"+payments[1]["payment_id"].(string)+"/line-items", "amount") {
					total += amount.(float64)
				}
				if total != charged {
					t.Error("the lines make", total)
				}
			}
			foreseen := preview["immediate_charge"].(object)["summary"].(object)["total_amount"]
			if charged != float64(test.charged) || foreseen != charged {
				t.Error("charged", charged, "and foreseen", foreseen)
			}
			if got := fmt.Sprint(preview["new_plan"].(object)["addons"]); got != test.addons {
				t.Error("foreseen", got)
			}
			shop.flush()
		})
	}
}

func TestAddonsOfAScheduledChange(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.changePlan(id, `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately","effective_at":"next_billing_date","addons":[`+twoSeats+`]`)
	scheduled := shop.ask("GET", "/subscriptions/"+id, "")["scheduled_change"].(object)["addons"]
	if got := fmt.Sprint(scheduled); got != "[map[addon_id:adn_seat name:Seat quantity:2]]" || shop.addonsOf(id) != "[]" {
		t.Error(got, shop.addonsOf(id))
	}
	shop.sim.Advance(31 * day)
	if got := shop.addonsOf(id); got != "[map[addon_id:adn_seat quantity:2]]" || shop.payments(id)[1]["total_amount"] != 6000.0 {
		t.Error(got, shop.payments(id)[1])
	}
	shop.flush()
}

func TestAddonsOfAPreview(t *testing.T) {
	shop := magazine(t, nil)
	preview := shop.ask("POST", "/checkouts/preview", strings.TrimSuffix(withAddons("pdt_try", twoSeats), "}")+`,"discount_codes":["HALF"]}`)
	if preview["total_price"] != 0.0 || preview["recurring_breakup"].(object)["total_amount"] != 1000.0 {
		t.Error(preview)
	}
	cart := preview["product_cart"].([]any)
	addon := cart[0].(object)["addons"].([]any)[0].(object)
	if len(cart) != 1 || addon["addon_id"] != "adn_seat" || addon["quantity"] != 2.0 || addon["single_quantity_price"] != 500.0 || addon["discount_amount"] != 5000.0 {
		t.Error(cart)
	}
}

func TestAddonRefusals(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	for name, test := range map[string]struct {
		addons string
		status int
		code   string
	}{
		"none of that id":    {`{"addon_id":"adn_none","quantity":1}`, 404, "NOT_FOUND"},
		"another currency":   {`{"addon_id":"adn_yen","quantity":1}`, 422, "UNSUPPORTED_CURRENCY"},
		"none of it":         {`{"addon_id":"adn_seat","quantity":0}`, 422, "INVALID_QUANTITY"},
		"no quantity":        {`{"addon_id":"adn_seat"}`, 422, "INVALID_REQUEST_BODY"},
		"no id":              {`{"quantity":1}`, 422, "INVALID_REQUEST_BODY"},
		"too many":           {`{"addon_id":"adn_seat","quantity":2147483647}`, 422, "INTEGER_CONVERSION_FAILURE"},
		"too many, together": {strings.Repeat(`{"addon_id":"adn_seat","quantity":2147483647},`, 20) + support, 422, "INTEGER_CONVERSION_FAILURE"},
	} {
		t.Run(name, func(t *testing.T) {
			shop.t = t
			change := `{"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"do_not_bill","addons":[` + test.addons + `]}`
			shop.refuses(
				refusal{"POST", "/checkouts", withAddons("pdt_pro", test.addons), test.status, test.code},
				refusal{"POST", "/checkouts", withAddons("pdt_try", test.addons), test.status, test.code},
				refusal{"POST", "/subscriptions", subscribing(`"addons":[` + test.addons + `]`), test.status, test.code},
				refusal{"POST", "/subscriptions/" + id + "/change-plan", change, test.status, test.code},
			)
		})
	}
	shop.t = t
	shop.refuses(refusal{"POST", "/checkouts", withAddons("pdt_pack", twoSeats), 422, "INVALID_REQUEST_PARAMETERS"})
}

// TestSeedAddons adds add-ons to a catalog, and replaces one.
func TestSeedAddons(t *testing.T) {
	shop := open(t, nil)
	for name, addon := range map[string]dodosim.Addon{
		"an id with a space": {ID: "adn x", Price: 1, Currency: "USD"},
		"no currency":        {ID: "adn_x", Price: 1},
		"below nothing":      {ID: "adn_x", Price: -1, Currency: "USD"},
		"a long name":        {ID: "adn_x", Name: strings.Repeat("é", 101), Currency: "USD"},
	} {
		if err := shop.sim.Seed(nil, []dodosim.Addon{addon}, nil); err == nil {
			t.Error("taken:", name)
		}
	}
	again := dodosim.Addon{ID: "adn_seat", Price: 700, Currency: "USD"}
	if err := shop.sim.Seed(nil, []dodosim.Addon{again, again}, nil); err == nil {
		t.Error("the same add-on twice was taken")
	}
	check(t, shop.sim.Seed(nil, []dodosim.Addon{again, {ID: "adn_new", Price: 1, Currency: "USD"}}, nil))
	if got := shop.items("/addons", "price"); !slices.Equal(got, []any{700.0, 1000.0, 100.0, 1.0}) {
		t.Error(got)
	}
	if got := shop.sim.Catalog().Addons; len(got) != 4 || got[3].ID != "adn_new" || got[3].Name != "adn_new" {
		t.Error(got)
	}
}
