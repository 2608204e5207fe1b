package naive

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// scripts runs scripts in Redis: each as a command of its own, or those that wait at the
// same moment in one round trip.
type scripts struct {
	client *redis.Client
	queue  chan run // nil without batches
	closed chan struct{}
	done   chan struct{}
}

// run is one caller's script.
type run struct {
	script *redis.Script
	keys   []string
	args   []any
	reply  chan *redis.Cmd
}

var errScriptsClosed = errors.New("the client of Redis is closed")

// newScripts loads the scripts, so that batches can call them by their hash.
func newScripts(ctx context.Context, addr string, batched bool, all ...*redis.Script) (*scripts, error) {
	s := &scripts{client: redis.NewClient(&redis.Options{Addr: addr}), closed: make(chan struct{}), done: make(chan struct{})}
	for _, script := range all {
		if err := script.Load(ctx, s.client).Err(); err != nil {
			_ = s.client.Close()
			return nil, err
		}
	}
	if batched {
		s.queue = make(chan run, together)
		go s.serve()
	} else {
		close(s.done)
	}
	return s, nil
}

func (s *scripts) call(ctx context.Context, script *redis.Script, keys []string, args ...any) (int64, error) {
	if s.queue == nil {
		return script.EvalSha(ctx, s.client, keys, args...).Int64()
	}
	r := run{script: script, keys: keys, args: args, reply: make(chan *redis.Cmd, 1)}
	select {
	case s.queue <- r:
	case <-s.closed:
		return 0, errScriptsClosed
	}
	select {
	case reply := <-r.reply:
		return reply.Int64()
	case <-s.done:
		return 0, errScriptsClosed
	}
}

func (s *scripts) serve() {
	defer close(s.done)
	for {
		select {
		case first := <-s.queue:
			s.send(waiting(s.queue, first))
		case <-s.closed:
			return
		}
	}
}

func (s *scripts) send(all []run) {
	ctx := context.Background()
	pipe := s.client.Pipeline()
	replies := make([]*redis.Cmd, len(all))
	for i, r := range all {
		replies[i] = r.script.EvalSha(ctx, pipe, r.keys, r.args...)
	}
	_, _ = pipe.Exec(ctx) // each reply has its own error
	for i, r := range all {
		r.reply <- replies[i]
	}
}

// Close ends the connections. Scripts that still wait are not run.
func (s *scripts) Close() error {
	close(s.closed)
	<-s.done
	return s.client.Close()
}
