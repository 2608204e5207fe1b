package dodosim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// What comes due happens in the order of its times, whatever the order of the
// subscriptions, and is dated then.
func TestDueInOrder(t *testing.T) {
	shop := magazine(t, nil)
	shop.sim.Advance(10 * day)
	later := shop.subscribe("pdt_pro", dodosim.CardVisa) // due on day 41
	shop.sim.Advance(time.Hour)
	trial := shop.subscribe("pdt_try", dodosim.CardVisa) // due on day 24 and, a month later, 55
	shop.news()
	before := len(shop.sim.Events())
	if happened := shop.sim.Advance(50 * day); happened != 3 {
		t.Error(happened, "things happened")
	}
	var got []string
	for _, event := range shop.sim.Events()[before:] {
		if event.Type == "subscription.renewed" {
			got = append(got, fmt.Sprint(event.ObjectID, event.At.Sub(opening)))
		}
	}
	wanted := []string{
		fmt.Sprint(trial, 24*day+time.Hour),
		fmt.Sprint(later, 41*day),
		fmt.Sprint(trial, 55*day+time.Hour),
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("got %v, wanted %v", got, wanted)
	}
	payments := shop.payments(trial)
	if got := payments[1]["created_at"]; got != "2030-03-25T13:00:00Z" {
		t.Error("the renewal was paid at", got)
	}
}

// Nothing happens on its own, not even by the clock, without a tick.
func TestTick(t *testing.T) {
	now := opening
	shop := magazine(t, func(o *dodosim.Options) {
		o.Clock = func() time.Time { return now }
		o.WebhookURL = "" // senders would read the clock while it is turned
	})
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	now = opening.AddDate(0, 1, 0)
	if sub := shop.subscription(id); !sub.Next.Equal(now) || len(shop.payments(id)) != 1 {
		t.Errorf("%+v", sub)
	}
	if happened := shop.sim.Tick(); happened != 1 {
		t.Error(happened, "things happened")
	}
	if sub := shop.subscription(id); !sub.Previous.Equal(now) || len(shop.payments(id)) != 2 {
		t.Errorf("%+v", sub)
	}
	if happened := shop.sim.Tick() + shop.sim.Advance(0) + shop.sim.Advance(-100*day); happened != 0 {
		t.Error("it happened twice")
	}
}

// A test of renewals against a receiver with a clock of its own: objects are dated in
// simulated time, signatures in the receiver's.
func TestAdvanceLeavesSignaturesHere(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_pro", Price: 2000, Currency: "USD", Every: monthly})
	})
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	shop.sim.Advance(31 * day)
	shop.flush() // the receiver verifies
	if got := shop.hooks.types(t); len(got) != 7 {
		t.Error(got)
	}
	if sub := shop.subscription(id); sub.Previous.Before(sub.Created.AddDate(0, 0, 28)) {
		t.Errorf("%+v", sub)
	}
	if session := shop.checkout(onePack); shop.pay(session).Status != dodosim.Succeeded {
		t.Error("a session of the future cannot be paid")
	}
}

func TestTickEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_pro", Price: 2000, Currency: "USD", Every: monthly})
		o.TickEvery = time.Hour
		sim := start(t, o)
		shop := &shop{t: t, sim: sim}
		shop.pay(shop.checkoutDirectly(cartOf("pdt_pro")))
		time.Sleep(31*day + time.Hour)
		synctest.Wait()
		if got := strings.Count(shop.news(), "subscription.renewed"); got != 2 {
			t.Error(got, "charges")
		}
		_ = sim.Close()
		time.Sleep(31 * day)
		if got := shop.news(); got != "" {
			t.Error("after Close:", got)
		}
	})
}

// An unpaid session expires without a tick.
func TestAdvancePastSession(t *testing.T) {
	shop := magazine(t, nil)
	session := shop.checkout(cartOf("pdt_pro"))
	shop.sim.Advance(day)
	if _, err := shop.sim.Pay(session, dodosim.CardVisa); err == nil || !strings.Contains(err.Error(), "CHECKOUT_SESSION_EXPIRED") {
		t.Error(err)
	}
}

func TestCalendar(t *testing.T) {
	for name, test := range map[string]struct {
		from   string
		every  dodosim.Period
		wanted []string // the next billing dates
	}{
		"days":          {"2030-02-27", dodosim.Period{Count: 2, Interval: dodosim.Day}, []string{"2030-03-01", "2030-03-03"}},
		"weeks":         {"2030-12-30", dodosim.Period{Count: 1, Interval: dodosim.Week}, []string{"2031-01-06", "2031-01-13"}},
		"short month":   {"2030-01-31", monthly, []string{"2030-02-28", "2030-03-28"}},
		"leap day":      {"2032-02-29", dodosim.Period{Count: 1, Interval: dodosim.Year}, []string{"2033-02-28", "2034-02-28"}},
		"over the year": {"2030-11-30", dodosim.Period{Count: 3, Interval: dodosim.Month}, []string{"2031-02-28", "2031-05-28"}},
	} {
		t.Run(name, func(t *testing.T) {
			from, err := time.Parse(time.DateOnly, test.from)
			if err != nil {
				t.Fatal(err)
			}
			shop := magazine(t, func(o *dodosim.Options) {
				o.Clock = func() time.Time { return from }
				o.Products = append(o.Products, dodosim.Product{ID: "pdt_this", Price: 1, Currency: "USD", Every: test.every})
			})
			id := shop.subscribe("pdt_this", dodosim.CardVisa)
			at := from
			for _, wanted := range test.wanted {
				next := shop.subscription(id).Next
				if got := next.Format(time.DateOnly); got != wanted {
					t.Errorf("got %s, wanted %s", got, wanted)
				}
				shop.sim.Advance(next.Sub(at))
				at = next
			}
		})
	}
}
