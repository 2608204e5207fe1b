package dodosim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func TestPatchNextBillingDate(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	soon := opening.Add(time.Minute)
	if sub := shop.patch(id, `{"next_billing_date":"`+soon.Format(time.RFC3339)+`"}`); !sub.Next.Equal(soon) {
		t.Errorf("%+v", sub)
	}
	shop.sim.Advance(time.Minute)
	if sub := shop.subscription(id); !sub.Previous.Equal(soon) || !sub.Next.Equal(soon.AddDate(0, 1, 0)) || len(shop.payments(id)) != 2 {
		t.Errorf("%+v", sub)
	}
	// In another zone, and exactly now: not in the past.
	if sub := shop.patch(id, `{"next_billing_date":"2030-03-01T13:01:00+01:00"}`); !sub.Next.Equal(soon) || sub.Next.Location() != time.UTC {
		t.Errorf("%+v", sub)
	}
	if happened := shop.sim.Tick(); happened != 1 {
		t.Error(happened, "things happened")
	}
}

func TestPatchDetails(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	sub := shop.patch(id, `{"metadata":{"b":"2"},"customer_name":"Grace","billing":{"country":"DE"},"tax_id":"DE1",
		"customer_business_name":"Cobol GmbH","subscription_period_count":20}`)
	if sub.Metadata["b"] != "2" || len(sub.Metadata) != 1 || sub.Customer.Name != "Grace" || !sub.Expires.Equal(opening.AddDate(20, 0, 0)) {
		t.Errorf("%+v", sub)
	}
	if shop.news(); shop.subscription(id).Status != "active" {
		t.Error("the status changed")
	}
}

func TestCancellationDetails(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	sub := shop.patch(id, `{"cancel_at_next_billing_date":true,"cancellation_feedback":"unused","cancellation_comment":"why"}`)
	if !sub.Leaving || sub.EndedAt != nil || sub.Feedback == nil || *sub.Feedback != "unused" {
		t.Errorf("%+v", sub)
	}
	if sub = shop.patch(id, `{"cancel_at_next_billing_date":false}`); sub.Leaving || sub.Feedback != nil {
		t.Errorf("%+v", sub)
	}
	shop.patch(id, `{"cancel_at_next_billing_date":true}`)
	next := sub.Next
	shop.sim.Advance(60 * day)
	if sub = shop.subscription(id); sub.Status != "cancelled" || !sub.Leaving || sub.EndedAt == nil || !sub.EndedAt.Equal(next) {
		t.Errorf("%+v", sub)
	}
	now := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(now, `{"cancel_at_next_billing_date":true}`)
	if sub = shop.patch(now, `{"status":"cancelled"}`); sub.Leaving || sub.EndedAt == nil || !sub.Next.After(*sub.EndedAt) {
		t.Errorf("%+v", sub)
	}
}

// A pause moves everything ahead by its length.
func TestPauseMovesDates(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	before := shop.subscription(id)
	if sub := shop.patch(id, `{"status":"paused"}`); sub.PausedAt == nil || !sub.PausedAt.Equal(opening) {
		t.Errorf("%+v", sub)
	}
	shop.sim.Advance(100 * day)
	after := shop.patch(id, `{"status":"active"}`)
	if after.PausedAt != nil || !after.Next.Equal(before.Next.Add(100*day)) || !after.Expires.Equal(before.Expires.Add(100*day)) ||
		!after.Previous.Equal(before.Previous) {
		t.Errorf("%+v", after)
	}
	if longer := shop.patch(id, `{"subscription_period_count":11,"subscription_period_interval":"Year"}`); !longer.Expires.Equal(opening.AddDate(11, 0, 0).Add(100 * day)) {
		t.Errorf("%+v", longer)
	}
}

