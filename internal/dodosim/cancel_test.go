package dodosim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

const (
	linked    = `{"billing":{"country":"US"},"customer":{"email":"ada@example.com","name":"Ada"},"payment_link":true,"product_cart":[{"product_id":"pdt_pack","quantity":1}]}`
	confirmed = `{"confirm":true,"minimal_address":true,"billing_address":{"country":"US","zipcode":"1"},
		"customer":{"email":"ada@example.com","name":"Ada"},"product_cart":[{"product_id":"pdt_pack","quantity":1}]}`
)

// What nobody pays is cancelled with its link: after 24 hours, or 15 minutes if the
// session was confirmed.
func TestUnpaidIsCancelled(t *testing.T) {
	for name, test := range map[string]struct {
		path, body string
		life       time.Duration
	}{
		"payment with a link": {"/payments", linked, day},
		"confirmed session":   {"/checkouts", confirmed, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			shop := magazine(t, nil)
			made := shop.ask("POST", test.path, test.body)
			id := made["payment_id"].(string)
			if happened := shop.sim.Advance(test.life - time.Second); happened != 0 {
				t.Error("too early")
			}
			if happened := shop.sim.Advance(time.Second); happened != 1 || shop.news() != "payment.cancelled" {
				t.Error(shop.news())
			}
			if payment := shop.payment(id); payment["status"] != "cancelled" || payment["updated_at"] == nil {
				t.Error(payment)
			}
			session := id
			if made["session_id"] != nil {
				session = made["session_id"].(string)
			}
			if _, err := shop.sim.Pay(session, dodosim.CardVisa); err == nil || !strings.Contains(err.Error(), "CHECKOUT_SESSION_EXPIRED") {
				t.Error(err)
			}
			shop.flush()
		})
	}
}

func TestCancelPayment(t *testing.T) {
	shop := magazine(t, nil)
	id := shop.ask("POST", "/payments", linked)["payment_id"].(string)
	if err := shop.sim.CancelPayment(id); err != nil {
		t.Fatal(err)
	}
	if shop.news() != "payment.cancelled" || shop.sim.Advance(2*day) != 0 {
		t.Error("cancelled again")
	}
	if _, err := shop.sim.Pay(id, dodosim.CardVisa); err == nil {
		t.Error("a cancelled payment was paid")
	}
	paid := shop.pay(shop.checkout(onePack)).PaymentID
	for _, id := range []string{id, paid, "pay_0"} {
		if shop.sim.CancelPayment(id) == nil {
			t.Error("cancelled", id)
		}
	}
	shop.flush()
}

// A payment that waits for the customer's bank can be cancelled, and its session tried
// again; if nobody answers, it is cancelled with the session.
func TestChallengedIsCancelled(t *testing.T) {
	shop := magazine(t, nil)
	session, id := shop.challenged(onePack, dodosim.CardVisa)
	if err := shop.sim.CancelPayment(id); err != nil {
		t.Fatal(err)
	}
	if got := shop.payment(id)["status"]; got != "cancelled" || shop.news() != "payment.cancelled" {
		t.Error(got)
	}
	if paid := shop.pay(session); paid.PaymentID == id {
		t.Error("a cancelled payment was paid")
	}
	_, id = shop.challenged(onePack, dodosim.CardVisa)
	shop.news()
	if happened := shop.sim.Advance(day); happened != 1 || shop.news() != "payment.cancelled" || shop.payment(id)["status"] != "cancelled" {
		t.Error(shop.payment(id))
	}
	shop.flush()
}
