package gateway_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// wire is a store that does nothing but tell.
type wire struct {
	store.Store
	store.Watchers
}

func (w *wire) Watch(watcher store.Watcher) (stop func()) { return w.Watchers.Watch(watcher) }

func (w *wire) View(context.Context, string, store.Decision) (entitlement.Account, error) {
	return entitlement.Account{}, nil
}

// TestAwait: who waits is woken by news of the account, by the loss of news, and
// else looks again by the clock, often when there is no news.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := new(wire)
		_, _, g := gateway.New(gateway.Options{Store: w, Observer: new(observed), Clock: time.Now})
		defer g.Close()
		waiting, err := g.Await("alice")
		must(t, err)
		defer waiting.Stop()
		wants := func(what string, want time.Duration, happens func()) {
			t.Helper()
			if happens != nil {
				go func() { time.Sleep(want); happens() }()
			}
			begin := time.Now()
			if !waiting.Next(t.Context()) {
				t.Errorf("%s: it is over", what)
			}
			if took := time.Since(begin); took != want {
				t.Errorf("%s: after %v, want %v", what, took, want)
			}
		}
		wants("nothing is heard", time.Second, nil)
		w.Live()
		wants("it is heard again", 0, nil)
		wants("nothing happens", 10*time.Second, nil)
		wants("news", 3*time.Second, func() { w.Changed("bob", 1); w.Changed("alice", 1) })
		w.Changed("alice", 2)
		w.Changed("alice", 3)
		wants("news while it did not wait", 0, nil)
		wants("and then none", 10*time.Second, nil)
		wants("nothing is heard any more", 2*time.Second, w.Lost)
		wants("so it looks", time.Second, nil)
		w.Live()
		wants("news are back", 0, nil)
		limited, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if waiting.Next(limited) {
			t.Error("it goes on behind its end")
		}
		go func() { time.Sleep(time.Second); g.EndWaiting(); g.EndWaiting() }()
		if waiting.Next(t.Context()) {
			t.Error("it goes on behind everybody's end")
		}
	})
}

func TestAwaitTooMany(t *testing.T) {
	_, _, g := gateway.New(gateway.Options{Store: new(wire), Observer: new(observed), Clock: time.Now})
	defer g.Close()
	var all []*gateway.Waiter
	for i := range 10_000 {
		w, err := g.Await(string(rune(i / 20)))
		must(t, err)
		all = append(all, w)
	}
	if _, err := g.Await("alice"); !errors.Is(err, gateway.ErrTooManyWaiting) {
		t.Errorf("one more: %v", err)
	}
	all[0].Stop()
	all[0].Stop()
	w, err := g.Await("alice")
	must(t, err)
	if _, err := g.Await("bob"); !errors.Is(err, gateway.ErrTooManyWaiting) {
		t.Errorf("one more: %v", err)
	}
	w.Stop()
	for _, w := range all {
		w.Stop()
	}
	for range 20 {
		_, err := g.Await("alice")
		must(t, err)
	}
	if _, err := g.Await("alice"); !errors.Is(err, gateway.ErrTooManyWaiting) {
		t.Errorf("the 21st of an account: %v", err)
	}
}
