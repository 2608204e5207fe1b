package dodosim_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func TestListPayments(t *testing.T) {
	var now time.Time
	shop := open(t, func(o *dodosim.Options) {
		now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		o.Clock = func() time.Time { return now }
		o.WebhookURL = "" // signatures of that day would not verify
	})
	var ids []string // oldest first
	for i := range 12 {
		request := onePack
		if i == 3 {
			request = `{"product_cart":[{"product_id":"pdt_yen","quantity":1}],"customer":{"email":"yen@example.com"}}`
		}
		card := dodosim.CardVisa
		if i == 5 {
			card = dodosim.CardDeclined
		}
		attempt, err := shop.sim.Pay(shop.checkout(request), card)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, attempt.PaymentID)
		now = now.Add(time.Minute)
	}
	yen := shop.payment(ids[3])
	newestFirst := slices.Clone(ids)
	slices.Reverse(newestFirst)
	for query, wanted := range map[string][]string{
		"":                          newestFirst[:10],
		"page_number=1":             newestFirst[10:],
		"page_number=2":             nil,
		"page_size=5&page_number=1": newestFirst[5:10],
		"page_size=100":             newestFirst,
		"page_size=0":               nil,
		"status=failed":             {ids[5]},
		"status=processing":         nil,
		"currency=JPY":              {ids[3]},
		"product_id=pdt_yen":        {ids[3]},
		"subscription_id=sub_1":     nil,
		"brand_id=brnd_other":       nil,
		fmt.Sprint("brand_id=", yen["brand_id"], "&page_size=1"):                    newestFirst[:1],
		fmt.Sprint("customer_id=", yen["customer"].(map[string]any)["customer_id"]): {ids[3]},
		"created_at_gte=2026-11-21T12:10:00Z":                                       {ids[11], ids[10]},
		"created_at_lte=" + url.QueryEscape("2026-11-21T13:01:00+01:00"):            {ids[1], ids[0]},
	} {
		t.Run(query, func(t *testing.T) {
			var page struct {
				Items []struct {
					ID string `json:"payment_id"`
				}
			}
			decode(t, shop.get("/payments?"+query), &page)
			var got []string
			for _, item := range page.Items {
				got = append(got, item.ID)
			}
			if !slices.Equal(got, wanted) {
				t.Errorf("got %v, wanted %v", got, wanted)
			}
		})
	}
}

func TestListRefusals(t *testing.T) {
	shop := open(t, nil)
	for _, path := range []string{
		"/payments?page_size=101", "/payments?page_size=-1", "/payments?page_number=x", "/payments?page_number=10001",
		"/payments?status=done", "/payments?currency=XXX", "/payments?created_at_gte=today", "/payments?created_at_lte=1",
		"/refunds?status=done", "/refunds?page_size=101", "/disputes?dispute_status=won", "/disputes?dispute_stage=1",
		"/products?page_size=101", "/products?recurring=maybe", "/products?archived=1",
	} {
		status, body := shop.call("GET", path, "")
		var refusal struct{ Code string }
		decode(t, body, &refusal)
		if status != 422 || refusal.Code != "INVALID_QUERY_PARAMS" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

func TestListProducts(t *testing.T) {
	shop := open(t, nil)
	for query, wanted := range map[string]int{
		"":                                3,
		"recurring=false":                 3,
		"recurring=true":                  0,
		"archived=true":                   0,
		"brand_id=brnd_other":             0,
		"page_size=2":                     2,
		"page_size=2&page_number=1":       1,
		"page_size=100&page_number=10000": 0,
	} {
		var page struct{ Items []any }
		decode(t, shop.get("/products?"+query), &page)
		if len(page.Items) != wanted {
			t.Errorf("%s: %d products", query, len(page.Items))
		}
	}
}

func TestListSubscriptions(t *testing.T) {
	shop := magazine(t, nil)
	first := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.sim.Advance(time.Hour)
	second := shop.subscribe("pdt_team", dodosim.CardDeclined)
	shop.sim.Advance(time.Hour)
	third := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(third, `{"cancel_at_next_billing_date":true}`)
	var sub struct {
		Brand    string `json:"brand_id"`
		Customer struct {
			ID string `json:"customer_id"`
		}
	}
	decode(t, shop.get("/subscriptions/"+first), &sub)
	for query, wanted := range map[string][]string{
		"":                                  {third, second, first},
		"page_size=2":                       {third, second},
		"page_size=2&page_number=1":         {first},
		"page_size=2&page_number=2":         nil,
		"status=active":                     {third, first},
		"status=failed":                     {second},
		"status=past_due":                   nil,
		"product_id=pdt_team":               {second},
		"customer_id=" + sub.Customer.ID:    {third, second, first},
		"customer_id=cus_other":             nil,
		"brand_id=" + sub.Brand:             {third, second, first},
		"brand_id=brnd_other":               nil,
		"cancel_at_next_billing_date=true":  {third},
		"cancel_at_next_billing_date=false": {second, first},
		"created_at_gte=2030-03-01T13:00:00Z&created_at_lte=2030-03-01T13:00:00Z": {second},
	} {
		t.Run(query, func(t *testing.T) {
			var page struct {
				Items []struct {
					ID string `json:"subscription_id"`
				}
			}
			decode(t, shop.get("/subscriptions?"+query), &page)
			var got []string
			for _, item := range page.Items {
				got = append(got, item.ID)
			}
			if !slices.Equal(got, wanted) {
				t.Errorf("got %v, wanted %v", got, wanted)
			}
		})
	}
	for _, path := range []string{"/subscriptions?status=done", "/subscriptions?cancel_at_next_billing_date=perhaps", "/subscriptions?page_size=101"} {
		if status, body := shop.call("GET", path, ""); status != 422 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := shop.call("GET", "/subscriptions/sub_no", ""); status != 404 {
		t.Errorf("%d %s", status, body)
	}
}

func TestRecurringProducts(t *testing.T) {
	shop := magazine(t, nil)
	var page struct{ Items []map[string]any }
	decode(t, shop.get("/products?recurring=true"), &page)
	if len(page.Items) != 5 || page.Items[0]["is_recurring"] != true {
		t.Error(page)
	}
	var product struct {
		Recurring bool `json:"is_recurring"`
		Price     map[string]any
	}
	decode(t, shop.get("/products/pdt_try"), &product)
	if !product.Recurring || product.Price["type"] != "recurring_price" || product.Price["trial_period_days"] != 14.0 ||
		product.Price["payment_frequency_interval"] != "Month" || product.Price["subscription_period_count"] != 10.0 {
		t.Error(product)
	}
}