func TestPatchRefusals(t *testing.T) {
	shop := magazine(t, nil)
	active := shop.subscribe("pdt_pro", dodosim.CardVisa)
	paused := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(paused, `{"status":"paused"}`)
	gone := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.patch(gone, `{"status":"cancelled"}`)
	held := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.patch(held, `{"next_billing_date":"`+opening.Format(time.RFC3339)+`"}`)
	shop.sim.Tick()
	shop.news()
	const parameters, body, inactive = "INVALID_REQUEST_PARAMETERS", "INVALID_REQUEST_BODY", "SUBSCRIPTION_INACTIVE"
	for name, test := range map[string]struct {
		id, body string
		status   int
		code     string
	}{
		"no JSON":                    {active, `{`, 400, body},
		"unknown":                    {"sub_no", `{}`, 404, "NOT_FOUND"},
		"pause":                      {active, `{"pause":true}`, 422, parameters},
		"pause and more":             {active, `{"status":"paused","metadata":{}}`, 422, parameters},
		"resume and more":            {paused, `{"status":"active","tax_id":"1"}`, 422, parameters},
		"to on_hold":                 {active, `{"status":"on_hold"}`, 422, parameters},
		"to expired":                 {active, `{"status":"expired"}`, 422, parameters},
		"resume an active one":       {active, `{"status":"active"}`, 422, inactive},
		"resume one on hold":         {held, `{"status":"active"}`, 422, inactive},
		"resume a cancelled one":     {gone, `{"status":"active"}`, 422, inactive},
		"pause a paused one":         {paused, `{"status":"paused"}`, 422, inactive},
		"pause one on hold":          {held, `{"status":"paused"}`, 422, inactive},
		"cancel twice":               {gone, `{"status":"cancelled"}`, 422, inactive},
		"schedule a cancelled one":   {gone, `{"cancel_at_next_billing_date":true}`, 422, inactive},
		"schedule a paused one":      {paused, `{"cancel_at_next_billing_date":true}`, 422, inactive},
		"date in the past":           {active, `{"next_billing_date":"2030-03-01T11:59:59Z"}`, 422, parameters},
		"date of a cancelled one":    {gone, `{"next_billing_date":"2031-01-01T00:00:00Z"}`, 422, inactive},
		"no date":                    {active, `{"next_billing_date":"soon"}`, 422, body},
		"reason without cancelling":  {active, `{"cancel_reason":"dodo_team"}`, 422, parameters},
		"comment on staying":         {active, `{"cancel_at_next_billing_date":false,"cancellation_comment":"x"}`, 422, parameters},
		"unknown reason":             {active, `{"status":"cancelled","cancel_reason":"bored"}`, 422, body},
		"unknown feedback":           {active, `{"status":"cancelled","cancellation_feedback":"bored"}`, 422, body},
		"shorter term":               {active, `{"subscription_period_count":9}`, 422, parameters},
		"term of no length":          {active, `{"subscription_period_count":0}`, 422, parameters},
		"interval alone":             {active, `{"subscription_period_interval":"Year"}`, 422, parameters},
		"unknown interval":           {active, `{"subscription_period_count":99,"subscription_period_interval":"Eon"}`, 422, body},
		"unknown country":            {active, `{"billing":{"country":"XX"}}`, 422, "UNSUPPORTED_COUNTRY"},
		"bad metadata":               {active, `{"metadata":{"a":null}}`, 422, body},
		"on demand":                  {active, `{"disable_on_demand":{"next_billing_date":"2031-01-01T00:00:00Z"}}`, 422, "SUBSCRIPTION_NOT_ON_DEMAND"},
		"half of it would be all OK": {active, `{"metadata":{"kept":"no"},"next_billing_date":"2000-01-01T00:00:00Z"}`, 422, parameters},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := shop.call("PATCH", "/subscriptions/"+test.id, test.body)
			var refusal struct{ Code string }
			decode(t, answer, &refusal)
			if status != test.status || refusal.Code != test.code {
				t.Errorf("%d %s", status, answer)
			}
		})
	}
	if sub := shop.subscription(active); sub.Status != "active" || sub.Metadata["order_id"] != "ord_1" || shop.news() != "" {
		t.Errorf("a refused change left a trace: %+v", sub)
	}
}

// The flag and the date tell the truth even where the status does not.
func TestEarlyCancelledIsShownEverywhere(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.EarlyCancelled = true })
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	sub := shop.patch(id, `{"cancel_at_next_billing_date":true}`)
	if sub.Status != "cancelled" || !sub.Leaving || sub.EndedAt != nil {
		t.Errorf("%+v", sub)
	}
	if page := string(shop.get("/subscriptions?status=cancelled")); !strings.Contains(page, id) {
		t.Error(page)
	}
	if page := string(shop.get("/subscriptions?status=active")); strings.Contains(page, id) {
		t.Error(page)
	}
}

func TestReplaceCardRefusals(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	for name, try := range map[string]func() (dodosim.Attempt, error){
		"no card":         func() (dodosim.Attempt, error) { return shop.sim.ReplaceCard(id, "4000") },
		"no subscription": func() (dodosim.Attempt, error) { return shop.sim.ReplaceCard("sub_no", dodosim.CardVisa) },
		"cancelled": func() (dodosim.Attempt, error) {
			shop.patch(id, `{"status":"cancelled"}`)
			return shop.sim.ReplaceCard(id, dodosim.CardVisa)
		},
	} {
		if attempt, err := try(); err == nil {
			t.Errorf("%s: %+v", name, attempt)
		}
	}
}

