package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dodogate/dodogate/caddymodule"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// moodyStore is a store whose answers a test chooses.
type moodyStore struct {
	fakeStore
	mu               sync.Mutex
	ping, probe, use error // nil: it is well
	slow             time.Duration
	checks, running  int
	together         int // the most checks at once
}

func (s *moodyStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *moodyStore) Ping(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ping
}

func (s *moodyStore) ProbeWrite(ctx context.Context) error {
	s.mu.Lock()
	s.checks++
	s.running++
	s.together = max(s.together, s.running)
	slow := s.slow
	s.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
	return s.probe
}

func (s *moodyStore) View(context.Context, string, store.Decision) (entitlement.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return entitlement.Account{}, s.use
}

func (s *moodyStore) Receive(context.Context, store.Delivery, store.Decision) (store.Received, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Received{}, s.use
}

var errAway = fmt.Errorf("%w: no route", store.ErrUnavailable)

// moody opens such a store and has it watched. It must be called in a synctest bubble.
func moody(t *testing.T, isWatched bool) (*moodyStore, *caddymodule.Handle, *observer.ObservedLogs) {
	t.Helper()
	s := new(moodyStore)
	h := caddymodule.AcquireHandle("moody:", func(context.Context) (caddymodule.OpenStore, error) { return s, nil })
	core, logs := observer.New(zap.DebugLevel)
	stop := func() {}
	if isWatched {
		stop = h.Watched(zap.New(core))
	}
	t.Cleanup(func() {
		stop()
		_ = caddymodule.ReleaseHandle("moody:")
	})
	synctest.Wait()
	return s, h, logs
}

// An outage is one line at its beginning and one at its end, no matter how many requests it
// hits; one failed check is no outage, and one good check is not its end.
func TestWatchTellsOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, logs := moody(t, true)
		ready := func(want bool) {
			t.Helper()
			synctest.Wait()
			if got := h.Ready(t.Context()); got != want {
				t.Fatalf("ready: %v, want %v; logged %v", got, want, logs.All())
			}
		}
		ready(true)
		s.set(func() { s.probe, s.ping = errAway, errAway })
		time.Sleep(caddymodule.CheckEvery)
		ready(true) // one failed check
		s.set(func() { s.probe, s.ping = nil, nil })
		time.Sleep(caddymodule.RecheckEvery)
		ready(true)
		if logs.Len() != 0 {
			t.Fatalf("one bad check is logged: %v", logs.All())
		}

		s.set(func() { s.probe, s.ping, s.use = errAway, errAway, errAway })
		for range 50 {
			_, err := h.View(t.Context(), "alice", nil)
			if !h.Blames(err) {
				t.Fatal(err)
			}
		}
		time.Sleep(caddymodule.CheckEvery + caddymodule.RecheckEvery)
		ready(false)
		time.Sleep(time.Hour)
		ready(false)
		s.set(func() { s.probe, s.ping, s.use = nil, nil, nil })
		time.Sleep(caddymodule.RecheckEvery)
		ready(false) // one good check
		time.Sleep(caddymodule.RecheckEvery)
		ready(true)
		time.Sleep(time.Hour)

		lines := logs.All()
		if len(lines) != 2 || lines[0].Level != zap.ErrorLevel || lines[1].Level != zap.WarnLevel {
			t.Fatalf("logged: %v", lines)
		}
		if fields := lines[0].ContextMap(); fields["store"] != "moody" || fields["error"] != errAway.Error() {
			t.Errorf("the beginning: %v", fields)
		}
		fields := lines[1].ContextMap()
		if outage, _ := fields["outage"].(time.Duration); fields["requests_refused"] != int64(50) || outage < time.Hour || outage > time.Hour+10*time.Second {
			t.Errorf("the end: %v", fields)
		}
	})
}

