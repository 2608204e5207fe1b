package dodosim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const twoLines = `{"product_cart":[{"product_id":"pdt_pack","quantity":1},{"product_id":"pdt_book","quantity":1}]}`

func TestRefundEverything(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(twoLines))
	status, body := shop.call("POST", "/refunds", `{"payment_id":"`+paid.PaymentID+`","metadata":{"why":"test"},"reason":"broken"}`)
	var refund map[string]any
	decode(t, body, &refund)
	if status != 200 || refund["amount"] != 3499.0 || refund["is_partial"] != false || refund["reason"] != "broken" ||
		fmt.Sprint(refund["metadata"]) != "map[why:test]" {
		t.Error(status, refund)
	}
	payment := shop.payment(paid.PaymentID)
	if payment["refund_status"] != "full" || payment["status"] != "succeeded" || payment["updated_at"] == nil {
		t.Error(payment)
	}
	shop.flush()
	if got := shop.hooks.types(t); len(got) != 2 {
		t.Error("webhooks", got)
	}
}

func TestRefundInParts(t *testing.T) {
	shop := open(t, nil)
	// Half of 3499 is 1750 for the merchant's favour, spread as 500 and 1250.
	paid := shop.pay(shop.checkout(strings.TrimSuffix(twoLines, "}") + `,"discount_codes":["HALF"]}`))
	for _, step := range []struct {
		items        string
		amount, sum  float64
		partial      bool
		refundStatus string
	}{
		{`[{"item_id":"pdt_book","amount":250}]`, 250, 250, true, "partial"},
		{`[{"item_id":"pdt_book"}]`, 1000, 1250, true, "partial"},
		{`null`, 500, 1750, true, "full"},
	} {
		status, body := shop.call("POST", "/refunds", `{"payment_id":"`+paid.PaymentID+`","items":`+step.items+`}`)
		var refund map[string]any
		decode(t, body, &refund)
		if status != 200 || refund["amount"] != step.amount || refund["is_partial"] != step.partial {
			t.Fatalf("%s: %d %s", step.items, status, body)
		}
		payment, sum := shop.payment(paid.PaymentID), 0.0
		for _, item := range payment["refunds"].([]any) {
			sum += item.(map[string]any)["amount"].(float64)
		}
		if sum != step.sum || payment["refund_status"] != step.refundStatus {
			t.Errorf("%s: %v %v", step.items, sum, payment["refund_status"])
		}
	}
}

