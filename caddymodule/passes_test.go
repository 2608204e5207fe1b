package caddymodule_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dodogate/dodogate/caddymodule"
)

// replaceableStore is a store that a test replaces.
type replaceableStore struct {
	fakeStore
	replaced func()
}

func (s *replaceableStore) OnReplaced(replaced func()) { s.replaced = replaced }

// TestPassAfterReplacement: a store whose server was replaced has a pass begin at once. A server
// that is replaced all the time has one every few seconds, and none is forgotten.
func TestPassAfterReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(replaceableStore)
		h := caddymodule.AcquireHandle("replaced:", func(context.Context) (caddymodule.OpenStore, error) { return s, nil })
		defer func() { _ = caddymodule.ReleaseHandle("replaced:") }()
		if err := h.Open(); err != nil {
			t.Fatal(err)
		}
		waits := func(when string, want bool) {
			t.Helper()
			synctest.Wait()
			if got := h.PassWaits(); got != want {
				t.Fatalf("%s: a pass waits: %v, want %v", when, got, want)
			}
		}
		waits("at first", false)
		s.replaced()
		waits("replaced", true)
		if !h.RunPass(t.Context()) {
			t.Error("the pass is not urgent")
		}
		waits("after the pass", false)
		if h.RunPass(t.Context()) {
			t.Error("the pass after it is urgent, too")
		}
		for range 3 {
			s.replaced()
		}
		waits("replaced again at once", false)
		time.Sleep(caddymodule.ReplacedEvery)
		waits("a while later", true)
		h.RunPass(t.Context())
		time.Sleep(10 * caddymodule.ReplacedEvery)
		waits("much later", false)

		h.TurnPassesOff(true)
		s.replaced()
		waits("with reconcile off", false)
	})
}

// TestUrgentPassInterrupts: a pass after a replacement does not wait for a long one, and the long one
// continues after it.
func TestUrgentPassInterrupts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(replaceableStore)
		h := caddymodule.AcquireHandle("replaced:", func(context.Context) (caddymodule.OpenStore, error) { return s, nil })
		defer func() { _ = caddymodule.ReleaseHandle("replaced:") }()
		if err := h.Open(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for _, asked := range []bool{false, true} {
			if asked {
				h.AskRebuild()
			}
			time.AfterFunc(caddymodule.ReplacedEvery, func() { s.replaced() })
			if rebuild := h.LongPass(ctx); ctx.Err() != nil || rebuild != asked {
				t.Fatalf("interrupted: %v; a rebuild: %v, want %v", ctx.Err() == nil, rebuild, asked)
			}
			if !h.RunPass(ctx) {
				t.Error("the next pass is not urgent")
			}
			if h.PassWaits() != asked {
				t.Errorf("a pass waits after it: %v, want %v", !asked, asked)
			}
		}
		s.replaced()
		time.Sleep(2 * caddymodule.ReplacedEvery)
		if !h.RunPass(ctx) {
			t.Error("the pass before the rebuild is not urgent")
		}
		short, end := context.WithTimeout(ctx, time.Minute)
		defer end()
		if !h.LongPass(short) {
			t.Error("the rebuild was forgotten")
		}
	})
}

// TestUrgentPassFails: a pass after a replacement that fails is made again soon, because the server
// may still lack its replicas; one that fails all the time is left to the interval.
func TestUrgentPassFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(replaceableStore)
		h := caddymodule.AcquireHandle("replaced:", func(context.Context) (caddymodule.OpenStore, error) { return s, nil })
		defer func() { _ = caddymodule.ReleaseHandle("replaced:") }()
		if err := h.Open(); err != nil {
			t.Fatal(err)
		}
		waits := func() bool {
			synctest.Wait()
			return h.PassWaits()
		}
		s.replaced()
		if !waits() {
			t.Fatal("no pass waits")
		}
		h.FailPass(t.Context())
		if waits() {
			t.Error("it is made again at once")
		}
		time.Sleep(caddymodule.ReplacedEvery)
		if !waits() || !h.RunPass(t.Context()) {
			t.Error("it is not made again, or is not urgent then")
		}

		h.FailPass(t.Context()) // that nobody asked for
		time.Sleep(100 * caddymodule.ReplacedEvery)
		if waits() {
			t.Error("a pass that is not urgent is made again")
		}
		s.replaced()
		times := 0
		for ; times < 20 && waits(); times++ {
			h.FailPass(t.Context())
			time.Sleep(100 * caddymodule.ReplacedEvery)
		}
		if times < 2 || times == 20 {
			t.Errorf("it was made %d times", times)
		}

		s.replaced()
		waits()
		h.FailPass(t.Context())
		h.TurnPassesOff(true)
		time.Sleep(100 * caddymodule.ReplacedEvery)
		if waits() {
			t.Error("it is made again with reconcile off")
		}
	})
}
