package redisstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/store/redistest"
)

// TestRush: a server that is slower than all who come at once is no reason to refuse
// anybody, as long as it answers.
func TestRush(t *testing.T) {
	proxy := redistest.NewProxy(t, redistest.Start(t))
	const timeout, each = time.Second, time.Millisecond
	s := open(t, redisstore.Options{URL: proxy.URL(), Timeout: timeout})
	rush := func() {
		var callers sync.WaitGroup
		for range 2 * int(timeout/each) {
			callers.Go(func() {
				if _, err := s.Account(t.Context(), "acc"); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	}
	rush() // connects
	proxy.LoseReplies(func(int) bool {
		time.Sleep(each) // one reply after the other
		return false
	})
	defer proxy.LoseReplies(nil)
	rush()
}

// TestRushAtNobody: behind a server that answers nobody they do not wait for long.
func TestRushAtNobody(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: 200 * time.Millisecond})
	server.Freeze()
	var callers sync.WaitGroup
	var gaveUp atomic.Int64
	for range 1000 {
		callers.Go(func() {
			_, err := s.Account(t.Context(), "acc")
			if !errors.Is(err, store.ErrUnavailable) {
				t.Error(err)
			} else if strings.Contains(err.Error(), "to anybody") {
				gaveUp.Add(1)
			}
		})
	}
	callers.Wait()
	if gaveUp.Load() < 500 {
		t.Errorf("%d of 1000 gave up waiting", gaveUp.Load())
	}
	server.Thaw()
	eventually(t, func() error { _, err := s.Account(t.Context(), "acc"); return err })
}

// TestCallersLeave: those who do not wait any longer return, also when it would have been
// their turn to send for others, and nobody behind them is kept.
func TestCallersLeave(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: 5 * time.Second})
	for range 20 {
		server.Freeze()
		ctx, cancel := context.WithCancel(t.Context())
		var leave, stay sync.WaitGroup
		for i := range 60 {
			if i%3 == 0 {
				stay.Go(func() {
					if _, err := s.Account(t.Context(), "acc"); err != nil {
						t.Error(err)
					}
				})
				continue
			}
			leave.Go(func() {
				if _, err := s.Account(ctx, "acc"); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		if rand.N(2) == 0 {
			cancel()
			server.Thaw()
		} else {
			server.Thaw()
			cancel() // while it goes on
		}
		stay.Wait()
		leave.Wait()
	}
}
