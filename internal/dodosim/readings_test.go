package dodosim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// The other readings of what Dodo's sources leave open: each is an option, and what the
// test finds without it is the reading that docs/simulator.md has.

func both(t *testing.T, test func(t *testing.T, other bool)) {
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprint("other reading ", other), func(t *testing.T) { test(t, other) })
	}
}

func TestOnePaymentID(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.OnePaymentID = other })
		for _, product := range []string{"pdt_pack", "pdt_pro"} {
			session := shop.checkout(cartOf(product))
			failed, paid := shop.decline(session), shop.pay(session)
			if (failed.PaymentID == paid.PaymentID) != other {
				t.Error(failed, paid)
			}
			if p := shop.payment(paid.PaymentID); p["status"] != "succeeded" || p["error_code"] != nil || p["checkout_session_id"] != session {
				t.Error(p)
			}
			if status := shop.ask("GET", "/checkouts/"+session, ""); status["payment_id"] != paid.PaymentID || status["payment_status"] != "succeeded" {
				t.Error(status)
			}
		}
		if got := len(shop.items("/payments", "payment_id")); got != 4 && !other || got != 2 && other {
			t.Error(got, "payments")
		}
		shop.flush()
	})
}

func TestBareRenewals(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.BareRenewals = other })
		id := shop.subscribe("pdt_pro", dodosim.CardVisa)
		shop.sim.Advance(31 * day)
		first, renewal := shop.payments(id)[0], shop.payments(id)[1]
		if first["metadata"].(object)["order_id"] != "ord_1" || (len(renewal["metadata"].(object)) == 0) != other {
			t.Error(first, renewal)
		}
	})
}

// TestUntoldFields: what an option leaves out is nowhere said, in webhooks, answers and lists.
func TestUntoldFields(t *testing.T) {
	for option, fields := range map[string][]string{
		"no_currency": {`"currency"`, `"settlement_currency"`}, "no_session_ids": {`"checkout_session_id"`},
	} {
		both(t, func(t *testing.T, other bool) {
			o := options()
			if err := o.Set(option, fmt.Sprint(other)); err != nil {
				t.Fatal(err)
			}
			sim := start(t, o)
			shop := &shop{t: t, sim: sim, url: serve(t, sim)}
			session := shop.checkout(onePack)
			paid, err := sim.Pay(session, dodosim.CardVisa)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sim.Refund(paid.PaymentID, 100); err != nil {
				t.Fatal(err)
			}
			said := map[string]string{}
			for _, path := range []string{"/payments/" + paid.PaymentID, "/payments", "/refunds"} {
				answer, err := shop.raw("GET", path, "")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil || !json.Valid(body) || answer.StatusCode != http.StatusOK {
					t.Fatalf("%s: %d %s, %v", path, answer.StatusCode, body, err)
				}
				said[path] = string(body)
			}
			for _, e := range sim.Events() {
				d, _ := sim.Redeliver(t.Context(), e.ID) // nobody receives it
				said[e.Type] = string(d.Body)
			}
			for _, field := range fields {
				found := 0
				for at, body := range said {
					if strings.Contains(body, field) {
						found++
						if other {
							t.Errorf("%s: %s has %s", option, at, field)
						}
					}
				}
				if found == 0 && !other {
					t.Errorf("%s is nowhere, without %s", field, option)
				}
			}
		})
	}
}

func TestMergeMetadata(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.MergeMetadata = other })
		id := shop.subscribe("pdt_pro", dodosim.CardVisa)
		shop.patch(id, `{"metadata":{"seat":"7"}}`)
		meta := shop.ask("GET", "/subscriptions/"+id, "")["metadata"].(object)
		if _, kept := meta["order_id"]; kept != other || meta["seat"] != "7" {
			t.Error(meta)
		}
		if paid := shop.payments(id)[0]["metadata"].(object); paid["seat"] != nil {
			t.Error("an older payment changed:", paid)
		}
	})
}

func TestProratedKeepsCycle(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.ProratedKeepsCycle = other })
		id := shop.subscribe("pdt_pro", dodosim.CardVisa)
		before := shop.subscription(id)
		shop.sim.Advance(10 * day)
		shop.changePlan(id, `"product_id":"pdt_team","quantity":1,"proration_billing_mode":"prorated_immediately"`)
		after := shop.subscription(id)
		if after.Product != "pdt_team" || after.Next.Equal(before.Next) != other || after.Previous.Equal(before.Previous) != other {
			t.Errorf("%+v", after)
		}
		if got := len(shop.payments(id)); got != 2 {
			t.Error(got, "payments")
		}
	})
}

func TestSoonestExpiryFirst(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.SoonestExpiryFirst = other })
		balance := shop.credits(false, "")
		for _, expires := range []string{"", `,"expires_at":"2030-05-01T00:00:00Z"`, `,"expires_at":"2030-04-01T00:00:00Z"`} {
			shop.ask("POST", balance+"/ledger-entries", `{"entry_type":"credit","amount":"10"`+expires+`}`)
		}
		shop.use(balance, "15")
		left := shop.items(balance+"/grants", "remaining_amount") // newest first
		want := []any{"10", "5", "0"}
		if other {
			want = []any{"0", "5", "10"}
		}
		if !slices.Equal(left, want) {
			t.Errorf("left %v, want %v", left, want)
		}
	})
}

