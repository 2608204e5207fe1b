package gateway_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/gateway"
	"github.com/dodogate/dodogate/internal/store"
)

// in makes the world's gateway anew, on the same store and in an environment.
func (w *world) in(environment dodo.Mode, log *bytes.Buffer) {
	w.remake(func(o *gateway.Options) {
		o.Environment, o.Logger = environment, slog.New(slog.NewTextHandler(log, nil))
	})
}

// TestEnvironmentOfAStore: what was bought with a test card pays for nothing in live mode.
func TestEnvironmentOfAStore(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		var log bytes.Buffer
		w.in(dodo.TestMode, &log)
		must(t, w.Open(t.Context()))
		w.buy("alice", "pack10")
		_, err := w.Reconcile(t.Context(), unlimited)
		must(t, err)
		w.has("alice", 10, true)
		if strings.Contains(log.String(), "did not record the environment") {
			t.Errorf("a new store is taken for an old one: %s", &log)
		}

		w.in(dodo.LiveMode, &log)
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, gateway.ErrOtherEnvironment) || !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		err = w.Open(t.Context())
		refused("open", err)
		for _, part := range []string{"test_mode", "live_mode", "key_prefix", "file", "environment test_mode"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %s", err, part)
			}
		}
		// Nothing is served without Open either, as when the store is away at the start.
		w.in(dodo.LiveMode, &log)
		_, err = w.Entitlement(t.Context(), "alice")
		refused("entitlement", err)
		_, err = w.Hold(t.Context(), gateway.HoldRequest{Account: "alice", Credits: 1, TTL: time.Hour})
		refused("hold", err)

		w.in(dodo.TestMode, &log)
		must(t, w.Open(t.Context()))
		w.has("alice", 10, true)
	})
}

// TestEnvironmentOfTheReleaseBefore: a store without a noted environment is of the one that opens
// it first.
func TestEnvironmentOfTheReleaseBefore(t *testing.T) {
	each(t, settings{hold: true}, func(t *testing.T, w *world) {
		w.buy("alice", "pack10")
		_, err := w.Reconcile(t.Context(), unlimited)
		must(t, err)
		var log bytes.Buffer
		w.in(dodo.LiveMode, &log)
		must(t, w.Open(t.Context()))
		w.has("alice", 10, true)
		if !strings.Contains(log.String(), "did not record the environment") {
			t.Errorf("the log does not say that it was adopted: %s", &log)
		}
		w.in(dodo.TestMode, &log)
		if err := w.Open(t.Context()); !errors.Is(err, gateway.ErrOtherEnvironment) {
			t.Errorf("the other environment: %v", err)
		}
	})
}

// replaced is a store that a test replaces while a gateway runs.
type replaced struct{ store.Store }

// TestStoreOfOtherEnvironmentTakesItsPlace: a running gateway stops to serve accounts as soon as a
// pass finds that the store is another one.
func TestStoreOfOtherEnvironmentTakesItsPlace(t *testing.T) {
	r := &replaced{openBolt(t)}
	w := newWorld(t, r, settings{hold: true})
	w.in(dodo.LiveMode, new(bytes.Buffer))
	must(t, w.Open(t.Context()))
	other := newWorld(t, openBolt(t), settings{hold: true})
	other.in(dodo.TestMode, new(bytes.Buffer))
	must(t, other.Open(t.Context()))
	r.Store = other.store.Store
	if _, err := w.Rebuild(t.Context(), unlimited, nil); !errors.Is(err, gateway.ErrOtherEnvironment) {
		t.Errorf("rebuild: %v", err)
	}
	if _, err := w.Hold(t.Context(), gateway.HoldRequest{Account: "bob", Credits: 1, TTL: time.Hour}); !errors.Is(err, gateway.ErrOtherEnvironment) {
		t.Errorf("hold: %v", err)
	}
}
