package redisconn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// limiter lets as many operations run at once as there are connections. Other operations wait in
// the order in which they came. The timeout of an operation starts when it runs, so a burst is
// served late and is not refused.
//
// Operations wait for as long as the server keeps answering some of them. When it answers none of
// them for a timeout, the waiting operations fail: nobody waits for a hung server for more than
// about two timeouts.
type limiter struct {
	running  chan struct{} // holds one value for each running operation
	answered atomic.Int64  // operations that the server has answered
}

func newLimiter(operations int) limiter { return limiter{running: make(chan struct{}, operations)} }

// maxWaits is for how many timeouts an operation waits at most.
const maxWaits = 20

var (
	errSilent = errors.New("no answer in time to anybody")
	errBusy   = errors.New("too many operations wait for it")
)

// acquire waits until the operation may run. The caller must release it.
func (l *limiter) acquire(ctx context.Context, timeout time.Duration) error {
	select {
	case l.running <- struct{}{}:
		return nil
	default:
	}
	tick := time.NewTicker(timeout)
	defer tick.Stop()
	for range maxWaits {
		before := l.answered.Load()
		select {
		case l.running <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if l.answered.Load() == before {
				return errSilent
			}
		}
	}
	return errBusy
}

// release ends an operation.
func (l *limiter) release(answered bool) {
	if answered {
		l.answered.Add(1)
	}
	<-l.running
}
