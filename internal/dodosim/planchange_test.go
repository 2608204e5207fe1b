package dodosim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// What a change on day 10 of a cycle of 31 costs, and when the next cycle ends.
func TestPlanChangeCharges(t *testing.T) {
	anew := opening.Add(10*day).AddDate(0, 1, 0)
	for name, test := range map[string]struct {
		from, fields string
		charged      float64 // 0: no payment
		keeps        bool    // the billing dates
	}{
		"full":            {"pdt_pro", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately"`, 5000, false},
		"difference":      {"pdt_pro", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"difference_immediately"`, 3000, false},
		"prorated":        {"pdt_pro", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"prorated_immediately"`, 5000 - 2000*21/31, false},
		"not billed":      {"pdt_pro", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"`, 0, true},
		"down":            {"pdt_team", `"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"prorated_immediately"`, 0, false},
		"more pieces":     {"pdt_pro", `"product_id":"pdt_pro","quantity":4,"proration_billing_mode":"difference_immediately"`, 6000, false},
		"with a code":     {"pdt_pro", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately","discount_codes":["HALF"]`, 2500, false},
		"out of a trial":  {"pdt_try", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"prorated_immediately"`, 5000, false},
		"for a free plan": {"pdt_pro", `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately","discount_code":"FREE"`, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			shop := magazine(t, nil)
			id := shop.subscribe(test.from, dodosim.CardVisa)
			before := shop.subscription(id)
			shop.sim.Advance(10 * day)
			shop.changePlan(id, test.fields+`,"metadata":{"change":"1"}`)
			after, payments := shop.subscription(id), shop.payments(id)
			if !strings.Contains(test.fields, after.Product) || !strings.Contains(test.fields, `"quantity":`+string(rune('0'+after.Quantity))) {
				t.Errorf("%+v", after)
			}
			if test.keeps != after.Next.Equal(before.Next) || test.keeps == after.Next.Equal(anew) {
				t.Error("the next billing date is", after.Next)
			}
			switch {
			case test.charged == 0 && len(payments) != 1:
				t.Error("charged", payments[1]["total_amount"])
			case test.charged == 0:
			case len(payments) != 2 || payments[1]["total_amount"] != test.charged:
				t.Error(payments)
			case payments[1]["metadata"].(map[string]any)["change"] != "1" || after.Metadata["change"] != "":
				t.Error("metadata", payments[1]["metadata"], after.Metadata)
			}
		})
	}
}

func TestScheduledPlanChange(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	schedule := func() {
		shop.changePlan(id, `"product_id":"pdt_team","quantity":2,"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"`)
	}
	schedule()
	sub := shop.subscription(id)
	if sub.Product != "pdt_pro" || sub.Scheduled == nil || sub.Scheduled.Product != "pdt_team" || !sub.Scheduled.Effective.Equal(sub.Next) {
		t.Fatalf("%+v", sub)
	}
	if moved := shop.patch(id, `{"next_billing_date":"2030-03-15T00:00:00Z"}`); !moved.Scheduled.Effective.Equal(moved.Next) {
		t.Errorf("%+v", moved)
	}
	status, body := shop.call("DELETE", "/subscriptions/"+id+"/change-plan/scheduled", "")
	if status != http.StatusNoContent || shop.subscription(id).Scheduled != nil {
		t.Errorf("%d %s", status, body)
	}
	if status, body = shop.call("DELETE", "/subscriptions/"+id+"/change-plan/scheduled", ""); status != http.StatusNotFound {
		t.Errorf("%d %s", status, body)
	}
	schedule()
	shop.sim.Advance(14 * day)
	if sub = shop.subscription(id); sub.Product != "pdt_team" || sub.Quantity != 2 || sub.Amount != 10000 || sub.Scheduled != nil {
		t.Errorf("%+v", sub)
	}
	if payments := shop.payments(id); len(payments) != 2 || payments[1]["total_amount"] != 10000.0 {
		t.Error(payments)
	}
	// A charge that fails leaves the change for the next one.
	schedule2 := `"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"`
	shop.changePlan(id, schedule2)
	shop.replaceCard(id, dodosim.CardFailsLater)
	shop.sim.Advance(31 * day)
	if sub = shop.subscription(id); sub.Status != "on_hold" || sub.Product != "pdt_team" || sub.Scheduled == nil {
		t.Errorf("%+v", sub)
	}
	shop.replaceCard(id, dodosim.CardVisa)
	if sub = shop.subscription(id); sub.Product != "pdt_team" || !sub.Scheduled.Effective.Equal(sub.Next) {
		t.Errorf("%+v", sub)
	}
	shop.sim.Advance(31 * day)
	if sub = shop.subscription(id); sub.Product != "pdt_pro" || sub.Scheduled != nil {
		t.Errorf("%+v", sub)
	}
}

func TestPlanChangeRefusals(t *testing.T) {
	shop := magazine(t, nil)
	active := shop.subscribe("pdt_pro", dodosim.CardVisa)
	leaving := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(leaving, `{"cancel_at_next_billing_date":true}`)
	scheduled := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.changePlan(scheduled, `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"`)
	paused := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(paused, `{"status":"paused"}`)
	asked := shop.onDemand(`"mandate_only":true`)
	to := func(product, rest string) string {
		return `{"product_id":"` + product + `","quantity":1,"proration_billing_mode":"full_immediately"` + rest + `}`
	}
	team := to("pdt_team", "")
	const parameters, body = "INVALID_REQUEST_PARAMETERS", "INVALID_REQUEST_BODY"
	for name, test := range map[string]struct {
		id, body string
		status   int
		code     string
	}{
		"no JSON":            {active, `[`, 400, body},
		"no product":         {active, `{"quantity":1,"proration_billing_mode":"do_not_bill"}`, 422, body},
		"no pieces":          {active, `{"product_id":"pdt_team","quantity":0,"proration_billing_mode":"do_not_bill"}`, 422, "INVALID_QUANTITY"},
		"unknown mode":       {active, `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"guess"}`, 422, body},
		"unknown time":       {active, to("pdt_team", `,"effective_at":"soon"`), 422, body},
		"unknown way out":    {active, to("pdt_team", `,"on_payment_failure":"cry"`), 422, body},
		"mode of a schedule": {active, `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill","effective_at":"next_billing_date"}`, 422, "INVALID_PRORATION_MODE_WITH_NEXT_BILLING_DATE"},
		"add-ons":            {active, to("pdt_team", `,"addons":[{"addon_id":"adn_1","quantity":1}]`), 404, "NOT_FOUND"},
		"unknown code":       {active, to("pdt_team", `,"discount_codes":["NOPE"]`), 422, "INVALID_DISCOUNT_CODE"},
		"bad metadata":       {active, to("pdt_team", `,"metadata":{"a":null}`), 422, body},
		"unknown product":    {active, to("pdt_no", ""), 404, "NOT_FOUND"},
		"sold once":          {active, to("pdt_pack", ""), 422, parameters},
		"another currency":   {active, to("pdt_zen", ""), 422, "UNSUPPORTED_CURRENCY"},
		"too much":           {active, `{"product_id":"pdt_team","quantity":2000000,"proration_billing_mode":"full_immediately"}`, 422, "INTEGER_CONVERSION_FAILURE"},
		"unknown":            {"sub_no", team, 404, "NOT_FOUND"},
		"leaving":            {leaving, team, 422, "PLAN_CHANGE_NOT_ALLOWED_FOR_SCHEDULED_CANCELLATION"},
		"scheduled":          {scheduled, team, 409, "SCHEDULED_PLAN_CHANGE_EXISTS"},
		"paused":             {paused, team, 422, "INACTIVE_SUBSCRIPTION_PLAN_CHANGE_NOT_SUPPORTED"},
		"on demand":          {asked, team, 422, "ON_DEMAND_PLAN_CHANGE_NOT_SUPPORTED"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := shop.call("POST", "/subscriptions/"+test.id+"/change-plan", test.body)
			var refusal struct{ Code string }
			decode(t, answer, &refusal)
			if status != test.status || refusal.Code != test.code {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
}

// onDemand makes a subscription that is charged on demand.
func (s *shop) onDemand(terms string) string {
	s.t.Helper()
	return s.pay(s.checkout(strings.TrimSuffix(cartOf("pdt_pro"), "}") + `,"subscription_data":{"on_demand":{` + terms + `}}}`)).SubscriptionID
}

func TestOnDemand(t *testing.T) {
	shop := magazine(t, nil)
	for terms, total := range map[string]float64{`"mandate_only":true`: 0, `"mandate_only":false`: 2000, `"mandate_only":false,"product_price":700`: 700} {
		if payments := shop.payments(shop.onDemand(terms)); payments[0]["total_amount"] != total {
			t.Error(terms, payments)
		}
	}
	id := shop.onDemand(`"mandate_only":true`)
	shop.news()
	if happened := shop.sim.Advance(100 * day); happened != 0 {
		t.Error("charged by the calendar")
	}
	status, body := shop.call("POST", "/subscriptions/"+id+"/charge", `{"product_price":123,"metadata":{"use":"7"}}`)
	var answer struct {
		ID string `json:"payment_id"`
	}
	decode(t, body, &answer)
	payment := shop.payment(answer.ID)
	if status != 200 || payment["total_amount"] != 123.0 || payment["subscription_id"] != id || payment["product_cart"] != nil ||
		payment["metadata"].(map[string]any)["use"] != "7" {
		t.Errorf("%s, %v", body, payment)
	}
	if got := shop.news(); got != "payment.succeeded" {
		t.Error(got)
	}
	shop.replaceCard(id, dodosim.CardFailsLater)
	shop.news()
	shop.call("POST", "/subscriptions/"+id+"/charge", `{"product_price":5}`)
	if got := shop.news(); got != "payment.failed" || shop.subscription(id).Status != "active" {
		t.Error(got)
	}
	if last := shop.payments(id); last[len(last)-1]["metadata"].(map[string]any)["order_id"] != "ord_1" {
		t.Error(last)
	}
	sub := shop.patch(id, `{"cancel_at_next_billing_date":true}`)
	if !sub.Next.After(opening.Add(100 * day)) {
		t.Error("to be cancelled in the past:", sub.Next)
	}
	if shop.sim.Advance(31 * day); shop.subscription(id).Status != "cancelled" {
		t.Errorf("%+v", shop.subscription(id))
	}
}

func TestChargeRefusals(t *testing.T) {
	shop := magazine(t, nil)
	id, leaving, gone := shop.onDemand(`"mandate_only":true`), shop.onDemand(`"mandate_only":true`), shop.onDemand(`"mandate_only":true`)
	shop.patch(leaving, `{"cancel_at_next_billing_date":true}`)
	shop.patch(gone, `{"status":"cancelled"}`)
	for name, test := range map[string]struct {
		id, body string
		status   int
		code     string
	}{
		"no JSON":          {id, `x`, 400, "INVALID_REQUEST_BODY"},
		"no price":         {id, `{}`, 422, "INVALID_REQUEST_BODY"},
		"negative":         {id, `{"product_price":-1}`, 422, "INVALID_REQUEST_PARAMETERS"},
		"another currency": {id, `{"product_price":1,"product_currency":"JPY"}`, 422, "UNSUPPORTED_CURRENCY"},
		"bad metadata":     {id, `{"product_price":1,"metadata":{"a":[]}}`, 422, "INVALID_REQUEST_BODY"},
		"unknown":          {"sub_no", `{"product_price":1}`, 404, "NOT_FOUND"},
		"by calendar":      {shop.subscribe("pdt_pro", dodosim.CardVisa), `{"product_price":1}`, 422, "SUBSCRIPTION_NOT_ON_DEMAND"},
		"leaving":          {leaving, `{"product_price":1}`, 422, "CHARGE_NOT_ALLOWED_FOR_SCHEDULED_CANCELLATION"},
		"cancelled":        {gone, `{"product_price":1}`, 422, "SUBSCRIPTION_INACTIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := shop.call("POST", "/subscriptions/"+test.id+"/charge", test.body)
			var refusal struct{ Code string }
			decode(t, answer, &refusal)
			if status != test.status || refusal.Code != test.code {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
}

func TestRecurringCheckoutRefusals(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_gift", Currency: "USD", Every: monthly})
	})
	pro := strings.TrimSuffix(cartOf("pdt_pro"), "}")
	for name, test := range map[string]struct{ body, code string }{
		"dear after a trial":   {`{"product_cart":[{"product_id":"pdt_try","quantity":2147484}]}`, "INTEGER_CONVERSION_FAILURE"},
		"too many for nothing": {`{"product_cart":[{"product_id":"pdt_gift","quantity":2147483647},{"product_id":"pdt_gift","quantity":1}]}`, "INTEGER_CONVERSION_FAILURE"},
		"two of them":          {`{"product_cart":[{"product_id":"pdt_pro","quantity":1},{"product_id":"pdt_team","quantity":1}]}`, "UNSUPPORTED_ACTION"},
		"negative trial":       {pro + `,"subscription_data":{"trial_period_days":-1}}`, "INVALID_REQUEST_PARAMETERS"},
		"endless trial":        {pro + `,"subscription_data":{"trial_period_days":10001}}`, "INVALID_REQUEST_PARAMETERS"},
		"on demand, how":       {pro + `,"subscription_data":{"on_demand":{}}}`, "INVALID_REQUEST_BODY"},
		"on demand, negative":  {pro + `,"subscription_data":{"on_demand":{"mandate_only":false,"product_price":-1}}}`, "INVALID_REQUEST_PARAMETERS"},
		"on demand in yen":     {pro + `,"subscription_data":{"on_demand":{"mandate_only":false,"product_currency":"JPY"}}}`, "UNSUPPORTED_CURRENCY"},
		"on demand, once":      {with(`"subscription_data":{"on_demand":{"mandate_only":true}}`), "INVALID_REQUEST_PARAMETERS"},
		"on demand, cheaper":   {pro + `,"discount_codes":["HALF"],"subscription_data":{"on_demand":{"mandate_only":false}}}`, "DISCOUNT_NOT_AVAILABLE_FOR_ON_DEMAND"},
	} {
		status, answer := shop.call("POST", "/checkouts", test.body)
		var refusal struct{ Code string }
		decode(t, answer, &refusal)
		if status != 422 || refusal.Code != test.code {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
}

// Ten charges in a row can be declined; a new card begins the count anew.
func TestOnDemandRetryLimit(t *testing.T) {
	shop := magazine(t, nil)
	terms := strings.TrimSuffix(cartOf("pdt_pro"), "}") + `,"subscription_data":{"on_demand":{"mandate_only":true}}}`
	attempt, err := shop.sim.Pay(shop.checkout(terms), dodosim.CardFailsLater)
	if err != nil {
		t.Fatal(err)
	}
	path, body := "/subscriptions/"+attempt.SubscriptionID+"/charge", `{"product_price":700}`
	for range 10 {
		if p := shop.payment(shop.ask("POST", path, body)["payment_id"].(string)); p["status"] != "failed" {
			t.Fatal(p)
		}
	}
	shop.refuses(refusal{"POST", path, body, 422, "SUBSCRIPTION_PAYMENT_RETRY_LIMIT_EXCEEDED"})
	shop.replaceCard(attempt.SubscriptionID, dodosim.CardVisa)
	if p := shop.payment(shop.ask("POST", path, body)["payment_id"].(string)); p["status"] != "succeeded" {
		t.Error(p)
	}
}
