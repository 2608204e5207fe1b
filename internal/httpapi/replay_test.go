package httpapi_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestReplays: what is sent again after forty days, signed anew, changes nothing:
// under its own webhook id, under one that nobody knows, by its old body and by the
// latest. The first signatures are too old by then.
func TestReplays(t *testing.T) {
	eachStore(t, func(t *testing.T, open opener) {
		s := tell(t, open, everything)
		first := s.signed(s.events[0].id, s.events[0].body)
		s.clock.pass(40 * day)
		s.stays(t, func() {
			first.do().problem(http.StatusUnauthorized, "webhook_timestamp_stale")
			for i, e := range s.events {
				for _, body := range []string{e.body, e.latest} {
					s.signed(e.id, body).do().json(http.StatusOK)
					s.signed(fmt.Sprint("msg_replay_", i), body).do().json(http.StatusOK)
				}
			}
		})
	})
}

// TestReplayWithoutJournal: nor does it when the journal has forgotten everything.
// (To the file store, an event that is forgotten is one under another id.)
func TestReplayWithoutJournal(t *testing.T) {
	server := redistest.Start(t)
	s := tell(t, func(t *testing.T, clock *clock) opened { return openRedis(t, server.URL(), "journal:", clock) }, everything)
	s.clock.pass(40 * day)
	s.stays(t, func() {
		for _, e := range s.events {
			if got := server.MustDo("DEL", "journal:event:"+e.id); got != "1" {
				t.Fatalf("%s: deleted %s", e.id, got)
			}
		}
		for _, e := range s.events {
			s.signed(e.id, e.body).do().json(http.StatusOK)
		}
	})
}

// stays fails when f changes anything of what Alice has, or adds to her ledger.
func (s *telling) stays(t *testing.T, f func()) {
	t.Helper()
	entries := func() int {
		entries, err := s.store.Entries(t.Context(), alice, store.Page{After: 0, Limit: 1000})
		must(t, err)
		return len(entries)
	}
	want, before := s.end(alice), entries()
	f()
	if got := s.end(alice); got != want {
		t.Errorf("it ends in\n%s\nnot in\n%s", got, want)
	}
	if n := entries() - before; n != 0 {
		t.Errorf("%d more entries", n)
	}
}
