package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestCutWhileSettling ends the store after each of the commands that parking
// and un-parking are made of. An event that is parked is always found.
func TestCutWhileSettling(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	states := []book.EventState{book.EventParked, book.EventApplied, book.EventParked, book.EventIgnored}
	for requests := range 7 {
		for last := range states {
			t.Run(fmt.Sprintf("%d requests of %v", requests, states[:last+1]), func(t *testing.T) {
				prefix := fmt.Sprint("test", prefixes.Add(1), ":")
				direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
				s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix, Timeout: 2 * time.Second})
				records(1)(t, direct)
				for _, state := range states[:last] {
					settles(state)(t, direct)
				}
				p.CutAfter(requests)
				err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: states[last], Object: "payment:a"}, book.Retention{})
				p.Mend()
				e, eventErr := direct.Event(t.Context(), "msg_1")
				found, _, parkedErr := direct.Parked(t.Context(), "payment:a", "", 100)
				all, _, allErr := direct.Parked(t.Context(), "", "", 100)
				if err := errors.Join(eventErr, parkedErr, allErr); err != nil {
					t.Fatal(err)
				}
				if parked := e.State == book.EventParked; parked != (len(found) == 1) || parked != (len(all) == 1) {
					t.Fatalf("the event is %s, %d are found under its object and %d among all", e.State, len(found), len(all))
				}
				if err == nil && e.State != states[last] {
					t.Fatalf("acknowledged as %s and is %s", states[last], e.State)
				}
				settles(states[last])(t, direct) // a repeat sets it right
				parks(states[last] == book.EventParked)(t, direct)
			})
		}
	}
}

// TestCutWhileParkingAnew ends the store while it parks what is parked already
// under another object. All the while it is among all that are parked.
func TestCutWhileParkingAnew(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	for requests := range 8 {
		prefix := fmt.Sprint("test", prefixes.Add(1), ":")
		direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
		s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix, Timeout: 2 * time.Second})
		records(1)(t, direct)
		settles(book.EventParked)(t, direct)
		p.CutAfter(requests)
		err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventParked, Object: "payment:b"}, book.Retention{})
		p.Mend()
		if all, _, allErr := direct.Parked(t.Context(), "", "", 100); allErr != nil || len(all) != 1 {
			t.Errorf("cut after %d requests (%v), %d are found, %v", requests, err, len(all), allErr)
		}
	}
}

// TestSettlingAtOnce lets one store settle an event while another is in the
// middle of it. The index follows whoever writes the event last.
func TestSettlingAtOnce(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	for _, c := range []struct {
		slow    book.EventState
		request int // of the slow one, before which the other acts
		other   book.EventState
		want    bool // parked at the end
	}{
		{book.EventApplied, 1, book.EventParked, false},
		{book.EventApplied, 2, book.EventParked, true},
		{book.EventApplied, 3, book.EventParked, true},
		{book.EventParked, 1, book.EventApplied, true},
		{book.EventParked, 2, book.EventApplied, true},
		{book.EventParked, 3, book.EventApplied, true},
		{book.EventParked, 4, book.EventApplied, false},
	} {
		t.Run(fmt.Sprintf("%s before request %d of %s", c.other, c.request, c.slow), func(t *testing.T) {
			prefix := fmt.Sprint("test", prefixes.Add(1), ":")
			direct := open(t, redisstore.Options{URL: server.URL(), KeyPrefix: prefix})
			s := open(t, redisstore.Options{URL: p.URL(), KeyPrefix: prefix})
			records(1)(t, direct)
			settles(book.EventParked)(t, direct)
			reached, release := p.Hold(c.request)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: c.slow, Object: "payment:a"}, book.Retention{}); err != nil {
					t.Error(err)
				}
			}()
			<-reached
			settles(c.other)(t, direct)
			close(release)
			<-done
			parks(c.want)(t, direct)
		})
	}
}

// TestIndexIsCleared: nothing is left of the index when nothing is parked.
func TestIndexIsCleared(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL()})
	records(1)(t, s)
	settles(book.EventParked)(t, s)
	settles(book.EventApplied)(t, s)
	settles(book.EventParked)(t, s)
	if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventParked, Object: "payment:b"}, book.Retention{}); err != nil {
		t.Fatal(err)
	}
	if keys := server.MustDo("KEYS", "dodogate:parked:*"); keys != "dodogate:parked:payment%3Ab" {
		t.Errorf("parked under b, there is %q", keys)
	}
	if n := server.MustDo("ZCARD", "dodogate:parked"); n != "1" {
		t.Errorf("parked under b, there are %s among all", n)
	}
	if err := s.Settle(t.Context(), book.Event{ID: "msg_1", State: book.EventApplied, Object: "payment:c"}, book.Retention{}); err != nil {
		t.Fatal(err)
	}
	if keys := server.MustDo("KEYS", "dodogate:parked*"); keys != "" {
		t.Errorf("applied, there is %q", keys)
	}
}
