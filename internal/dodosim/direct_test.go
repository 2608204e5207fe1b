package dodosim_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dodopayments/dodopayments-go"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const (
	here    = `{"country":"DE","city":"Ulm","state":"BW","street":"Gasse 1","zipcode":"89073"}`
	adaJSON = `{"email":"ada@example.com","name":"Ada"}`
	direct  = `{"billing":` + here + `,"customer":` + adaJSON + `,"product_cart":[{"product_id":"pdt_pack","quantity":2}]`
)

// A payment with a link is one and the same through all tries to pay it.
func TestOfficialSDKPaymentLink(t *testing.T) {
	shop, ctx := open(t, nil), t.Context()
	client := shop.client()
	made, err := client.Payments.New(ctx, dodopayments.PaymentNewParams{ //nolint:staticcheck // deprecated, and still used
		Billing:  dodopayments.F(dodopayments.BillingAddressParam{Country: dodopayments.F(dodopayments.CountryCodeDe)}),
		Customer: dodopayments.F[dodopayments.CustomerRequestUnionParam](dodopayments.NewCustomerParam{Email: dodopayments.F("ada@example.com"), Name: dodopayments.F("Ada")}),
		ProductCart: dodopayments.F([]dodopayments.OneTimeProductCartItemParam{
			{ProductID: dodopayments.F("pdt_pack"), Quantity: dodopayments.F(int64(2))},
			{ProductID: dodopayments.F("pdt_book"), Quantity: dodopayments.F(int64(1))},
		}),
		PaymentLink:   dodopayments.F(true),
		ReturnURL:     dodopayments.F("https://shop.example/back"),
		DiscountCodes: dodopayments.F([]string{"HALF"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if made.TotalAmount != 2249 || made.PaymentLink != shop.url+"/session/"+made.PaymentID || made.ExpiresOn.IsZero() || len(made.DiscountIDs) != 1 {
		t.Errorf("%s", made.JSON.RawJSON())
	}
	if got := shop.payment(made.PaymentID); got["status"] != "requires_payment_method" || got["payment_link"] != made.PaymentLink || got["checkout_session_id"] != nil {
		t.Errorf("before it is paid %v", got)
	}
	shop.refuses(refusal{"GET", "/checkouts/" + made.PaymentID, "", 404, "NOT_FOUND"},
		refusal{"POST", "/refunds", `{"payment_id":"` + made.PaymentID + `"}`, 400, "PAYMENT_NOT_SUCCEEDED"})

	page := shop.page("POST", made.PaymentID, url.Values{"card": {dodosim.CardDeclined}, "email": {"ada@example.com"}, "name": {"Ada"}})
	if page.Code != 303 || shop.payment(made.PaymentID)["status"] != "failed" {
		t.Errorf("%d, %v", page.Code, shop.payment(made.PaymentID))
	}
	paid := shop.pay(made.PaymentID)
	if paid.PaymentID != made.PaymentID || !strings.Contains(paid.RedirectURL, "payment_id="+made.PaymentID) {
		t.Errorf("paid %+v", paid)
	}
	if got := shop.payment(made.PaymentID); got["status"] != "succeeded" || got["error_code"] != nil || got["payment_link"] != made.PaymentLink {
		t.Errorf("after it is paid %v", got)
	}
	if got := shop.news(); got != "payment.failed payment.succeeded" {
		t.Errorf("events %s", got)
	}
	if got := shop.items("/payments", "payment_id"); len(got) != 1 {
		t.Errorf("payments %v", got)
	}

	lines, err := client.Payments.GetLineItems(ctx, made.PaymentID)
	if err != nil || len(lines.Items) != 2 || lines.Items[0].Amount+lines.Items[1].Amount != 2249 || lines.Items[1].RefundableAmount != lines.Items[1].Amount {
		t.Fatalf("%+v, %v", lines, err)
	}
	book := lines.Items[1]
	shop.ask("POST", "/refunds", `{"payment_id":"`+made.PaymentID+`","items":[{"item_id":"`+book.ItemsID+`","amount":50}]}`)
	if after, err := client.Payments.GetLineItems(ctx, made.PaymentID); err != nil || after.Items[1].RefundableAmount != book.Amount-50 || after.Items[0].RefundableAmount != lines.Items[0].Amount {
		t.Errorf("%+v, %v", after, err)
	}
	shop.flush()
}

func TestDirectPaymentRefusals(t *testing.T) {
	shop := magazine(t, nil)
	rest := strings.TrimPrefix(direct, `{"billing":`+here+`,`)
	shop.refuses(
		refusal{"POST", "/payments", `{` + rest + `}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/payments", direct + `,"payment_method_id":"pm_1"}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/payments", direct + `,"discount_codes":["NOPE"]}`, 422, "INVALID_DISCOUNT_CODE"},
		refusal{"POST", "/payments", strings.Replace(direct, "pdt_pack", "pdt_pro", 1) + `}`, 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/payments", strings.Replace(direct, "pdt_pack", "pdt_no", 1) + `}`, 404, "NOT_FOUND"},
		refusal{"POST", "/payments", strings.Replace(direct, "DE", "XX", 1) + `}`, 422, "UNSUPPORTED_COUNTRY"},
		refusal{"GET", "/payments/pay_no/line-items", "", 404, "NOT_FOUND"},
	)
	if got := shop.items("/payments", "payment_id"); got != nil {
		t.Errorf("refused calls made %v", got)
	}
}

// A saved method pays at once, by a checkout that is confirmed or without one.
func TestSavedMethod(t *testing.T) {
	shop := magazine(t, nil)
	for _, test := range []struct{ card, status string }{{dodosim.CardVisa, "succeeded"}, {dodosim.CardFailsLater, "failed"}} {
		sub := shop.ask("GET", "/subscriptions/"+shop.subscribe("pdt_pro", test.card), "")
		method, owner := sub["payment_method_id"].(string), sub["customer"].(object)["customer_id"].(string)
		saved := `,"customer":{"customer_id":"` + owner + `"},"payment_method_id":"` + method + `"`
		shop.news()

		confirmed := shop.ask("POST", "/checkouts", with(`"confirm":true,"billing_address":`+here+saved))
		if confirmed["checkout_url"] != nil {
			t.Errorf("confirmed %v", confirmed)
		}
		if p := shop.payment(confirmed["payment_id"].(string)); p["status"] != test.status || p["payment_method_id"] != method || p["checkout_session_id"] != confirmed["session_id"] {
			t.Errorf("%s: payment %v", test.card, p)
		}
		made := shop.ask("POST", "/payments", strings.Replace(direct, `,"customer":`+adaJSON, saved, 1)+`}`)
		if p := shop.payment(made["payment_id"].(string)); p["status"] != test.status || p["total_amount"] != 1998.0 {
			t.Errorf("%s: payment %v", test.card, p)
		}
		if got, wanted := shop.news(), "payment."+test.status+" payment."+test.status; got != wanted {
			t.Errorf("events %s, wanted %s", got, wanted)
		}
		again := shop.ask("POST", "/checkouts", strings.Replace(with(`"confirm":true,"billing_address":`+here+saved), "pdt_pack", "pdt_team", 1))
		bought := shop.payment(again["payment_id"].(string))
		if got := shop.ask("GET", "/subscriptions/"+bought["subscription_id"].(string), ""); got["payment_method_id"] != method && test.status == "succeeded" {
			t.Errorf("subscription %v", got)
		}
		shop.refuses(refusal{"POST", "/checkouts", with(`"confirm":true,"billing_address":` + here + strings.Replace(saved, method, "pm_no", 1)), 404, "NOT_FOUND"})
	}
}

func TestConfirmedCheckout(t *testing.T) {
	shop := magazine(t, nil)
	made := shop.ask("POST", "/checkouts", with(`"confirm":true,"billing_address":`+here+`,"customer":`+adaJSON))
	id := made["session_id"].(string)
	if got := shop.ask("GET", "/checkouts/"+id, ""); got["payment_id"] != made["payment_id"] || got["payment_status"] != "requires_payment_method" {
		t.Errorf("%v", got)
	}
	if paid := shop.pay(id); paid.PaymentID != made["payment_id"] {
		t.Errorf("paid %+v, made %v", paid, made)
	}
	late := shop.checkout(with(`"confirm":true,"minimal_address":true,"billing_address":{"country":"DE","zipcode":"1"},"customer":` + adaJSON))
	shop.sim.Advance(15 * 60e9)
	if _, err := shop.sim.Pay(late, dodosim.CardVisa); err == nil {
		t.Error("paid after 15 minutes")
	}
	shop.refuses(
		refusal{"POST", "/checkouts", with(`"confirm":true,"customer":` + adaJSON), 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/checkouts", with(`"confirm":true,"billing_address":{"country":"DE","zipcode":"1"},"customer":` + adaJSON), 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/checkouts", with(`"confirm":true,"billing_address":` + here), 422, "INVALID_REQUEST_PARAMETERS"},
		refusal{"POST", "/checkouts", with(`"confirm":true,"payment_method_id":"pm_1","billing_address":` + here + `,"customer":` + adaJSON), 422, "INVALID_REQUEST_PARAMETERS"},
	)
}

func TestOfficialSDKPreview(t *testing.T) {
	shop, ctx := magazine(t, nil), t.Context()
	preview := func(product, code string) *dodopayments.CheckoutSessionPreviewResponse {
		t.Helper()
		p, err := shop.client().CheckoutSessions.Preview(ctx, dodopayments.CheckoutSessionPreviewParams{
			CheckoutSessionRequest: dodopayments.CheckoutSessionRequestParam{
				ProductCart:   dodopayments.F([]dodopayments.ProductItemReqParam{{ProductID: dodopayments.F(product), Quantity: dodopayments.F(int64(2))}}),
				DiscountCodes: dodopayments.F([]string{code}),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := preview("pdt_pack", "HALF"); p.TotalPrice != 999 || p.CurrentBreakup.Subtotal != 1998 || p.CurrentBreakup.Discount != 999 || p.ProductCart[0].DiscountAmount != 5000 || p.BillingCountry != "US" {
		t.Errorf("%s", p.JSON.RawJSON())
	}
	if p := preview("pdt_try", "HALF"); p.TotalPrice != 0 || p.RecurringBreakup.TotalAmount != 1000 || p.TrialPeriodDays != 14 || !p.NextBillingDate.Equal(opening.AddDate(0, 0, 14)) {
		t.Errorf("%s", p.JSON.RawJSON())
	}
	shop.refuses(refusal{"POST", "/checkouts/preview", `{}`, 422, "INVALID_REQUEST_BODY"},
		refusal{"POST", "/checkouts/preview", with(`"customer":{"customer_id":"cus_no"}`), 404, "NOT_FOUND"})
	if len(shop.items("/payments", "payment_id")) != 0 || len(shop.items("/customers", "name")) != 0 || shop.news() != "" {
		t.Error("a preview made something")
	}
}

func TestArchivedProduct(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) {
		o.Products = append(o.Products, dodosim.Product{ID: "pdt_old", Price: 5, Currency: "USD", Archived: true, Every: monthly})
	})
	if got := shop.items("/products?archived=true", "product_id"); !slices.Equal(got, []any{"pdt_old"}) {
		t.Errorf("archived %v", got)
	}
	if got := shop.items("/products?page_size=100", "product_id"); slices.Contains(got, any("pdt_old")) {
		t.Errorf("not archived %v", got)
	}
	shop.refuses(
		refusal{"POST", "/checkouts", cartOf("pdt_old"), 422, "PRODUCT_IS_DELETED"},
		refusal{"POST", "/subscriptions/" + shop.subscribe("pdt_pro", dodosim.CardVisa) + "/change-plan", `{"product_id":"pdt_old","quantity":1,"proration_billing_mode":"do_not_bill"}`, 422, "PRODUCT_IS_DELETED"},
	)
}
