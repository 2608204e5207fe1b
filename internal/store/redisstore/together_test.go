package redisstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/redistest"
)

// together does all at once on an account, in one change of it.
func together(t *testing.T, p *redistest.Proxy, s store.Store, all ...func()) {
	t.Helper()
	reached, release := p.Hold(1)
	var done sync.WaitGroup
	done.Go(func() { holds(holdOf("in front", 1), book.HoldPlaced, 9)(t, s) })
	<-reached
	for _, do := range all {
		done.Go(do)
	}
	time.Sleep(200 * time.Millisecond) // until they wait
	close(release)
	done.Wait()
}

// TestRefusedTogether: what is refused does not count as done because something else of its
// account was written with it.
func TestRefusedTogether(t *testing.T) {
	server := redistest.Start(t)
	p := redistest.NewProxy(t, server)
	warm(t, server)
	s := open(t, redisstore.Options{URL: p.URL(), Timeout: patient})
	gives(t, s)
	e, err := s.Record(t.Context(), book.Event{ID: "msg_1", Type: "t", Body: []byte("body")})
	if err != nil {
		t.Fatal(err)
	}
	together(t, p, s,
		func() { holds(holdOf("beside", 1), book.HoldPlaced, 8)(t, s) },
		func() {
			c, settled := give("acc", "pay_1", 100), e // by a version that it no longer has
			settled.State = book.EventApplied
			c.Settle = &book.Settlement{Event: settled, Retention: book.Retention{Body: []byte("short")}}
			if _, err := s.Commit(t.Context(), c); !errors.Is(err, store.ErrConflict) {
				t.Errorf("commit: %v, want a conflict", err)
			}
		})
	if e, err := s.Event(t.Context(), "msg_1"); err != nil || e.State != book.EventReceived || string(e.Body) != "body" {
		t.Errorf("the event is %s with %q, %v; want it to wait", e.State, e.Body, err)
	}
}
