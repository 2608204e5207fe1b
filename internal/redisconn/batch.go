package redisconn

import (
	"cmp"
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

// Batch sends the commands of many callers with one write and one read.
//
// A caller that finds no batch under way becomes the leader and sends its commands immediately.
// Callers that arrive meanwhile are queued. When the batch ends, the first of them becomes the
// leader and sends the commands of all that are queued, its followers. So a busy gateway makes a
// fraction of the system calls, and an idle one waits for nothing, not even for another goroutine
// to wake up. When many callers are queued, a second batch is sent while the first is under way, so
// that Redis works while replies are read. When few are, that would only halve both batches.
//
// The timeout of a command starts when it is sent: a burst is served late and is not refused while
// the server answers. A caller that has been queued for maxWaits timeouts fails. Nobody waits for a
// hung server for more than about two timeouts, or for a server that cannot be reached for longer
// than it takes to find out: when a batch runs out of time or gets no connection, all queued callers
// fail, unless another batch was answered since it was sent.
type Batch struct {
	client     redis.UniversalClient
	silence    *silence
	timeout    time.Duration // of one batch
	confirmed  bool          // each batch waits until replicas have confirmed it
	mostAtOnce int           // batches under way

	mu       sync.Mutex
	closed   bool
	underWay int     // batches
	queue    []*call // callers that arrived meanwhile

	answered atomic.Int64 // batches in which a command was answered

	ctx    context.Context //nolint:containedctx // of the batches under way
	cancel context.CancelFunc
	done   sync.WaitGroup // batches under way
}

// call is one caller with its commands.
type call struct {
	ctx context.Context //nolint:containedctx // of the caller
	add func(context.Context, redis.Pipeliner)
	// result gets errLead, or how sending ended. After nil, each command has its own error.
	result chan error
	since  time.Time // when it was queued
	end    int       // of its commands among those of the batch
	err    error     // one of its commands is not confirmed
}

const (
	// MaxBatch is how many callers are served by one batch.
	MaxBatch = 128
	// maxUnderWay and maxConfirming are how many batches are under way at once. Those that wait for
	// replicas cost the server nothing meanwhile.
	maxUnderWay   = 2
	maxConfirming = 16
	// minQueue is how many callers must be queued for a second batch.
	minQueue = 16
)

var (
	errClosed = errors.New("redis: client is closed")
	errLead   = errors.New("the caller becomes the leader")
)

// newBatch returns a Batch. The timeout is that of each batch.
func newBatch(client redis.UniversalClient, timeout time.Duration, silence *silence) *Batch {
	b := &Batch{client: client, silence: silence, timeout: timeout, mostAtOnce: maxUnderWay}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// newConfirmedBatch returns a Batch whose commands are confirmed by replicas, by the [confirmer] of
// the client.
func newConfirmedBatch(client redis.UniversalClient, timeout time.Duration, silence *silence) *Batch {
	b := newBatch(client, timeout, silence)
	b.confirmed, b.mostAtOnce = true, maxConfirming
	b.ctx = context.WithValue(b.ctx, confirmedKey{}, true)
	return b
}

// close ends the batches under way, and waits for them.
func (b *Batch) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.done.Wait()
}

// Do sends the commands that add adds, once, and waits for the replies. The caller may read the
// commands only when there is no error. A command that failed has its own error. [ErrUnconfirmed]
// says that the commands ran, and that too few replicas know of it.
//
// The leader waits for all replies, even if its context is cancelled, because followers depend on
// it. A caller whose context has a deadline lets another goroutine lead.
func (b *Batch) Do(ctx context.Context, add func(context.Context, redis.Pipeliner)) error {
	if err := b.silence.pass(ctx); err != nil {
		return err
	}
	c := &call{ctx: ctx, add: add}
	_, hasDeadline := ctx.Deadline()
	if hasDeadline {
		c.result = make(chan error, 1)
	}
	leads, err := b.enter(c)
	if err != nil {
		return err
	}
	for {
		if leads && !hasDeadline {
			defer b.handOver()
			return b.send(c)
		}
		if leads {
			go func() {
				defer b.handOver()
				c.result <- b.send(c)
			}()
		}
		select {
		case err = <-c.result:
		case <-ctx.Done():
			return b.leave(c)
		}
		if leads = errors.Is(err, errLead); !leads {
			return err
		}
	}
}

// enter makes the caller a leader, or queues it.
func (b *Batch) enter(c *call) (leads bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return false, errClosed
	case b.underWay == 0 || b.underWay < b.mostAtOnce && len(b.queue) >= minQueue:
		b.underWay++
		b.done.Add(1)
		return true, nil
	default:
		if c.result == nil {
			c.result = make(chan error, 1)
		}
		c.since = time.Now()
		b.queue = append(b.queue, c)
		return false, nil
	}
}

