package boltstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestGuess: one transaction takes an event and commits what was guessed, and it is there
// when the file is opened again. What cannot be counted is left, and the event taken.
func TestGuess(t *testing.T) {
	for name, c := range map[string]struct {
		has  int64 // credits before
		want bool
	}{
		"usual":                     {want: true},
		"with grants":               {has: 5, want: true},
		"more than can be counted":  {has: ledger.Max},
		"as much as can be counted": {has: ledger.Max - 10, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dodogate.db")
			s := open(t, path, boltstore.Options{})
			terms := map[string]entitlement.Terms{"pdt_1": {Credits: 10}}
			o := store.Order{ID: "ord_1", Account: "acc", State: store.OrderOpen, Terms: terms, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
			if _, _, err := s.CreateOrder(t.Context(), o, store.Key{}); err != nil {
				t.Fatal(err)
			}
			if c.has > 0 {
				if _, err := s.Commit(t.Context(), paid("pay_0", c.has)); err != nil {
					t.Fatal(err)
				}
			}
			e := store.Event{ID: "msg_1", Type: "payment.succeeded", Body: []byte("{}")}
			settled := e
			settled.State, settled.Object, settled.Account, settled.Deliveries = store.EventApplied, "payment:pay_1", "acc", 1
			commit := paid("pay_1", 10)
			commit.Order = &store.OrderResult{ID: "ord_1", State: store.OrderPaid, PaymentID: "pay_1"}
			commit.Settle = &store.Settlement{Event: settled, Retention: store.Retention{Body: []byte("less")}}
			before := s.Stats()
			got, bound, err := s.Receive(t.Context(), e, store.Binding{
				Object: commit.Object, Account: "acc", Order: "ord_1",
				Guess: func() *store.Guess { return &store.Guess{Commit: commit, Terms: terms} },
			})
			if err != nil || (bound.Committed != nil) != c.want {
				t.Fatalf("%+v, %v", bound, err)
			}
			if did := s.Stats(); did.Transactions != before.Transactions+1 {
				t.Errorf("%d transactions", did.Transactions-before.Transactions)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			s = open(t, path, boltstore.Options{})
			stored, err := s.Event(t.Context(), "msg_1")
			want, body, balance := store.EventReceived, "{}", c.has
			if c.want {
				want, body, balance = store.EventApplied, "less", c.has+10
			}
			if err != nil || got.State != want || stored.State != want || string(stored.Body) != body || stored.Deliveries != 1 {
				t.Errorf("event is %+v, was %+v, %v", stored, got, err)
			}
			a, err := s.Account(t.Context(), "acc")
			if err != nil || a.Ledger.Balance() != balance {
				t.Errorf("balance is %d, %v; want %d", a.Ledger.Balance(), err, balance)
			}
		})
	}
}

func paid(id string, credits int64) store.Commit {
	return store.Commit{
		Account: "acc", Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: id}, State: []byte("{}"), Cause: id,
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: id + "/0", Amount: credits, CreatedAt: time.Now()}}},
	}
}
