package dodosim_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// subscribing is a body of POST /subscriptions, with more fields if there are any.
func subscribing(more string) string {
	body := `{"product_id":"pdt_pro","quantity":1,"billing":` + here + `,"customer":` + adaJSON + `,"metadata":{"order_id":"ord_1"}`
	if more != "" {
		body += "," + more
	}
	return body + "}"
}

// A subscription with a link is pending until it is paid, and one and the same then.
func TestOfficialSDKSubscriptionLink(t *testing.T) {
	shop, ctx := magazine(t, nil), t.Context()
	client := shop.client()
	made := whole(client.Subscriptions.New(ctx, dodopayments.SubscriptionNewParams{ //nolint:staticcheck // deprecated, and still used
		Billing:   dodopayments.F(dodopayments.BillingAddressParam{Country: dodopayments.F(dodopayments.CountryCodeDe)}),
		Customer:  dodopayments.F[dodopayments.CustomerRequestUnionParam](dodopayments.NewCustomerParam{Email: dodopayments.F("ada@example.com"), Name: dodopayments.F("Ada")}),
		ProductID: dodopayments.F("pdt_pro"), Quantity: dodopayments.F(int64(1)),
		Addons: dodopayments.F([]dodopayments.AttachAddonParam{{AddonID: dodopayments.F("adn_seat"), Quantity: dodopayments.F(int64(2))}}),
		OneTimeProductCart: dodopayments.F([]dodopayments.OneTimeProductCartItemParam{
			{ProductID: dodopayments.F("pdt_book"), Quantity: dodopayments.F(int64(1))},
		}),
		PaymentLink: dodopayments.F(true), ReturnURL: dodopayments.F("https://shop.example/back"),
		DiscountCodes: dodopayments.F([]string{"HALF"}),
	})).in(t)
	if made.RecurringPreTaxAmount != 1500 || made.PaymentLink != shop.url+"/session/"+made.PaymentID || made.ExpiresOn.IsZero() ||
		len(made.DiscountIDs) != 1 || len(made.Addons) != 1 || made.Addons[0].Quantity != 2 || len(made.OneTimeProductCart) != 1 {
		t.Errorf("%s", made.JSON.RawJSON())
	}
	pending := whole(client.Subscriptions.Get(ctx, made.SubscriptionID)).in(t)
	if pending.Status != dodopayments.SubscriptionStatusPending {
		t.Errorf("%+v", pending)
	}
	if p := shop.payment(made.PaymentID); p["status"] != "requires_payment_method" || p["subscription_id"] != made.SubscriptionID || p["product_cart"] != nil || p["total_amount"] != 2750.0 {
		t.Error(p)
	}
	if got := shop.news(); got != "" {
		t.Error("before it is paid:", got)
	}
	shop.sim.Advance(5 * day / 6)
	page := shop.page("POST", made.PaymentID, url.Values{"card": {dodosim.CardVisa}, "email": {"ada@example.com"}, "name": {"Ada"}})
	if target := page.Header().Get("Location"); page.Code != 303 || !strings.Contains(target, "subscription_id="+made.SubscriptionID) {
		t.Error(page.Code, target)
	}
	if got := shop.news(); got != "subscription.active payment.succeeded subscription.renewed subscription.updated" {
		t.Error(got)
	}
	paid := opening.Add(5 * day / 6)
	if sub := shop.subscription(made.SubscriptionID); sub.Status != "active" || !sub.Created.Equal(opening) || !sub.Previous.Equal(paid) || !sub.Next.Equal(paid.AddDate(0, 1, 0)) {
		t.Errorf("%+v", sub)
	}
	if p := shop.payment(made.PaymentID); p["status"] != "succeeded" || p["subscription_id"] != made.SubscriptionID || p["payment_method_id"] == nil {
		t.Error(p)
	}
	shop.sim.Advance(31 * day)
	if payments := shop.payments(made.SubscriptionID); len(payments) != 2 || payments[1]["total_amount"] != 1500.0 {
		t.Error(payments)
	}
	shop.flush()
}

