package dodosim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// onHold is a subscription whose renewal has failed.
func (s *shop) onHold() string {
	id := s.subscribe("pdt_pro", dodosim.CardFailsLater)
	s.sim.Advance(32 * day)
	if got := s.subscription(id).Status; got != "on_hold" {
		s.t.Fatal("status", got)
	}
	s.news()
	return id
}

// A link to replace the card pays what is owed, however many tries that takes.
func TestOfficialSDKUpdatePaymentMethod(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.onHold()
	answer, err := shop.client().Subscriptions.UpdatePaymentMethod(t.Context(), id, dodopayments.SubscriptionUpdatePaymentMethodParams{
		PaymentMethod: dodopayments.SubscriptionUpdatePaymentMethodParamsPaymentMethodNew{
			Type:      dodopayments.F(dodopayments.SubscriptionUpdatePaymentMethodParamsPaymentMethodNewTypeNew),
			ReturnURL: dodopayments.F("https://shop.example/back"),
		},
	})
	if err != nil || answer.PaymentLink != shop.url+"/session/"+answer.PaymentID {
		t.Fatalf("%+v, %v", answer, err)
	}
	if failed, err := shop.sim.Pay(answer.PaymentID, dodosim.CardDeclined); err != nil || failed.Status != dodosim.Failed {
		t.Errorf("%+v, %v", failed, err)
	}
	if got := shop.subscription(id).Status; got != "on_hold" {
		t.Errorf("after a declined card %s", got)
	}
	shop.pay(answer.PaymentID)
	if got, wanted := shop.news(), "payment.failed payment.succeeded subscription.active subscription.update_payment_method subscription.updated"; got != wanted {
		t.Errorf("events %s, wanted %s", got, wanted)
	}
	if got := shop.payment(answer.PaymentID); got["is_update_payment_method"] != true || got["total_amount"] != 2000.0 || got["subscription_id"] != id {
		t.Errorf("payment %v", got)
	}
}

func TestUpdatePaymentMethodOwingNothing(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.subscribe("pdt_pro", dodosim.CardVisa)
	first := *shop.subscription(id).Method
	shop.news()
	path := "/subscriptions/" + id + "/update-payment-method"
	made := shop.ask("POST", path, `{"type":"new","unknown":true}`)
	paid := shop.pay(made["payment_id"].(string))
	second := *shop.subscription(id).Method
	if second == first || shop.payment(paid.PaymentID)["total_amount"] != 0.0 {
		t.Errorf("method %s, payment %v", second, shop.payment(paid.PaymentID))
	}
	shop.ask("POST", path, `{"type":"existing","payment_method_id":"`+first+`"}`)
	if got := *shop.subscription(id).Method; got != first {
		t.Errorf("method %s, wanted the first again", got)
	}
	if got, wanted := shop.news(), "payment.succeeded subscription.update_payment_method subscription.updated subscription.update_payment_method subscription.updated"; got != wanted {
		t.Errorf("events %s, wanted %s", got, wanted)
	}
	shop.flush()
}

func TestUpdatePaymentMethodExisting(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.onHold()
	// The same customer's other subscription has a good card.
	good := shop.subscription(shop.subscribe("pdt_team", dodosim.CardVisa))
	bad := *shop.subscription(id).Method
	shop.news()
	path := "/subscriptions/" + id + "/update-payment-method"
	declined := shop.ask("POST", path, `{"type":"existing","payment_method_id":"`+bad+`"}`)
	if p := shop.payment(declined["payment_id"].(string)); p["status"] != "failed" || shop.subscription(id).Status != "on_hold" {
		t.Errorf("%v", p)
	}
	shop.ask("POST", path, `{"type":"existing","payment_method_id":"`+*good.Method+`"}`)
	if got := shop.subscription(id); got.Status != "active" || *got.Method != *good.Method {
		t.Errorf("%+v", got)
	}
	shop.patch(id, `{"status":"cancelled"}`)
	shop.refuses(
		refusal{"POST", path, `{"type":"new"}`, 422, "SUBSCRIPTION_INACTIVE"},
		refusal{"POST", path, `{"type":"other"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", path, `{"type":"existing"}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", path, `{"type":"new","return_url":"x"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/subscriptions/sub_no/update-payment-method", `{"type":"new"}`, 404, "NOT_FOUND"},
		refusal{"POST", "/subscriptions/" + good.ID + "/update-payment-method", `{"type":"existing","payment_method_id":"pm_no"}`, 404, "NOT_FOUND"},
	)
}

// A preview tells what the change then does.
func TestOfficialSDKPreviewChangePlan(t *testing.T) {
	shop, ctx := magazine(t, nil), t.Context()
	for _, mode := range []dodopayments.UpdateSubscriptionPlanReqProrationBillingMode{
		"full_immediately", "prorated_immediately", "difference_immediately", "do_not_bill",
	} {
		id := shop.subscribe("pdt_pro", dodosim.CardVisa)
		shop.sim.Advance(10 * 24 * time.Hour)
		request := dodopayments.UpdateSubscriptionPlanReqParam{
			ProductID: dodopayments.F("pdt_team"), Quantity: dodopayments.F(int64(1)), ProrationBillingMode: dodopayments.F(mode),
		}
		shop.news()
		before := shop.subscription(id)
		preview, err := shop.client().Subscriptions.PreviewChangePlan(ctx, id, dodopayments.SubscriptionPreviewChangePlanParams{UpdateSubscriptionPlanReq: request})
		if err != nil {
			t.Fatal(err)
		}
		if shop.news() != "" || shop.subscription(id).Product != before.Product {
			t.Error("a preview changed something")
		}
		if err := shop.client().Subscriptions.ChangePlan(ctx, id, dodopayments.SubscriptionChangePlanParams{UpdateSubscriptionPlanReq: request}); err != nil {
			t.Fatal(err)
		}
		charged := 0.0
		if payments := shop.items("/payments?subscription_id="+id, "total_amount"); len(payments) == 2 {
			charged = payments[0].(float64)
		}
		after := shop.subscription(id)
		if float64(preview.ImmediateCharge.Summary.TotalAmount) != charged || preview.NewPlan.ProductID != after.Product || !preview.NewPlan.NextBillingDate.Equal(after.Next) {
			t.Errorf("%s: preview %s, charged %v, then %+v", mode, preview.JSON.RawJSON(), charged, after)
		}
	}
	shop.refuses(
		refusal{"POST", "/subscriptions/sub_no/change-plan/preview", `{"product_id":"pdt_team","quantity":1,"proration_billing_mode":"do_not_bill"}`, 404, "NOT_FOUND"},
		refusal{"POST", "/subscriptions/sub_no/change-plan/preview", `{}`, 422, "INVALID_REQUEST_BODY"},
	)
	if got := shop.items("/subscriptions?page_size=1", "product_name"); !slices.Equal(got, []any{"Team"}) {
		t.Errorf("%v", got)
	}
}
