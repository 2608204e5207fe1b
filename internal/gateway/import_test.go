package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

func ptr[T any](v T) *T { return &v }

// importing imports rows as of a day ago and returns what became of them.
func (w *world) importing(dry bool, rows ...gateway.ImportRow) []gateway.ImportResult {
	w.t.Helper()
	results, err := w.Import(w.t.Context(), rows, gateway.ImportOptions{AsOf: time.Now().Add(-24 * time.Hour), DryRun: dry})
	must(w.t, err)
	return results
}

// changes imports rows and wants as many of them to change something.
func (w *world) changes(want int, rows ...gateway.ImportRow) {
	w.t.Helper()
	for _, dry := range []bool{true, false} {
		got := 0
		for _, r := range w.importing(dry, rows...) {
			if r.Problem != "" {
				w.t.Errorf("line %d: %s", r.Line, r.Problem)
			} else if len(r.Changes) > 0 {
				got++
			}
		}
		if got != want {
			w.t.Errorf("dry %v: %d rows change something, want %d", dry, got, want)
		}
	}
}

// oldSubscription is a subscription that was bought before this gateway: nothing in it
// is ours.
func oldSubscription(eventType string, at time.Time) string {
	return strings.NewReplacer(
		"@TYPE@", eventType, "@NOW@", at.UTC().Format(time.RFC3339), "@IN30D@", at.Add(30*24*time.Hour).UTC().Format(time.RFC3339),
	).Replace(`{
  "business_id": "bus_case", "type": "@TYPE@", "timestamp": "@NOW@",
  "data": {
    "payload_type": "Subscription", "subscription_id": "sub_old", "product_id": "pdt_pro", "status": "active", "quantity": 1,
    "recurring_pre_tax_amount": 1900, "currency": "USD", "tax_inclusive": true, "addons": [],
    "created_at": "2026-03-01T00:00:00Z", "previous_billing_date": "@NOW@", "next_billing_date": "@IN30D@", "expires_at": null,
    "payment_frequency_count": 1, "payment_frequency_interval": "Month", "subscription_period_count": 10, "subscription_period_interval": "Year",
    "trial_period_days": 0, "cancel_at_next_billing_date": false, "cancelled_at": null, "on_demand": false, "metadata": {"userId": "user_42"},
    "customer": {"customer_id": "cus_old", "email": "buyer@example.com", "name": "Buyer", "phone_number": null, "metadata": {}},
    "credit_entitlement_cart": [], "meter_credit_entitlement_cart": [], "meters": []
  }
}`)
}

// posts signs a webhook and hands it in.
func (w *world) posts(id, body string) gateway.Outcome {
	w.t.Helper()
	header, raw := signed(w.t, id, body)
	outcome, err := w.HandleEvent(w.t.Context(), header, raw)
	must(w.t, err)
	return outcome
}

var oldProducts = []config.Product{
	{Name: "pack10", ID: "pdt_pack10", Credits: 10},
	{Name: "pro", ID: "pdt_pro", Credits: 500, Plan: "pro"},
}

// TestImportedSubscriptionRenews: the next renewal of a subscription that was bought
// elsewhere finds its account by an imported id, before or after the import.
func TestImportedSubscriptionRenews(t *testing.T) {
	for name, row := range map[string]gateway.ImportRow{
		"by subscription": {Account: "user_42", Subscriptions: []string{"sub_old"}},
		"by customer":     {Account: "user_42", Customers: []string{"cus_old"}},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
				row.Credits = ptr[int64](7)
				w.changes(1, row)
				w.changes(0, row)
				if got := w.posts("msg_1", oldSubscription("subscription.renewed", time.Now())); got != gateway.Applied {
					t.Errorf("the renewal is %s", got)
				}
				w.has("user_42", 507, true)
			})
			each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
				if got := w.posts("msg_1", oldSubscription("subscription.renewed", time.Now())); got != gateway.Parked {
					t.Errorf("the renewal is %s", got)
				}
				row.Credits = ptr[int64](7)
				w.changes(1, row)
				_, err := w.RedriveAll(t.Context())
				must(t, err)
				w.has("user_42", 507, true)
			})
		})
	}
}