// A try that is declined is final for the subscription, and for its link.
func TestSubscriptionLinkDeclined(t *testing.T) {
	shop := magazine(t, nil)
	made := shop.ask("POST", "/subscriptions", subscribing(`"payment_link":true`))
	payment, id := made["payment_id"].(string), made["subscription_id"].(string)
	shop.decline(payment)
	if got := shop.news(); got != "payment.failed subscription.failed" {
		t.Error(got)
	}
	if sub := shop.subscription(id); sub.Status != "failed" || shop.payment(payment)["subscription_id"] != id {
		t.Errorf("%+v", sub)
	}
	if _, err := shop.sim.Pay(payment, dodosim.CardVisa); err == nil || !strings.Contains(err.Error(), "CHECKOUT_SESSION_EXPIRED") {
		t.Error("paid after all:", err)
	}
	shop.flush()
}

// A subscription that nobody pays, and one that is cancelled before, never begin.
func TestSubscriptionLinkUnpaid(t *testing.T) {
	shop := magazine(t, nil)
	left := shop.ask("POST", "/subscriptions", subscribing(`"payment_link":true`))["subscription_id"].(string)
	gone := shop.ask("POST", "/subscriptions", subscribing(""))
	shop.patch(gone["subscription_id"].(string), `{"status":"cancelled"}`)
	if _, err := shop.sim.Pay(gone["payment_id"].(string), dodosim.CardVisa); err == nil {
		t.Error("a cancelled subscription was paid")
	}
	shop.refuses(
		refusal{"POST", "/subscriptions/" + left + "/charge", `{"product_price":1}`, 422, "SUBSCRIPTION_NOT_ON_DEMAND"},
		refusal{"POST", "/subscriptions/" + left + "/change-plan", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"}`, 422, "INACTIVE_SUBSCRIPTION_PLAN_CHANGE_NOT_SUPPORTED"},
	)
	if got := shop.items("/subscriptions?status=pending", "subscription_id"); len(got) != 1 || got[0] != left {
		t.Error("pending", got)
	}
	shop.news()
	shop.sim.Advance(2 * day)
	if got := shop.news(); got != "payment.cancelled subscription.failed payment.cancelled" {
		t.Error(got)
	}
	if got := shop.subscription(left).Status; got != "failed" {
		t.Error(got)
	}
	shop.flush()
}

// TestSubscriptionTerms: what the first payment costs, and when the next comes.
func TestSubscriptionTerms(t *testing.T) {
	for name, test := range map[string]struct {
		more   string
		first  float64
		events string
		trial  int
		later  int // payments after 31 days, the first one included
	}{
		"as the product says":   {``, 2000, "subscription.active payment.succeeded subscription.renewed subscription.updated", 0, 2},
		"a trial of its own":    {`"trial_period_days":7`, 0, "subscription.active payment.succeeded subscription.updated", 7, 2},
		"without a trial":       {`"trial_period_days":0`, 2000, "subscription.active payment.succeeded subscription.renewed subscription.updated", 0, 2},
		"a mandate only":        {`"on_demand":{"mandate_only":true}`, 0, "subscription.active payment.succeeded subscription.renewed subscription.updated", 0, 1},
		"on demand, at a price": {`"on_demand":{"mandate_only":false,"product_price":700}`, 700, "subscription.active payment.succeeded subscription.renewed subscription.updated", 0, 1},
		"with something else":   {`"one_time_product_cart":[{"product_id":"pdt_book","quantity":2}]`, 7000, "subscription.active payment.succeeded subscription.renewed subscription.updated", 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			shop := magazine(t, nil)
			made := shop.ask("POST", "/subscriptions", subscribing(test.more))
			if made["payment_link"] != nil || made["expires_on"] != nil || made["metadata"].(object)["order_id"] != "ord_1" {
				t.Error(made)
			}
			paid := shop.pay(made["payment_id"].(string))
			if paid.SubscriptionID != made["subscription_id"] || shop.payment(paid.PaymentID)["total_amount"] != test.first {
				t.Error(paid, shop.payment(paid.PaymentID))
			}
			if got := shop.news(); got != test.events {
				t.Error(got)
			}
			if sub := shop.subscription(paid.SubscriptionID); sub.Trial != test.trial || sub.Metadata["order_id"] != "ord_1" {
				t.Errorf("%+v", sub)
			}
			shop.sim.Advance(31 * day)
			if got := len(shop.payments(paid.SubscriptionID)); got != test.later {
				t.Error(got, "payments")
			}
			shop.flush()
		})
	}
}

