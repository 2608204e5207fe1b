package dodosim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// A renewal by an Indian card is processing for two days, in which the subscription stays
// active; its cycle then counts from the day when it was charged.
func TestSlowRenewal(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardIndia)
	due := shop.subscription(id).Next
	shop.news()
	shop.sim.Advance(31*day + 47*time.Hour)
	if got := shop.news(); got != "payment.processing" {
		t.Error(got)
	}
	if p := shop.payments(id)[1]; p["status"] != "processing" || shop.subscription(id).Status != "active" {
		t.Error(p)
	}
	shop.sim.Advance(time.Hour)
	if got := shop.news(); got != "payment.succeeded subscription.renewed subscription.updated" {
		t.Error(got)
	}
	if sub := shop.subscription(id); !sub.Previous.Equal(due) || !sub.Next.Equal(due.AddDate(0, 1, 0)) {
		t.Errorf("%+v", sub)
	}
	shop.flush()
}

// What is cancelled in between is paid, but does not go on.
func TestSlowRenewalOfACancelled(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardIndia)
	shop.sim.Advance(32 * day)
	shop.patch(id, `{"status":"cancelled"}`)
	shop.news()
	shop.sim.Advance(5 * day)
	if got := shop.news(); got != "payment.succeeded" {
		t.Error(got)
	}
	if sub := shop.subscription(id); sub.Status != "cancelled" {
		t.Errorf("%+v", sub)
	}
}

func TestSlowOnDemand(t *testing.T) {
	shop := magazine(t, nil)
	terms := strings.Replace(cartOf("pdt_pro"), "{", `{"subscription_data":{"on_demand":{"mandate_only":true}},`, 1)
	attempt, err := shop.sim.Pay(shop.checkout(terms), dodosim.CardIndia)
	if err != nil {
		t.Fatal(err)
	}
	path, body := "/subscriptions/"+attempt.SubscriptionID+"/charge", `{"product_price":700}`
	shop.news()
	shop.ask("POST", path, body)
	shop.refuses(refusal{"POST", path, body, 422, "PREVIOUS_PAYMENT_PENDING"})
	shop.sim.Advance(2 * day)
	shop.ask("POST", path, body)
	if got := shop.news(); got != "payment.processing payment.succeeded payment.processing" {
		t.Error(got)
	}
	shop.flush()
}
