package dodosim_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"
	"github.com/dodopayments/dodopayments-go/shared"

	"github.com/dodogate/dodogate/internal/testing/httpclient"
)

// client is the official SDK with nothing changed but the base URL and a time-out.
func (s *shop) client() *dodopayments.Client {
	return dodopayments.NewClient(
		option.WithBaseURL(s.url),
		option.WithBearerToken(key),
		option.WithMaxRetries(0),
		option.WithHTTPClient(httpclient.Default),
	)
}

func TestOfficialSDK(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()

	session, err := client.CheckoutSessions.New(ctx, dodopayments.CheckoutSessionNewParams{
		CheckoutSessionRequest: dodopayments.CheckoutSessionRequestParam{
			ProductCart: dodopayments.F([]dodopayments.ProductItemReqParam{
				{ProductID: dodopayments.F("pdt_pack"), Quantity: dodopayments.F(int64(3))},
			}),
			Customer: dodopayments.F[dodopayments.CustomerRequestUnionParam](dodopayments.NewCustomerParam{
				Email: dodopayments.F("ada@example.com"), Name: dodopayments.F("Ada"),
			}),
			ReturnURL: dodopayments.F("https://shop.example/return?order=1"),
			Metadata:  dodopayments.F(dodopayments.MetadataParam{"order_id": shared.UnionString("ord_1")}),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if session.CheckoutURL != shop.url+"/session/"+session.SessionID || !strings.HasPrefix(session.SessionID, "cks_") {
		t.Errorf("session %+v", session)
	}
	before, err := client.CheckoutSessions.Get(ctx, session.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	if before.PaymentID != "" || before.PaymentStatus != "" || before.CustomerEmail != "ada@example.com" {
		t.Errorf("status before paying %+v", before)
	}

	paid := shop.pay(session.SessionID)
	payment, err := client.Payments.Get(ctx, paid.PaymentID)
	if err != nil {
		t.Fatal(err)
	}
	if payment.Status != "succeeded" || payment.TotalAmount != 2997 || payment.Currency != "USD" ||
		payment.CheckoutSessionID != session.SessionID || payment.Metadata["order_id"] != shared.UnionString("ord_1") ||
		payment.Customer.Email != "ada@example.com" || payment.ProductCart[0].Quantity != 3 {
		t.Errorf("payment %s", payment.JSON.RawJSON())
	}
	after, err := client.CheckoutSessions.Get(ctx, session.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	if after.PaymentID != paid.PaymentID || after.PaymentStatus != "succeeded" {
		t.Errorf("status after paying %+v", after)
	}

	refund, err := client.Refunds.New(ctx, dodopayments.RefundNewParams{
		PaymentID: dodopayments.F(paid.PaymentID),
		Items: dodopayments.F([]dodopayments.RefundNewParamsItem{
			{ItemID: dodopayments.F("pdt_pack"), Amount: dodopayments.F(int64(997))},
		}),
		Reason: dodopayments.F("asked nicely"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := client.Refunds.Get(ctx, refund.RefundID); err != nil || again.Amount != 997 || !again.IsPartial {
		t.Errorf("refund %+v, %v", again, err)
	}
	if payment, err = client.Payments.Get(ctx, paid.PaymentID); err != nil {
		t.Fatal(err)
	}
	if payment.RefundStatus != "partial" || len(payment.Refunds) != 1 || payment.Refunds[0].Amount != 997 {
		t.Errorf("payment after the refund %s", payment.JSON.RawJSON())
	}

	page, err := client.Payments.List(ctx, dodopayments.PaymentListParams{PageNumber: dodopayments.F(int64(0))})
	if err != nil || len(page.Items) != 1 || page.Items[0].PaymentID != paid.PaymentID {
		t.Errorf("list %+v, %v", page, err)
	}
	product, err := client.Products.Get(ctx, "pdt_pack")
	if err != nil || product.Price.Price != 999 || product.Description != "Good for <ten> things" {
		t.Errorf("product %+v, %v", product, err)
	}
	products, err := client.Products.List(ctx, dodopayments.ProductListParams{})
	if err != nil || len(products.Items) != 3 || products.Items[2].Name != "pdt_yen" {
		t.Errorf("products %+v, %v", products, err)
	}
}

// TestOfficialSDKUnwraps shows that the SDK's own webhook helper takes what is sent.
func TestOfficialSDKUnwraps(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_pack","quantity":1}]}`))
	shop.flush()
	sent := shop.sim.Deliveries()[0]
	event, err := shop.client().Webhooks.Unwrap(sent.Body, sent.Header, option.WithWebhookKey(secret))
	if err != nil {
		t.Fatal(err)
	}
	succeeded, ok := event.AsUnion().(dodopayments.PaymentSucceededWebhookEvent)
	if !ok || succeeded.Data.PaymentID != paid.PaymentID {
		t.Errorf("event %+v", event)
	}
}

func TestOfficialSDKErrors(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	wrong := dodopayments.NewClient(option.WithBaseURL(shop.url), option.WithBearerToken("wrong"), option.WithMaxRetries(0), option.WithHTTPClient(httpclient.Default))
	for name, test := range map[string]struct {
		call   func() error
		status int
		code   string
	}{
		"wrong key": {func() error { _, err := wrong.Products.Get(ctx, "pdt_pack"); return err },
			http.StatusUnauthorized, "UNAUTHORIZED"},
		"unknown payment": {func() error { _, err := shop.client().Payments.Get(ctx, "pay_no"); return err },
			http.StatusNotFound, "NOT_FOUND"},
		"unknown session": {func() error { _, err := shop.client().CheckoutSessions.Get(ctx, "cks_no"); return err },
			http.StatusNotFound, "NOT_FOUND"},
		"unknown refund": {func() error { _, err := shop.client().Refunds.Get(ctx, "ref_no"); return err },
			http.StatusNotFound, "NOT_FOUND"},
		"unknown product": {func() error { _, err := shop.client().Products.Get(ctx, "pdt_no"); return err },
			http.StatusNotFound, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			failed, ok := errors.AsType[*dodopayments.Error](test.call())
			if !ok {
				t.Fatal("no error of the SDK")
			}
			var body struct{ Code string }
			decode(t, []byte(failed.JSON.RawJSON()), &body)
			if failed.StatusCode != test.status || body.Code != test.code {
				t.Errorf("%d %s", failed.StatusCode, body.Code)
			}
		})
	}
}