// TestImportHasWhatWasBoughtBefore: credits that are part of an imported balance are not
// given again, by a webhook, a repeat of it, or reconcile.
func TestImportHasWhatWasBoughtBefore(t *testing.T) {
	each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
		row := gateway.ImportRow{
			Account: "user_42", Credits: ptr[int64](7), Customers: []string{"cus_old"}, Payments: []gateway.ImportedPayment{{ID: "pay_old", At: time.Now().Add(-48 * time.Hour)}},
		}
		w.changes(1, row)
		w.has("user_42", 7, true)
		for i, body := range []string{
			oldSubscription("subscription.renewed", time.Now().Add(-20*24*time.Hour)),
			oldPayment("pay_old", time.Now()), // is named
			oldPayment("pay_older", time.Now().Add(-48*time.Hour)),
		} {
			if got := w.posts(fmt.Sprint("msg_", i), body); got != gateway.Applied {
				t.Errorf("event %d is %s", i, got)
			}
		}
		w.has("user_42", 7, true)
		w.posts("msg_new", oldPayment("pay_new", time.Now()))
		w.has("user_42", 17, true)
		w.changes(0, row)
		if s, err := w.Entitlement(t.Context(), "user_42"); err != nil || s.Plan != "pro" {
			t.Errorf("plan %q, %v: the subscription still gives its plan", s.Plan, err)
		}
	})
}

// oldPayment is a payment that was made without our checkout, by a static link.
func oldPayment(id string, at time.Time) string {
	return strings.NewReplacer("@ID@", id, "@AT@", at.UTC().Format(time.RFC3339)).Replace(`{
  "business_id": "bus_case", "type": "payment.succeeded", "timestamp": "@AT@",
  "data": {
    "payload_type": "Payment", "payment_id": "@ID@", "status": "succeeded", "total_amount": 500, "tax": 0, "currency": "USD",
    "settlement_amount": 500, "settlement_currency": "USD", "created_at": "@AT@", "product_cart": [{"product_id": "pdt_pack10", "quantity": 1}],
    "subscription_id": null, "metadata": {}, "refunds": [], "disputes": [], "billing": {"country": "US"}, "brand_id": "bus_case",
    "customer": {"customer_id": "cus_old", "email": "buyer@example.com", "name": "Buyer", "phone_number": null, "metadata": {}},
    "digital_products_delivered": false, "business_id": "bus_case"
  }
}`)
}

// TestImportCorrects: a corrected row changes the difference, whatever was spent, and
// leaves what it does not name.
func TestImportCorrects(t *testing.T) {
	until := time.Now().Add(10 * 24 * time.Hour).UTC().Truncate(time.Second)
	each(t, settings{products: oldProducts, hold: true}, func(t *testing.T, w *world) {
		row := gateway.ImportRow{Account: "ann", Credits: ptr[int64](100), Plan: ptr("pro"), PlanExpiresAt: until}
		w.changes(1, row)
		row.Credits = ptr[int64](130)
		w.changes(1, row)
		w.entries("ann", 100, 30)
		w.changes(1, gateway.ImportRow{Account: "ann", Paid: ptr(true)})
		w.has("ann", 130, true)
		s, err := w.Entitlement(t.Context(), "ann")
		must(t, err)
		if s.Plan != "pro" || !s.PlanExpiresAt.Equal(until) {
			t.Errorf("plan %q until %v, want until %v", s.Plan, s.PlanExpiresAt, until)
		}
		w.changes(1, gateway.ImportRow{Account: "ann", Credits: ptr[int64](30), Plan: ptr(""), Paid: ptr(false)})
		w.entries("ann", 100, 30, -100)
		w.has("ann", 30, false)
	})
}