// leave removes a caller that stops waiting. If it had just become the leader, the next one does.
func (b *Batch) leave(c *call) error {
	b.mu.Lock()
	i := slices.Index(b.queue, c)
	if i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	b.mu.Unlock()
	if i < 0 {
		select {
		case err := <-c.result:
			if errors.Is(err, errLead) {
				b.handOver()
			}
		default: // its commands are being sent
		}
	}
	return c.ctx.Err()
}

// handOver ends a batch. The first queued caller becomes the leader, unless another batch is under
// way and few are queued.
func (b *Batch) handOver() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		b.failLocked(errClosed)
	}
	b.failLate()
	if n := len(b.queue); n >= minQueue || n > 0 && b.underWay == 1 {
		b.next().result <- errLead
		return
	}
	b.underWay--
	b.done.Done()
}

// next takes the first caller out of the queue. mu is held.
func (b *Batch) next() *call {
	c := b.queue[0]
	b.queue[0] = nil
	b.queue = b.queue[1:]
	return c
}

// followers takes callers out of the queue, for one batch.
func (b *Batch) followers() (calls []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.queue), MaxBatch-1)
	calls, b.queue = b.queue[:n:n], b.queue[n:]
	return calls
}

// send sends the commands of a leader and its followers.
func (b *Batch) send(leader *call) (err error) {
	if err := leader.ctx.Err(); err != nil {
		return err
	}
	runtime.Gosched() // callers that are about to arrive can join; without any this takes no time
	ctx, cancel := context.WithTimeout(b.ctx, b.timeout)
	defer cancel()
	var followers []*call
	defer func() {
		// go-redis panics on some garbled replies. The followers must still get a result, or they
		// would wait for ever.
		var all error
		if panicked := recover(); panicked != nil {
			all = fmt.Errorf("client panicked: %v", panicked)
			err = all
		}
		for _, c := range followers {
			if c != nil {
				c.result <- cmp.Or(all, c.err)
			}
		}
		clear(followers) // the array is that of the queue, which would keep their commands
	}()
	p := b.client.Pipeline()
	leader.add(ctx, p)
	leader.end = p.Len()
	followers = b.followers()
	for i, c := range followers {
		if err := c.ctx.Err(); err != nil {
			c.result <- err
			followers[i] = nil
			continue
		}
		c.add(ctx, p)
		c.end = p.Len()
	}
	before := b.answered.Load()
	cmds, failed := p.Exec(ctx) // each command has its own error, and that of the connection
	switch {
	case slices.ContainsFunc(cmds, isAnswered):
		b.answered.Add(1)
	case b.answered.Load() != before:
	case ctx.Err() != nil:
		b.silence.begin()
		b.fail(errSilent)
	case isDial(failed):
		b.fail(fmt.Errorf("nobody is there: %w", failed))
	}
	if b.confirmed {
		noteUnconfirmed(cmds, leader, followers)
	}
	return leader.err
}

// noteUnconfirmed tells each caller whether one of its commands is not confirmed.
func noteUnconfirmed(cmds []redis.Cmder, leader *call, followers []*call) {
	begin := 0
	for _, c := range slices.Concat([]*call{leader}, followers) {
		if c == nil { // it has left
			continue
		}
		i := slices.IndexFunc(cmds[begin:c.end], func(cmd redis.Cmder) bool { return errors.Is(cmd.Err(), ErrUnconfirmed) })
		if i >= 0 {
			c.err = cmds[begin+i].Err()
		}
		begin = c.end
	}
}

// isDial reports that no connection could be made. A lost connection proves less: the server, or a
// proxy before it, may have ended many at once, and the next one may work.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// isAnswered reports that the server replied to a command.
func isAnswered(cmd redis.Cmder) bool {
	var reply redis.Error
	return cmd.Err() == nil || errors.As(cmd.Err(), &reply) || errors.Is(cmd.Err(), ErrUnconfirmed)
}

// fail fails all queued callers.
func (b *Batch) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failLocked(err)
}

// failLocked is fail with mu held.
func (b *Batch) failLocked(err error) {
	for _, c := range b.queue {
		c.result <- err
	}
	b.queue = nil
}

// failLate fails callers that have been queued for too long. mu is held.
func (b *Batch) failLate() {
	for len(b.queue) > 0 && time.Since(b.queue[0].since) > maxWaits*b.timeout {
		b.next().result <- errBusy
	}
}
