package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// Watched is a watcher that remembers what it was told. Its methods may be used
// by tests of single stores too.
type Watched struct {
	mu    sync.Mutex
	told  []string // "live", "lost", or an account and its Rev
	news  chan struct{}
	onRev func(account string, rev int64)
}

// NewWatched returns a watcher that has heard nothing.
func NewWatched() *Watched { return &Watched{news: make(chan struct{}, 1)} }

// Changed implements [store.Watcher].
func (w *Watched) Changed(account string, rev int64) {
	if w.onRev != nil {
		w.onRev(account, rev)
	}
	w.note(change(account, rev))
}

// Live implements [store.Watcher].
func (w *Watched) Live() { w.note("live") }

// Lost implements [store.Watcher].
func (w *Watched) Lost() { w.note("lost") }

func change(account string, rev int64) string { return fmt.Sprintf("%q %d", account, rev) }

func (w *Watched) note(what string) {
	w.mu.Lock()
	w.told = append(w.told, what)
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// Told is everything that was told.
func (w *Watched) Told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// patience is how long a message may take on a busy machine.
const patience = 30 * time.Second

// Await waits until what was told is as wanted.
func (w *Watched) Await(t testing.TB, wanted func(told []string) bool) {
	t.Helper()
	late := time.After(patience)
	for !wanted(w.Told()) {
		select {
		case <-w.news:
		case <-late:
			t.Fatalf("it is not told; what is: %q", w.Told())
		}
	}
}

// AwaitLast waits until the last thing told is this.
func (w *Watched) AwaitLast(t testing.TB, last string) {
	t.Helper()
	w.Await(t, func(told []string) bool { return len(told) > 0 && told[len(told)-1] == last })
}

// watch watches the rig's store and waits until the watcher is told that it
// misses nothing. A Cluster may tell right behind that of what was written before.
func (r *rig) watch(w *Watched) (stop func()) {
	r.Helper()
	stop = r.Watch(w)
	r.Cleanup(stop)
	w.Await(r.T, func(told []string) bool { return slices.Contains(told, "live") })
	return stop
}

// oddNames are account ids that a careless store would mix up or cut.
var oddNames = []string{
	"acc", "acc ", " acc", "a cc", "acc\n", "{acc}", "}{", "a:b", "a%20b", "a+b", "*", "\x00", "\xff\xfe", "ä", "%", "1 acc",
	strings.Repeat("x", 256),
}

var changeTests = []test{
	{"Rev grows with every commit, and with nothing else", func(r *rig) {
		same(r, "Rev of an account that was never written", r.account("acc").Rev, 0)
		c := book.Commit{Account: "acc", Object: payment("pay_1"), State: []byte(`{}`)}
		last := int64(0)
		for range 5 {
			r.commit(c)
			c.Version++
			rev := r.account("acc").Rev
			if rev <= last {
				r.Fatalf("Rev is %d after %d", rev, last)
			}
			last = rev
		}
		c.Version = 0
		if _, err := r.Commit(r.ctx(), c); !errors.Is(err, store.ErrConflict) {
			r.Fatal(err)
		}
		c.Version, c.Effect.Grants = 5, targets(forever("a", -1))
		if _, err := r.Commit(r.ctx(), c); err == nil {
			r.Fatal("a grant of -1")
		}
		r.createOpened("acc", "ord_1")
		same(r, "Rev after refusals and an order", r.account("acc").Rev, last)
		r.give("acc", "pay_2", forever("a", 1))
		if rev := r.account("acc").Rev; rev <= last {
			r.Fatalf("Rev is %d after another object, and %d before", rev, last)
		}
		same(r, "Rev of another account", r.account("acc2").Rev, 0)
	}},
	{"every change is told, with its account to the byte", func(r *rig) {
		w := NewWatched()
		r.watch(w)
		want := []string{"live"}
		for i, name := range oddNames {
			for rev := range int64(2) {
				r.give(name, fmt.Sprint("pay_", i, rev), forever(fmt.Sprint(rev), 1))
				want = append(want, change(name, r.account(name).Rev))
			}
		}
		w.Await(r.T, func(told []string) bool { return len(told) >= len(want) })
		told := w.Told()
		slices.Sort(told) // the nodes of a Cluster are not in step
		slices.Sort(want)
		same(r, "told", told, want)
	}},
	{"what is refused is not told", func(r *rig) {
		w := NewWatched()
		r.watch(w)
		c := book.Commit{Account: "acc", Object: payment("pay_1"), State: []byte(`{}`)}
		r.commit(c)
		first := r.account("acc").Rev
		if _, err := r.Commit(r.ctx(), c); !errors.Is(err, store.ErrConflict) {
			r.Fatal(err)
		}
		same(r, "hold", r.hold("h", 1).Outcome, book.HoldRefused)
		same(r, "end", r.end("h", 0).Found, false)
		c.Version++
		r.commit(c)
		second := r.account("acc").Rev
		w.AwaitLast(r.T, change("acc", second))
		same(r, "told", w.Told(), []string{"live", change("acc", first), change("acc", second)})
	}},
	{"holds are told", func(r *rig) {
		r.give("acc", "pay_1", forever("a", 10))
		given := r.account("acc").Rev
		w := NewWatched()
		r.watch(w)
		for _, rev := range []int64{
			r.hold("h", 4).Account.Rev, r.end("h", 0).Account.Rev, r.hold("i", 4).Account.Rev, r.end("i", 3).Account.Rev,
		} {
			w.Await(r.T, func(told []string) bool { return slices.Contains(told, change("acc", rev)) })
		}
		// A Cluster may tell late of what was given before.
		told := slices.DeleteFunc(w.Told(), func(what string) bool { return what == change("acc", given) })
		same(r, "told", len(told), 5)
	}},
	{"an order that can be paid is told, and changes no account", func(r *rig) {
		r.give("acc", "pay_1", forever("a", 10))
		given := r.account("acc").Rev
		for _, name := range oddNames {
			w := NewWatched()
			r.watch(w)
			o := withSession(r.create(name, "ord_"+name, book.Key{}), "cks_1")
			told := slices.ContainsFunc(w.Told(), func(what string) bool { return what == change(name, 0) })
			same(r, "told of an order without a session", told, false)
			r.open(o, book.Key{})
			w.Await(r.T, func(told []string) bool { return slices.Contains(told, change(name, 0)) })
		}
		same(r, "Rev", r.account("acc").Rev, given)
	}},
	{"what is told can be read", func(r *rig) {
		w := NewWatched()
		failed := make(chan error, 1)
		var reads sync.WaitGroup
		w.onRev = func(account string, rev int64) {
			reads.Go(func() {
				a, err := r.Account(r.ctx(), account)
				if err == nil && a.Rev < rev {
					err = fmt.Errorf("told of Rev %d, found %d", rev, a.Rev)
				}
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			})
		}
		stop := r.watch(w)
		var writers sync.WaitGroup
		for i := range 8 {
			writers.Go(func() {
				for n := range 20 {
					r.give("acc", fmt.Sprint("pay_", i, "_", n), forever("a", int64(n)))
				}
			})
		}
		writers.Wait()
		w.AwaitLast(r.T, change("acc", r.account("acc").Rev))
		stop()
		reads.Wait()
		select {
		case err := <-failed:
			r.Fatal(err)
		default:
		}
		told := w.Told()
		slices.Sort(told)
		if n := len(slices.Compact(told)); n < 2 || n > 1+160 { // what is written together is told once
			r.Errorf("it is told %d times of 161 changes", n)
		}
	}},
	{"a watcher that has stopped hears nothing", func(r *rig) {
		first, second := NewWatched(), NewWatched()
		stop := r.watch(first)
		r.watch(second)
		r.give("acc", "pay_1", forever("a", 1))
		rev := r.account("acc").Rev
		first.AwaitLast(r.T, change("acc", rev))
		stop()
		stop()
		r.give("acc", "pay_2", forever("a", 2))
		second.AwaitLast(r.T, change("acc", r.account("acc").Rev))
		same(r, "told to the one that stopped", first.Told(), []string{"live", change("acc", rev)})
	}},
	{"one watcher twice", func(r *rig) {
		w := NewWatched()
		stop := r.watch(w)
		r.Cleanup(r.Watch(w))
		w.Await(r.T, func(told []string) bool { return len(told) == 2 })
		stop()
		r.give("acc", "pay_1", forever("a", 1))
		rev := r.account("acc").Rev
		w.AwaitLast(r.T, change("acc", rev))
		same(r, "told", w.Told(), []string{"live", "live", change("acc", rev)})
	}},
}
