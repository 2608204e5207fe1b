package dodosim_test

import (
	"testing"

	"github.com/dodogate/dodogate/internal/dodosim"
)

func TestPayout(t *testing.T) {
	shop := magazine(t, nil)
	if _, err := shop.sim.Payout("USD"); err == nil {
		t.Error("paid out of nothing")
	}
	refunded := shop.pay(shop.checkout(onePack)).PaymentID
	disputed := shop.pay(shop.checkout(onePack)).PaymentID
	shop.pay(shop.checkout(cartOf("pdt_book")))
	if _, err := shop.sim.Refund(refunded, 99); err != nil {
		t.Fatal(err)
	}
	dispute := shop.dispute(disputed)
	shop.news()
	id, err := shop.sim.Payout("USD")
	if err != nil {
		t.Fatal(err)
	}
	created := shop.lastBody("payout.created")
	if created["amount"] != 999.0+2500-99 || created["refunds"] != 99.0 || created["chargebacks"] != 999.0 || created["status"] != "not_initiated" {
		t.Error(created)
	}
	if _, err := shop.sim.Payout("USD"); err == nil {
		t.Error("paid out twice")
	}
	if happened := shop.sim.Advance(3 * day); happened != 2 {
		t.Error(happened)
	}
	if got := shop.news(); got != "payout.created payout.in_progress payout.success" {
		t.Error(got)
	}
	if done := shop.lastBody("payout.success"); done["payout_id"] != id || done["status"] != "success" || done["updated_at"] != "2030-03-04T12:00:00Z" {
		t.Error(done)
	}
	shop.decide(dispute, dodosim.DisputeWon) // the money is there again
	if _, err := shop.sim.Payout("USD"); err != nil {
		t.Fatal(err)
	}
	if second := shop.lastBody("payout.created"); second["amount"] != 999.0 || second["chargebacks"] != -999.0 {
		t.Error(second)
	}
}

func TestMovePayout(t *testing.T) {
	shop := magazine(t, nil)
	shop.pay(shop.checkout(onePack))
	id, err := shop.sim.Payout("USD")
	if err != nil {
		t.Fatal(err)
	}
	shop.news()
	move := func(status dodosim.PayoutStatus) {
		t.Helper()
		if err := shop.sim.MovePayout(id, status); err != nil {
			t.Fatal(err)
		}
	}
	move(dodosim.PayoutOnHold)
	if happened := shop.sim.Advance(10 * day); happened != 0 {
		t.Error("a payout on hold went on")
	}
	move(dodosim.PayoutInProgress)
	move(dodosim.PayoutFailed)
	if got := shop.news(); got != "payout.on_hold payout.in_progress payout.failed" {
		t.Error(got)
	}
	for _, status := range []dodosim.PayoutStatus{dodosim.PayoutSucceeded, dodosim.PayoutCreated, "lost"} {
		if shop.sim.MovePayout(id, status) == nil {
			t.Error("a failed payout is", status)
		}
	}
	if shop.sim.MovePayout("pyt_0", dodosim.PayoutFailed) == nil {
		t.Error("a payout that does not exist has failed")
	}
	if _, err := shop.sim.Payout("USD"); err != nil {
		t.Error("what failed is not owed any more:", err)
	}
	shop.flush()
}

func TestPayoutEvery(t *testing.T) {
	shop := magazine(t, func(o *dodosim.Options) { o.PayoutEvery = dodosim.Period{Count: 1, Interval: dodosim.Week} })
	if happened := shop.sim.Advance(8 * day); happened != 0 {
		t.Error("paid out of nothing")
	}
	shop.pay(shop.checkout(onePack))
	shop.pay(shop.checkout(`{"product_cart":[{"product_id":"pdt_yen","quantity":1}]}`))
	shop.news()
	shop.sim.Advance(7 * day)
	if got := shop.news(); got != "payout.created payout.created payout.in_progress payout.in_progress" {
		t.Error(got)
	}
	if last := shop.lastBody("payout.created"); last["created_at"] != "2030-03-15T12:00:00Z" {
		t.Error(last)
	}
}
