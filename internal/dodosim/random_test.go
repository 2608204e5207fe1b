package dodosim_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// life does one thing after the other to a few subscriptions, at random, and returns the
// types of the events. Every answer and webhook is validated on the way.
func life(t *testing.T, seed uint64, grace int) string {
	shop := magazine(t, func(o *dodosim.Options) {
		o.GracePeriodDays = grace
		o.DatesMoveFirst = seed%2 == 1
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_daily", Price: 50, Currency: "USD", Every: dodosim.Period{Count: 1, Interval: dodosim.Day}})
	})
	chance := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[chance.IntN(len(of))] }
	var ids []string
	now := opening
	for range 100 {
		if len(ids) < 3 || chance.IntN(30) == 0 {
			card := pick(dodosim.CardVisa, dodosim.CardVisa, dodosim.CardFailsLater, dodosim.CardDeclined, dodosim.CardIndia, dodosim.CardIndiaFailsLater)
			product := pick("pdt_pro", "pdt_team", "pdt_try", "pdt_short", "pdt_daily")
			if chance.IntN(3) > 0 {
				ids = append(ids, shop.subscribe(product, card))
			} else { // pending, and perhaps paid
				body := strings.Replace(subscribing(`"addons":[`+pick(twoSeats, support, "")+`]`), "pdt_pro", product, 1)
				made := shop.ask("POST", "/subscriptions", body)
				ids = append(ids, made["subscription_id"].(string))
				if chance.IntN(3) > 0 {
					_, err := shop.sim.Pay(made["payment_id"].(string), card)
					check(t, err)
				}
			}
		}
		id := pick(ids...)
		path, status, body := "/subscriptions/"+id, 0, []byte(nil)
		switch chance.IntN(9) {
		case 0, 1:
			by := time.Duration(chance.Int64N(int64(40 * day))).Truncate(time.Second)
			now = now.Add(by)
			shop.sim.Advance(by)
		case 2:
			status, body = shop.call("PATCH", path, `{"status":"`+pick("paused", "active", "active", "cancelled")+`"}`)
		case 3:
			status, body = shop.call("PATCH", path, `{"cancel_at_next_billing_date":`+pick("true", "false")+`}`)
		case 4:
			soon := now.Add(time.Duration(chance.Int64N(int64(day))))
			status, body = shop.call("PATCH", path, `{"next_billing_date":"`+soon.Format(time.RFC3339Nano)+`"}`)
		case 5, 6:
			status, body = shop.call("POST", path+"/change-plan", `{"product_id":"`+pick("pdt_pro", "pdt_team")+`","quantity":`+pick("1", "2")+
				`,"proration_billing_mode":"`+pick("full_immediately", "prorated_immediately", "difference_immediately", "do_not_bill")+
				`","on_payment_failure":"`+pick("apply_change", "prevent_change")+
				`","effective_at":"`+pick("immediately", "next_billing_date")+`","addons":[`+pick("", "", twoSeats, support+","+twoSeats)+`]}`)
		case 7:
			_, _ = shop.sim.ReplaceCard(id, pick(dodosim.CardVisa, dodosim.CardFailsLater, dodosim.CardDeclined, dodosim.CardIndia, dodosim.CardIndiaFailsLater))
		case 8:
			status, body = shop.call("DELETE", path+"/change-plan/scheduled", "")
		}
		if status >= 500 {
			t.Fatalf("%d %s", status, body)
		}
		checkSubscription(t, shop.subscription(id), now, grace > 0)
	}
	shop.get("/subscriptions?page_size=100")
	shop.get("/payments?page_size=100")
	last := time.Time{}
	for _, event := range shop.sim.Events() {
		if event.At.Before(last) {
			t.Errorf("%s at %s comes after what happened at %s", event.Type, event.At, last)
		}
		last = event.At
	}
	shop.flush()
	return shop.news()
}

// checkSubscription tells what is true of a subscription at any time.
func checkSubscription(t *testing.T, sub subscription, now time.Time, grace bool) {
	t.Helper()
	for problem, found := range map[string]bool{
		"a billing date has been missed":      sub.Status == "active" && sub.Next.Add(3*day).Before(now), // a charge takes two days at most, and may begin a day late
		"the term is over":                    sub.Status == "active" && !sub.Expires.After(now),
		"a cycle has no length":               !sub.Next.After(sub.Previous) && sub.Status != "active",
		"cancelled without a date":            (sub.Status == "cancelled") != (sub.EndedAt != nil),
		"paused without a date":               (sub.Status == "paused") != (sub.PausedAt != nil),
		"a change waits for what is over":     sub.Scheduled != nil && (sub.Status == "cancelled" || sub.Status == "failed"),
		"a change waits for another date":     sub.Scheduled != nil && !sub.Scheduled.Effective.Equal(sub.Next),
		"a failed one has a payment method":   sub.Status == "failed" && sub.Method != nil,
		"the amount is not that of the plan":  sub.Product == "pdt_pro" && sub.Amount != 2000*sub.Quantity+sub.extras(),
		"a status that nobody has configured": sub.Status == "past_due" && !grace,
	} {
		if found {
			t.Errorf("%s: %+v", problem, sub)
		}
	}
}

// Whatever is done to subscriptions, what is said about them is well-formed and makes
// sense, and the same things done again say the same.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			grace := int(seed % 2 * 3)
			first := life(t, seed, grace)
			if again := life(t, seed, grace); again != first {
				t.Errorf("got\n%s, then\n%s", first, again)
			}
		})
	}
}

// Everything at once, for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.GracePeriodDays = 2 })
	shop.sim.SetMischief(dodosim.Mischief{Seed: 1, Drop: 0.1, Duplicate: 0.2, NewID: 0.2, MaxDelay: time.Millisecond})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 10 {
				attempt, err := shop.sim.Pay(shop.checkoutDirectly(cartOf("pdt_pro")), dodosim.CardFailsLater)
				if err != nil {
					continue // the others have put the clock past the session's end
				}
				for _, call := range []string{"GET /subscriptions", "GET /payments", "GET /subscriptions/" + attempt.SubscriptionID,
					"PATCH /subscriptions/" + attempt.SubscriptionID, "GET /disputes", "GET /refunds"} {
					method, path, _ := strings.Cut(call, " ")
					request := httptest.NewRequest(method, path, strings.NewReader(`{"metadata":{"n":"1"}}`))
					request.Header.Set("Authorization", "Bearer "+key)
					shop.sim.ServeHTTP(httptest.NewRecorder(), request)
				}
				_, _ = shop.sim.OpenDispute(attempt.PaymentID)
				_, _ = shop.sim.Refund(attempt.PaymentID, 1)
				shop.sim.Advance(time.Duration(i) * 10 * day)
				_, _ = shop.sim.ReplaceCard(attempt.SubscriptionID, dodosim.CardVisa)
			}
		})
	}
	group.Wait()
	shop.flush()
}
