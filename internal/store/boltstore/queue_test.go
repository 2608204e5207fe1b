package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

func TestGroupCommit(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	const callers, each = 64, 20
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				if err := give(t.Context(), s, fmt.Sprint("acc_", caller), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stats := s.Stats()
	if stats.Operations != callers*each {
		t.Errorf("%d operations, want %d", stats.Operations, callers*each)
	}
	if stats.Transactions > callers*each/4 {
		t.Errorf("%d transactions for %d operations of %d callers", stats.Transactions, stats.Operations, callers)
	}
	t.Logf("%+v", stats)
	for caller := range callers {
		if n := len(entries(t, s, fmt.Sprint("acc_", caller))); n != each {
			t.Errorf("caller %d has %d entries", caller, n)
		}
	}
}

// TestRefusalInBatch: what one operation is refused does not touch the others of
// its transaction.
func TestRefusalInBatch(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	if err := give(t.Context(), s, "acc", 0); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			want := error(nil)
			n := i
			if i%2 == 0 {
				n, want = 0, store.ErrConflict
			}
			if err := give(t.Context(), s, "acc", n); !errors.Is(err, want) {
				t.Errorf("commit %d: %v, want %v", i, err, want)
			}
		})
	}
	all.Wait()
	if n := len(entries(t, s, "acc")); n != 101 {
		t.Errorf("%d entries, want 101", n)
	}
	if stats := s.Stats(); stats.Operations != 101 {
		t.Errorf("%+v", stats)
	}
}

func TestClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var kept []string
	for writer := range 50 {
		all.Go(func() {
			for i := 0; ; i++ { // until it is refused
				id := fmt.Sprint(writer, "_", i)
				err := giveObject(t.Context(), s, "acc", id)
				if errors.Is(err, store.ErrUnavailable) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				kept = append(kept, id)
				mu.Unlock()
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	closers.Wait()
	if _, err := s.Account(t.Context(), "acc"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("read after close: %v", err)
	}
	if err := give(t.Context(), s, "acc", 1000); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("write after close: %v", err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ping after close: %v", err)
	}
	checkKept(t, path, map[string][]string{"acc": kept}, nil)
	t.Logf("%d written before close", len(kept))
}

// TestCloseDrains: those who wait to be let into a full queue are served too.
func TestCloseDrains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	g := newGate()
	s, err := dial(path, boltstore.Options{Clock: g.now})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	kept, served := make(map[string][]string), 0
	for i := range 2000 { // more than the queue holds
		all.Go(func() {
			account := fmt.Sprint("acc_", i%100)
			err := give(t.Context(), s, account, i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				kept[account] = append(kept[account], fmt.Sprint(i))
				served++
			case !errors.Is(err, store.ErrUnavailable): // who comes after Close
				t.Error(err)
			}
		})
	}
	<-g.reached
	time.Sleep(50 * time.Millisecond) // until most callers stand in line
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	time.Sleep(50 * time.Millisecond)
	close(g.open)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	all.Wait()
	checkKept(t, path, kept, nil)
	t.Logf("%d of 2000 served", served)
}

// gate is a clock that stops whoever asks it until it is opened, and so keeps an
// operation in the middle of its work.
type gate struct {
	reached, open chan struct{}
	once          sync.Once
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) now() time.Time {
	g.once.Do(func() { close(g.reached) })
	<-g.open
	return time.Now()
}

// TestCallerGone: a caller that does not wait any longer is told so at once.
// What it asked for is done as it was asked, or not at all.
func TestCallerGone(t *testing.T) {
	g := newGate()
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: g.now})
	ctx, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	record := func(id string) {
		body := []byte("as it was")
		if _, err := s.Record(ctx, book.Event{ID: id, Body: body}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", id, err)
		}
		copy(body, "changed!!") // the caller's memory is the caller's again
	}
	all.Go(func() { record("running") })
	<-g.reached
	all.Go(func() { record("waiting") })
	time.Sleep(20 * time.Millisecond)
	leave()
	all.Wait() // although nothing is done yet
	close(g.open)

	if err := give(t.Context(), s, "acc", 1); err != nil {
		t.Error(err)
	}
	if e, err := s.Event(t.Context(), "running"); err != nil || string(e.Body) != "as it was" {
		t.Errorf("the one at work: %q, %v", e.Body, err)
	}
	if e, err := s.Event(t.Context(), "waiting"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the one in the queue: %q, %v", e.Body, err)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s, err := dial(filepath.Join(b.TempDir(), "dodogate.db"), boltstore.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			work := make(chan int)
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for i := range work {
						if err := give(b.Context(), s, fmt.Sprint("acc_", i%1000), i); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			all.Wait()
			stats := s.Stats()
			b.ReportMetric(float64(stats.Operations)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(stats.Operations)/float64(stats.Transactions), "commits/fsync")
		})
	}
}

// TestCommitterGone: what a commit writes is what it was when it was asked for.
func TestCommitterGone(t *testing.T) {
	g := newGate()
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: g.now})
	ctx, leave := context.WithCancel(t.Context())
	c := formatCommit("acc", "pay_1", 0, 5)
	c.State = []byte("as it was")
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := s.Commit(ctx, c); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-g.reached // it is in the middle of its work
	leave()
	all.Wait()
	copy(c.State, "changed!!")
	c.Effect.Grants[0].Amount = 7
	close(g.open)
	sweeps(t, s.Client)
	if o, err := s.Object(t.Context(), "acc", c.Object); err != nil || o.Version != 1 || string(o.State) != "as it was" {
		t.Errorf("the object is %d, %q, %v", o.Version, o.State, err)
	}
	if all := entries(t, s, "acc"); len(all) != 1 || all[0].Amount != 5 {
		t.Errorf("entries %+v", all)
	}
}
