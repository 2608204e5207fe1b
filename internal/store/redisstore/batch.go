package redisstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch sends commands of many callers together: those that come while every lane is
// under way wait for the next one, and share one write and one read with all who wait.
// Commands that come while a lane is free go at once. So a busy gateway makes a fraction
// of the system calls, and Redis as well, and an idle one waits for nobody.
//
// The timeout of commands begins when they are sent: a rush is served late and not
// refused, as long as the server answers. Behind a server that hangs nobody waits for
// more than two timeouts, because what waits when a batch ran out of time fails with it.
type batch struct {
	client  redis.UniversalClient
	timeout time.Duration // of one batch
	queue   chan *call
	ended   context.Context //nolint:containedctx // of the goroutines
	end     context.CancelFunc
	done    sync.WaitGroup
}

// call are the commands of one caller on their way.
type call struct {
	ctx  context.Context //nolint:containedctx // of the caller
	ask  func(context.Context, redis.Pipeliner)
	over chan error // nil: its commands say what became of them
}

const (
	lanes       = 2    // batches under way at a time
	maxCalls    = 1024 // that wait; more callers wait to be let in
	maxTogether = 128  // in one batch
)

var errBatchEnded = errors.New("redis: client is closed")

func newBatch(client redis.UniversalClient, timeout time.Duration) *batch {
	b := &batch{client: client, timeout: timeout, queue: make(chan *call, maxCalls)}
	b.ended, b.end = context.WithCancel(context.Background())
	for range lanes {
		b.done.Go(b.run)
	}
	return b
}

// close ends what is under way, and waits for that.
func (b *batch) close() {
	b.end()
	b.done.Wait()
	b.failAll(errBatchEnded)
}

// do sends what ask asks for, once, and waits for the replies. The caller may look at
// the commands only when there is no error: what fails for one of them is said by itself.
func (b *batch) do(ctx context.Context, ask func(context.Context, redis.Pipeliner)) error {
	c := &call{ctx: ctx, ask: ask, over: make(chan error, 1)}
	if err := b.enqueue(c); err != nil {
		return err
	}
	if b.ended.Err() != nil { // those who would have failed it may have left before
		b.failAll(errBatchEnded)
	}
	select {
	case err := <-c.over:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue lets a call wait for its lane. Mostly there is room, and what is told to
// everybody, which is dear for many at once, is not looked at.
func (b *batch) enqueue(c *call) error {
	select {
	case b.queue <- c:
		return nil
	default:
	}
	select {
	case b.queue <- c:
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	case <-b.ended.Done():
		return errBatchEnded
	}
}

func (b *batch) run() {
	for {
		select {
		case c := <-b.queue:
			b.send(b.gather(c))
		case <-b.ended.Done():
			return
		}
	}
}

// gather takes what waits behind first.
func (b *batch) gather(first *call) []*call {
	calls := []*call{first}
	for len(calls) < maxTogether {
		select {
		case c := <-b.queue:
			calls = append(calls, c)
		default:
			return calls
		}
	}
	return calls
}

// send sends the commands of callers who still wait.
func (b *batch) send(calls []*call) {
	ctx, cancel := context.WithTimeout(b.ended, b.timeout)
	defer cancel()
	p := b.client.Pipeline()
	for i, c := range calls {
		if err := c.ctx.Err(); err != nil {
			c.over <- err
			calls[i] = nil
			continue
		}
		c.ask(ctx, p)
	}
	cmds, _ := p.Exec(ctx) // each has its own error, and that of the connection
	for _, c := range calls {
		if c != nil {
			c.over <- nil
		}
	}
	if ctx.Err() != nil && !slices.ContainsFunc(cmds, answered) {
		b.failAll(errSilent) // they have waited while the server answered nobody
	}
}

// answered reports whether the server said what became of a command.
func answered(cmd redis.Cmder) bool {
	var said redis.Error
	return cmd.Err() == nil || errors.As(cmd.Err(), &said)
}

// failAll fails those who wait.
func (b *batch) failAll(err error) {
	for {
		select {
		case c := <-b.queue:
			c.over <- err
		default:
			return
		}
	}
}