func TestOneSubscription(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.OneSubscription = other })
		first := shop.subscribe("pdt_pro", dodosim.CardVisa)
		cart := func(product string) string {
			return fmt.Sprintf(`{"product_cart":[{"product_id":%q,"quantity":1}],"customer":{"customer_id":%q}}`, product, shop.customerOf(first))
		}
		shop.checkout(cart("pdt_pack"))
		if other {
			shop.refuses(refusal{"POST", "/checkouts", cart("pdt_team"), 422, "CUSTOMER_HAS_EXISTING_SUBSCRIPTION"})
			shop.patch(first, `{"status":"cancelled"}`)
		}
		shop.checkout(cart("pdt_team"))
	})
}

func TestMissingIs500(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := open(t, func(o *dodosim.Options) { o.MissingIs500 = other })
		status, code := 404, "NOT_FOUND"
		if other {
			status, code = 500, "INTERNAL_SERVER_ERROR"
		}
		for _, path := range []string{"/payments/0", "/subscriptions/0", "/customers/0", "/products/0", "/refunds/0"} {
			shop.refuses(refusal{"GET", path, "", status, code})
		}
		shop.refuses(refusal{"GET", "/checkouts/0", "", 404, "NOT_FOUND"}, refusal{"GET", "/nowhere", "", 404, "NOT_FOUND"})
		shop.get("/products/pdt_pack")
	})
}

// quirky is webhooks that break their schema as real ones do. They go to nobody who would
// mind.
func quirky(t *testing.T) []dodosim.Delivery {
	t.Helper()
	o := options()
	o.Quirks = true
	o.WebhookURL, o.WebhookSecret = "http://shop.example/webhook", secret
	o.HTTPClient = acknowledging
	o.Products = append(o.Products, dodosim.Product{
		ID: "pdt_studio", Price: 3000, Currency: "USD", Every: monthly, Features: []string{"reports"},
		Credits: []dodosim.ProductCredit{{Name: "Pictures", Unit: "picture", Amount: "2.5"}},
	})
	shop := &shop{t: t, sim: start(t, o)}
	shop.pay(shop.checkoutDirectly(cartOf("pdt_studio")))
	shop.flush()
	return shop.sim.Deliveries()
}

// What is quirky is that and nothing else, and the official SDK still takes it.
func TestQuirks(t *testing.T) {
	seen := make(map[string]object)
	for _, d := range quirky(t) {
		if _, err := open(t, nil).client().Webhooks.Unwrap(d.Body, d.Header, option.WithWebhookKey(secret)); err != nil {
			t.Errorf("%s: %v", d.Type, err)
		}
		var event struct{ Data object }
		decoder := json.NewDecoder(strings.NewReader(string(d.Body)))
		decoder.UseNumber()
		if err := decoder.Decode(&event); err != nil {
			t.Fatal(err)
		}
		seen[d.Type] = event.Data
	}
	if got := seen["credit.added"]; got["amount"] != json.Number("2.5") || got["balance_before"] != json.Number("0") {
		t.Error(got)
	}
	item := seen["subscription.active"]["credit_entitlement_cart"].([]any)[0].(object)
	if item["credits_amount"] != json.Number("2.5") || item["overage_limit"] != nil {
		t.Error(item)
	}
	grant := seen["entitlement_grant.delivered"]
	if _, has := grant["integration_type"]; has || grant["status"] != "delivered" || grant["metadata"] != nil {
		t.Error(grant)
	}
	if got := seen["payment.succeeded"]; got["total_amount"] != json.Number("3000") || got["metadata"] == nil {
		t.Error(got)
	}
}

// Whatever happens in one stride of the clock happens in the order of its times.
func TestOneStride(t *testing.T) {
	shop := department(t, 3)
	shop.decline(shop.checkout(onePack))                     // abandoned after an hour
	shop.ask("POST", "/payments", linked)                    // cancelled after a day
	shop.dispute(shop.pay(shop.checkout(onePack)).PaymentID) // expires after 10
	if _, err := shop.sim.Payout("USD"); err == nil {
		t.Error("the disputed money was paid out")
	}
	shop.pay(shop.checkout(onePack))
	if _, err := shop.sim.Payout("USD"); err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"pdt_trial", "pdt_once", "pdt_studio", "pdt_api"} {
		shop.subscribe(product, dodosim.CardVisa)
	}
	shop.subscribe("pdt_pro", dodosim.CardFailsLater)
	shop.subscribe("pdt_team", dodosim.CardIndia)
	before := len(shop.sim.Events())
	shop.sim.Advance(70 * day)
	happened, last := shop.sim.Events()[before:], time.Time{}
	types := make(map[string]bool)
	for _, e := range happened {
		if e.At.Before(last) {
			t.Errorf("%s of %v comes after %v", e.Type, e.At, last)
		}
		last = e.At
		types[e.Type] = true
	}
	for _, name := range strings.Fields(`abandoned_checkout.detected payment.cancelled dispute.expired payout.success subscription.renewed
		subscription.expired credit.expired credit.rolled_over credit.rollover_forfeited payment.processing subscription.past_due subscription.on_hold dunning.started`) {
		if !types[name] {
			t.Error("never happened:", name)
		}
	}
	shop.flush()
}