// TestImportAndSignup: a balance of 0 is a balance, and no sign-up credits come on top
// of one, whichever was first.
func TestImportAndSignup(t *testing.T) {
	each(t, settings{signupCredits: 3}, func(t *testing.T, w *world) {
		w.has("early", 3, false)
		rows := []gateway.ImportRow{{Account: "early", Credits: ptr[int64](13)}, {Account: "spent", Credits: ptr[int64](0)}}
		w.changes(2, rows...)
		w.changes(0, rows...)
		w.has("early", 13, false)
		w.has("spent", 0, false)
		w.has("new", 3, false)
	})
}

// TestImportAfterSignupEnded: sign-up credits are part of the balance also if the config gives none any
// more.
func TestImportAfterSignupEnded(t *testing.T) {
	each(t, settings{signupCredits: 3}, func(t *testing.T, w *world) {
		w.has("early", 3, false)
		w.remake(func(o *gateway.Options) { o.SignupCredits = 0 })
		w.changes(1, gateway.ImportRow{Account: "early", Credits: ptr[int64](13)})
		w.has("early", 13, false)
	})
}

// TestImportRefuses: what does not fit changes nothing, and says why.
func TestImportRefuses(t *testing.T) {
	each(t, settings{products: oldProducts}, func(t *testing.T, w *world) {
		w.changes(1, gateway.ImportRow{Account: "owner", Customers: []string{"cus_1"}})
		for want, row := range map[string]gateway.ImportRow{
			"account is empty":          {Credits: ptr[int64](1)},
			"longer than 256":           {Account: strings.Repeat("x", 257)},
			"from 0 to":                 {Account: "a", Credits: ptr[int64](-1)},
			"whole number from 0":       {Account: "b", Credits: ptr[int64](1 << 53)},
			`no product gives`:          {Account: "c", Plan: ptr("monthly")},
			"without a plan":            {Account: "d", PlanExpiresAt: time.Now()},
			"not between 2000":          {Account: "e", Plan: ptr("pro"), PlanExpiresAt: time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)},
			"is not an id":              {Account: "f", Credits: ptr[int64](5), Customers: []string{"cus 1"}},
			`the account "owner"`:       {Account: "g", Credits: ptr[int64](5), Customers: []string{"cus_1"}},
			"more than 300 ids of Dodo": {Account: "h", Customers: strings.Fields(strings.Repeat("cus_x ", 301))},
		} {
			for _, dry := range []bool{true, false} {
				if got := w.importing(dry, row)[0]; !strings.Contains(got.Problem, want) || len(got.Changes) > 0 {
					t.Errorf("%+v: %+v, want a problem with %q", row, got, want)
				}
			}
			if row.Account != "" && len(row.Account) < 256 {
				w.has(row.Account, 0, false)
			}
		}
	})
}

// TestRebuildKeepsImports: a rebuild leaves imported balances as they are, also when it
// reads what was imported at Dodo; and an empty store that gets the same import is
// as before.
func TestRebuildKeepsImports(t *testing.T) {
	w := newWorld(t, openBolt(t), settings{products: oldProducts, hold: true})
	row := gateway.ImportRow{Account: "ann", Credits: ptr[int64](40)}
	w.buy("ann", "pack10")
	elsewhere := w.elsewhere("pdt_pack10")
	row.Payments = []gateway.ImportedPayment{{ID: elsewhere, At: time.Now().Add(-time.Hour)}}
	for range 2 {
		w.changes(1, row)
		for range 2 {
			_, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
			must(t, err)
			w.has("ann", 50, true)
		}
		w.changes(0, row)
		w.store = store.Client{Store: openBolt(t)}
		w.gate = w.newGateway(settings{products: oldProducts})
	}
}

// elsewhere is a payment that was made past our checkout.
func (w *world) elsewhere(productID string) string {
	w.t.Helper()
	session, err := w.Provider.CreateCheckout(w.t.Context(), &dodo.Checkout{ProductID: productID, Quantity: 1, ReturnURL: "http://localhost"})
	must(w.t, err)
	attempt, err := w.sim.Pay(session.ID, goodCard)
	must(w.t, err)
	return attempt.PaymentID
}
