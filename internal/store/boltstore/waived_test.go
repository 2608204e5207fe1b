package boltstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestForgivenWhileHeld: what was forgiven while it was held does not come back with the rest
// when the process ends, as it does not when the hold does.
func TestForgivenWhileHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, path, boltstore.Options{})
	var version int64
	commit := func(target ledger.Target) {
		t.Helper()
		_, err := s.Commit(t.Context(), book.Commit{
			Account: "acc", Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}, State: []byte(`{}`), Cause: "event",
			Version: version, Policy: ledger.PolicyFloor, Effect: entitlement.Effect{Grants: []ledger.Target{target}},
		})
		if err != nil {
			t.Fatal(err)
		}
		version++
	}
	holds := func(id string, amount int64, want book.HoldOutcome) {
		t.Helper()
		held, err := s.Hold(t.Context(), book.Hold{Account: "acc", ID: id, By: "me", Amount: amount, TTL: time.Hour})
		if err != nil || held.Outcome != want {
			t.Fatalf("%+v, %v; want %s", held, err, want)
		}
	}
	wants := func(when string, left, held int64) {
		t.Helper()
		a, err := s.Account(t.Context(), "acc")
		if err != nil {
			t.Fatal(err)
		}
		a.Ledger = a.Ledger.At(time.Now())
		if n := a.Ledger.Available(time.Now()); n != left || a.Ledger.Balance() != left+held {
			t.Errorf("%s %d are left of %d, want %d of %d", when, n, a.Ledger.Balance(), left, left+held)
		}
	}
	reopen := func() {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path, boltstore.Options{})
	}
	commit(ledger.Target{ID: "a", Amount: 10})
	holds("h", 4, book.HoldPlaced)
	holds("i", 5, book.HoldPlaced)
	commit(ledger.Target{ID: "a", Amount: 2})
	wants("refunded,", 0, 9)
	holds("j", 1, book.HoldRefused)
	if done, err := s.End(t.Context(), book.End{Account: "acc", ID: "h", By: "me", Captured: 1}); err != nil || !done.Found {
		t.Fatal(done, err)
	}
	wants("with one ended,", 0, 5)
	reopen()
	wants("after the end of the process,", 1, 0)
	holds("k", 2, book.HoldRefused)
	holds("k", 1, book.HoldPlaced)
	wants("held again,", 0, 1)
	commit(ledger.Target{ID: "a", Amount: 3})
	wants("with one more,", 1, 1)
	reopen()
	wants("at last,", 2, 0)
	var sum int64
	for _, e := range entries(t, s, "acc") {
		sum += e.Amount
	}
	if sum != 2 {
		t.Errorf("the entries say %d, want 2", sum)
	}
}
