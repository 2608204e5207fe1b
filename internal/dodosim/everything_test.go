package dodosim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// everyType lists the 48 types of FACTS 3.3: those that the description has, and
// subscription.past_due, which amend adds.
func everyType() []string {
	var types []string
	for name := range loadDescription().document["webhooks"].(map[string]any) {
		types = append(types, name)
	}
	slices.Sort(types)
	return types
}

// department is a shop that has everything, so that everything can happen in it. Its clock
// is the real one, put forward.
func department(t *testing.T, grace int) *shop {
	return open(t, func(o *dodosim.Options) {
		o.GracePeriodDays = grace
		o.Dunning, o.AbandonedCheckouts = true, true
		pictures := dodosim.ProductCredit{
			Name: "Pictures", Unit: "picture", Amount: "100", ExpiresAfterDays: 20, LowBalancePercent: 20,
			Overage:  &dodosim.Overage{Behavior: dodosim.InvoiceAtBilling, Price: "5"},
			Rollover: &dodosim.Rollover{Percent: 50, MaxCount: 1, Timeframe: dodosim.Period{Count: 3, Interval: dodosim.Day}},
		}
		o.Products = append(o.Products,
			dodosim.Product{
				ID: "pdt_kit", Name: "The kit", Price: 4900, Currency: "USD", LicenseKeys: true, ActivationsLimit: 2,
				Credits:  []dodosim.ProductCredit{{Name: "Kits", Unit: "kit", Amount: "1"}},
				Features: []string{"export"},
				Integrations: []dodosim.Integration{
					{Kind: dodosim.LicenseKey, Name: "The kit's key"}, {Kind: dodosim.DigitalFiles, Name: "kit.zip"}, {Kind: dodosim.GitHub, Name: "acme/kit"},
				},
			},
			dodosim.Product{ID: "pdt_pro", Name: "Pro", Price: 2000, Currency: "USD", Every: monthly, Features: []string{"reports"}},
			dodosim.Product{ID: "pdt_team", Name: "Team", Price: 5000, Currency: "USD", Every: monthly},
			dodosim.Product{ID: "pdt_trial", Price: 900, Currency: "USD", Every: monthly, TrialDays: 3, TrialPrice: 100},
			dodosim.Product{ID: "pdt_once", Price: 100, Currency: "USD", Every: monthly, Term: monthly},
			dodosim.Product{ID: "pdt_studio", Price: 3000, Currency: "USD", Every: monthly, Credits: []dodosim.ProductCredit{pictures}},
			dodosim.Product{
				ID: "pdt_api", Price: 0, Currency: "USD", Every: monthly,
				Meters: []dodosim.Meter{{EventName: "call", FreeThreshold: 10, PricePerUnit: "0.5"}},
			},
		)
	})
}

// must fails the test of a step that did not go as it has to.
func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// sellOnce lets everything happen that a thing that is sold once can go through.
func (s *shop) sellOnce() {
	t := s.t
	t.Helper()
	id := must[string](t)
	kit := s.pay(s.checkout(strings.Replace(cartOf("pdt_kit"), `}]`, `}],"discount_codes":["HALF"]`, 1)))
	github := s.grantOf("github")["id"].(string)
	check(t, s.sim.FailGrant(github))
	session := s.checkout(onePack)
	s.decline(session)
	s.sim.Advance(time.Hour)
	s.pay(session)
	check(t, s.sim.CancelPayment(s.ask("POST", "/payments", linked)["payment_id"].(string)))
	id(s.sim.FailRefund(kit.PaymentID, 100))
	id(s.sim.Refund(kit.PaymentID, 500))
	id(s.sim.Refund(kit.PaymentID, 0))
	for _, outcome := range []dodosim.DisputeStatus{"dispute_won", "dispute_lost", "dispute_accepted", "dispute_cancelled"} {
		disputed := s.dispute(s.pay(s.checkout(onePack)).PaymentID)
		s.decide(disputed, dodosim.DisputeChallenged, outcome)
	}
	id(s.sim.LoseByRDR(s.pay(s.checkout(onePack)).PaymentID))
	s.dispute(s.pay(s.checkout(onePack)).PaymentID)
	first := id(s.sim.Payout("USD"))
	s.sim.Advance(11 * day)
	s.pay(s.checkout(onePack))
	second := id(s.sim.Payout("USD"))
	check(t, s.sim.MovePayout(second, dodosim.PayoutOnHold))
	check(t, s.sim.MovePayout(second, dodosim.PayoutFailed))
	if first == second {
		t.Error("one payout for all")
	}
}

