package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dodogate/dodogate/internal/bytecache"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// world is a store of one account, a clock, and a cache over them.
type world struct {
	*testing.T
	*cache.Cache

	mu      sync.Mutex
	now     time.Time
	account entitlement.Account
	err     error // of the store
	reads   int
}

func newWorld(t *testing.T, maxStale time.Duration) *world {
	w := &world{T: t, now: noon}
	w.Cache = cache.New(cache.Options{
		Entries: 100, MaxStale: maxStale, Read: w.read, Clock: w.clock,
		Words: func(account string, s entitlement.Snapshot) []string { return []string{account, s.Plan} },
	})
	t.Cleanup(w.Close)
	w.set(1, 10)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) move(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) read(context.Context, string) (entitlement.Account, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	return w.account, w.err
}

// credits are an account at a Rev with so many credits.
func credits(rev, n int64) entitlement.Account {
	return entitlement.Account{Rev: rev, Ledger: ledger.Account{Grants: ledger.Grants{{ID: "a", Left: n}}}}
}

// set changes the account behind the cache's back.
func (w *world) set(rev, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.account = credits(rev, n)
}

func (w *world) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// wants checks a view.
func (w *world) wants(n int64, result cache.Result) {
	w.Helper()
	v, got, err := w.View(w.Context(), "acc")
	if err != nil || got != result || v.Credits != n || v.Stale != (result == cache.Stale) ||
		v.CreditsText() != fmt.Sprint(n) || !slices.Equal(v.Words(), []string{"acc", entitlement.NoPlan}) {
		w.Fatalf("%v, %s, %v; want %d credits, %s", v, got, err, n, result)
	}
}

// refuses checks that there is no view.
func (w *world) refuses(result cache.Result) {
	w.Helper()
	v, got, err := w.View(w.Context(), "acc")
	if !errors.Is(err, store.ErrUnavailable) || got != result {
		w.Fatalf("%v, %s, %v; want no view, %s", v, got, err, result)
	}
}

func TestBeforeLive(t *testing.T) {
	w := newWorld(t, 0)
	w.wants(10, cache.Bypass)
	w.set(2, 20)
	w.wants(20, cache.Bypass)
	w.Live()
	w.wants(20, cache.Miss)
	w.wants(20, cache.Hit)
	w.Lost()
	w.set(3, 30)
	w.wants(30, cache.Bypass)
	w.set(4, 40)
	w.Live()
	w.wants(40, cache.Miss)
	w.wants(40, cache.Hit)
	w.Close()
	w.wants(40, cache.Bypass)
	w.Live()
	w.wants(40, cache.Bypass)
}

func TestChanged(t *testing.T) {
	w := newWorld(t, 0)
	w.Live()
	w.wants(10, cache.Miss)
	w.Changed("other", 9)
	w.Changed("acc", 1)
	w.Changed("acc", 0)
	w.wants(10, cache.Hit)
	w.set(2, 20)
	w.Changed("acc", 2)
	w.wants(20, cache.Miss)
	w.Changed("acc", 2)
	w.wants(20, cache.Hit)
}

// TestReadAnew: after a while an entry is read although nothing was told, and so
// is one from before the clock was set back.
func TestReadAnew(t *testing.T) {
	w := newWorld(t, 0)
	w.Live()
	w.wants(10, cache.Miss)
	w.move(5*time.Minute - 1)
	w.wants(10, cache.Hit)
	w.set(1, 20)
	w.move(1)
	w.wants(20, cache.Miss)
	w.move(-time.Hour)
	w.set(1, 30)
	w.wants(30, cache.Miss)
	w.wants(30, cache.Hit)
}

// TestTime: what ends by the clock ends in what is remembered, at the instant.
func TestTime(t *testing.T) {
	w := newWorld(t, 0)
	a := credits(1, 1)
	for i, left := range []int64{10, 100, 1000} {
		id := fmt.Sprint(i)
		a.Ledger.Grants.Put(ledger.Grant{ID: id, Left: left, ExpiresAt: noon.Add(time.Duration(i+1) * time.Minute)})
	}
	w.account = a
	w.Live()
	w.wants(1111, cache.Miss)
	w.move(time.Minute - 1)
	w.wants(1111, cache.Hit)
	w.move(1)
	w.wants(1101, cache.Hit)
	w.move(time.Minute)
	w.wants(1001, cache.Hit)
	w.move(-time.Nanosecond)
	w.wants(1101, cache.Hit)
	w.move(time.Minute + 1)
	w.wants(1, cache.Hit)
}

