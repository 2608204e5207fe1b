package dodosim_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// webhook is a line for webhooks.mjs.
type webhook struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// deviations are what the packages of testdata/dodojs find wrong with webhooks that are
// right all the same, by the beginning of the type. Everything else that they find is a
// fault of the simulator.
var deviations = []struct {
	of, begins, fault, why string // of: the shop whose webhooks may have it
}{
	{"everything", "subscription.", "data.status: invalid_enum_value past_due", "FACTS 7: newer than these schemas; only with Options.GracePeriodDays"},
	{"deviating", "dispute.", "data.brand_id: invalid_type undefined", "FACTS 3.8: the short form, only with Options.ShortDisputes"},
	{"deviating", "dispute.", "data.customer: invalid_type undefined", "FACTS 3.8: the same"},
	{"deviating", "dispute.", "data.payment_provider: invalid_type undefined", "FACTS 3.8: the same"},
	{"quirky", "credit.", "data.amount: invalid_type number", "FACTS 3.9: credits as numbers, only with Options.Quirks"},
	{"quirky", "credit.", "data.balance_before: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "credit.", "data.balance_after: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "credit.", "data.overage_before: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "credit.", "data.overage_after: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "subscription.", "data.credit_entitlement_cart.0.credits_amount: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "subscription.", "data.credit_entitlement_cart.0.remaining_balance: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "subscription.", "data.credit_entitlement_cart.0.overage_balance: invalid_type number", "FACTS 3.9: the same"},
	{"quirky", "entitlement_grant.", "data.status: invalid_enum_value delivered", "FACTS 3.9: lower case, only with Options.Quirks"},
	{"quirky", "entitlement_grant.", "data.integration_type: invalid_type undefined", "FACTS 3.9: missing, only with Options.Quirks"},
	{"quirky", "entitlement_grant.", "data.metadata: invalid_type null", "FACTS 3.9: null, only with Options.Quirks"},
	{"deviating", "payment.", "data.discounts.0.type: invalid_enum_value flat", "FACTS 1.8: the API description has flat discounts, these schemas do not"},
	{"deviating", "subscription.", "data.discounts.0.type: invalid_enum_value flat", "FACTS 1.8: the same"},
}

// deviation is the index of one that explains a fault, or -1.
func deviation(of, eventType, fault string) int {
	for i, d := range deviations {
		if d.of == of && strings.HasPrefix(eventType, d.begins) && d.fault == fault {
			return i
		}
	}
	return -1
}

// deviating is webhooks that only options, or flat discounts, make what they are.
func deviating(t *testing.T) []dodosim.Delivery {
	t.Helper()
	shop := open(t, func(o *dodosim.Options) {
		o.ShortDisputes = true
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_pro", Price: 2000, Currency: "USD", Every: monthly})
	})
	shop.ask("POST", "/discounts", `{"type":"flat","amount":1,"code":"DOLLAR","currency_options":[{"currency":"USD","is_default":true,"max_amount_possible":100}]}`)
	shop.dispute(shop.pay(shop.checkout(onePack)).PaymentID)
	shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pro","quantity":1}],"discount_codes":["DOLLAR"]}`))
	shop.flush()
	return shop.sim.Deliveries()
}

// TestJavaScriptAcceptsEveryWebhook: Dodo's own npm packages verify each webhook of each of
// the 48 types and find nothing wrong with it but what deviations lists, all of which they
// do find. Among them are some with two signatures.
func TestJavaScriptAcceptsEveryWebhook(t *testing.T) {
	var input strings.Builder
	var shown []dodosim.Delivery
	var from []string // the shop of each
	show := func(of, secret string, deliveries []dodosim.Delivery) {
		for _, d := range deliveries {
			from = append(from, of)
			headers := make(map[string]string)
			for name := range d.Header {
				headers[strings.ToLower(name)] = d.Header.Get(name)
			}
			if err := json.NewEncoder(&input).Encode(webhook{secret, headers, string(d.Body)}); err != nil {
				t.Fatal(err)
			}
			shown = append(shown, d)
		}
	}
	show("everything", secret, everything(t))
	show("deviating", secret, deviating(t))
	show("quirky", secret, quirky(t))
	former, newSecret := rotated(t)
	show("rotated", secret, former)
	show("rotated", newSecret, former)

	found, types := make(map[int]bool), make(map[string]bool)
	for i, line := range node(t, "webhooks.mjs", input.String()) {
		var faults []string
		decode(t, []byte(line), &faults)
		types[shown[i].Type] = true
		for _, fault := range faults {
			at := deviation(from[i], shown[i].Type, fault)
			if found[at] = true; at < 0 {
				t.Errorf("%s: %s\n%s", shown[i].Type, fault, shown[i].Body)
			}
		}
	}
	for i, d := range deviations {
		if !found[i] {
			t.Errorf("not found any more: %s %s %s (%s)", d.of, d.begins, d.fault, d.why)
		}
	}
	if len(types) != 48 {
		t.Error(len(types), "types were shown")
	}
	t.Logf("%d webhooks of %d types", len(shown), len(types))
}

// rotated is webhooks of the day on which a secret was replaced, and the new one.
func rotated(t *testing.T) ([]dodosim.Delivery, string) {
	t.Helper()
	shop := open(t, nil)
	endpoint := shop.ask("GET", "/webhooks", "")["data"].([]any)[0].(map[string]any)["id"].(string)
	newSecret, err := shop.sim.RotateWebhookSecret(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	shop.pay(shop.checkout(onePack))
	shop.flush()
	sent := shop.sim.Deliveries()
	if len(sent) != 1 || len(strings.Fields(sent[0].Header.Get("webhook-signature"))) != 2 {
		t.Fatalf("%+v", sent)
	}
	return sent, newSecret
}

// TestJavaScriptRefuses shows that TestJavaScriptAcceptsEveryWebhook can fail.
func TestJavaScriptRefuses(t *testing.T) {
	shop := open(t, nil)
	shop.pay(shop.checkout(onePack))
	shop.flush()
	good := shop.sim.Deliveries()[0]
	signer, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	var input strings.Builder
	for _, change := range [][2]string{
		{"", ""}, // none
		{`"payment_provider":"dodo"`, `"payment_provider":"acme"`},
		{`"settlement_amount":999`, `"settlement_amount":"999"`},
		{`"brand_id"`, `"brandid"`},
	} {
		body := strings.Replace(string(good.Body), change[0], change[1], 1)
		signature, err := signer.Sign(good.WebhookID, good.At, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{
			"webhook-id": good.WebhookID, "webhook-timestamp": good.Header.Get("webhook-timestamp"), "webhook-signature": signature,
		}
		if err := json.NewEncoder(&input).Encode(webhook{secret, headers, body}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`[]`,
		`["data.payment_provider: invalid_enum_value acme"]`,
		`["data.settlement_amount: invalid_type string"]`,
		`["data.brand_id: invalid_type undefined"]`,
	}
	if got := node(t, "webhooks.mjs", input.String()); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
