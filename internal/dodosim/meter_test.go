package dodosim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// metered is a magazine with products that are paid by use.
func metered(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products,
			dodosim.Product{
				ID: "pdt_api", Name: "API", Price: 500, Currency: "USD", Every: monthly,
				Meters: []dodosim.Meter{
					{EventName: "call", FreeThreshold: 2, PricePerUnit: "10.5"},
					{ID: "mtr_gb", Name: "Traffic", Unit: "GB", EventName: "traffic", Aggregation: dodosim.Sum, Key: "gb", PricePerUnit: "100"},
					{ID: "mtr_top", EventName: "traffic", Aggregation: dodosim.Max, Key: "gb", PricePerUnit: "1"},
					{ID: "mtr_seats", EventName: "seats", Aggregation: dodosim.Last, Key: "n", PricePerUnit: "1000"},
				},
			},
			dodosim.Product{
				ID: "pdt_render", Price: 700, Currency: "USD", Every: monthly,
				Credits: []dodosim.ProductCredit{{Name: "Pictures", Unit: "picture", Amount: "10"}},
				Meters:  []dodosim.Meter{{EventName: "render", Credit: "Pictures", UnitsPerCredit: "2"}},
			},
		)
	})
}

// ingest reports events of a customer, each as "name" or "name key value".
func (s *shop) ingest(customer string, events ...string) {
	s.t.Helper()
	before := s.sim.Calls("POST", "/events/ingest") // makes ids that are new every time
	var list []string
	for i, e := range events {
		name, meta, _ := strings.Cut(e, " ")
		if key, value, found := strings.Cut(meta, " "); found {
			meta = fmt.Sprintf(`%q:%s`, key, value)
		}
		list = append(list, fmt.Sprintf(`{"event_id":"evt_%d_%d","customer_id":%q,"event_name":%q,"metadata":{%s}}`, before, i, customer, name, meta))
	}
	s.ask("POST", "/events/ingest", `{"events":[`+strings.Join(list, ",")+`]}`)
}

func (s *shop) customerOf(sub string) string {
	s.t.Helper()
	return s.ask("GET", "/subscriptions/"+sub, "")["customer"].(map[string]any)["customer_id"].(string)
}

// What is used in a cycle is charged at its end, and only that.
func TestUsageIsCharged(t *testing.T) {
	shop := metered(t)
	id := shop.subscribe("pdt_api", dodosim.CardVisa)
	owner := shop.customerOf(id)
	total := func() any {
		paid := shop.payments(id)
		return paid[len(paid)-1]["total_amount"]
	}
	if got := total(); got != 500.0 {
		t.Error("the first charge was", got)
	}
	shop.ingest(owner, "call", "call", "call", "call", "call", "idle")                                   // 3 of them count: 31.5
	shop.ingest(owner, "traffic gb 1.5", `traffic gb "2"`, "traffic gb true", "traffic gb -1")           // 3.5 GB: 350, at most 2: 2
	shop.ingest(owner, "seats n 9", "seats n 3")                                                         // 3000
	shop.ingest(shop.ask("POST", "/customers", adaJSON)["customer_id"].(string), "call", "call", "call") // another's
	shop.sim.Advance(31 * day)
	if got := total(); got != 500.0+3383 {
		t.Error("charged", got)
	}
	shop.sim.Advance(30 * day)
	if got := total(); got != 500.0 {
		t.Error("charged again:", got)
	}
	if got := shop.ask("GET", "/subscriptions/"+id, "")["recurring_pre_tax_amount"]; got != 500.0 {
		t.Error(got)
	}
	shop.flush()
}

// Usage that takes credits does so a minute later, and costs nothing.
func TestUsageTakesCredits(t *testing.T) {
	shop := metered(t)
	id := shop.subscribe("pdt_render", dodosim.CardVisa)
	owner, balance := shop.customerOf(id), shop.pictures(id)
	shop.ingest(owner, "render", "render", "render")
	if happened := shop.sim.Advance(59 * time.Second); happened != 0 {
		t.Error("too early")
	}
	if happened := shop.sim.Advance(time.Second); happened != 1 {
		t.Error(happened)
	}
	shop.ingest(owner, "render")
	shop.sim.Advance(time.Minute)
	shop.wantLedger(balance, "credit_added 10 = 10, 0", "credit_deducted 1.5 = 8.5, 0", "credit_deducted 0.5 = 8, 0")
	for range 3 { // 24 pictures: 12 credits, of which 8 are there
		shop.ingest(owner, "render", "render", "render", "render", "render", "render", "render", "render")
	}
	shop.sim.Advance(time.Minute)
	shop.sim.Advance(31 * day)
	paid := shop.payments(id)
	if got := paid[len(paid)-1]["total_amount"]; got != 700.0 {
		t.Error("charged", got)
	}
	shop.ingest(owner, "render")
	shop.sim.Advance(time.Minute)
	shop.wantLedger(balance, "credit_added 10 = 10, 0", "credit_deducted 1.5 = 8.5, 0", "credit_deducted 0.5 = 8, 0",
		"credit_deducted 8 = 0, 0", "credit_added 10 = 10, 0", "credit_deducted 0.5 = 9.5, 0")
	shop.flush()
}

