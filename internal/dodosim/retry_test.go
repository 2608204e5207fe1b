package dodosim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// Every try, with its number and its time after the renewal that failed.
func TestRetriesOfARenewal(t *testing.T) {
	for _, test := range []struct {
		days int
		want []string
	}{
		{0, []string{"0 0s"}},
		{1, []string{"0 0s", "1 12h0m0s"}},
		{13, []string{"0 0s", "1 12h0m0s", "2 36h0m0s", "3 84h0m0s", "4 156h0m0s", "5 252h0m0s"}},
		{30, []string{
			"0 0s", "1 12h0m0s", "2 36h0m0s", "3 84h0m0s", "4 156h0m0s", "5 252h0m0s", "6 372h0m0s", "7 540h0m0s", "8 708h0m0s",
		}},
	} {
		t.Run(fmt.Sprint(test.days, " days"), func(t *testing.T) {
			shop := magazine(t, func(o *dodosim.Options) { o.RetryDays = test.days })
			id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
			due := shop.subscription(id).Next
			shop.sim.Advance(120 * day)
			var got []string
			for _, e := range shop.sim.Events() {
				if e.Type == "payment.failed" {
					got = append(got, fmt.Sprint(shop.payment(e.ObjectID)["retry_attempt"], " ", e.At.Sub(due)))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("tried at %v, want %v", got, test.want)
			}
			if sub := shop.subscription(id); sub.Status != "on_hold" {
				t.Errorf("%+v", sub)
			}
			shop.flush()
		})
	}
}

// A new card ends the tries, and the next renewal that fails begins them anew.
func TestRetriesEnd(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.RetryDays, o.GracePeriodDays = 13, 3 })
	id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.sim.Advance(32 * day)
	shop.replaceCard(id, dodosim.CardFailsLater) // pays now, and fails later
	shop.news()
	shop.sim.Advance(20 * day)
	if got := shop.news(); got != "" {
		t.Error("tried again:", got)
	}
	shop.sim.Advance(9 * day) // due on 1 May
	if got := shop.news(); got != "payment.failed subscription.past_due subscription.updated" {
		t.Error(got)
	}
	shop.sim.Advance(2 * day)
	if got := shop.news(); got != "payment.failed payment.failed" {
		t.Error(got)
	}
	shop.patch(id, `{"status":"cancelled"}`)
	shop.news()
	shop.sim.Advance(20 * day)
	if got := shop.news(); got != "" {
		t.Error("tried after the end:", got)
	}
}

// A card that is good again recovers the subscription by the next try, with no new payment
// method.
func TestRetryRecovers(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.RetryDays, o.Dunning = 13, true })
	id := shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	due := shop.subscription(id).Next
	shop.sim.Advance(31 * day)
	if err := shop.sim.MendCard(id); err != nil {
		t.Fatal(err)
	}
	shop.news()
	shop.sim.Advance(day)
	if got := shop.news(); got != "payment.succeeded subscription.active subscription.updated dunning.recovered" {
		t.Error(got)
	}
	sub, paid := shop.subscription(id), shop.payments(id)
	if last := shop.payment(paid[len(paid)-1]["payment_id"].(string)); last["retry_attempt"] != 1.0 {
		t.Error(last)
	}
	if sub.Status != "active" || sub.Previous.Sub(due).Hours() != 12 {
		t.Errorf("%+v", sub)
	}
	shop.sim.Advance(40 * day)
	if got := shop.news(); !strings.Contains(got, "subscription.renewed") || strings.Contains(got, "failed") {
		t.Error(got)
	}
	if shop.sim.MendCard("sub_0") == nil {
		t.Error("mended the card of no subscription")
	}
}
