package gateway_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

var (
	listPayments      = flag.Int("list-payments", 0, "how many payments Dodo lists in TestLongLists; 0: a few thousand")
	listSubscriptions = flag.Int("list-subscriptions", 0, "how many of these payments are of a subscription each")
	listSeed          = flag.Uint64("list-seed", 0, "of the failures in TestLongLists, if it has list-payments")
	listStore         = flag.String("list-store", "redis", "the store of TestLongLists: bolt or redis")
)

// longWorld is a gateway on a store, whose Dodo has long lists.
type longWorld struct {
	*world
	dodo  *longLists
	clock *timer
}

// newLongWorld has only one-time payments and subscriptions with one charge each, made in the
// last 700 days.
func newLongWorld(t *testing.T, backend string, oneTime, subs int, seed uint64) *longWorld {
	w := &longWorld{clock: newTimer()}
	var s store.Store
	if backend == "redis" {
		s = openRedis(t, redistest.Start(t).Addr)
		s.(*redisstore.Store).Remember(100)
	} else {
		db, err := boltstore.Open(t.TempDir()+"/dodogate.db", boltstore.Options{Clock: w.clock.Now})
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		s = db
	}
	w.dodo = &longLists{
		start: w.clock.Now().Add(-700 * day), end: w.clock.Now(), oneTime: oneTime, subs: subs, now: w.clock.Now, mostPage: 50, seed: seed,
		poison: map[string]bool{}, refused: map[string]bool{}, calls: map[string]int{},
		readOf: [2][]uint16{make([]uint16, oneTime+subs), make([]uint16, subs)},
	}
	w.world = newWorld(t, s, w.settings(t))
	w.dodo.proof = w.proof
	return w
}

func (w *longWorld) settings(t *testing.T) settings {
	t.Helper()
	return settings{hold: true, products: storyProducts, clock: w.clock.Now, change: func(o *gateway.Options) {
		client, err := dodo.New(dodo.Options{
			APIKey: apiKey, BaseURL: "http://dodo.invalid", Transport: w.dodo, Clock: w.clock.Now,
			Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		})
		must(t, err)
		o.Provider, o.CacheEntries = client, 100
	}}
}

func newLongTest(t *testing.T, oneTime, subs int) *longWorld {
	return newLongWorld(t, "bolt", oneTime, subs, 1)
}

// whole wants every account to have what it bought.
func (w *longWorld) whole() {
	w.t.Helper()
	wrong := 0
	check := func(account string, credits int64, plan string) {
		if s, err := w.Entitlement(w.t.Context(), account); err != nil || s.Credits != credits || s.Plan != plan {
			if wrong++; wrong <= 10 {
				w.t.Errorf("%s has %d credits and the plan %s, want %d, %s, %v", account, s.Credits, s.Plan, credits, plan, err)
			}
		}
	}
	for n := range w.dodo.payments() {
		if sub, is := w.dodo.isCharge(n); is {
			check(w.dodo.subscriber(sub), 500, "pro")
		} else {
			check(w.dodo.buyer(n), 10, "none")
		}
	}
	if wrong > 0 {
		w.t.Errorf("%d of %d accounts are wrong", wrong, w.dodo.payments())
	}
}

// settled reports whether nothing is under way or kept apart any more.
func (w *longWorld) settled() bool {
	w.t.Helper()
	s, err := w.ReconcileStatus(w.t.Context())
	must(w.t, err)
	for _, l := range s.Lists {
		if l.Gaps > 0 || l.Walking || l.Error != "" {
			return false
		}
	}
	return len(s.Unread) == 0
}

