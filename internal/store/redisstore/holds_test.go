package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// holdOf is a hold of the account "acc" by the caller "me", for an hour.
func holdOf(id string, amount int64) book.Hold {
	return book.Hold{Account: "acc", ID: id, By: "me", Fingerprint: "f", Amount: amount, TTL: time.Hour}
}

// endOf ends such a hold.
func endOf(id string, captured int64) book.End {
	return book.End{Account: "acc", ID: id, By: "me", Captured: captured, Keep: time.Hour, Receipt: []byte("receipt")}
}

// gives commits ten credits.
func gives(t *testing.T, s *opened) {
	t.Helper()
	if _, err := s.Commit(t.Context(), give("acc", "pay_1", 10)); err != nil {
		t.Fatal(err)
	}
}

// holds wants a hold to go so, and to leave so much.
func holds(h book.Hold, want book.HoldOutcome, available int64) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		held, err := s.Hold(t.Context(), h)
		if err != nil || held.Outcome != want || held.Account.Ledger.Available(time.Now()) != available {
			t.Fatalf("hold: %+v, %v; want %s, and %d available", held, err, want, available)
		}
	}
}

// holdEnds wants the hold "h" to end with so much captured, and to leave so much.
func holdEnds(captured, available int64) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		done, err := s.End(t.Context(), endOf("h", captured))
		if err != nil || !done.Found || done.Captured != captured || done.Account.Ledger.Available(time.Now()) != available {
			t.Fatalf("end: %+v, %v; want %d captured, and %d available", done, err, captured, available)
		}
	}
}

// leaves wants so much left when nothing is held any more, by so many entries.
func leaves(balance int64, entries int) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		wantBalance(t, s, "acc", balance, entries)
	}
}

// remembers wants another caller to be told what a hold spent.
func remembers(id string, captured int64) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		h := holdOf(id, 1)
		h.By = "you"
		held, err := s.Hold(t.Context(), h)
		if err != nil || held.Outcome != book.HoldFinished || held.Captured != captured || string(held.Receipt) != "receipt" {
			t.Fatalf("hold by another: %+v, %v", held, err)
		}
	}
}

// both runs one after the other.
func both(first, second func(*testing.T, *opened)) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		first(t, s)
		second(t, s)
	}
}

// TestTwoClients: what processes hold and spend at the same time is never more
// than there is, and one may end what the other holds.
func TestTwoClients(t *testing.T) {
	const total, callers = 100, 200
	server := redistest.Start(t)
	clients := []*opened{open(t, redisstore.Options{URL: server.URL()}), open(t, redisstore.Options{URL: server.URL()})}
	if _, err := clients[0].Commit(t.Context(), give("acc", "pay_1", total)); err != nil {
		t.Fatal(err)
	}
	var placed, refused, open atomic.Int64
	var all sync.WaitGroup
	begin := make(chan struct{})
	for i := range callers {
		all.Go(func() {
			<-begin
			id := fmt.Sprint("h", i)
			held, err := clients[i%2].Hold(t.Context(), holdOf(id, 1))
			switch {
			case err != nil:
				t.Error(err)
			case held.Outcome == book.HoldRefused:
				refused.Add(1)
			case held.Outcome == book.HoldPlaced:
				placed.Add(1)
				if i%3 == 0 {
					open.Add(1)
					return
				}
				if done, err := clients[(i+1)%2].End(t.Context(), endOf(id, 1)); err != nil || !done.Found {
					t.Errorf("end of %s by the other client: %+v, %v", id, done, err)
				}
			}
		})
	}
	close(begin)
	all.Wait()
	if placed.Load() != total || refused.Load() != callers-total {
		t.Errorf("%d holds were placed and %d refused, of %d credits", placed.Load(), refused.Load(), total)
	}
	for i, s := range clients {
		a, err := s.Account(t.Context(), "acc")
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Ledger.Available(time.Now()); got != 0 || a.Ledger.Balance() != open.Load() || a.Ledger.Seq != 1+total-open.Load() {
			t.Errorf("client %d: %d available of a balance of %d after %d entries, with %d open holds", i, got, a.Ledger.Balance(), a.Ledger.Seq, open.Load())
		}
	}
}

// TestManyLostRepliesOfHolds spends from many goroutines while every k-th reply is
// lost. Callers ask again, as the contract tells them to.
func TestManyLostRepliesOfHolds(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	for _, k := range []int{3, 4, 5, 7} {
		t.Run(fmt.Sprint("every ", k), func(t *testing.T) {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
			const workers, spends, total = 16, 10, 1000
			if _, err := direct.Commit(t.Context(), give("acc", "pay_1", total)); err != nil {
				t.Fatal(err)
			}
			s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix, Timeout: 5 * time.Second})
			p.LoseReplies(func(reply int) bool { return reply%k == 0 })
			var all sync.WaitGroup
			for w := range workers {
				all.Go(func() {
					for i := range int64(spends) {
						if err := spendUntil(t.Context(), s, fmt.Sprintf("h%d_%d", w, i), i%4); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			p.LoseReplies(nil)
			// Of its ten holds, a worker captures 0, 1, 2, 3, 0, 1, 2, 3, 0 and 1.
			wantBalance(t, direct, "acc", total-workers*13, 1+workers*7)
		})
	}
}

// spendUntil holds three credits and captures some of them, whatever is lost on
// the way.
func spendUntil(ctx context.Context, s *opened, id string, captured int64) error {
	err := again(func() error {
		held, err := s.Hold(ctx, holdOf(id, 3))
		if err == nil && held.Outcome != book.HoldPlaced {
			return fmt.Errorf("hold %s: %+v", id, held)
		}
		return err
	})
	if err != nil {
		return err
	}
	return again(func() error {
		done, err := s.End(ctx, endOf(id, captured))
		if err == nil && (!done.Found || done.Captured != captured) {
			return fmt.Errorf("end of %s: %+v", id, done)
		}
		return err
	})
}

// again does it until it is known to have happened.
func again(do func() error) error {
	for range 200 {
		if err := do(); !errors.Is(err, store.ErrUnavailable) {
			return err
		}
	}
	return errors.New("200 times in vain")
}
