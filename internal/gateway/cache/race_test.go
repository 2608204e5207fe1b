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

	"pgregory.net/rapid"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway/cache"
)

// TestNothingStaleSurvives draws sequences in which an account is read, changed, reported,
// put and forgotten, in which orders are opened, paid and looked for, and in which messages
// are lost. Once the message of every change has come, what is remembered must be what the
// store has: credits and standings of one state, and that no order waits only if none does.
func TestNothingStaleSurvives(t *testing.T) {
	for range 50 { // rapid ends a check after a day, and the clock of a bubble runs ahead
		synctest.Test(t, nothingStaleSurvives)
	}
}

func nothingStaleSurvives(t *testing.T) {
	rapid.Check(undated{t}, func(t *rapid.T) {
		r := newRaces(t)
		defer r.end()
		if rapid.IntRange(0, 3).Draw(t, "begins live") > 0 {
			r.live(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"":       r.check,
			"change": r.change,
			"tell":   r.tell,
			"ask":    r.ask,
			"visit":  r.visit,
			"refuse": r.refuse,
			"read":   r.readOne,
			"answer": r.answerOne,
			"put":    r.put,
			"lose":   r.lose,
			"live":   r.live,
			"open":   r.open,
			"pay":    r.pay,
			"look":   r.look,
			"settle": r.settle,
			"wait":   func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 200).Draw(t, "seconds")) * time.Second) },
		})
	})
}

// undated is a test without its Deadline, which may not be asked for in a bubble.
type undated struct{ testing.TB }

// races are one account in a store, and everything that is on its way.
type races struct {
	*cache.Cache
	rev       int64                 // in the store
	standings []int64               // for each rev, that in which the standings changed last
	own       int64                 // the last rev that is known to the cache's owner
	news      []message             // published and not told yet
	begun     []chan struct{}       // reads that have not reached the store
	found     []chan struct{}       // reads that have, and are on their way back
	late      []entitlement.Account // answers of operations, on their way back
	orders    []order               // that can be paid
	opened    int                   // orders so far
	mu        sync.Mutex            // held by requests that add to views
	views     []*cache.View         // of requests under way
	unpaid    []*cache.View         // of requests that have found no order since they got them
	heard     bool
	probes    context.Context
}

// message is a change of the account, or with a rev of 0 an order that can be paid.
type message struct {
	rev   int64
	order int
}

// order is one that can be paid.
type order struct {
	number int
	known  bool // its message has come, or it was opened here
}

var errProbe = errors.New("nothing is remembered")

type probing struct{}

func newRaces(t *rapid.T) *races {
	r := &races{rev: 1, standings: []int64{0, 1}}
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
	a := r.account()
	a.Standings = map[string]entitlement.Standing{"s": {Feature: feature(a.StandingsRev)}}
	r.found = append(r.found, out)
	<-out
	return a, nil
}

// account is what the store has of the account, without its standings.
func (r *races) account() entitlement.Account {
	a := credits(r.rev, r.rev)
	a.StandingsRev = r.standings[r.rev]
	return a
}

// feature is what the account has while its standings are those of a rev.
func feature(rev int64) string { return fmt.Sprint("of rev ", rev) }

func (r *races) change(t *rapid.T) {
	r.rev++
	last := r.standings[r.rev-1]
	if rapid.IntRange(0, 3).Draw(t, "standings") == 0 {
		last = r.rev
	}
	r.standings = append(r.standings, last)
	r.publish(message{rev: r.rev})
	switch by := rapid.IntRange(0, 4).Draw(t, "by"); {
	case by == 0: // another gateway
	case by > 1 && last != r.rev: // an operation that returns the account
		r.late = append(r.late, r.account())
	default: // one that does not
		r.Forget("acc")
		r.own = r.rev
	}
}

func (r *races) publish(m message) {
	if r.heard {
		r.news = append(r.news, m)
	}
}

// tell brings news, not always in order.
func (r *races) tell(t *rapid.T) {
	if m, ok := take(t, &r.news); ok {
		r.Changed("acc", m.rev)
		r.know(func(o order) bool { return o.number == m.order })
	}
}

// know notes which orders are known to the cache's owner from now on.
func (r *races) know(which func(order) bool) {
	for i, o := range r.orders {
		r.orders[i].known = o.known || which(o)
	}
}

// open opens an order, by this gateway or by another one.
func (r *races) open(t *rapid.T) {
	r.opened++
	r.orders = append(r.orders, order{number: r.opened})
	r.publish(message{order: r.opened})
	if rapid.Bool().Draw(t, "ours") {
		r.Changed("acc", 0)
		r.know(func(o order) bool { return o.number == r.opened })
	}
}

// pay changes the account, and one order waits no longer.
func (r *races) pay(t *rapid.T) {
	if _, ok := take(t, &r.orders); ok {
		r.change(t)
	}
}

func (r *races) ask(*rapid.T) {
	go func() {
		if v, _, err := r.View(context.Background(), "acc"); err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.views = append(r.views, v)
		}
	}()
	synctest.Wait()
}

// visit is a request for which everything goes on.
func (r *races) visit(t *rapid.T) {
	r.ask(t)
	r.proceedAll()
}

// refuse is a request that is told that it has not paid, if no order waits.
func (r *races) refuse(t *rapid.T) {
	r.visit(t)
	if n := len(r.views); n > 0 && len(r.orders) == 0 {
		r.views[n-1].Settle()
	}
}

// look looks for orders of the account, by a request that has got its view.
func (r *races) look(t *rapid.T) {
	if v, ok := take(t, &r.views); ok && len(r.orders) == 0 {
		r.unpaid = append(r.unpaid, v)
	}
}

// settle notes that no order waits, by a request that found none.
func (r *races) settle(t *rapid.T) {
	if v, ok := take(t, &r.unpaid); ok {
		v.Settle()
	}
}

func (r *races) readOne(t *rapid.T) { proceed(t, &r.begun) }

func (r *races) answerOne(t *rapid.T) { proceed(t, &r.found) }

func (r *races) put(t *rapid.T) {
	if a, ok := take(t, &r.late); ok {
		r.Put("acc", a)
		r.own = max(r.own, a.Rev)
	}
}

func (r *races) lose(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "lost") == 0 {
		r.Lost()
		r.heard, r.news = false, nil
	}
}

func (r *races) live(*rapid.T) {
	if !r.heard {
		r.heard = true
		r.Live()
		r.know(func(order) bool { return true }) // a read from now on comes before the look
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
	for _, m := range r.news {
		if m.rev > 0 {
			known = min(known, m.rev-1)
		}
	}
	known = max(known, r.own)
	if v.Credits < known || v.Credits > r.rev {
		t.Fatalf("the store has %d, news to come is %v, remembered is %d", r.rev, r.news, v.Credits)
	}
	if want := feature(r.standings[v.Credits]); len(v.Features) != 1 || v.Features[0] != want {
		t.Fatalf("the state of rev %d is remembered with the standings %q, want those %s", v.Credits, v.Features, want)
	}
	if i := slices.IndexFunc(r.orders, func(o order) bool { return o.known }); i >= 0 && v.Settled() {
		t.Fatalf("it is remembered that no order waits, and order %d does", r.orders[i].number)
	}
}

func (r *races) end() {
	r.proceedAll()
	r.Close()
	synctest.Wait()
}

// proceedAll lets everything go on.
func (r *races) proceedAll() {
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