func TestRefundRefusals(t *testing.T) {
	shop := open(t, nil)
	fresh := shop.pay(shop.checkout(twoLines)).PaymentID
	declined, err := shop.sim.Pay(shop.checkout(onePack), dodosim.CardDeclined)
	if err != nil {
		t.Fatal(err)
	}
	free := shop.pay(shop.checkout(with(`"discount_codes":["FREE"]`))).PaymentID
	gone := shop.pay(shop.checkout(onePack)).PaymentID
	if _, err := shop.sim.Refund(gone, 0); err != nil {
		t.Fatal(err)
	}
	half := shop.pay(shop.checkout(twoLines)).PaymentID
	if _, err := shop.sim.Refund(half, 999); err != nil { // the whole first line
		t.Fatal(err)
	}
	of := func(payment, rest string) string { return `{"payment_id":"` + payment + `"` + rest + `}` }
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no JSON":           {`[`, 400, "INVALID_REQUEST_BODY"},
		"no payment":        {`{}`, 422, "INVALID_REQUEST_BODY"},
		"unknown payment":   {of("pay_no", ``), 404, "NOT_FOUND"},
		"declined":          {of(declined.PaymentID, ``), 400, "PAYMENT_NOT_SUCCEEDED"},
		"free":              {of(free, ``), 400, "ZERO_AMOUNT_PAYMENT_REFUND_NOT_ALLOWED"},
		"refunded":          {of(gone, ``), 400, "PAYMENT_ALREADY_REFUNDED"},
		"no items":          {of(fresh, `,"items":[]`), 400, "NOTHING_TO_REFUND"},
		"item without id":   {of(fresh, `,"items":[{"amount":1}]`), 422, "INVALID_REQUEST_BODY"},
		"item twice":        {of(fresh, `,"items":[{"item_id":"pdt_book","amount":1},{"item_id":"pdt_book","amount":1}]`), 400, "DUPLICATE_LINE_ITEMS_IN_REQUEST"},
		"unknown item":      {of(fresh, `,"items":[{"item_id":"pdt_yen"}]`), 400, "LINE_ITEM_NOT_FOUND"},
		"zero":              {of(fresh, `,"items":[{"item_id":"pdt_book","amount":0}]`), 400, "LINE_ITEM_REFUND_AMOUNT_TOO_LOW"},
		"more than it cost": {of(fresh, `,"items":[{"item_id":"pdt_book","amount":2501}]`), 400, "LINE_ITEM_REFUND_AMOUNT_TOO_HIGH"},
		"more than all":     {of(fresh, `,"items":[{"item_id":"pdt_book","amount":3500}]`), 400, "REFUND_AMOUNT_EXCEEDS_PAID_AMOUNT"},
		"overflowing":       {of(fresh, `,"items":[{"item_id":"pdt_book","amount":9223372036854775807},{"item_id":"pdt_pack","amount":1}]`), 400, "REFUND_AMOUNT_EXCEEDS_PAID_AMOUNT"},
		"line is gone":      {of(half, `,"items":[{"item_id":"pdt_pack"}]`), 400, "LINE_ITEM_FULLY_REFUNDED"},
		"long reason":       {of(fresh, `,"reason":"`+strings.Repeat("x", 3001)+`"`), 422, "INVALID_REQUEST_PARAMETERS"},
		"bad metadata":      {of(fresh, `,"metadata":{"a":null}`), 422, "INVALID_REQUEST_BODY"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := shop.call("POST", "/refunds", test.body)
			var refusal struct{ Code string }
			decode(t, body, &refusal)
			if status != test.status || refusal.Code != test.code {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	if payment := shop.payment(fresh); len(payment["refunds"].([]any)) != 0 {
		t.Error("a refused refund left a trace:", payment["refunds"])
	}
	for amount, code := range map[int]string{-1: "NOTHING_TO_REFUND", 3500: "REFUND_AMOUNT_EXCEEDS_PAID_AMOUNT"} {
		_, err := shop.sim.Refund(fresh, amount)
		if refusal, ok := errors.AsType[*dodosim.Error](err); !ok || refusal.Code != code {
			t.Error(amount, err)
		}
	}
}

func TestRefundWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := start(t, options())
		shop := &shop{t: t, sim: sim}
		paid := shop.pay(shop.checkoutDirectly(twoLines)).PaymentID
		time.Sleep(30 * 24 * time.Hour)
		if _, err := sim.Refund(paid, 1); err != nil {
			t.Error("in time:", err)
		}
		time.Sleep(time.Second)
		_, err := sim.Refund(paid, 1)
		if refusal, ok := errors.AsType[*dodosim.Error](err); !ok || refusal.Code != "REFUND_WINDOW_EXPIRED" {
			t.Error("too late:", err)
		}
	})
}

// Lines of the same product are one to a refund, and two in the payment.
func TestRefundOfRepeatedLines(t *testing.T) {
	shop := open(t, nil)
	line := `{"product_id":"pdt_pack","quantity":1}`
	paid := shop.pay(shop.checkout(`{"product_cart":[` + line + `,` + line + `]}`))
	if cart := shop.payment(paid.PaymentID)["product_cart"].([]any); len(cart) != 2 {
		t.Error("cart", cart)
	}
	status, body := shop.call("POST", "/refunds", `{"payment_id":"`+paid.PaymentID+`","items":[{"item_id":"pdt_pack"}]}`)
	var refund map[string]any
	decode(t, body, &refund)
	if status != 200 || refund["amount"] != 1998.0 {
		t.Errorf("%d %s", status, body)
	}
}
