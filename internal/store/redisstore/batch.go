package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch sends commands of many callers together. Who finds nothing under way sends at once,
// by itself; those who come meanwhile wait, and then the first of them sends what all ask
// for, with one write and one read. So a busy gateway makes a fraction of the system calls,
// and Redis as well, and an idle one waits for nobody, not even for another goroutine to
// wake up. When many wait, a second batch goes while the first is under way, so that Redis
// works while replies are read; when few do, that would only halve both.
//
// The timeout of commands begins when they are sent: a rush is served late and not
// refused, as long as the server answers, but for those who have waited for as long as
// they would for one of [turns]. Behind a server that hangs nobody waits for more than
// about two timeouts, and behind one that is gone for no longer than it takes to find
// out: what waits when a batch ran out of time, or got no connection, fails with it, unless
// another one was answered since that began.
type batch struct {
	client  redis.UniversalClient
	timeout time.Duration // of one batch

	mu       sync.Mutex
	closed   bool
	underWay int     // batches
	waiting  []*call // meanwhile

	heard atomic.Int64 // batches of which something was answered

	ended context.Context //nolint:containedctx // of what is under way
	end   context.CancelFunc
	done  sync.WaitGroup // of what is under way
}

// call are the commands of one caller on their way.
type call struct {
	ctx context.Context //nolint:containedctx // of the caller
	ask func(context.Context, redis.Pipeliner)
	// told gets what the caller waits for: errLead, or what became of its commands,
	// where nil is that they say so themselves.
	told  chan error
	since time.Time // when it began to wait
}

const (
	maxTogether = 128 // calls in one batch
	maxUnderWay = 2   // batches
	// enough is how many must wait for another batch beside one that is under way.
	enough = 16
)

var (
	errBatchEnded = errors.New("redis: client is closed")
	errLead       = errors.New("it is the caller's turn to send")
)

func newBatch(client redis.UniversalClient, timeout time.Duration) *batch {
	b := &batch{client: client, timeout: timeout}
	b.ended, b.end = context.WithCancel(context.Background())
	return b
}

// close ends what is under way, and waits for that.
func (b *batch) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.end()
	b.done.Wait()
}

// do sends what ask asks for, once, and waits for the replies. The caller may look at
// the commands only when there is no error: what fails for one of them is said by itself.
//
// A caller that sends stays until the replies are there, for others wait for them, even
// if its ctx is canceled meanwhile. One that has a deadline of its own does not send by
// itself.
func (b *batch) do(ctx context.Context, ask func(context.Context, redis.Pipeliner)) error {
	c := &call{ctx: ctx, ask: ask}
	_, hurries := ctx.Deadline()
	if hurries {
		c.told = make(chan error, 1)
	}
	leads, err := b.enter(c)
	if err != nil {
		return err
	}
	for {
		if leads && !hurries {
			defer b.pass()
			return b.send(c)
		}
		if leads {
			go func() {
				defer b.pass()
				c.told <- b.send(c)
			}()
		}
		select {
		case err = <-c.told:
		case <-ctx.Done():
			return b.leave(c)
		}
		if leads = errors.Is(err, errLead); !leads {
			return err
		}
	}
}

// enter reports that the caller is to send, or lets it wait.
func (b *batch) enter(c *call) (leads bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return false, errBatchEnded
	case b.underWay == 0 || b.underWay < maxUnderWay && len(b.waiting) >= enough:
		b.underWay++
		b.done.Add(1)
		return true, nil
	default:
		if c.told == nil {
			c.told = make(chan error, 1)
		}
		c.since = time.Now()
		b.waiting = append(b.waiting, c)
		return false, nil
	}
}

// leave is for a caller that does not wait any longer. If it was told to send, the next
// one is.
func (b *batch) leave(c *call) error {
	b.mu.Lock()
	i := slices.Index(b.waiting, c)
	if i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
	b.mu.Unlock()
	if i < 0 {
		select {
		case err := <-c.told:
			if errors.Is(err, errLead) {
				b.pass()
			}
		default: // it is among those that are being sent
		}
	}
	return c.ctx.Err()
}

// pass lets the first of those who wait send, unless they can wait for another batch.
func (b *batch) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		b.failWaiting(errBatchEnded)
	}
	b.failLate()
	if n := len(b.waiting); n >= enough || n > 0 && b.underWay == 1 {
		b.next().told <- errLead
		return
	}
	b.underWay--
	b.done.Done()
}

// next takes the first of those who wait. mu is held.
func (b *batch) next() *call {
	c := b.waiting[0]
	b.waiting[0] = nil
	b.waiting = b.waiting[1:]
	return c
}

// gather takes those who wait.
func (b *batch) gather() (calls []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.waiting), maxTogether-1)
	calls, b.waiting = b.waiting[:n:n], b.waiting[n:]
	return calls
}

// send sends the commands of a caller, and of those who wait by then, and says how its
// own went.
func (b *batch) send(own *call) (err error) {
	if err := own.ctx.Err(); err != nil {
		return err
	}
	runtime.Gosched() // whoever is about to ask may come along; when nobody is, it takes nothing
	ctx, cancel := context.WithTimeout(b.ended, b.timeout)
	defer cancel()
	var others []*call
	defer func() {
		// What go-redis makes of a garbled reply is of no use to anybody in the batch, who
		// would wait for ever if they were not told.
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("client panicked: %v", panicked)
		}
		for _, c := range others {
			if c != nil {
				c.told <- err
			}
		}
		clear(others) // what they asked for is not kept by whoever waits behind them
	}()
	p := b.client.Pipeline()
	own.ask(ctx, p)
	others = b.gather()
	for i, c := range others {
		if err := c.ctx.Err(); err != nil {
			c.told <- err
			others[i] = nil
			continue
		}
		c.ask(ctx, p)
	}
	heard := b.heard.Load()
	cmds, failed := p.Exec(ctx) // each has its own error, and that of the connection
	switch {
	case slices.ContainsFunc(cmds, answered):
		b.heard.Add(1)
	case b.heard.Load() != heard:
	case ctx.Err() != nil:
		b.failAll(errSilent)
	case isDial(failed):
		b.failAll(fmt.Errorf("nobody is there: %w", failed))
	}
	return nil
}

// isDial reports whether there was no connection. One that was lost may have been the
// last of many that the server, or something before it, has ended at once.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// answered reports whether the server said what became of a command.
func answered(cmd redis.Cmder) bool {
	var said redis.Error
	return cmd.Err() == nil || errors.As(cmd.Err(), &said)
}

// failAll fails those who wait.
func (b *batch) failAll(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failWaiting(err)
}

// failWaiting is failAll with mu held.
func (b *batch) failWaiting(err error) {
	for _, c := range b.waiting {
		c.told <- err
	}
	b.waiting = nil
}

// failLate fails those who have waited for too long. mu is held.
func (b *batch) failLate() {
	for len(b.waiting) > 0 && time.Since(b.waiting[0].since) > patience*b.timeout {
		b.next().told <- errBusy
	}
}
