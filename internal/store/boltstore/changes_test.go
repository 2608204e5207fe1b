package boltstore_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// TestWatchClosed: a store that is closed says so.
func TestWatchClosed(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	w, late := storetest.NewWatched(), storetest.NewWatched()
	s.Watch(w)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Watch(late)
	if told := append(w.Told(), late.Told()...); !slices.Equal(told, []string{"live", "lost"}) {
		t.Errorf("told %q", told)
	}
}