// TestPlansEnd: of several plans each ends in what is remembered, at its own instant.
func TestPlansEnd(t *testing.T) {
	w := newWorld(t, 0)
	w.account.Standings = make(map[string]entitlement.Standing)
	for i, plan := range []string{"team", "pro", "basic"} {
		w.account.Standings[plan] = entitlement.Standing{Renewal: &entitlement.Renewal{
			Plan: plan, Status: entitlement.PlanActive, Access: true, Until: noon.Add(time.Duration(i+1) * time.Minute),
		}}
	}
	w.Live()
	has := func(want ...string) {
		t.Helper()
		v, _, err := w.View(t.Context(), "acc")
		if err != nil || !slices.Equal(v.PlanNames(), want) {
			t.Fatalf("%v, %v; want %v", v, err, want)
		}
	}
	has("team", "pro", "basic") // by their names, for none is ranked
	w.move(time.Minute - 1)
	has("team", "pro", "basic")
	w.move(1)
	has("pro", "basic")
	w.move(time.Minute)
	has("basic")
	w.move(time.Minute - 1)
	has("basic")
	w.move(1)
	has()
	if w.reads != 1 {
		t.Errorf("read %d times", w.reads)
	}
}

// TestManyExpiries: there is an end to what an entry foresees.
func TestManyExpiries(t *testing.T) {
	w := newWorld(t, 0)
	a := credits(1, 0)
	for i := range 100 {
		a.Ledger.Grants.Put(ledger.Grant{ID: fmt.Sprint("x", i), Left: 1, ExpiresAt: noon.Add(time.Duration(i+1) * time.Second)})
	}
	w.account = a
	w.Live()
	w.wants(100, cache.Miss)
	for i := range 100 {
		v, _, err := w.View(t.Context(), "acc")
		if err != nil || v.Credits != int64(100-i) {
			t.Fatal(i, v, err)
		}
		w.move(time.Second)
	}
	if w.reads < 10 || w.reads > 20 { // neither all of them are remembered nor none
		t.Errorf("read %d times", w.reads)
	}
}

// TestHeld: what is held comes back when the hold runs out, which the store alone can
// tell of. So it does when the hold has run out by the time that the store's answer is
// here, be it that the answer took long or that the store's clock is behind.
func TestHeld(t *testing.T) {
	held := func(rev, left int64, until time.Time) entitlement.Account {
		a := credits(rev, left)
		a.HeldUntil = until
		return a
	}
	w := newWorld(t, 0)
	w.account = held(1, 10, noon.Add(time.Minute))
	w.Live()
	w.wants(10, cache.Miss)
	w.move(time.Minute - 1)
	w.wants(10, cache.Hit)
	w.set(1, 15)
	w.move(1)
	w.wants(15, cache.Miss)
	w.wants(15, cache.Hit)

	w.Put("acc", held(2, 5, noon.Add(time.Second)))
	w.account = held(2, 7, noon.Add(time.Minute))
	w.wants(7, cache.Miss)
	w.set(2, 10)
	w.wants(10, cache.Miss)
	w.wants(10, cache.Hit)
}

func TestForget(t *testing.T) {
	w := newWorld(t, 0)
	w.Live()
	w.wants(10, cache.Miss)
	w.set(2, 20)
	w.Forget("acc")
	w.wants(20, cache.Miss)
	w.Changed("acc", 2)
	w.wants(20, cache.Hit)
}

func TestPut(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*world)
		put    entitlement.Account
		want   int64
		result cache.Result
	}{
		"a later state": {put: credits(2, 20), want: 20, result: cache.Hit},
		"much later":    {put: credits(9, 20), want: 20, result: cache.Hit},
		"the same":      {put: credits(1, 20), want: 10, result: cache.Hit},
		"an earlier":    {put: credits(0, 20), want: 10, result: cache.Hit},
		"its own news came first": {
			before: func(w *world) { w.Changed("acc", 2) }, put: credits(2, 20), want: 20, result: cache.Hit,
		},
		"later news came first": {
			before: func(w *world) { w.Changed("acc", 3) }, put: credits(2, 20), want: 10, result: cache.Miss,
		},
		// Another gateway changed what follows from Dodo, and its news is on the way.
		"standings that are not remembered": {
			before: func(w *world) { w.set(3, 20) },
			put:    entitlement.Account{Rev: 3, StandingsRev: 2, Ledger: credits(3, 20).Ledger}, want: 20, result: cache.Miss,
		},
		"nothing is remembered": {before: func(w *world) { w.Forget("acc") }, put: credits(2, 20), want: 10, result: cache.Miss},
		"of another life":       {before: func(w *world) { w.Lost(); w.Live() }, put: credits(2, 20), want: 10, result: cache.Miss},
		"of no life":            {before: func(w *world) { w.Lost() }, put: credits(2, 20), want: 10, result: cache.Bypass},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 0)
			w.Live()
			w.wants(10, cache.Miss)
			if c.before != nil {
				c.before(w)
			}
			w.Put("acc", c.put)
			w.wants(c.want, c.result)
		})
	}
}