// A hold outlives the term, and cannot be recovered after it.
func TestRecoveryAfterTheTerm(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_short", dodosim.CardFailsLater)
	shop.sim.Advance(100 * day)
	if _, err := shop.sim.ReplaceCard(id, dodosim.CardVisa); err == nil || !strings.Contains(err.Error(), "SUBSCRIPTION_EXPIRED") {
		t.Error(err)
	}
	if sub := shop.subscription(id); sub.Status != "on_hold" {
		t.Errorf("%+v", sub)
	}
}

// A grace longer than a cycle leaves no cycle to be made up for.
func TestRecoveryAfterSeveralCycles(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) {
		o.GracePeriodDays = 5
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_daily", Price: 50, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Day}})
	})
	id := shop.subscribe("pdt_daily", dodosim.CardFailsLater)
	shop.sim.Advance(3*day + time.Hour)
	shop.replaceCard(id, dodosim.CardVisa)
	if sub := shop.subscription(id); !sub.Previous.Equal(opening.Add(3*day)) || !sub.Next.Equal(opening.Add(4*day)) || shop.sim.Tick() != 0 {
		t.Errorf("%+v", sub)
	}
}

// What a recovery pays for: past due goes on in its rhythm, a hold begins anew.
func TestRecoveredDates(t *testing.T) {
	for name, test := range map[string]struct {
		grace int
		began time.Duration
	}{"past due": {3, 31 * day}, "on hold": {0, 33 * day}} {
		t.Run(name, func(t *testing.T) {
			shop := magazine(t, func(o *dodosim.Options) { o.GracePeriodDays = test.grace })
			id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
			before := shop.subscription(id)
			shop.sim.Advance(33 * day)
			if failed := shop.subscription(id); !failed.Next.Equal(before.Next) || !failed.Previous.Equal(before.Previous) {
				t.Errorf("an unpaid cycle began: %+v", failed)
			}
			if attempt := shop.replaceCard(id, dodosim.CardVisa); attempt.Status != dodosim.Succeeded || attempt.PaymentID == "" {
				t.Errorf("%+v", attempt)
			}
			if sub := shop.subscription(id); !sub.Previous.Equal(opening.Add(test.began)) {
				t.Errorf("%+v", sub)
			}
		})
	}
}

// The end of grace is in webhooks of simulators that have one, and nowhere else.
func TestPastDueEndsAt(t *testing.T) {
	for grace, wanted := range map[int]int{0: 0, 5: 1} {
		shop := magazine(t, func(o *dodosim.Options) { o.GracePeriodDays = grace })
		id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
		shop.sim.Advance(31 * day)
		shop.flush()
		found := 0
		for _, body := range shop.hooks.bodies() {
			var webhook struct {
				Type string
				Data map[string]any
			}
			decode(t, body, &webhook)
			ends, there := webhook.Data["past_due_ends_at"]
			if there != (grace > 0 && strings.HasPrefix(webhook.Type, "subscription.")) {
				t.Errorf("grace %d: %s", grace, body)
			}
			if webhook.Type == "subscription.past_due" && ends == "2030-04-06T12:00:00Z" {
				found++
			}
		}
		if found != wanted || strings.Contains(string(shop.get("/subscriptions/"+id)), "past_due_ends_at") {
			t.Error("grace", grace, "found", found)
		}
	}
}

// A subscription on demand becomes one that is charged by the calendar.
func TestDisableOnDemand(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pro","quantity":1}],"subscription_data":{"on_demand":{"mandate_only":true}}}`)).SubscriptionID
	path := "/subscriptions/" + id
	shop.refuses(
		refusal{"PATCH", path, `{"disable_on_demand":{}}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"PATCH", path, `{"disable_on_demand":{"next_billing_date":"2000-01-01T00:00:00Z"}}`, 422, "INVALID_REQUEST_PARAMETERS"},
	)
	shop.sim.Advance(40 * day)
	next := opening.Add(50 * day)
	shop.patch(id, `{"disable_on_demand":{"next_billing_date":"`+next.Format(time.RFC3339)+`"}}`)
	if got := shop.ask("GET", path, ""); got["on_demand"] != false || got["next_billing_date"] != next.Format(time.RFC3339) {
		t.Errorf("%v", got)
	}
	shop.sim.Advance(10 * day)
	if got := shop.items("/payments?subscription_id="+id, "total_amount"); len(got) != 2 || got[0] != 2000.0 {
		t.Errorf("payments %v", got)
	}
	shop.refuses(refusal{"POST", path + "/charge", `{"product_price":100}`, 422, "SUBSCRIPTION_NOT_ON_DEMAND"})
}