// subscribeAll lets everything happen that a subscription can go through.
func (s *shop) subscribeAll() {
	t := s.t
	t.Helper()
	if _, err := s.sim.Pay(s.checkout(cartOf("pdt_pro")), dodosim.CardDeclined); err != nil {
		t.Fatal(err)
	}
	s.subscribe("pdt_once", dodosim.CardVisa)
	s.subscribe("pdt_trial", dodosim.CardVisa)
	s.subscribe("pdt_team", dodosim.CardIndia)
	held := s.subscribe("pdt_pro", dodosim.CardFailsLater)
	studio := s.subscribe("pdt_studio", dodosim.CardVisa)
	calls := s.subscribe("pdt_api", dodosim.CardVisa)
	s.ingest(s.customerOf(calls), slices.Repeat([]string{"call"}, 30)...)
	pictures := s.pictures(studio)
	s.use(pictures, "85")
	parts := strings.Split(pictures, "/")
	check(t, s.sim.AdjustCredits(parts[2], parts[4], "1"))
	s.sim.Advance(25 * day) // they expire, are carried, and are forfeited
	s.use(pictures, "10")   // what the adjustment has given, and overage
	s.sim.Advance(10 * day)
	s.replaceCard(held, dodosim.CardVisa)
	s.changePlan(held, `"product_id":"pdt_team","quantity":2,"proration_billing_mode":"prorated_immediately"`)
	s.patch(held, `{"status":"paused"}`)
	s.patch(held, `{"status":"active"}`)
	s.changePlan(held, `"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"full_immediately","effective_at":"next_billing_date"`)
	s.sim.Advance(32 * day)
	s.patch(held, `{"cancel_at_next_billing_date":true,"cancellation_feedback":"unused","cancel_reason":"cancelled_by_customer"}`)
	s.sim.Advance(32 * day)
}

// everything is all webhooks of two shops in which all types of events happen: one without
// a grace period, and one with.
func everything(t *testing.T) []dodosim.Delivery {
	t.Helper()
	plain, patient := department(t, 0), department(t, 3)
	plain.sellOnce()
	plain.subscribeAll()
	patient.subscribe("pdt_pro", dodosim.CardFailsLater)
	patient.sim.Advance(32 * day)
	patient.flush() // while it is past due: bodies have the latest state
	patient.sim.Advance(8 * day)
	var all []dodosim.Delivery
	for _, s := range []*shop{plain, patient} {
		s.flush()
		all = append(all, s.sim.Deliveries()...)
	}
	return all
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryType: all 48 are sent, each fits its schema (which the receiver sees to), and
// the official SDK decodes each as what it is, with nothing missing that it requires.
func TestEveryType(t *testing.T) {
	shop := open(t, nil)
	seen := make(map[string]int)
	for _, d := range everything(t) {
		seen[d.Type]++
		if !d.Acknowledged() {
			t.Errorf("%s: %d %v", d.Type, d.Status, d.Err)
		}
		shop.unwraps(d)
	}
	for _, name := range everyType() {
		if seen[name] == 0 {
			t.Error("never sent:", name)
		}
		delete(seen, name)
	}
	if len(everyType()) != 48 || len(seen) > 0 {
		t.Error(len(everyType()), "types, and not among them", fmt.Sprint(seen))
	}
}
