package redisstore

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch runs scripts for which nobody's answer waits, such as the ends of holds:
// those that come while others are under way go together, in one write and one
// read. A script that comes alone goes at once.
type batch struct {
	client  redis.UniversalClient
	timeout time.Duration // of one batch
	queue   chan *call
	ended   context.Context //nolint:containedctx // of the goroutine
	end     context.CancelFunc
	done    chan struct{}
}

// call is a script on its way.
type call struct {
	ctx    context.Context //nolint:containedctx // of the caller
	script *redis.Script
	keys   []string
	args   []any
	reply  *redis.Cmd
	over   chan error // of the whole batch
}

const (
	maxCalls    = 1024 // that wait; more callers wait to be let in
	maxTogether = 128  // in one batch
)

var errBatchEnded = errors.New("redis: client is closed")

func newBatch(client redis.UniversalClient, timeout time.Duration) *batch {
	b := &batch{client: client, timeout: timeout, queue: make(chan *call, maxCalls), done: make(chan struct{})}
	b.ended, b.end = context.WithCancel(context.Background())
	go b.run()
	return b
}

// close ends what is under way, and waits for that.
func (b *batch) close() {
	b.end()
	<-b.done
}

// do runs a script and waits for its reply.
func (b *batch) do(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	c := &call{ctx: ctx, script: script, keys: keys, args: args, over: make(chan error, 1)}
	failed := func(err error) *redis.Cmd {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(err)
		return cmd
	}
	select {
	case b.queue <- c:
	case <-ctx.Done():
		return failed(ctx.Err())
	case <-b.ended.Done():
		return failed(errBatchEnded)
	}
	select {
	case err := <-c.over:
		switch {
		case err != nil:
			return failed(err)
		case redis.HasErrorPrefix(c.reply.Err(), "NOSCRIPT"):
			return script.Eval(ctx, b.client, keys, args...)
		}
		return c.reply
	case <-ctx.Done():
		return failed(ctx.Err())
	case <-b.ended.Done():
		return failed(errBatchEnded)
	}
}

func (b *batch) run() {
	defer close(b.done)
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

// send runs the scripts of callers who still wait. An error of one is in its reply;
// an error of the connection is everybody's.
func (b *batch) send(calls []*call) {
	ctx, cancel := context.WithTimeout(b.ended, b.timeout)
	defer cancel()
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range calls {
			if c.ctx.Err() == nil {
				c.reply = c.script.EvalSha(ctx, p, c.keys, c.args...)
			}
		}
		return nil
	})
	for _, c := range calls {
		switch {
		case c.reply == nil:
			c.over <- c.ctx.Err()
		case c.reply.Err() == nil || isReply(c.reply.Err()):
			c.over <- nil
		default:
			c.over <- cmp.Or(err, c.reply.Err())
		}
	}
}

// isReply reports whether the server itself said that a script failed.
func isReply(err error) bool {
	var said redis.Error
	return errors.As(err, &said)
}
