package redisstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestNewerFormat: what a newer version has written is left alone.
func TestNewerFormat(t *testing.T) {
	server := redistest.Start(t)
	if _, err := open(t, redisstore.Options{URL: server.URL()}).Note(t.Context(), "site", "", "s1"); err != nil {
		t.Fatal(err)
	}
	if got := server.MustDo("GET", "dodogate:note:format"); got != "1" {
		t.Fatalf("format %q is noted", got)
	}
	server.MustDo("SET", "dodogate:note:format", "2")
	s, err := dial(t.Context(), redisstore.Options{URL: server.URL(), Timeout: patient})
	if err == nil {
		_ = s.Close()
		t.Fatal("it is opened")
	}
	if !strings.Contains(err.Error(), `it has format "2", this version knows "1"`) {
		t.Error(err)
	}
}

// TestPreviousRelease: accounts, holds, orders and keys as the previous release wrote them, which
// knew no stamps and noted in the account when the next hold runs out.
func TestPreviousRelease(t *testing.T) {
	server := redistest.Start(t)
	now := time.Now()
	ms := func(d time.Duration) string { return fmt.Sprint(now.Add(d).UnixMilli()) }
	do := func(args ...string) {
		t.Helper()
		args[1] = "dodogate:{acc}:" + args[1]
		server.MustDo(args...)
	}
	do("HSET", "account", "rev", "7", "srev", "3", "seq", "4", "debt", "0", "next", ms(-time.Minute),
		"g:pay_1", "10 2 5 0 0 - "+ms(-time.Hour), "s:payment:pay_1", `{"paid":true}`)
	do("HSET", "closed", "pay_0", "4 0 0 0 0 - "+ms(-2*time.Hour))
	do("RPUSH", "entries", "1 1000 grant 4 4 5 pay_0evt_0", "2 1000 capture -4 0 5 pay_0h0", "3 1000 grant 10 10 5 pay_1evt_1",
		"4 1000 capture -3 7 5 pay_1done")
	do("HSET", "holds", "running", ms(time.Hour)+" 2 1 mef5 3 pay_1", "over", ms(-time.Minute)+" 0 0 5 2 pay_1")
	do("ZADD", "expiring", ms(time.Hour), "running")
	do("ZADD", "expiring", ms(-time.Minute), "over")
	do("SET", "ended:done", ms(time.Hour)+" 3 2 1 mefreceipt")
	do("HSET", "object:payment:pay_1", "version", "1", "state", "{}")
	do("HSET", "order:ord_1", "order", `{"product":"pack10","quantity":1,"terms":{"pdt_1":{"credits":5}},"return_to":"","state":"open","created_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T00:00:00Z"}`,
		"state", "open", "created", ms(-time.Minute), "expires", ms(time.Hour), "session", "cks_1", "url", "https://checkout.test/1")
	do("ZADD", "unpaid", ms(time.Hour), "ord_1")
	do("HSET", "key:k", "order", "ord_1", "by", "ord_1", "fingerprint", "f", "done", "1", "until", ms(time.Hour))

	s := open(t, redisstore.Options{URL: server.URL()})
	a, err := s.Account(t.Context(), "acc")
	if err != nil || a.Rev != 7 || a.StandingsRev != 3 || !a.Standings["payment:pay_1"].Paid || a.Ledger.Available(now) != 4 {
		t.Fatalf("%+v, %v", a, err)
	}
	if held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "done", By: "you", Fingerprint: "f", Amount: 1, TTL: time.Hour}); err != nil ||
		held.Outcome != book.HoldFinished || held.Captured != 3 || string(held.Receipt) != "receipt" {
		t.Fatalf("%+v, %v", held, err)
	}
	if held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: "running", By: "you", Fingerprint: "f", Amount: 1, TTL: time.Hour}); err != nil ||
		held.Outcome != book.HoldRunning {
		t.Fatalf("%+v, %v", held, err)
	}
	if done, err := s.End(t.Context(), book.End{Account: "acc", ID: "running", By: "me", Captured: 1}); err != nil || !done.Found || done.Captured != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	c := give("acc", "pay_0", 4)
	c.Effect.Grants[0].Amount = 6
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	wantBalance(t, s, "acc", 8, 6) // 10 less 4 of pay_1, and 2 more of pay_0
	if got := server.MustDo("HLEN", "dodogate:{acc}:holds"); got != "0" {
		t.Errorf("%s holds are left", got)
	}
	if o, how, err := s.CreateOrder(t.Context(), order("ord_2"), book.Key{Hash: "k", Fingerprint: "f"}); err != nil || how != book.Replayed || o.CheckoutURL != "https://checkout.test/1" {
		t.Errorf("%+v, %s, %v", o, how, err)
	}
	c = give("acc", "pay_2", 1)
	c.Order = &book.OrderResult{ID: "ord_1", State: book.OrderPaid, PaymentID: "pay_2"}
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Orders(t.Context(), "acc", store.Purchases); err != nil || len(all) != 1 || all[0].State != book.OrderPaid || all[0].Terms["pdt_1"].Credits != 5 {
		t.Errorf("%+v, %v", all, err)
	}
}
