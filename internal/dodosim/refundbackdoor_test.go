package dodosim_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

// A refund that fails leaves the payment as it was, but for the list.
func TestFailRefund(t *testing.T) {
	shop := open(t, nil)
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	id, err := shop.sim.FailRefund(paid, 500)
	if err != nil {
		t.Fatal(err)
	}
	if got := shop.news(); got != "payment.succeeded refund.failed" {
		t.Error(got)
	}
	refund := shop.ask("GET", "/refunds/"+id, "")
	payment := shop.payment(paid)
	item := payment["refunds"].([]any)[0].(map[string]any)
	if refund["status"] != "failed" || refund["amount"] != 500.0 || refund["is_partial"] != true ||
		payment["refund_status"] != nil || payment["updated_at"] != nil || item["status"] != "failed" {
		t.Error(refund, payment)
	}
	if _, err := shop.sim.Refund(paid, 0); err != nil {
		t.Error("nothing was refunded, but now nothing can be:", err)
	}
	if got := shop.payment(paid)["refund_status"]; got != "full" {
		t.Error(got)
	}
	shop.flush()
}

// Refunds that take their time: one at once, and the money moves at the end.
func TestPendingRefund(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.RefundsTake = dodosim.Duration(36 * time.Hour) })
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	body := `{"payment_id":"` + paid + `","items":[{"item_id":"pdt_pack","amount":400}]}`
	first := shop.ask("POST", "/refunds", body)
	if first["status"] != "pending" || shop.payment(paid)["refund_status"] != nil {
		t.Error(first)
	}
	shop.refuses(refusal{"POST", "/refunds", body, 400, "EXISTING_REFUND_REQUEST_PROCESSING"})
	shop.news()
	if happened := shop.sim.Advance(36*time.Hour - time.Second); happened != 0 || shop.news() != "" {
		t.Error("too early")
	}
	if happened := shop.sim.Advance(time.Second); happened != 1 {
		t.Error(happened)
	}
	if got := shop.news(); got != "refund.succeeded" {
		t.Error(got)
	}
	payment := shop.payment(paid)
	if item := payment["refunds"].([]any)[0].(map[string]any); item["status"] != "succeeded" || payment["refund_status"] != "partial" {
		t.Error(payment)
	}
	second := shop.ask("POST", "/refunds", `{"payment_id":"`+paid+`"}`)
	if err := shop.sim.SettleRefund(second["refund_id"].(string), false); err != nil {
		t.Fatal(err)
	}
	if happened := shop.sim.Advance(2 * day); happened != 0 || shop.news() != "refund.failed" {
		t.Error("a settled refund was settled again")
	}
	if err := shop.sim.SettleRefund(second["refund_id"].(string), true); err == nil {
		t.Error("a failed refund succeeded")
	}
	if err := shop.sim.SettleRefund("ref_0", true); err == nil {
		t.Error("a refund that does not exist succeeded")
	}
	shop.flush()
}