// TestBounded: what is remembered does not grow beyond the bytes that it may have.
func TestBounded(t *testing.T) {
	w := newWorld(t, 0)
	w.Live()
	const size = 250 // of a name, so that 16 MiB have room for 60,000
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprintf("%0*d", size, i)
		if _, _, err := w.View(t.Context(), names[i]); err != nil {
			t.Fatal(err)
		}
	}
	hits := 0
	for _, name := range names {
		if w.Current(name) != nil {
			hits++
		}
	}
	if most := bytecache.Least / size; hits == 0 || hits > most {
		t.Errorf("%d of %d accounts are remembered, want some and at most %d", hits, len(names), most)
	}
}

var errDown = fmt.Errorf("%w: it is down", store.ErrUnavailable)

func TestUnavailable(t *testing.T) {
	for name, c := range map[string]struct {
		maxStale time.Duration
		run      func(*world)
	}{
		"off": {0, func(w *world) {
			w.wants(10, cache.Miss)
			w.fail(errDown)
			w.wants(10, cache.Hit) // what is known to be true needs no store
			w.Lost()
			w.refuses(cache.Bypass)
		}},
		"as long as it says, from when it was last known": {time.Minute, func(w *world) {
			w.wants(10, cache.Miss)
			w.fail(errDown)
			w.move(4 * time.Minute)
			w.wants(10, cache.Hit)
			w.Lost()
			w.move(time.Minute)
			w.wants(10, cache.Stale)
			w.move(1)
			w.refuses(cache.Bypass)
		}},
		"nothing is remembered": {time.Minute, func(w *world) {
			w.fail(errDown)
			w.refuses(cache.Miss)
		}},
		"not for other errors": {time.Minute, func(w *world) {
			w.wants(10, cache.Miss)
			w.Lost()
			w.fail(context.Canceled)
			if _, _, err := w.View(w.Context(), "acc"); !errors.Is(err, context.Canceled) {
				w.Fatal(err)
			}
		}},
		"read while changes were not heard": {time.Minute, func(w *world) {
			w.Lost()
			w.wants(10, cache.Bypass)
			w.set(2, 20)
			w.move(time.Minute)
			w.wants(20, cache.Bypass)
			w.fail(errDown)
			w.move(time.Minute)
			w.wants(20, cache.Stale)
			w.move(1)
			w.refuses(cache.Bypass)
		}},
		"outdated by news, and then the store goes": {time.Minute, func(w *world) {
			w.wants(10, cache.Miss)
			w.move(2 * time.Minute)
			w.Changed("acc", 2)
			w.fail(errDown)
			w.refuses(cache.Miss)
			w.Lost()
			w.refuses(cache.Bypass)
		}},
		"outdated by news, and then the news are lost": {time.Minute, func(w *world) {
			w.wants(10, cache.Miss)
			w.Changed("acc", 2)
			w.move(time.Minute)
			w.Lost()
			w.fail(errDown)
			w.move(1)
			w.refuses(cache.Bypass)
		}},
		"of an earlier life, not read since": {time.Minute, func(w *world) {
			w.wants(10, cache.Miss)
			w.Lost()
			w.Live()
			w.move(time.Minute)
			w.Lost()
			w.fail(errDown)
			w.move(1)
			w.refuses(cache.Bypass)
		}},
		"too old to count, but news would have come": {time.Minute, func(w *world) {
			w.wants(10, cache.Miss)
			w.fail(errDown)
			w.move(5 * time.Minute)
			w.wants(10, cache.Stale)
			w.fail(nil)
			w.move(time.Second)
			w.wants(10, cache.Miss)
		}},
		"time goes on": {time.Hour, func(w *world) {
			w.account.Ledger.Grants.Put(ledger.Grant{ID: "b", Left: 5, ExpiresAt: noon.Add(50 * time.Minute)})
			w.wants(15, cache.Miss)
			w.Lost()
			w.fail(errDown)
			w.move(50*time.Minute - 1)
			w.wants(15, cache.Stale)
			w.move(1)
			w.wants(10, cache.Stale)
		}},
		"a store that does not answer is left alone for a second": {time.Hour, func(w *world) {
			w.wants(10, cache.Miss)
			w.Lost()
			w.fail(errDown)
			reads := w.reads
			for range 10 {
				w.wants(10, cache.Stale)
			}
			if w.reads != reads+1 {
				w.Errorf("asked %d times", w.reads-reads)
			}
			w.fail(nil)
			w.move(time.Second - 1)
			w.wants(10, cache.Stale)
			w.move(1)
			w.wants(10, cache.Bypass)
			w.wants(10, cache.Bypass)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.maxStale)
			w.Live()
			c.run(w)
		})
	}
}

