package boltstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
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

// reading is a watcher that reads every account that it is told of.
type reading struct {
	store.Client
	reads sync.WaitGroup
	wrong atomic.Pointer[error]
}

func (r *reading) Changed(account string, rev int64) {
	r.reads.Go(func() {
		a, err := r.Account(context.Background(), account)
		if err == nil && a.Rev < rev {
			err = fmt.Errorf("told of revision %d, found %d", rev, a.Rev)
		}
		if err != nil {
			r.wrong.Store(&err)
		}
	})
}

func (r *reading) Live() {}
func (r *reading) Lost() {}

// TestToldCanBeRead: a change is told when it can be read, also if it waits for no fsync
// itself and follows from one that does.
func TestToldCanBeRead(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	givePlenty(t, s, "acc")
	w := &reading{Client: s.Client}
	stop := s.Watch(w)
	var callers sync.WaitGroup
	for caller := range int64(8) {
		callers.Go(func() {
			for i := range 20 {
				id := fmt.Sprint(caller, "_", i)
				hold := book.Hold{Account: "acc", ID: id, By: "me", Amount: 3, TTL: time.Hour}
				if held, err := s.Hold(t.Context(), hold); err != nil || held.Outcome != book.HoldPlaced {
					t.Errorf("hold %s: %+v, %v", id, held, err)
				}
				end := book.End{Account: "acc", ID: id, By: "me", Captured: caller % 2}
				if ended, err := s.End(t.Context(), end); err != nil || !ended.Found {
					t.Errorf("end of %s: %+v, %v", id, ended, err)
				}
			}
		})
	}
	callers.Wait()
	stop()
	w.reads.Wait()
	if err := w.wrong.Load(); err != nil {
		t.Error(*err)
	}
}