// A saved method pays at once.
func TestSubscriptionBySavedMethod(t *testing.T) {
	for card, status := range map[string]string{dodosim.CardVisa: "active", dodosim.CardFailsLater: "failed"} {
		shop := magazine(t, nil)
		sub := shop.ask("GET", "/subscriptions/"+shop.subscribe("pdt_team", card), "")
		method, owner := sub["payment_method_id"].(string), sub["customer"].(object)["customer_id"].(string)
		saved := strings.Replace(subscribing(`"payment_method_id":"`+method+`"`), adaJSON, `{"customer_id":"`+owner+`"}`, 1)
		made := shop.ask("POST", "/subscriptions", saved)
		if got := shop.ask("GET", "/subscriptions/"+made["subscription_id"].(string), ""); got["status"] != status || status == "active" && got["payment_method_id"] != method {
			t.Error(card, got)
		}
		shop.flush()
	}
}

func TestSubscriptionRefusals(t *testing.T) {
	shop := magazine(t, nil)
	without := func(field string) string { return strings.Replace(subscribing(""), field, "x_"+field, 1) }
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no product":             {without("product_id"), 422, "INVALID_REQUEST_BODY"},
		"no quantity":            {without("quantity"), 422, "INVALID_REQUEST_BODY"},
		"no billing":             {without("billing"), 422, "INVALID_REQUEST_BODY"},
		"no customer":            {without("customer"), 422, "INVALID_REQUEST_BODY"},
		"a thing sold once":      {strings.Replace(subscribing(""), "pdt_pro", "pdt_pack", 1), 422, "INVALID_REQUEST_PARAMETERS"},
		"an unknown product":     {strings.Replace(subscribing(""), "pdt_pro", "pdt_none", 1), 404, "NOT_FOUND"},
		"nothing of it":          {strings.Replace(subscribing(""), `"quantity":1`, `"quantity":0`, 1), 422, "INVALID_QUANTITY"},
		"two subscriptions":      {subscribing(`"one_time_product_cart":[{"product_id":"pdt_team","quantity":1}]`), 422, "UNSUPPORTED_ACTION"},
		"the subscription later": {strings.Replace(subscribing(`"one_time_product_cart":[{"product_id":"pdt_team","quantity":1}]`), "pdt_pro", "pdt_pack", 1), 422, "INVALID_REQUEST_PARAMETERS"},
		"a method of nobody":     {subscribing(`"payment_method_id":"pm_1"`), 422, "INVALID_REQUEST_PARAMETERS"},
		"a trial too long":       {subscribing(`"trial_period_days":10001`), 422, "INVALID_REQUEST_PARAMETERS"},
		"on demand without word": {subscribing(`"on_demand":{}`), 422, "INVALID_REQUEST_BODY"},
		"on demand, discounted":  {subscribing(`"on_demand":{"mandate_only":true},"discount_codes":["HALF"]`), 422, "DISCOUNT_NOT_AVAILABLE_FOR_ON_DEMAND"},
		"too many other things": {
			subscribing(`"one_time_product_cart":[` + strings.Repeat(`{"product_id":"pdt_book","quantity":1},`, 99) + `{"product_id":"pdt_book","quantity":1}]`),
			422, "INVALID_REQUEST_PARAMETERS",
		},
	} {
		t.Run(name, func(t *testing.T) {
			shop.t = t
			shop.refuses(refusal{"POST", "/subscriptions", test.body, test.status, test.code})
		})
	}
	shop.t = t
	if got := shop.items("/subscriptions", "subscription_id"); len(got) != 0 {
		t.Error("refused calls made", got)
	}
}