// TestTogether: an account is read once for all who ask meanwhile, also when the
// first of them has gone; who asks after news is not answered by a read from
// before it.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := make(chan entitlement.Account)
		c := cache.New(cache.Options{Entries: 1, Clock: time.Now, Read: func(ctx context.Context, _ string) (entitlement.Account, error) {
			select {
			case a := <-answers:
				return a, nil
			case <-ctx.Done():
				return entitlement.Account{}, ctx.Err()
			}
		}})
		defer c.Close()
		type answer struct {
			credits int64
			err     error
		}
		ask := func(ctx context.Context) <-chan answer {
			got := make(chan answer, 1)
			go func() {
				v, _, err := c.View(ctx, "acc")
				if err != nil {
					v = new(cache.View)
				}
				got <- answer{v.Credits, err}
			}()
			synctest.Wait()
			return got
		}
		wants := func(got <-chan answer, want int64) {
			t.Helper()
			synctest.Wait()
			select {
			case a := <-got:
				if a.err != nil || a.credits != want {
					t.Errorf("%+v, want %d", a, want)
				}
			default:
				t.Errorf("no answer, want %d", want)
			}
		}
		c.Live()
		leaves, cancel := context.WithCancel(t.Context())
		first, second := ask(leaves), ask(t.Context())
		impatient, give := context.WithCancel(t.Context())
		third := ask(impatient)
		cancel()
		give()
		if a := <-third; !errors.Is(a.err, context.Canceled) {
			t.Error(a)
		}
		c.Changed("acc", 2)
		behind := ask(t.Context())
		answers <- credits(1, 10)
		wants(first, 10)
		wants(second, 10)
		answers <- credits(2, 20)
		wants(behind, 20)
		c.Changed("acc", 3)
		before := ask(t.Context())
		c.Lost()
		c.Live()
		after := ask(t.Context())
		answers <- credits(3, 30) // to the one or the other
		answers <- credits(3, 30)
		wants(before, 30)
		wants(after, 30)
	})
}

// TestPanic: a read that panics does not block those behind it.
func TestPanic(t *testing.T) {
	reads := 0
	c := cache.New(cache.Options{Entries: 1, Clock: time.Now, Read: func(context.Context, string) (entitlement.Account, error) {
		if reads++; reads == 1 {
			panic("ouch")
		}
		return entitlement.Account{}, nil
	}})
	defer c.Close()
	c.Live()
	func() {
		defer func() { _ = recover() }()
		_, _, _ = c.View(t.Context(), "acc")
	}()
	if _, _, err := c.View(t.Context(), "acc"); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkHit(b *testing.B) {
	c := cache.New(cache.Options{Entries: 100_000, Clock: time.Now, Read: func(context.Context, string) (entitlement.Account, error) {
		return credits(1, 10), nil
	}})
	defer c.Close()
	c.Live()
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprint("acc_", i)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, _, err := c.View(b.Context(), names[i%len(names)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestUnsettled: once an order can be paid, nobody is told any more that none waits.
func TestUnsettled(t *testing.T) {
	w := newWorld(t, 0)
	w.Live()
	w.wants(10, cache.Miss)
	before := w.Current("acc")
	before.Settle()
	if !w.Current("acc").Settled() {
		t.Error("it is not remembered that no order waits")
	}
	w.Changed("acc", 0)
	before.Settle() // by whoever looked before
	if w.Current("acc").Settled() {
		t.Error("an order that waits is not seen")
	}
	w.wants(10, cache.Hit)
}

// TestStaleIsNotSettled: of an account that cannot be read, nobody knows whether an order
// waits to be paid.
func TestStaleIsNotSettled(t *testing.T) {
	w := newWorld(t, time.Minute)
	w.Live()
	w.wants(10, cache.Miss)
	w.Current("acc").Settle()
	w.Lost()
	w.fail(errDown)
	w.wants(10, cache.Stale)
	stale := w.Remembered("acc")
	if stale.Settled() {
		t.Error("a view that is stale says that no order waits")
	}
	stale.Settle()
	w.fail(nil)
	w.Live()
	w.move(time.Second)
	w.wants(10, cache.Miss)
	if w.Current("acc").Settled() {
		t.Error("what was noted in a stale view is remembered")
	}
}
