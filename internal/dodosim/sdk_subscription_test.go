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
