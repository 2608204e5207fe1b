package redisconn_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestSilence: callers of a server that is known to be silent do not each wait for a timeout,
// whichever way they ask, and are served as soon as it answers.
func TestSilence(t *testing.T) {
	const timeout = 5 * time.Second
	server := redistest.Start(t)
	s := open(t, redisconn.Options{URL: server.URL(), Timeout: timeout})
	do := func(ctx context.Context) error {
		return s.Do(ctx, func(ctx context.Context) error { return s.Client().Ping(ctx).Err() }, func(error) bool { return false })
	}
	for name, ask := range map[string]func(context.Context) error{"in a batch": s.ping, "alone": do} {
		t.Run(name, func(t *testing.T) {
			if err := ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.Freeze()
			if err := ask(t.Context()); err == nil {
				t.Fatal("answered")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*timeout)
			defer cancel()
			for _, ask := range []func(context.Context) error{s.ping, do} {
				for range 20 { // 200 seconds, if each of them waited
					if err := ask(ctx); err == nil || !strings.Contains(err.Error(), "to anybody") {
						t.Fatalf("a caller got %v", err)
					}
				}
			}
			server.Thaw()
			eventually(t, func() error { return ask(t.Context()) })
		})
	}
}

// TestSilenceOfOne: one lost reply is no silence. Nobody else waits or fails because of it.
func TestSilenceOfOne(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.Start(t))
	s := open(t, redisconn.Options{URL: proxy.URL(), Timeout: 300 * time.Millisecond})
	if err := s.ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	lost := false
	proxy.LoseReplies(func(int) bool {
		first := !lost
		lost = true
		return first
	})
	_ = s.ping(t.Context())
	proxy.LoseReplies(nil)
	eventually(t, func() error { return s.ping(t.Context()) })
	for range 50 {
		if err := s.ping(t.Context()); err != nil {
			t.Fatalf("a caller got %v", err)
		}
	}
}
