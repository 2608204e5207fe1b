package caddymodule_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// fakeStore is a store of which only watchers and the end are of interest.
type fakeStore struct {
	store.Store
	watchers store.Watchers
	opened   int
	closed   bool
	accounts int // that it may remember
}

// Remember is what a store has that remembers accounts.
func (s *fakeStore) Remember(accounts int) { s.accounts = accounts }

func (s *fakeStore) Watch(w store.Watcher) (stop func()) { return s.watchers.Watch(w) }

func (s *fakeStore) Close() error {
	s.closed = true
	s.watchers.End()
	return nil
}

func TestHandleOpensOnce(t *testing.T) {
	opened := 0
	opener := func(context.Context) (caddymodule.OpenStore, error) {
		if opened++; opened == 1 {
			return nil, errors.New("not yet")
		}
		return &fakeStore{}, nil
	}
	h := caddymodule.AcquireHandle("test", opener)
	defer func() { _ = caddymodule.ReleaseHandle("test") }()
	if opened != 0 {
		t.Error("it is open before it is needed")
	}
	if _, err := (store.Client{Store: h}).Account(t.Context(), "alice"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an operation on a store that does not open: %v", err)
	}
	for range 3 {
		if err := h.Open(); err != nil {
			t.Error(err)
		}
	}
	if opened != 2 {
		t.Errorf("opened %d times, want a second try and no more", opened)
	}
}

// TestHandleRemembers: a store learns how many accounts it may remember, whether a config says so
// before the store is open or after.
func TestHandleRemembers(t *testing.T) {
	fake := &fakeStore{}
	h := caddymodule.AcquireHandle("test", func(context.Context) (caddymodule.OpenStore, error) { return fake, nil })
	defer func() { _ = caddymodule.ReleaseHandle("test") }()
	h.Remember(5)
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	if fake.accounts != 5 {
		t.Errorf("a store that was opened after that may remember %d accounts, want 5", fake.accounts)
	}
	h.Remember(7)
	if fake.accounts != 7 {
		t.Errorf("an open store may remember %d accounts, want 7", fake.accounts)
	}
}

// TestHandleWatches: whoever watches a handle hears what its store tells, and need
// not wait for it to be open.
func TestHandleWatches(t *testing.T) {
	fake := &fakeStore{}
	h := caddymodule.AcquireHandle("test", func(context.Context) (caddymodule.OpenStore, error) { return fake, nil })
	early, late := storetest.NewWatched(), storetest.NewWatched()
	stop := h.Watch(early)
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	fake.watchers.Live()
	h.Watch(late)
	fake.watchers.Changed("alice", 7)
	stop()
	fake.watchers.Lost()
	fake.watchers.Live()
	if err := caddymodule.ReleaseHandle("test"); err != nil {
		t.Error(err)
	}
	if told := early.Told(); !slices.Equal(told, []string{"live", `"alice" 7`}) {
		t.Errorf("the one that stopped was told %q", told)
	}
	if told := late.Told(); !slices.Equal(told, []string{"live", `"alice" 7`, "lost", "live", "lost"}) {
		t.Errorf("the other was told %q", told)
	}
}

// openHandle acquires a handle with a store of its own, in which all is open.
func openHandle(t *testing.T) (*caddymodule.Handle, *fakeStore) {
	t.Helper()
	fake := &fakeStore{}
	h := caddymodule.AcquireHandle("test", func(context.Context) (caddymodule.OpenStore, error) {
		if fake.opened++; fake.opened > 1 {
			return nil, errors.New("it is open already")
		}
		return fake, nil
	})
	if err := h.Open(); err != nil {
		t.Fatal(err)
	}
	return h, fake
}

// Work behind requests may finish before the store is closed.
func TestHandleDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, fake := openHandle(t)
		_, done, err := h.Use()
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		time.AfterFunc(2*time.Second, done)
		if err := caddymodule.ReleaseHandle("test"); err != nil {
			t.Error(err)
		}
		if waited := time.Since(begin); waited != 2*time.Second || !fake.closed {
			t.Errorf("closed %v after %v, want it as soon as the work is done", fake.closed, waited)
		}
		if err := h.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("after the end: %v", err)
		}
		if _, _, err := (store.Client{Store: h}).CreateOrder(t.Context(), book.Order{}, book.Key{}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A request goes on for hours when its config is gone, nobody waits for it, and its
// store is there, for what is behind it, too. Then the store is closed.
func TestHandleOutlivesItsConfigs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, fake := openHandle(t)
		over := h.Keep()
		begin := time.Now()
		if err := caddymodule.ReleaseHandle("test"); err != nil || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		time.Sleep(3 * time.Hour)
		_, written, err := h.Use()
		if err != nil {
			t.Fatalf("the store of a long request: %v", err)
		}
		over()
		time.Sleep(time.Second)
		over = h.Keep() // one more, on a connection that was kept
		time.Sleep(caddymodule.DrainTime + time.Second)
		if h.Life().Err() != nil {
			t.Error("a request was given up")
		}
		over()
		time.Sleep(time.Second)
		if fake.closed {
			t.Error("closed before the charge was written")
		}
		written()
		synctest.Wait()
		if !fake.closed {
			t.Error("not closed behind the last request")
		}
	})
}

// A config that names the store again has it, however long the requests take that
// kept it open: a file cannot be opened twice.
func TestHandleIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, fake := openHandle(t)
		over := h.Keep()
		for range 3 {
			if err := caddymodule.ReleaseHandle("test"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Hour)
			again := caddymodule.AcquireHandle("test", func(context.Context) (caddymodule.OpenStore, error) {
				return nil, errors.New("it is open already")
			})
			if err := again.Open(); again != h || err != nil {
				t.Fatalf("another one: %v, %v", again != h, err)
			}
		}
		over()
		time.Sleep(time.Hour)
		if fake.closed {
			t.Error("closed under a config")
		}
		if err := caddymodule.ReleaseHandle("test"); err != nil || !fake.closed {
			t.Errorf("closed %v, %v", fake.closed, err)
		}
	})
}

func TestHandleDoesNotDrainForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, fake := openHandle(t)
		_, done, err := h.Use()
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if err := caddymodule.ReleaseHandle("test"); err != nil {
			t.Error(err)
		}
		if waited := time.Since(begin); waited != caddymodule.DrainTime || !fake.closed {
			t.Errorf("closed %v after %v, want it after %v", fake.closed, waited, caddymodule.DrainTime)
		}
		done() // late, and harmless
	})
}

// Who only waits for the store is told before it is closed, and can say so.
func TestHandleTellsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, fake := openHandle(t)
		_, done, err := h.Use()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-h.Life().Done()
			if fake.closed {
				t.Error("it is told when it is too late")
			}
			done()
		}()
		begin := time.Now()
		if err := caddymodule.ReleaseHandle("test"); err != nil {
			t.Error(err)
		}
		if waited := time.Since(begin); waited >= caddymodule.DrainTime || !fake.closed {
			t.Errorf("closed %v after %v", fake.closed, waited)
		}
	})
}
