package boltstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: clock}).Client
	})
}

// open opens a store and closes it when the test ends.
func open(t *testing.T, path string, opts boltstore.Options) *opened {
	t.Helper()
	s, err := dial(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
