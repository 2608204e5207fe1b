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
