package boltstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// plenty is more than a test can spend.
const plenty = 1_000_000

func givePlenty(t *testing.T, s *opened, account string) {
	t.Helper()
	_, err := s.Commit(t.Context(), book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: "pay_1"}, State: []byte(`{}`),
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: "a", Amount: plenty}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mustHold holds for an hour.
func mustHold(t *testing.T, s *opened, account, id string, amount int64) book.Held {
	t.Helper()
	held, err := s.Hold(t.Context(), book.Hold{Account: account, ID: id, By: "me", Amount: amount, TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// TestReopenHolds: what was held when the store was closed is back, what was spent
// is remembered, and a revision that was told is not told again for another state.
func TestReopenHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	givePlenty(t, s, "acc")
	mustHold(t, s, "acc", "spent", 10)
	end := book.End{Account: "acc", ID: "spent", By: "me", Captured: 7, Keep: time.Hour, Receipt: []byte("receipt")}
	if _, err := s.End(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	var told int64
	for i := range 10 { // none of these is written
		told = mustHold(t, s, "acc", fmt.Sprint("open_", i), 100).Account.Rev
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, path, boltstore.Options{})
	if n := len(entries(t, s, "acc")); n != 2 { // and nothing is held any more
		t.Errorf("%d entries", n)
	}
	if done, err := s.End(t.Context(), book.End{Account: "acc", ID: "open_1", By: "me", Captured: 1}); err != nil || done.Found {
		t.Errorf("end of a hold that was open: %+v, %v", done, err)
	}
	if held := mustHold(t, s, "acc", "spent", 10); held.Outcome != book.HoldFinished || held.Captured != 7 || string(held.Receipt) != "receipt" {
		t.Errorf("hold of what was spent: %+v", held)
	}
	held := mustHold(t, s, "acc", "all", plenty-7)
	if held.Outcome != book.HoldPlaced || held.Account.Rev <= told {
		t.Errorf("hold of all that is left: %+v, and %d was told before", held, told)
	}
}

// TestHoldsAreForgotten: neither memory nor the file fills up with what is over.
func TestHoldsAreForgotten(t *testing.T) {
	clock := storetest.NewClock()
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: clock.Now})
	wants := func(when string, accounts, recent, inFile int) {
		t.Helper()
		a, r, f, err := s.store.Remembered("acc")
		if err != nil || a != accounts || r != recent || f != inFile {
			t.Errorf("%s: %d accounts and %d ended holds in memory, %d ended holds and their times in the file, %v; want %d, %d and %d",
				when, a, r, f, err, accounts, recent, inFile)
		}
	}
	spend := func(id string, captured int64, keep time.Duration) {
		t.Helper()
		mustHold(t, s, "acc", id, 1)
		done, err := s.End(t.Context(), book.End{Account: "acc", ID: id, By: "me", Captured: captured, Keep: keep})
		if err != nil || !done.Found {
			t.Fatalf("end of %s: %+v, %v", id, done, err)
		}
	}
	givePlenty(t, s, "acc")
	for i := range 40 {
		spend(fmt.Sprint("kept_", i), 1, time.Minute)
		spend(fmt.Sprint("spent_", i), 1, 0)
		spend(fmt.Sprint("released_", i), 0, time.Minute)
	}
	wants("at first", 0, 120, 80)
	clock.Move(book.Recently)
	spend("soon", 1, 0)
	wants("a little later", 0, 1, 80)
	for i := range 5 {
		mustHold(t, s, "acc", fmt.Sprint("open_", i), 1)
	}
	wants("while some are open", 1, 1, 80)
	clock.Move(2 * time.Hour)
	for i := range 3 { // each clears away some of what is in the file
		spend(fmt.Sprint("later_", i), 1, 0)
	}
	wants("when all is over", 0, 3, 0)
}

// spend holds three credits and spends two of them, as fast as it can and without
// end. Every third hold stays open. It says what was acknowledged: "account id
// revision".
func spend(path string) error {
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			account := fmt.Sprint("acc_", worker%4)
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d_%d_%d", os.Getpid(), worker, i)
				if err := spendTwo(s, account, id, i%3 == 0); err != nil {
					fmt.Println("error", err)
					return
				}
			}
		})
	}
	all.Wait()
	return nil
}

func spendTwo(s *opened, account, id string, stayOpen bool) error {
	ctx := context.Background()
	held, err := s.Hold(ctx, book.Hold{Account: account, ID: id, By: "me", Amount: 3, TTL: time.Hour})
	if err != nil || stayOpen {
		return err
	}
	done, err := s.End(ctx, book.End{Account: account, ID: id, By: "me", Captured: 2})
	if err != nil || held.Outcome != book.HoldPlaced || !done.Found {
		return fmt.Errorf("%+v, %+v, %w", held, done, err)
	}
	fmt.Println(account, id, done.Account.Rev)
	return nil
}

// TestKillHolds kills a process that spends, again and again: what it had been
// told was spent is spent once, and everything else is back.
func TestKillHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		givePlenty(t, s, fmt.Sprint("acc_", i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cycles := 10
	if testing.Short() {
		cycles = 3
	}
	spent, revs := map[string][]string{}, map[string]int64{}
	for cycle := range cycles {
		child := startChild(t, "spend", path)
		said := []string{child.line(t)}
		time.Sleep(time.Duration(5+17*cycle%90) * time.Millisecond) // somewhere in the middle of it
		for _, line := range append(said, child.kill(t)...) {
			var account, id string
			var rev int64
			if n, err := fmt.Sscan(line, &account, &id, &rev); n != 3 || !strings.HasPrefix(account, "acc_") {
				t.Fatalf("the child said %q: %v", line, err)
			}
			spent[account] = append(spent[account], id)
			revs[account] = max(revs[account], rev)
		}
		checkSpent(t, path, spent, revs)
	}
}

func checkSpent(t *testing.T, path string, spent map[string][]string, revs map[string]int64) {
	t.Helper()
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for account, ids := range spent {
		times := make(map[string]int)
		left := int64(plenty)
		for _, e := range entries(t, s, account)[1:] { // which wants the balance to be available
			if times[e.Cause]++; e.Kind != ledger.KindCapture || e.Amount != -2 || times[e.Cause] > 1 {
				t.Fatalf("entry %+v of %s, the one of number %d with its cause", e, account, times[e.Cause])
			}
			left -= 2
		}
		for _, id := range ids {
			if times[id] != 1 {
				t.Fatalf("what hold %s of %s spent was acknowledged and is there %d times", id, account, times[id])
			}
		}
		held := mustHold(t, s, account, "all", left)
		if held.Outcome != book.HoldPlaced || held.Account.Rev <= revs[account] {
			t.Fatalf("hold of all that is left: %+v, and revision %d was told before", held, revs[account])
		}
	}
}