// A failed operation says nothing about the store: if the store is well, then one account is
// ill, and the log says so once a minute.
func TestWatchKnowsOneBadAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, logs := moody(t, true)
		s.set(func() { s.use = errAway })
		for range 600 {
			_, err := h.View(t.Context(), "alice", nil)
			h.Blames(err)
			time.Sleep(100 * time.Millisecond)
			if !h.Ready(t.Context()) {
				t.Fatal("one account makes the gateway unready")
			}
		}
		lines := logs.All()
		if len(lines) != 1 || lines[0].Message != "the store answers, but some operations failed" || lines[0].ContextMap()["error"] != errAway.Error() {
			t.Errorf("logged: %v", lines)
		}
	})
}

// A check that fails proves nothing either while operations succeed.
func TestWatchBelievesOperations(t *testing.T) {
	for name, tt := range map[string]struct {
		operate func(*caddymodule.Handle) error
		ready   bool
	}{
		"writes": {func(h *caddymodule.Handle) error {
			_, err := h.Receive(context.Background(), store.Delivery{}, nil)
			return err
		}, true},
		"only reads": {func(h *caddymodule.Handle) error { _, err := h.View(context.Background(), "alice", nil); return err }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, h, logs := moody(t, true)
				s.set(func() { s.probe, s.ping, s.slow = errAway, errAway, 500*time.Millisecond })
				for range 200 {
					if err := tt.operate(h); err != nil {
						t.Fatal(err)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if got := h.Ready(t.Context()); got != tt.ready || logs.Len() == 0 == !tt.ready {
					t.Errorf("ready: %v, want %v; logged %v", got, tt.ready, logs.All())
				}
				if !tt.ready && logs.All()[0].Message != "the store takes no writes: until it does, charges, checkouts and webhooks are refused with 503" {
					t.Errorf("logged: %v", logs.All())
				}
			})
		})
	}
}

// While nobody checks in the background, load balancers do: one check at a time, and none
// waits for longer than a check may take.
func TestWatchChecksOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, _ := moody(t, false)
		s.set(func() { s.slow = time.Hour })
		began := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if h.Ready(context.Background()) {
					t.Error("ready, and nobody knows")
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > caddymodule.CheckTime {
			t.Errorf("they waited %v", took)
		}
		synctest.Wait()
		if s.together != 1 || s.checks > 2 {
			t.Errorf("%d checks, %d at once", s.checks, s.together)
		}
		s.set(func() { s.slow = 0 })
		for range 2 { // if two checks have failed, then two must succeed
			time.Sleep(4 * caddymodule.CheckEvery)
			_ = h.Ready(t.Context())
		}
		if !h.Ready(t.Context()) {
			t.Error("not ready after two good checks")
		}
	})
}

// A request that its client gave up says nothing about the store.
func TestWatchIgnoresClientsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, logs := moody(t, true)
		s.set(func() { s.use = fmt.Errorf("wait for the store: %w", context.Canceled) })
		checks := s.checks
		for range 100 {
			if _, err := h.View(t.Context(), "alice", nil); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * caddymodule.RecheckEvery)
		synctest.Wait()
		if s.checks != checks || logs.Len() != 0 {
			t.Errorf("%d checks more, logged %v", s.checks-checks, logs.All())
		}
	})
}

var _ caddymodule.WriteProber = (*moodyStore)(nil)

// A store whose replicas do not confirm what it writes says so.
func TestWatchTellsOfMissingReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h, logs := moody(t, true)
		s.set(func() { s.probe = fmt.Errorf("%w: 0 of 1", store.ErrNotDurable) })
		time.Sleep(caddymodule.CheckEvery + 2*caddymodule.RecheckEvery)
		synctest.Wait()
		if h.Ready(t.Context()) {
			t.Error("it is ready")
		}
		if n := logs.FilterMessageSnippet("too few replicas confirm what is written").Len(); n != 1 {
			t.Errorf("it is told %d times: %v", n, logs.All())
		}
	})
}
