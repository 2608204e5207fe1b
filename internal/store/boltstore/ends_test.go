package boltstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

const day = 24 * time.Hour

// TestEnds: an event is there until the millisecond of its end, and then new.
func TestEnds(t *testing.T) {
	storetest.RunEnds(t, func(t *testing.T, clock func() time.Time) store.Store {
		return open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{Clock: clock}).Client
	}, func(t *testing.T, s store.Client, clock *storetest.Clock, left time.Duration) {
		if left == 0 {
			clock.Move(100 * 365 * day)
			sweeps(t, s)
			present(t, s, "msg_1", true)
			return
		}
		clock.Move(left - time.Millisecond)
		sweeps(t, s)
		present(t, s, "msg_1", true)
		clock.Move(time.Millisecond)
		present(t, s, "msg_1", false)
		if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventParked}, book.Retention{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("settled after its end: %v", err)
		}
		received(t, s, "msg_1", 1)
		sweeps(t, s)
		present(t, s, "msg_1", true) // the new one
		clock.Move(1000 * day)
		sweeps(t, s)
		present(t, s, "msg_1", true)
	})
}

// TestRedeliveryLingers: somebody is at work on what was just delivered.
func TestRedeliveryLingers(t *testing.T) {
	clock := storetest.NewClock()
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s := open(t, path, boltstore.Options{Clock: clock.Now})
	received(t, s.Client, "msg_1", 1)
	settled(t, s.Client, "msg_1", book.EventApplied, 30*day)
	settled(t, s.Client, "msg_1", book.EventApplied, 90*day)
	if n := count(t, path, "ends"); n != 1 {
		t.Errorf("the event has %d ends", n)
	}
	clock.Move(10 * day)
	received(t, s.Client, "msg_1", 2) // which changes nothing: 80 days are left
	clock.Move(80*day - time.Hour)
	received(t, s.Client, "msg_1", 3)
	clock.Move(day - time.Millisecond)
	sweeps(t, s.Client)
	present(t, s.Client, "msg_1", true)
	clock.Move(time.Millisecond)
	present(t, s.Client, "msg_1", false)
	received(t, s.Client, "msg_1", 1)
	settled(t, s.Client, "msg_1", book.EventApplied, 90*day)
	settled(t, s.Client, "msg_1", book.EventParked, 90*day)
	if n := count(t, path, "ends"); n != 0 {
		t.Errorf("the event waits and has %d ends", n)
	}
	clock.Move(1000 * day)
	received(t, s.Client, "msg_1", 2)
	clock.Move(1000 * day)
	sweeps(t, s.Client)
	present(t, s.Client, "msg_1", true)
}

// TestSweep: events leave the file some at a time, and what waits stays.
func TestSweep(t *testing.T) {
	const many = 100
	path := filepath.Join(t.TempDir(), "dodogate.db")
	clock := storetest.NewClock()
	s := open(t, path, boltstore.Options{Clock: clock.Now})
	for i := range many {
		id := fmt.Sprint("msg_", i)
		received(t, s.Client, id, 1)
		switch i % 4 {
		case 0, 1:
			settled(t, s.Client, id, book.EventApplied, 90*day)
		case 2:
			settled(t, s.Client, id, book.EventParked, 90*day)
		}
	}
	clock.Move(90 * day)
	before := s.Stats()
	for left := many; left > many/2; {
		sweeps(t, s.Client)
		swept := left - count(t, path, "events")
		if swept == 0 || swept > 16 {
			t.Fatalf("%d of %d events were removed at once", swept, left)
		}
		left -= swept
	}
	if did := s.Stats(); did.Operations-before.Operations != did.Transactions-before.Transactions {
		t.Errorf("%+v and then %+v: sweeping is counted", before, did)
	}
	for i := range 5 {
		sweeps(t, s.Client)
		present(t, s.Client, fmt.Sprint("msg_", i), i%4 > 1)
	}
	for bucket, want := range map[string]int{"events": many / 2, "bodies": many / 2, "ends": 0, "parked": many / 2} {
		if n := count(t, path, bucket); n != want {
			t.Errorf("%d keys are left in %s, want %d", n, bucket, want)
		}
	}
}

// TestSweepFreesPages: a file in which as much ends as comes does not grow.
func TestSweepFreesPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	clock := storetest.NewClock()
	s := open(t, path, boltstore.Options{Clock: clock.Now})
	body := make([]byte, 4000)
	var size int64
	for i := range 400 {
		id := fmt.Sprint("msg_", i)
		if _, err := s.Record(t.Context(), book.Event{ID: id, Body: body}); err != nil {
			t.Fatal(err)
		}
		settled(t, s.Client, id, book.EventApplied, 30*day)
		clock.Move(day)
		if info, err := os.Stat(path); err != nil {
			t.Fatal(err)
		} else if i == 150 {
			size = info.Size()
		} else if i > 150 && info.Size() > size {
			t.Fatalf("after %d events the file grew from %d to %d bytes", i, size, info.Size())
		}
	}
}