// TestLongLists: whatever fails, every payment and every subscription arrives, once. Pages fail
// at random, two objects and the pages that list one of them can not be read for a while, one
// list is refused, and the gateway is stopped in the middle again and again.
//
// make long-lists does it with 250,000 payments.
func TestLongLists(t *testing.T) {
	payments, subs, seed := 1200, 240, uint64(1)
	if *listPayments > 0 {
		payments, subs, seed = *listPayments, *listSubscriptions, *listSeed
	}
	w := newLongWorld(t, *listStore, payments-subs, subs, seed)
	t.Logf("seed %d", seed)
	if *listPayments == 0 {
		w.dodo.mostPage = 1
	}
	w.dodo.failing = 0.05
	w.dodo.poison[fmt.Sprintf("pay_%07d", payments/3+1)] = true
	w.dodo.poison[fmt.Sprintf("sub_%07d", subs/2)] = true
	w.dodo.poison["pages of sub"] = true
	w.dodo.refused["disputes"] = true

	var highest uint64
	before := heap()
	w.dodo.onCalled = func(total int) {
		if every := max(2000, payments/5); total%every == 0 {
			highest = max(highest, heap())
		}
	}
	chance := rand.New(rand.NewPCG(seed, 0))
	passes, stops, began := 0, 0, time.Now()
	for {
		passes++
		w.dodo.mu.Lock()
		w.dodo.round = passes
		if passes == 12 {
			clear(w.dodo.poison)
			clear(w.dodo.refused)
			w.dodo.failing = 0
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.dodo.stop, w.dodo.stopAt = nil, 0
		if passes < 10 {
			w.dodo.stop, w.dodo.stopAt = cancel, w.dodo.total+1+chance.IntN(payments/3)
		}
		w.dodo.mu.Unlock()
		done, err := w.Reconcile(ctx, rate.NewLimiter(rate.Inf, 1))
		stopped := ctx.Err() != nil
		cancel()
		if stopped {
			stops++
			w.gate = w.newGateway(w.settings(t)) // as after a restart
		}
		t.Logf("pass %d: %+v, stopped %v, %v", passes, done, stopped, err)
		w.clock.Move(10 * time.Minute)
		if passes > 12 && w.settled() {
			break
		}
		if passes > 200 {
			t.Fatal("it does not come to its end")
		}
	}
	took := time.Since(began)
	w.whole()
	reads, read := 0, 0
	for _, of := range w.dodo.readOf {
		for _, n := range of {
			reads += int(n)
			read += min(int(n), 1)
		}
	}
	t.Logf("%d payments, %d subscriptions: %d passes, %d stops, %d calls (%d of /payments, %d of /subscriptions, %d reads of %d objects, %d refused with 429), %s; heap %d MiB before, at most %d MiB",
		payments, subs, passes, stops, w.dodo.total, w.dodo.calls["payments"], w.dodo.calls["subscriptions"], reads, read, w.dodo.limited, took.Round(time.Second), before>>20, highest>>20)
	if highest > before+96<<20 { // most of it is what the store remembers of accounts
		t.Errorf("a pass takes %d MiB", (highest-before)>>20)
	}
	if read != payments+subs || reads > payments+subs+1000 {
		t.Errorf("%d reads of %d objects, want each about once", reads, payments+subs)
	}
}

// heap is how much memory is in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestRefusedList: a list that the API key may not read fails alone.
func TestRefusedList(t *testing.T) {
	for _, refused := range []string{"payments", "refunds", "disputes", "subscriptions"} {
		t.Run(refused, func(t *testing.T) {
			w := newLongTest(t, 20, 20)
			w.dodo.refused[refused] = true
			_, err := w.Reconcile(t.Context(), rate.NewLimiter(rate.Inf, 1))
			if !errors.Is(err, dodo.ErrUnauthorized) {
				t.Errorf("error %v", err)
			}
			s, err := w.ReconcileStatus(t.Context())
			must(t, err)
			for _, l := range s.Lists {
				if failed := string(l.Name) == refused; (l.Error != "") != failed || l.Mark.IsZero() != failed {
					t.Errorf("%+v", l)
				}
			}
			if refused != "subscriptions" {
				w.hasPlan(w.dodo.subscriber(3), "pro")
			}
			clear(w.dodo.refused)
			w.reconcile()
			w.whole()
		})
	}
}

// TestRebuildAfterWalk: a rebuild begins at the beginning, also if a pass was stopped in the middle
// of a list.
func TestRebuildAfterWalk(t *testing.T) {
	const all = 1200
	w := newLongTest(t, all, 0)
	w.dodo.mostPage = 1
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.dodo.stop, w.dodo.stopAt = cancel, all+40
	if _, err := w.Reconcile(ctx, rate.NewLimiter(rate.Inf, 1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the pass was not stopped: %v", err)
	}
	w.dodo.stop = nil
	s, err := w.ReconcileStatus(t.Context())
	must(t, err)
	if !s.Lists[0].Walking || s.Lists[0].WalkedTo.IsZero() {
		t.Fatalf("the pass was not in the middle: %+v", s.Lists[0])
	}
	done, err := w.Rebuild(t.Context(), rate.NewLimiter(rate.Inf, 1), nil)
	must(t, err)
	if done.Seen < all {
		t.Errorf("a rebuild after a pass that was stopped saw %d of %d payments", done.Seen, all)
	}
	w.whole()
}
