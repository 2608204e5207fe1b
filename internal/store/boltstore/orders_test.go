package boltstore_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// TestOldOrdersAreForgotten: a new order takes those out of the file that expired 30 days ago
// unpaid, with their keys. One stays as long as its key is remembered, and 30 days more.
func TestOldOrdersAreForgotten(t *testing.T) {
	clock := storetest.NewClock()
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s, err := dial(path, boltstore.Options{Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	create := func(name string) book.Order {
		t.Helper()
		o := formatOrder("ord_" + name)
		o.ExpiresAt = clock.Now().Add(time.Hour)
		o, _, err := s.CreateOrder(t.Context(), o, formatKey(name))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	there := func(name string, want bool) {
		t.Helper()
		if _, err := s.Order(t.Context(), "acc", "ord_"+name); (err == nil) != want || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("order %s: %v, want it there: %v", name, err, want)
		}
	}
	create("running")
	for _, name := range []string{"opened", "paid"} {
		o := create(name)
		o.SessionID = "cks_" + name
		if err := s.OpenOrder(t.Context(), o, formatKey(name)); err != nil {
			t.Fatal(err)
		}
	}
	paid := formatCommit("acc", "pay_1", 0, 1)
	paid.Order = &book.OrderResult{ID: "ord_paid", State: book.OrderPaid, PaymentID: "pay_1"}
	if _, err := s.Commit(t.Context(), paid); err != nil {
		t.Fatal(err)
	}
	clock.Move(30*day + time.Hour - time.Millisecond)
	create("second")
	there("running", true)
	clock.Move(time.Millisecond)
	create("third")
	there("running", false)
	clock.Move(23*time.Hour - time.Millisecond)
	create("fourth")
	there("opened", true)
	clock.Move(time.Millisecond)
	create("fifth")
	there("opened", false)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept := strings.Join(dump(t, path), "\n")
	for name, want := range map[string]string{
		"running": "", "opened": "", "paid": "r", "second": "ruk", "third": "ruk", "fourth": "ruk", "fifth": "ruk",
	} {
		got := ""
		for _, key := range []string{"rord_" + name, "uord_" + name, "k" + name} {
			if strings.Contains(kept, `"`+key+`"`) {
				got += key[:1]
			}
		}
		if got != want {
			t.Errorf("order %s: %q is kept, want %q", name, got, want)
		}
	}
}
