package boltstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// TestSessionsOfAbandonedCheckouts: whose a session was is forgotten with its order, unless that
// was paid.
func TestSessionsOfAbandonedCheckouts(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: clock.Now})
	session := func(i int) entitlement.Ref {
		return entitlement.Ref{Kind: entitlement.KindSession, ID: fmt.Sprint("cks_", i)}
	}
	order := func(i int) {
		t.Helper()
		o := book.Order{ID: fmt.Sprint("ord_", i), Account: "acc", Product: "pack10", Quantity: 1, CreatedAt: clock.Now(), ExpiresAt: clock.Now().Add(day)}
		if _, _, err := s.CreateOrder(t.Context(), o, book.Key{}); err != nil {
			t.Fatal(err)
		}
		o.State, o.SessionID, o.CheckoutURL = book.OrderOpen, session(i).ID, "https://checkout.example"
		if err := s.OpenOrder(t.Context(), o, book.Key{}); err != nil {
			t.Fatal(err)
		}
	}
	order(1)
	if _, err := s.Claim(t.Context(), session(2), "bob"); err != nil { // it is another's
		t.Fatal(err)
	}
	order(2)
	clock.Move(40 * day)
	order(3) // which is when old orders are forgotten
	for i, want := range map[int]string{1: "", 2: "bob", 3: "acc"} {
		if owner, err := s.Owner(t.Context(), session(i)); err != nil || owner != want {
			t.Errorf("session %d is %q's, %v, want %q", i, owner, err, want)
		}
	}
}
