package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store/redisstore"
	"github.com/dodogate/dodogate/internal/testing/redistest"
)

// TestBusyGatewayLetsOthersWrite: a gateway that changes an account again and again, and
// always knows its latest state, keeps no other from changing it.
func TestBusyGatewayLetsOthersWrite(t *testing.T) {
	server := redistest.Start(t)
	busy := open(t, redisstore.Options{URL: server.URL(), Timeout: patient})
	other := open(t, redisstore.Options{URL: server.URL(), Timeout: patient})
	if _, err := busy.Commit(t.Context(), give("acc", "pay_1", 1_000_000)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var (
		crew    sync.WaitGroup
		written atomic.Int64
	)
	defer crew.Wait()
	defer stop()
	for c := range 4 {
		crew.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				h, err := busy.Hold(t.Context(), holdOf(fmt.Sprintf("busy_%d_%d", c, i), 1))
				if err != nil || h.Outcome != book.HoldPlaced {
					t.Errorf("the busy gateway's hold: %q, %v", h.Outcome, err)
					return
				}
				written.Add(1)
			}
		})
	}
	var waited []int64 // for how many holds of the busy gateway
	for i := range 50 {
		before := written.Load()
		h, err := other.Hold(t.Context(), holdOf(fmt.Sprintf("other_%d", i), 1))
		if err != nil || h.Outcome != book.HoldPlaced {
			t.Fatalf("the other gateway's hold: %q, %v", h.Outcome, err)
		}
		waited = append(waited, written.Load()-before)
	}
	slices.Sort(waited)
	if median := waited[len(waited)/2]; median > 50 {
		t.Errorf("half of the other gateway's holds waited for %d and more of the busy one; want no more than 50", median)
	}
}

// TestEndedTurn: a gateway that has the turn to write, and then never writes, holds up nobody
// for longer than its turn.
func TestEndedTurn(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, redisstore.Options{URL: server.URL(), Timeout: patient})
	if _, err := s.Commit(t.Context(), give("acc", "pay_1", 10)); err != nil {
		t.Fatal(err)
	}
	const key = "dodogate:{acc}:account"
	for i, till := range []time.Duration{-time.Second, 20 * time.Millisecond, time.Hour} { // an hour: the server's clock moved
		server.MustDo("HSET", key, "turn", "gone", "till", strconv.FormatInt(time.Now().Add(till).UnixMilli(), 10))
		holds(holdOf(fmt.Sprint("h", i), 1), book.HoldPlaced, int64(9-i))(t, s)
		if left := server.MustDo("HEXISTS", key, "turn"); left != "0" {
			t.Errorf("a turn that ended %v from now is still noted behind a change: %s", till, left)
		}
	}
}
