package gateway_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/gateway/cache"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// grant commits a grant of credits behind a gateway's back.
func grant(t *testing.T, s store.Store, account, id string, amount int64) {
	t.Helper()
	_, err := store.Client{Store: s}.Commit(t.Context(), book.Commit{
		Account: account, Object: entitlement.Ref{Kind: entitlement.KindPayment, ID: id}, State: []byte("{}"), Cause: "test",
		Effect: entitlement.Effect{Grants: []ledger.Target{{ID: id, Amount: amount}}},
	})
	must(t, err)
}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes to this: %s", what)
		}
	}
}

func (o *observed) read(result cache.Result) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reads[result]
}

func (o *observed) hearing() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.heard
}

// TestEntitlementIsRemembered: the store is asked once, and again after a change,
// whoever makes it.
func TestEntitlementIsRemembered(t *testing.T) {
	each(t, settings{signupCredits: 3, hold: true}, func(t *testing.T, w *world) {
		until(t, "changes are heard", func() bool { return w.seen.hearing() == 1 })
		for range 10 {
			w.has("alice", 3, false)
		}
		if hits := w.seen.read(cache.Hit); hits < 8 { // the news of the sign-up may come late
			t.Errorf("%d hits of 10", hits)
		}
		w.buy("alice", "pack10")
		w.deliver(w.event("payment.succeeded"))
		w.has("alice", 13, true) // at once
		grant(t, w.store, "alice", "pay_x", 1)
		until(t, "14 credits", func() bool { s, err := w.Entitlement(t.Context(), "alice"); return err == nil && s.Credits == 14 })
		w.Close()
		w.has("alice", 14, true)
		grant(t, w.store, "alice", "pay_y", 1)
		w.has("alice", 15, true)
		if n := w.seen.hearing(); n != 0 {
			t.Errorf("%d gateways hear of changes after the end of the only one", n)
		}
	})
}

// TestTwoGateways: what one of two gateways on a Redis does is in the other's next
// snapshots, and what it is told itself is never behind what it did. That is so
// whatever kind of Redis it is, and, in a Cluster, whatever node has the account.
func TestTwoGateways(t *testing.T) {
	for kind, start := range map[string]func(t *testing.T) string{
		"standalone": func(t *testing.T) string { return redistest.Start(t).URL() },
		"Sentinel": func(t *testing.T) string {
			return redistest.StartSentinel(t, redistest.Start(t), "money").URL() + "?master_name=money"
		},
		"Cluster": func(t *testing.T) string { return redistest.StartCluster(t, 3)[0].URL() + "?cluster=true" },
	} {
		t.Run(kind, func(t *testing.T) { twoGateways(t, start(t)) })
	}
}

func twoGateways(t *testing.T, url string) {
	one := newWorld(t, openURL(t, url), settings{hold: true})
	other := &world{t: t, store: store.Client{Store: openURL(t, url)}, seen: &observed{}, sim: one.sim}
	other.gate = other.newGateway(settings{})
	until(t, "both hear of changes", func() bool { return one.seen.hearing() == 1 && other.seen.hearing() == 1 })
	const accounts, purchases = 6, 4
	for a := range accounts {
		name := fmt.Sprint("acc_", a)
		for n := range int64(purchases) {
			one.has(name, 10*n, n > 0)
			if n == 0 {
				other.has(name, 0, false)
			}
			one.buy(name, "pack10")
			one.deliver(one.event("payment.succeeded"))
			one.has(name, 10*(n+1), true)
			until(t, fmt.Sprint(10*(n+1), " credits at the other"), func() bool {
				s, err := other.Entitlement(t.Context(), name)
				return err == nil && s.Credits == 10*(n+1)
			})
		}
	}
	until(t, "the other remembers all of them", func() bool {
		hits := other.seen.read(cache.Hit)
		for a := range accounts {
			other.has(fmt.Sprint("acc_", a), 10*purchases, true)
		}
		return other.seen.read(cache.Hit) == hits+accounts
	})
	if other.seen.read(cache.Bypass) != 0 {
		t.Errorf("the other's reads: %v", other.seen.reads)
	}
}

// TestNoStaleEntryStays reads accounts from many goroutines at two gateways while
// they change. No reader goes back behind what it has seen, and in the end both
// remember what there is.
func TestNoStaleEntryStays(t *testing.T) {
	server := redistest.Start(t)
	writer := openRedis(t, server.Addr)
	worlds := []*world{newWorld(t, openRedis(t, server.Addr), settings{}), newWorld(t, openRedis(t, server.Addr), settings{})}
	const accounts, changes = 4, 150
	var writers, readers sync.WaitGroup
	var over atomic.Bool
	for a := range accounts {
		name := fmt.Sprint("acc_", a)
		writers.Go(func() {
			for n := range changes {
				grant(t, writer, name, fmt.Sprint(n), 1)
			}
		})
		for _, w := range worlds {
			readers.Go(func() {
				for !over.Load() {
					if _, err := w.Entitlement(t.Context(), name); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	writers.Wait()
	over.Store(true)
	readers.Wait()
	for _, w := range worlds {
		for a := range accounts {
			until(t, "all credits", func() bool {
				s, err := w.Entitlement(t.Context(), fmt.Sprint("acc_", a))
				return err == nil && s.Credits == changes
			})
		}
		if w.seen.read(cache.Hit) == 0 {
			t.Error("nothing was remembered")
		}
	}
}

// TestMaxStale: a Redis that is gone and comes back.
func TestMaxStale(t *testing.T) {
	server := redistest.Start(t, "--appendfsync", "always")
	w := newWorld(t, openRedis(t, server.Addr), settings{signupCredits: 3, maxStale: time.Hour})
	view := func() *gateway.View {
		t.Helper()
		v, err := w.View(t.Context(), "alice")
		must(t, err)
		if v.Credits != 3 {
			t.Fatalf("%+v", v)
		}
		return v
	}
	if view().Stale {
		t.Error("stale at once")
	}
	server.Kill()
	until(t, "it is stale", func() bool { return view().Stale })
	if _, err := w.Entitlement(t.Context(), "bob"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("somebody who is not known: %v", err)
	}
	if w.seen.read(cache.Stale) == 0 {
		t.Error("staleness is not counted")
	}
	server.Restart()
	until(t, "it is not stale", func() bool { return !view().Stale })
	until(t, "changes are heard", func() bool { return w.seen.hearing() == 1 })
}
