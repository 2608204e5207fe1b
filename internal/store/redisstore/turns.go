package redisstore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// turns let as many operations talk to Redis at once as there are connections. The
// others wait for their turn, in the order in which they came, and the store's timeout
// of each begins with it: a rush is served one after the other and not refused.
//
// They wait for as long as the server keeps answering somebody, and not longer than
// it may take to answer when it does not: behind a server that hangs nobody waits for
// more than about two timeouts.
type turns struct {
	free     chan struct{} // as full as operations are under way
	answered atomic.Int64  // operations that the server has answered
}

// patience is for how many timeouts of the store an operation waits for its turn,
// at most.
const patience = 20

var (
	errSilent = errors.New("no answer in time to anybody")
	errBusy   = errors.New("too many operations wait for it")
)

// take waits for a turn, which give gives back.
func (t *turns) take(ctx context.Context, timeout time.Duration) error {
	select {
	case t.free <- struct{}{}:
		return nil
	default:
	}
	tick := time.NewTicker(timeout)
	defer tick.Stop()
	for range patience {
		before := t.answered.Load()
		select {
		case t.free <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if t.answered.Load() == before {
				return errSilent
			}
		}
	}
	return errBusy
}

// give ends a turn.
func (t *turns) give(answered bool) {
	if answered {
		t.answered.Add(1)
	}
	<-t.free
}