// What a customer used in the last minute of a cycle is of that cycle.
func TestUsageAtTheEndOfACycle(t *testing.T) {
	shop := metered(t)
	id := shop.subscribe("pdt_render", dodosim.CardVisa)
	owner, balance := shop.customerOf(id), shop.pictures(id)
	shop.sim.Advance(31*day - time.Second)
	shop.ingest(owner, "render", "render")
	shop.sim.Advance(time.Hour)
	shop.wantLedger(balance, "credit_added 10 = 10, 0", "credit_deducted 1 = 9, 0", "credit_added 10 = 19, 0")
}

func TestMetersAreShown(t *testing.T) {
	shop := metered(t)
	price := shop.ask("GET", "/products/pdt_api", "")["price"].(map[string]any)
	if price["type"] != "usage_based_price" || price["fixed_price"] != 500.0 || len(price["meters"].([]any)) != 4 {
		t.Error(price)
	}
	if first := price["meters"].([]any)[0].(map[string]any); first["meter_id"] != "mtr_call" || first["price_per_unit"] != "10.5" || first["free_threshold"] != 2.0 {
		t.Error(first)
	}
	if got := fmt.Sprint(shop.items("/products?recurring=true", "product_id")); !strings.Contains(got, "pdt_api") {
		t.Error(got)
	}
	if got := fmt.Sprint(shop.items("/meters", "id")); got != "[mtr_call mtr_gb mtr_top mtr_seats mtr_render]" {
		t.Error(got)
	}
	if got := shop.items("/meters?archived=true", "id"); len(got) != 0 {
		t.Error(got)
	}
	if m := shop.ask("GET", "/meters/mtr_gb", ""); m["measurement_unit"] != "GB" || m["aggregation"].(map[string]any)["key"] != "gb" {
		t.Error(m)
	}
	line := shop.ask("POST", "/checkouts/preview", cartOf("pdt_api"))["product_cart"].([]any)[0].(map[string]any)
	if line["is_usage_based"] != true || len(line["meters"].([]any)) != 4 {
		t.Error(line)
	}
	id := shop.subscribe("pdt_api", dodosim.CardVisa)
	if sub := shop.ask("GET", "/subscriptions/"+id, ""); len(sub["meters"].([]any)) != 4 {
		t.Error(sub)
	}
	other := shop.subscribe("pdt_render", dodosim.CardVisa)
	if sub := shop.ask("GET", "/subscriptions/"+other, ""); len(sub["meter_credit_entitlement_cart"].([]any)) != 1 {
		t.Error(sub)
	}
	shop.ingest(shop.customerOf(id), "call", "traffic gb 1.5")
	if got := shop.items("/events?meter_id=mtr_gb", "event_name"); fmt.Sprint(got) != "[traffic]" {
		t.Error(got)
	}
	shop.refuses(
		refusal{"GET", "/meters/mtr_0", "", 404, "NOT_FOUND"},
		refusal{"GET", "/events?meter_id=mtr_0", "", 404, "NOT_FOUND"},
		refusal{"GET", "/events?meter_id=mtr_gb&event_name=call", "", 400, "INVALID_REQUEST_PARAMETERS"},
		refusal{"GET", "/meters?page_size=101", "", 422, "INVALID_QUERY_PARAMS"},
	)
	shop.flush()
}

func TestMetersAreChecked(t *testing.T) {
	good := dodosim.Meter{EventName: "call", PricePerUnit: "1"}
	for name, product := range map[string]dodosim.Product{
		"sold once":   {Meters: []dodosim.Meter{good}},
		"trial":       {Every: monthly, TrialDays: 3, Meters: []dodosim.Meter{good}},
		"twice":       {Every: monthly, Meters: []dodosim.Meter{good, good}},
		"no event":    {Every: monthly, Meters: []dodosim.Meter{{PricePerUnit: "1"}}},
		"no price":    {Every: monthly, Meters: []dodosim.Meter{{EventName: "call"}}},
		"price":       {Every: monthly, Meters: []dodosim.Meter{{EventName: "call", PricePerUnit: "123456"}}},
		"sum of what": {Every: monthly, Meters: []dodosim.Meter{{EventName: "call", PricePerUnit: "1", Aggregation: dodosim.Sum}}},
		"aggregation": {Every: monthly, Meters: []dodosim.Meter{{EventName: "call", PricePerUnit: "1", Aggregation: "mean", Key: "a"}}},
		"threshold":   {Every: monthly, Meters: []dodosim.Meter{{EventName: "call", PricePerUnit: "1", FreeThreshold: -1}}},
		"no credit":   {Every: monthly, Meters: []dodosim.Meter{{EventName: "call", Credit: "Pictures", UnitsPerCredit: "1"}}},
		"both": {
			Every: monthly, Credits: []dodosim.ProductCredit{{Name: "a", Unit: "a", Amount: "1"}},
			Meters: []dodosim.Meter{{EventName: "call", PricePerUnit: "1", Credit: "a", UnitsPerCredit: "1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			product.ID, product.Currency = "pdt_this", "USD"
			o.Products = append(o.Products, product)
			if _, err := dodosim.New(o); err == nil {
				t.Error("accepted")
			}
		})
	}
}
