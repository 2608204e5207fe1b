package redisstore_test

import (
	"errors"
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
