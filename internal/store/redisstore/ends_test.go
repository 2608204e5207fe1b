package redisstore_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

const (
	day    = 24 * time.Hour
	keep90 = 90 * day
)

// TestEnds: what waits has no end in Redis, and everything else has its own.
func TestEnds(t *testing.T) {
	server := redistest.Start(t)
	var prefix string
	storetest.RunEnds(t, func(t *testing.T, clock func() time.Time) store.Store {
		prefix = fmt.Sprint("test", prefixes.Add(1), ":")
		return open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix, Clock: clock}).Client
	}, func(t *testing.T, _ store.Client, _ *storetest.Clock, left time.Duration) {
		ends(t, server, prefix, left)
	})
}

// ends wants msg_1 to end after left, or never if that is 0. Redis' own time moves.
func ends(t *testing.T, server *redistest.Server, prefix string, left time.Duration) {
	t.Helper()
	ms, err := strconv.ParseInt(server.MustDo("PTTL", prefix+"event:msg_1"), 10, 64)
	got := time.Duration(ms) * time.Millisecond
	switch {
	case err != nil || ms == -2:
		t.Errorf("the event is missing, %v", err)
	case left == 0 && ms != -1:
		t.Errorf("the event ends after %v", got)
	case left != 0 && (got > left || got <= left-time.Minute):
		t.Errorf("the event ends after %v, want %v", got, left)
	}
}

func keeps(state book.EventState, keep time.Duration) func(*testing.T, *opened) {
	return func(t *testing.T, s *opened) {
		t.Helper()
		if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: state, Object: "payment:a"}, book.Retention{Keep: keep}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestServersClockEnds: without a clock of a test, Redis counts from its own time
// of receipt.
func TestServersClockEnds(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: "test:"})
	records(1)(t, s)
	keeps(book.EventApplied, keep90)(t, s)
	ends(t, server, "test:", keep90)
	received := time.Now().Add(-80 * day)
	server.MustDo("HSET", "test:event:msg_1", "received", strconv.FormatInt(received.UnixMilli(), 10))
	keeps(book.EventApplied, keep90)(t, s)
	ends(t, server, "test:", 10*day)
}

// TestRedeliveryLingers: somebody is at work on what was just delivered. What was
// to end later, or waits, is left alone.
func TestRedeliveryLingers(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: "test:"})
	records(1)(t, s)
	ends(t, server, "test:", 0)
	keeps(book.EventApplied, keep90)(t, s)
	records(2)(t, s)
	ends(t, server, "test:", keep90)
	server.MustDo("PEXPIRE", "test:event:msg_1", "60000")
	records(3)(t, s)
	ends(t, server, "test:", day)
	keeps(book.EventParked, keep90)(t, s)
	records(4)(t, s)
	ends(t, server, "test:", 0)
}

// TestEnded: an event that Redis has forgotten is new, and leaves nothing behind.
func TestEnded(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: "test:"})
	records(1)(t, s)
	keeps(book.EventParked, keep90)(t, s)
	keeps(book.EventApplied, keep90)(t, s)
	server.MustDo("PEXPIRE", "test:event:msg_1", "1")
	eventually(t, func() error {
		if _, err := s.Event(t.Context(), "msg_1"); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("it is still there, %w", err)
		}
		return nil
	})
	if keys := server.MustDo("KEYS", "*"); keys != "" {
		t.Errorf("left are %s", keys)
	}
	for _, state := range []book.EventState{book.EventParked, book.EventApplied} {
		if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: state}, book.Retention{Keep: keep90}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("settled as %s after its end: %v", state, err)
		}
	}
	records(1)(t, s)
	ends(t, server, "test:", 0)
}

// TestCutWhileSettlingEnds: however far a settling came, what waits has no end.
func TestCutWhileSettlingEnds(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	for _, states := range [][2]book.EventState{
		{book.EventApplied, book.EventParked}, {book.EventParked, book.EventApplied},
		{book.EventApplied, book.EventReceived}, {book.EventReceived, book.EventIgnored},
	} {
		for requests := range 7 {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
			s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix, Timeout: 2 * time.Second})
			records(1)(t, direct)
			keeps(states[0], keep90)(t, direct)
			p.CutAfter(requests)
			_ = s.Settle(t.Context(), book.Event{ID: "msg_1", State: states[1], Object: "payment:a"}, book.Retention{Keep: keep90})
			p.Mend()
			e, err := direct.Event(t.Context(), "msg_1")
			if err != nil {
				t.Fatal(err)
			}
			want := keep90
			if !e.State.Final() {
				want = 0
			}
			ends(t, server, prefix, want)
		}
	}
}
