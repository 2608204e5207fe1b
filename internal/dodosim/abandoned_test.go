package dodosim_test

import (
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func forgetful(t *testing.T) *shop {
	return magazine(t, func(o *dodosim.Options) { o.AbandonedCheckouts = true })
}

// decline tries to pay with a card that is declined.
func (s *shop) decline(session string) dodosim.Attempt {
	s.t.Helper()
	attempt, err := s.sim.Pay(session, dodosim.CardDeclined)
	if err != nil || attempt.Status != dodosim.Failed {
		s.t.Fatal(attempt, err)
	}
	return attempt
}

func TestAbandonedAfterADecline(t *testing.T) {
	shop := forgetful(t)
	session := shop.checkout(onePack)
	shop.decline(session)
	shop.sim.Advance(40 * time.Minute)
	failed := shop.decline(session) // from which the hour is counted
	shop.news()
	if happened := shop.sim.Advance(59 * time.Minute); happened != 0 || shop.news() != "" {
		t.Error("too early")
	}
	if happened := shop.sim.Advance(time.Minute); happened != 1 || shop.news() != "abandoned_checkout.detected" {
		t.Error("not found")
	}
	a := shop.lastBody("abandoned_checkout.detected")
	if a["payment_id"] != failed.PaymentID || a["abandonment_reason"] != "payment_failed" || a["status"] != "abandoned" ||
		a["recovered_payment_id"] != nil || a["abandoned_at"] != "2030-03-01T12:40:00Z" {
		t.Error(a)
	}
	paid := shop.pay(session)
	if got := shop.news(); got != "payment.succeeded abandoned_checkout.recovered" {
		t.Error(got)
	}
	a = shop.lastBody("abandoned_checkout.recovered")
	if a["payment_id"] != failed.PaymentID || a["status"] != "recovered" || a["recovered_payment_id"] != paid.PaymentID {
		t.Error(a)
	}
	if happened := shop.sim.Advance(2 * day); happened != 0 {
		t.Error("found again")
	}
}

func TestAbandonedBeforeATry(t *testing.T) {
	shop := forgetful(t)
	id := shop.ask("POST", "/payments", linked)["payment_id"].(string)
	shop.sim.HoldWebhooks(true)
	shop.sim.Advance(day)
	if got := shop.news(); got != "abandoned_checkout.detected payment.cancelled" {
		t.Error(got)
	}
	shop.sim.HoldWebhooks(false)
	a := shop.lastBody("abandoned_checkout.detected")
	if a["payment_id"] != id || a["abandonment_reason"] != "checkout_incomplete" || a["status"] != "exhausted" {
		t.Error(a)
	}
}

func TestNotAbandoned(t *testing.T) {
	shop := forgetful(t)
	shop.checkout(onePack) // nobody came
	paid := shop.checkout(onePack)
	shop.decline(paid)
	shop.pay(paid)
	shop.news()
	if happened := shop.sim.Advance(day); happened != 0 || shop.news() != "" {
		t.Error(shop.news())
	}
	plain := magazine(t, nil)
	plain.decline(plain.checkout(onePack))
	if happened := plain.sim.Advance(day); happened != 0 {
		t.Error("found without the option")
	}
}