// TestOldFile: what was settled before events had an end gets one, from the first
// event on that is settled, and what waits does not.
func TestOldFile(t *testing.T) {
	const many = 300
	path := filepath.Join(t.TempDir(), "dodogate.db")
	clock := storetest.NewClock()
	s, err := dial(path, boltstore.Options{Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		id := fmt.Sprintf("msg_%03d", i)
		received(t, s.Client, id, 1)
		if i%3 != 0 {
			settled(t, s.Client, id, []book.EventState{book.EventApplied, book.EventParked}[i%3-1], 90*day)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	makeOld(t, path)

	clock.Move(10 * day)
	s = open(t, path, boltstore.Options{Clock: clock.Now})
	received(t, s.Client, "new", 1)
	settled(t, s.Client, "new", book.EventIgnored, 0)
	if n := count(t, path, "ends"); n != 0 {
		t.Errorf("%d events have an end, and it is not known when", n)
	}
	settled(t, s.Client, "new", book.EventIgnored, 90*day)
	if n := count(t, path, "ends"); n < 2 || n > 64 {
		t.Errorf("%d events were given an end at once", n)
	}
	for range many/64 + 1 { // as many as it takes
		settled(t, s.Client, "new", book.EventIgnored, 90*day)
	}
	if n := count(t, path, "ends"); n != many/3+1 {
		t.Errorf("%d events have an end, want %d", n, many/3+1)
	}
	received(t, s.Client, "msg_000", 2)
	settled(t, s.Client, "msg_000", book.EventApplied, 90*day)
	clock.Move(80*day - time.Millisecond)
	present(t, s.Client, "msg_001", true)
	clock.Move(time.Millisecond)
	present(t, s.Client, "msg_001", false)
	for range many {
		sweeps(t, s.Client)
	}
	// Those that wait, two thirds, without msg_000 but with the new one.
	if n := count(t, path, "events"); n != many*2/3 {
		t.Errorf("%d events are left, want %d", n, many*2/3)
	}
	events, _, err := s.Parked(t.Context(), "", "", 100)
	if err != nil || len(events) != 100 {
		t.Errorf("%d are parked, %v", len(events), err)
	}
}

// makeOld makes a file one that this store's first version wrote.
func makeOld(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bolt.Tx) error {
		events := tx.Bucket([]byte("events"))
		old := make(map[string][]byte)
		err := events.ForEach(func(k, v []byte) error {
			var e map[string]any
			err := json.Unmarshal(v, &e)
			delete(e, "ends_at")
			value, marshalErr := json.Marshal(e)
			old[string(k)] = value
			return errors.Join(err, marshalErr)
		})
		for k, v := range old {
			err = errors.Join(err, events.Put([]byte(k), v))
		}
		return errors.Join(err, tx.DeleteBucket([]byte("ends")), tx.Bucket([]byte("meta")).Delete([]byte("events adopted")))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSettlerGone: the memory of a caller that does not wait is its own again.
func TestSettlerGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dodogate.db")
	s, err := dial(path, boltstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	received(t, s.Client, "msg_1", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	s = open(t, path, boltstore.Options{Clock: g.now})
	ctx, leave := context.WithCancel(t.Context())
	body := []byte("as it was")
	var all sync.WaitGroup
	all.Go(func() {
		err := s.Settle(ctx, book.Event{ID: "msg_1", State: book.EventApplied, Deliveries: 1}, book.Retention{Body: body})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-g.reached // it is in the middle of its work
	leave()
	all.Wait()
	copy(body, "changed!!")
	close(g.open)
	sweeps(t, s.Client)
	if e, err := s.Event(t.Context(), "msg_1"); err != nil || string(e.Body) != "as it was" {
		t.Errorf("the body is %q, %v", e.Body, err)
	}
}

// sweeps writes something, which takes along what has ended.
var sweepsMade atomic.Int64 // so that each writes

func sweeps(t *testing.T, s store.Client) {
	t.Helper()
	if err := s.Set(t.Context(), "a sweep", fmt.Sprint(sweepsMade.Add(1))); err != nil {
		t.Fatal(err)
	}
}

func received(t *testing.T, s store.Client, id string, deliveries int64) {
	t.Helper()
	e, err := s.Record(t.Context(), book.Event{ID: id, Type: "t", Body: []byte("body")})
	if err != nil || e.Deliveries != deliveries {
		t.Fatalf("%s: %d deliveries, %v; want %d", id, e.Deliveries, err, deliveries)
	}
}

func settled(t *testing.T, s store.Client, id string, state book.EventState, keep time.Duration) {
	t.Helper()
	if err := s.Settle(t.Context(), book.Event{ID: id, State: state}, book.Retention{Keep: keep}); err != nil {
		t.Fatal(err)
	}
}

func present(t *testing.T, s store.Client, id string, want bool) {
	t.Helper()
	e, err := s.Event(t.Context(), id)
	if want && (err != nil || string(e.Body) != "body") || !want && !errors.Is(err, store.ErrNotFound) {
		t.Errorf("event %s: %+v, %v; want it there: %v", id, e, err, want)
	}
}

// count looks in a copy of the file, at rest, how many keys are in a bucket.
func count(t *testing.T, path, bucket string) int {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy.db")
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(copied, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := bolt.Open(copied, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	n := 0
	err = db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(_, _ []byte) error {
			n++
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
