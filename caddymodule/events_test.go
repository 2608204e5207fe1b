package caddymodule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// TestKeepEvents: what a config says counts for the events that are settled under
// it, though the store stays open over the reload.
func TestKeepEvents(t *testing.T) {
	b := newBench(t)
	const body = `{"type":"widget.frobbed","data":{"id":"w_1","email":"jane@example.com"}}`
	b.mustLoad(caddyfile(usualDodo, usualProxy))
	b.webhook("evt_default", body)
	option := "dodo {\n\t\tkeep_events 40d {\n\t\t\tredact\n\t\t}"
	b.mustLoad(caddyfile(strings.Replace(usualDodo, "dodo {", option, 1), usualProxy))
	b.client.CloseIdleConnections() // to the server of before
	b.webhook("evt_40d", body)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}

	const day = 24 * time.Hour
	var later time.Duration
	s, err := boltstore.Open(b.file(), boltstore.Options{Clock: func() time.Time { return time.Now().Add(later) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for id, want := range map[string]struct {
		body string
		keep time.Duration
	}{
		"evt_default": {body, 90 * day},
		"evt_40d":     {`{"type":"widget.frobbed","data":{"id":"w_1","email":null}}`, 40 * day},
	} {
		later = want.keep - time.Hour
		if e, err := s.Event(t.Context(), id); err != nil || string(e.Body) != want.body {
			t.Errorf("%s is %s, %v", id, e.Body, err)
		}
		later = want.keep
		if _, err := s.Event(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s after its time: %v", id, err)
		}
	}
}