// More than one piece of a subscription is refused, wherever it is asked for, and sold with
// the option.
func TestSubscriptionQuantities(t *testing.T) {
	both(t, func(t *testing.T, other bool) {
		shop := magazine(t, func(o *dodosim.Options) { o.SubscriptionQuantities = other })
		id := shop.subscribe("pdt_pro", dodosim.CardVisa)
		two := func(body string) string { return strings.Replace(body, `"quantity":1`, `"quantity":2`, 1) }
		change := `{"product_id":"pdt_pro","quantity":1,"proration_billing_mode":"do_not_bill"}`
		for _, call := range []refusal{
			{"POST", "/checkouts", two(cartOf("pdt_pro")), 422, "INVALID_QUANTITY"},
			{"POST", "/checkouts", strings.Replace(cartOf("pdt_pro"), "[", `[{"product_id":"pdt_pro","quantity":1},`, 1), 422, "INVALID_QUANTITY"},
			{"POST", "/checkouts/preview", two(cartOf("pdt_try")), 422, "INVALID_QUANTITY"},
			{"POST", "/subscriptions", two(subscribing("")), 422, "INVALID_QUANTITY"},
			{"POST", "/subscriptions/" + id + "/change-plan/preview", two(change), 422, "INVALID_QUANTITY"},
			{"POST", "/subscriptions/" + id + "/change-plan", two(change), 422, "INVALID_QUANTITY"},
		} {
			if !other {
				shop.refuses(call)
			} else if status, body := shop.call(call.method, call.path, call.body); status != 200 {
				t.Errorf("%s %s: %d %s", call.method, call.path, status, body)
			}
		}
		if got := shop.subscription(id).Quantity; (got == 2) != other {
			t.Error("quantity", got)
		}
		shop.pay(shop.checkout(two(onePack)))
		shop.pay(shop.checkout(withAddons("pdt_pro", twoSeats)))
		shop.flush()
	})
}

// The customer's bank may want to have the first payment confirmed: it and the subscription
// stay what they are.
func TestSubscriptionChallenged(t *testing.T) {
	for answer, status := range map[string]string{"confirm": "active", "refuse": "failed"} {
		shop := magazine(t, nil)
		made := shop.ask("POST", "/subscriptions", subscribing(`"payment_link":true,"force_3ds":true`))
		payment, id := made["payment_id"].(string), made["subscription_id"].(string)
		shop.page("POST", payment, url.Values{"card": {dodosim.CardVisa}, "email": {"ada@example.com"}, "name": {"Ada"}})
		if p := shop.payment(payment); p["status"] != "requires_customer_action" || p["subscription_id"] != id || shop.subscription(id).Status != "pending" {
			t.Error(p, shop.subscription(id))
		}
		shop.page("POST", payment, url.Values{"action": {answer}})
		if got := shop.subscription(id); got.Status != status {
			t.Errorf("%s: %+v", answer, got)
		}
		if got := len(shop.items("/subscriptions", "subscription_id")); got != 1 {
			t.Error(got, "subscriptions")
		}
		shop.flush()
	}
}

// In the portal a pending subscription says so, and nowhere can it get a card without being
// paid.
func TestPendingSubscription(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.OneSubscription = true })
	made := shop.ask("POST", "/subscriptions", subscribing(""))
	id, owner := made["subscription_id"].(string), made["customer"].(object)["customer_id"].(string)
	link := shop.ask("POST", "/customers/"+owner+"/customer-portal/session", "")["link"].(string)
	if page := shop.open(strings.TrimPrefix(link, shop.url)).Body.String(); !strings.Contains(page, "Not paid yet") {
		t.Error(page)
	}
	shop.refuses(
		refusal{"POST", "/subscriptions/" + id + "/update-payment-method", `{"type":"new"}`, 422, "SUBSCRIPTION_INACTIVE"},
		refusal{"PATCH", "/subscriptions/" + id, `{"status":"paused"}`, 422, "SUBSCRIPTION_INACTIVE"},
	)
	again := strings.Replace(subscribing(""), adaJSON, `{"customer_id":"`+owner+`"}`, 1)
	shop.ask("POST", "/subscriptions", again) // as long as none is paid
	shop.pay(made["payment_id"].(string))
	shop.refuses(refusal{"POST", "/subscriptions", again, 422, "CUSTOMER_HAS_EXISTING_SUBSCRIPTION"})
	shop.flush()
}
