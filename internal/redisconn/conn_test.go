package redisconn_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/dodogate/dodogate/internal/redisconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patient is a timeout for tests that are not about it, on a busy machine.
const patient = 20 * time.Second

// conn is an open connection.
type conn struct{ *redisconn.Conn }

// needs are those of the tests.
var needs = redisconn.Needs{
	Prefix: "test:", Channels: []string{"test:changes"}, Keys: []string{"test:key"},
	Commands: []redisconn.Command{
		{Name: "SET", Args: []string{redisconn.TestKey, "1", "PX", "10000"}, Direct: true, Scripted: true},
		{Name: "DEL", Args: []string{redisconn.TestKey}, Direct: true},
	},
}

// dial opens a connection and checks the servers.
func dial(ctx context.Context, opts redisconn.Options) (*conn, error) {
	c, err := redisconn.Open(opts)
	if err != nil {
		return nil, err
	}
	if err := c.Check(ctx, needs); err != nil {
		_ = c.Close()
		return nil, errorWithoutPassword{c.ErrorText(err), err}
	}
	return &conn{c}, nil
}

// errorWithoutPassword is an error as callers show it.
type errorWithoutPassword struct {
	text string
	error
}

func (e errorWithoutPassword) Error() string { return e.text }
func (e errorWithoutPassword) Unwrap() error { return e.error }

// open dials, and closes the connection when the test ends.
func open(t *testing.T, opts redisconn.Options) *conn {
	t.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = patient
	}
	c, err := dial(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ping goes by the batch.
func (c *conn) ping(ctx context.Context) error {
	var cmd *redis.StatusCmd
	if err := c.Reads().Do(ctx, func(ctx context.Context, p redis.Pipeliner) { cmd = p.Ping(ctx) }); err != nil {
		return err
	}
	return cmd.Err()
}

// write sets a key.
func write(ctx context.Context, c *conn) error {
	return c.Do(ctx, func(ctx context.Context) error {
		return c.Client().Set(ctx, "test:key", "value", 0).Err()
	}, func(error) bool { return false })
}

// eventually waits until a function succeeds, as it must once a fault is over.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < patient; time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
