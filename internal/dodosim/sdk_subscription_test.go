package dodosim_test

import (
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// TestOfficialSDKSubscription is a subscription's life by the SDK: bought, renewed,
// changed, paused, cancelled.
func TestOfficialSDKSubscription(t *testing.T) {
	shop, ctx := magazine(t, nil), t.Context()
	client := shop.client()
	session, err := client.CheckoutSessions.New(ctx, dodopayments.CheckoutSessionNewParams{
		CheckoutSessionRequest: dodopayments.CheckoutSessionRequestParam{
			ProductCart: dodopayments.F([]dodopayments.ProductItemReqParam{
				{ProductID: dodopayments.F("pdt_pro"), Quantity: dodopayments.F(int64(1))},
			}),
			SubscriptionData: dodopayments.F(dodopayments.SubscriptionDataParam{TrialPeriodDays: dodopayments.F(int64(7))}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := shop.pay(session.SessionID).SubscriptionID
	sub, err := client.Subscriptions.Get(ctx, id)
	if err != nil || sub.Status != dodopayments.SubscriptionStatusActive || sub.TrialPeriodDays != 7 {
		t.Fatalf("%+v, %v", sub, err)
	}

	// Renewed by a patched date, the way to test renewals at Dodo.
	sub, err = client.Subscriptions.Update(ctx, id, dodopayments.SubscriptionUpdateParams{
		NextBillingDate: dodopayments.F(opening.Add(time.Minute)),
	})
	if err != nil || !sub.NextBillingDate.Equal(opening.Add(time.Minute)) {
		t.Fatalf("%+v, %v", sub, err)
	}
	shop.sim.Advance(time.Minute)
	payments, err := client.Payments.List(ctx, dodopayments.PaymentListParams{
		SubscriptionID: dodopayments.F(id), PageNumber: dodopayments.F(int64(0)),
	})
	if err != nil || len(payments.Items) != 2 || payments.Items[0].TotalAmount != 2000 {
		t.Fatalf("%+v, %v", payments, err)
	}

	if err := client.Subscriptions.ChangePlan(ctx, id, dodopayments.SubscriptionChangePlanParams{
		UpdateSubscriptionPlanReq: dodopayments.UpdateSubscriptionPlanReqParam{
			ProductID:            dodopayments.F("pdt_team"),
			Quantity:             dodopayments.F(int64(1)),
			ProrationBillingMode: dodopayments.F(dodopayments.UpdateSubscriptionPlanReqProrationBillingModeDifferenceImmediately),
		},
	}); err != nil {
		t.Fatal(err)
	}
	if sub, err = client.Subscriptions.Get(ctx, id); err != nil || sub.ProductID != "pdt_team" {
		t.Fatalf("%+v, %v", sub, err)
	}

	for _, status := range []dodopayments.SubscriptionStatus{"paused", "active", "cancelled"} {
		sub, err = client.Subscriptions.Update(ctx, id, dodopayments.SubscriptionUpdateParams{Status: dodopayments.F(status)})
		if err != nil || sub.Status != status {
			t.Fatalf("%+v, %v", sub, err)
		}
	}
	list, err := client.Subscriptions.List(ctx, dodopayments.SubscriptionListParams{
		Status: dodopayments.F(dodopayments.SubscriptionListParamsStatusCancelled), PageNumber: dodopayments.F(int64(0)),
	})
	if err != nil || len(list.Items) != 1 || list.Items[0].SubscriptionID != id || list.Items[0].ProductName != "Team" {
		t.Fatalf("%+v, %v", list, err)
	}
}

// The SDK's webhook helper takes every subscription event, and the calls without a body.
func TestOfficialSDKSubscriptionEvents(t *testing.T) {
	shop := open(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_pro", Price: 2000, Currency: "USD", Every: monthly})
	})
	client, ctx := shop.client(), t.Context()
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	if err := client.Subscriptions.ChangePlan(ctx, id, dodopayments.SubscriptionChangePlanParams{
		UpdateSubscriptionPlanReq: dodopayments.UpdateSubscriptionPlanReqParam{
			ProductID:            dodopayments.F("pdt_pro"),
			Quantity:             dodopayments.F(int64(2)),
			ProrationBillingMode: dodopayments.F(dodopayments.UpdateSubscriptionPlanReqProrationBillingModeFullImmediately),
			EffectiveAt:          dodopayments.F(dodopayments.UpdateSubscriptionPlanReqEffectiveAtNextBillingDate),
		},
	}); err != nil {
		t.Fatal(err)
	}
	if err := client.Subscriptions.CancelChangePlan(ctx, id); err != nil {
		t.Fatal(err)
	}
	shop.flush()
	for _, sent := range shop.sim.Deliveries() {
		event, err := client.Webhooks.Unwrap(sent.Body, sent.Header, option.WithWebhookKey(secret))
		if err != nil {
			t.Fatal(err)
		}
		if active, ok := event.AsUnion().(dodopayments.SubscriptionActiveWebhookEvent); ok && active.Data.SubscriptionID != id {
			t.Errorf("%+v", active)
		}
	}
}

// Add-ons and charges on demand by the SDK.
func TestOfficialSDKAddonsAndCharges(t *testing.T) {
	shop, ctx := department(t, 0), t.Context() // of today, as the SDK wants webhooks to be
	client := shop.client()
	seats := func(n int64) []dodopayments.AttachAddonParam {
		return []dodopayments.AttachAddonParam{{AddonID: dodopayments.F("adn_seat"), Quantity: dodopayments.F(n)}}
	}
	session := whole(client.CheckoutSessions.New(ctx, dodopayments.CheckoutSessionNewParams{
		CheckoutSessionRequest: dodopayments.CheckoutSessionRequestParam{ProductCart: dodopayments.F([]dodopayments.ProductItemReqParam{
			{ProductID: dodopayments.F("pdt_pro"), Quantity: dodopayments.F(int64(1)), Addons: dodopayments.F(seats(2))},
		})},
	})).in(t)
	bought := shop.pay(session.SessionID)
	sub := whole(client.Subscriptions.Get(ctx, bought.SubscriptionID)).in(t)
	if len(sub.Addons) != 1 || sub.Addons[0].AddonID != "adn_seat" || sub.Addons[0].Quantity != 2 || sub.RecurringPreTaxAmount != 3000 {
		t.Errorf("%+v", sub)
	}
	plan := dodopayments.UpdateSubscriptionPlanReqParam{
		ProductID: dodopayments.F("pdt_pro"), Quantity: dodopayments.F(int64(1)), Addons: dodopayments.F(seats(5)),
		ProrationBillingMode: dodopayments.F(dodopayments.UpdateSubscriptionPlanReqProrationBillingModeDifferenceImmediately),
	}
	preview := whole(client.Subscriptions.PreviewChangePlan(ctx, sub.SubscriptionID, dodopayments.SubscriptionPreviewChangePlanParams{UpdateSubscriptionPlanReq: plan})).in(t)
	if preview.ImmediateCharge.Summary.TotalAmount != 1500 || len(preview.ImmediateCharge.LineItems) != 4 {
		t.Errorf("%+v", preview)
	}
	if err := client.Subscriptions.ChangePlan(ctx, sub.SubscriptionID, dodopayments.SubscriptionChangePlanParams{UpdateSubscriptionPlanReq: plan}); err != nil {
		t.Fatal(err)
	}
	if got := whole(client.Subscriptions.Get(ctx, sub.SubscriptionID)).in(t).Addons[0].Quantity; got != 5 {
		t.Error(got, "seats")
	}

	mandate := whole(client.Subscriptions.New(ctx, dodopayments.SubscriptionNewParams{ //nolint:staticcheck // deprecated, and still used
		Billing:   dodopayments.F(dodopayments.BillingAddressParam{Country: dodopayments.F(dodopayments.CountryCodeIn)}),
		Customer:  dodopayments.F[dodopayments.CustomerRequestUnionParam](dodopayments.NewCustomerParam{Email: dodopayments.F("ada@example.com")}),
		ProductID: dodopayments.F("pdt_pro"), Quantity: dodopayments.F(int64(1)), PaymentLink: dodopayments.F(true),
		OnDemand: dodopayments.F(dodopayments.OnDemandSubscriptionParam{MandateOnly: dodopayments.F(true)}),
	})).in(t)
	if _, err := shop.sim.Pay(mandate.PaymentID, dodosim.CardIndia); err != nil {
		t.Fatal(err)
	}
	charge := dodopayments.SubscriptionChargeParams{
		ProductPrice: dodopayments.F(int64(1234)), ProductCurrency: dodopayments.F(dodopayments.CurrencyUsd), ProductDescription: dodopayments.F("Pictures"),
	}
	charged := whole(client.Subscriptions.Charge(ctx, mandate.SubscriptionID, charge)).in(t)
	if p := whole(client.Payments.Get(ctx, charged.PaymentID)).in(t); p.Status != dodopayments.IntentStatusProcessing || p.TotalAmount != 1234 {
		t.Errorf("%+v", p)
	}
	if _, err := client.Subscriptions.Charge(ctx, mandate.SubscriptionID, charge); err == nil {
		t.Error("charged while a charge was processing")
	}
	shop.sim.Advance(2 * day)
	if p := whole(client.Payments.Get(ctx, charged.PaymentID)).in(t); p.Status != dodopayments.IntentStatusSucceeded || p.SubscriptionID != mandate.SubscriptionID {
		t.Errorf("%+v", p)
	}
	shop.flush()
	for _, d := range shop.sim.Deliveries() {
		shop.unwraps(d)
	}
}
