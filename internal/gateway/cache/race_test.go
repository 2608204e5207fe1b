package cache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// TestNothingStaleSurvives draws orders in which an account is read, changed, told
// of, put and forgotten, and in which the news is lost. Whenever the news of every
// change has come, what is remembered must be what the store has.
func TestNothingStaleSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(undated{t}, func(t *rapid.T) {
			r := newRaces(t)
			defer r.end()
			t.Repeat(map[string]func(*rapid.T){
				"":       r.check,
				"change": r.change,
				"tell":   r.tell,
				"ask":    r.ask,
				"read":   r.readOne,
				"answer": r.answerOne,
				"put":    r.put,
				"lose":   r.lose,
				"live":   r.live,
				"wait":   func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second) },
			})
		})
	})
}

// undated is a test without its Deadline, which may not be asked for in a bubble.
type undated struct{ testing.TB }

// races are one account in a store, and everything that is on its way.
type races struct {
	*cache.Cache
	rev    int64                 // in the store
	own    int64                 // the last one that is known to the cache's owner
	news   []int64               // published and not told yet
	begun  []chan struct{}       // reads that have not reached the store
	found  []chan struct{}       // reads that have, and are on their way back
	late   []entitlement.Account // answers of operations, on their way back
	heard  bool
	probes context.Context
}

var errProbe = errors.New("nothing is remembered")

type probing struct{}

func newRaces(t *rapid.T) *races {
	r := &races{rev: 1}
	r.Cache = cache.New(cache.Options{
		Entries: 10, Clock: time.Now, Read: r.read, MaxStale: time.Duration(rapid.IntRange(0, 1).Draw(t, "max stale")) * time.Minute,
	})
	probes, cancel := context.WithCancel(context.WithValue(context.Background(), probing{}, true))
	cancel() // so that it does not wait for a read that is under way
	r.probes = probes
	return r
}

// read waits to be let into the store and to be let out again.
func (r *races) read(ctx context.Context, _ string) (entitlement.Account, error) {
	if ctx.Value(probing{}) != nil {
		return entitlement.Account{}, errProbe
	}
	in, out := make(chan struct{}), make(chan struct{})
	r.begun = append(r.begun, in)
	<-in
	a := credits(r.rev, r.rev)
	r.found = append(r.found, out)
	<-out
	return a, nil
}

func (r *races) change(t *rapid.T) {
	r.rev++
	if r.heard {
		r.news = append(r.news, r.rev)
	}
	if rapid.Bool().Draw(t, "ours") { // by an operation that returns the account
		r.late = append(r.late, credits(r.rev, r.rev))
	} else if rapid.Bool().Draw(t, "forget") { // by one that does not
		r.Forget("acc")
		r.own = r.rev
	}
}

// tell brings news, not always in order.
func (r *races) tell(t *rapid.T) {
	if rev, ok := take(t, &r.news); ok {
		r.Changed("acc", rev)
	}
}

func (r *races) ask(*rapid.T) {
	go func() { _, _, _ = r.View(context.Background(), "acc") }()
	synctest.Wait()
}

func (r *races) readOne(t *rapid.T) { proceed(t, &r.begun) }

func (r *races) answerOne(t *rapid.T) { proceed(t, &r.found) }

func (r *races) put(t *rapid.T) {
	if a, ok := take(t, &r.late); ok {
		r.Put("acc", a)
		r.own = max(r.own, a.Rev)
	}
}

func (r *races) lose(*rapid.T) {
	r.Lost()
	r.heard, r.news = false, nil
}

func (r *races) live(*rapid.T) {
	if !r.heard {
		r.heard = true
		r.Live()
	}
}

func (r *races) check(t *rapid.T) {
	synctest.Wait()
	v, result, err := r.View(r.probes, "acc")
	switch {
	case errors.Is(err, errProbe), errors.Is(err, context.Canceled):
		return
	case err != nil || result != cache.Hit:
		t.Fatal(v, result, err)
	case !r.heard:
		t.Fatal("remembered while no news comes")
	}
	// What is still to be told may be unknown, and nothing else.
	known := r.rev
	for _, rev := range r.news {
		known = min(known, rev-1)
	}
	known = max(known, r.own)
	if v.Credits < known || v.Credits > r.rev {
		t.Fatalf("the store has %d, news to come is %v, remembered is %d", r.rev, r.news, v.Credits)
	}
}

// end lets everything go on.
func (r *races) end() {
	for len(r.begun)+len(r.found) > 0 {
		for _, waiting := range []*[]chan struct{}{&r.begun, &r.found} {
			all := *waiting
			*waiting = nil
			for _, c := range all {
				close(c)
				synctest.Wait()
			}
		}
	}
	r.Close()
	synctest.Wait()
}

// proceed lets one of those who wait go on.
func proceed(t *rapid.T, waiting *[]chan struct{}) {
	if c, ok := take(t, waiting); ok {
		close(c)
		synctest.Wait()
	}
}

func take[T any](t *rapid.T, from *[]T) (taken T, ok bool) {
	if len(*from) == 0 {
		return taken, false
	}
	i := rapid.IntRange(0, len(*from)-1).Draw(t, fmt.Sprintf("which %T", taken))
	taken = (*from)[i]
	*from = append(append([]T(nil), (*from)[:i]...), (*from)[i+1:]...)
	return taken, true
}
