package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestKill kills a process that writes, again and again, and looks for
// everything that it had been told was written.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	commits, events := map[string][]string{}, []string{}
	cycles := 12
	if testing.Short() {
		cycles = 3
	}
	for cycle := range cycles {
		child := startChild(t, "load", path)
		said := []string{child.line(t)}
		time.Sleep(time.Duration(5+13*cycle%90) * time.Millisecond) // somewhere in the middle of it
		for _, line := range append(said, child.kill(t)...) {
			f := strings.Fields(line)
			switch {
			case f[0] == "commit" && len(f) == 3:
				commits[f[1]] = append(commits[f[1]], f[2])
			case f[0] == "event" && len(f) == 2:
				events = append(events, f[1])
			default:
				t.Fatalf("the child said %q", line)
			}
		}
		checkKept(t, path, commits, events)
	}
	t.Logf("%d kills, %d events and the commits of %d accounts kept", cycles, len(events), len(commits))
}

func checkKept(t *testing.T, path string, commits map[string][]string, events []string) {
	t.Helper()
	s, err := boltstore.Open(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for account, ids := range commits {
		times := make(map[string]int)
		for _, e := range entries(t, s, account) {
			times[e.Cause]++
		}
		for _, id := range ids {
			if times[id] != 1 {
				t.Fatalf("commit %s of %s was acknowledged and is there %d times", id, account, times[id])
			}
		}
	}
	for _, id := range events {
		if e, err := s.Event(t.Context(), id); err != nil || string(e.Body) != id {
			t.Fatalf("event %s was acknowledged: %+v, %v", id, e, err)
		}
	}
}

// TestFileThatCannotGrow runs a child whose file may not grow, as on a full
// disk, and then may again.
func TestFileThatCannotGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	out, err := childCommand(os.Args[0], "full", path).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	said := string(out)
	for _, want := range []string{
		"first error: store unavailable: write " + path,
		"second error: store unavailable: write " + path,
		"commit: store unavailable: write " + path,
		"at once: true",
		"ping: store unavailable: write " + path,
		"read: <nil>",
		"close: <nil>",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing", want)
		}
	}
	var recorded int
	if _, err := fmt.Sscanf(said, "recorded %d", &recorded); err != nil || recorded == 0 || t.Failed() {
		t.Fatalf("the child said:\n%s", said)
	}
	s := open(t, path, boltstore.Options{}) // the way out
	for i := range recorded {
		if _, err := s.Event(t.Context(), fmt.Sprint(i)); err != nil {
			t.Errorf("event %d was acknowledged: %v", i, err)
		}
	}
	if err := give(t.Context(), s, "acc", 1); err != nil {
		t.Error(err)
	}
}

// TestTruncatedWhileOpen: a page that is not there is an error, not a crash and
// not a caller who waits for ever. It is a child that tries it, because what
// bbolt holds then is held until the process ends.
func TestTruncatedWhileOpen(t *testing.T) {
	for name, size := range map[string]int64{"all": 0, "all but the meta pages": 8192} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dodogate.db")
			fill(t, path)
			cmd := childCommand(os.Args[0], "truncate", path)
			cmd.Args = append(cmd.Args, fmt.Sprint(size))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatal(err, string(out))
			}
			for _, want := range []string{
				"read: store unavailable: read " + path, "write: store unavailable: ",
				"read again: store unavailable: read " + path, "ping: store unavailable: ", "log: true",
			} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
		})
	}
}

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
	s, err := boltstore.Open(path, boltstore.Options{})
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
				err := giveObject(context.Background(), s, "acc", id)
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

// TestCallerGone: a caller that does not wait is told so at once, and the store
// goes on.
func TestCallerGone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
			defer cancel()
			err := give(ctx, s, "acc", i)
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := give(t.Context(), s, "acc", 1000); err != nil {
		t.Error(err)
	}
	entries(t, s, "acc")
}

func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s, err := boltstore.Open(filepath.Join(b.TempDir(), "dodogate.db"), boltstore.Options{})
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
