package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
)

// Store is a [store.Store] in Redis. It is made by [Open].
type Store struct {
	conn    *redisconn.Conn
	client  redis.UniversalClient // of conn
	name    string                // of this gateway, for a turn; random
	prefix  string
	changes string // the channel where changes are published; it is not a key
	timeout time.Duration
	clock   func() time.Time
	log     *slog.Logger
	lines   lines
	memory  memory
	server  serverClock
	apart   atomic.Bool // an event and an account are never written by one script

	replaced  atomic.Pointer[func()]
	watchers  store.Watchers
	listening sync.Once // starts the listener
	listener  listener
}

var _ store.Store = (*Store)(nil)

// Open connects to Redis and checks that it can be used. No error shows a password. The caller must [Store.Close] the store.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.Check(); err != nil {
		return nil, err
	}
	conn, err := redisconn.Open(opts.conn())
	if err != nil {
		return nil, err
	}
	s := &Store{
		conn: conn, client: conn.Client(), name: newStamp(), prefix: opts.KeyPrefix, changes: opts.KeyPrefix + "changes",
		timeout: opts.Timeout, clock: opts.Clock, log: opts.Logger, server: serverClock{began: time.Now()},
		memory: newMemory(maxRemembered),
	}
	s.apart.Store(conn.IsCluster())
	s.listener.ctx, s.listener.end = context.WithCancel(context.Background())
	s.listener.again = make(chan struct{}, 1)
	err = s.check(ctx)
	if err == nil {
		err = s.checkFormat(ctx)
	}
	if err != nil {
		s.memory.close()
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// check reports whether the servers can be reached and have what the store needs.
func (s *Store) check(ctx context.Context) error {
	err := s.conn.Check(ctx, s.needs())
	if err == nil || redisconn.IsRefusal(err) {
		return err
	}
	return s.unavailable(ctx, "reach redis at "+s.conn.Addrs(), err)
}

// Close closes all connections. Later calls return [store.ErrUnavailable].
func (s *Store) Close() error {
	s.stopListening()
	err := s.conn.Close()
	s.memory.close() // nothing is under way any more
	if err != nil {
		return s.unavailable(context.Background(), "close redis", err)
	}
	return nil
}

// Ping asks the server whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, "ping redis", func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// Inspect returns the settings of the servers that may lose data, see [redisconn.Conn.Inspect].
func (s *Store) Inspect(ctx context.Context) (dangerous []redisconn.Setting, err error) {
	err = s.ask(ctx, "inspect redis", func() error {
		dangerous, err = s.conn.Inspect(ctx)
		return err
	})
	return dangerous, err
}

// do runs an operation within the store's timeout, and turns its failure into
// [store.ErrUnavailable].
func (s *Store) do(ctx context.Context, doing string, talk func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err := s.conn.Do(ctx, func(ctx context.Context) error { return ofRecord(talk(ctx)) }, isOurs)
	if err == nil || isOurs(err) {
		return err
	}
	return s.unavailable(ctx, doing, err)
}

// ask is do for an operation that uses a [redisconn.Batch], which has its own time limit.
func (s *Store) ask(ctx context.Context, doing string, talk func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err := ofRecord(talk())
	if err == nil || isOurs(err) {
		return err
	}
	return s.unavailable(ctx, doing, err)
}

// isOurs reports whether an error is an answer of the store, not a failure.
func isOurs(err error) bool {
	for _, answer := range []error{store.ErrUnavailable, store.ErrDamaged, store.ErrNotFound, store.ErrConflict, store.ErrTooManyOrders, ledger.ErrRange} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// ofRecord makes an error about a record of what the server says about the type of a key. It passes
// other errors on.
func ofRecord(err error) error {
	if said, is := errors.AsType[redis.Error](err); is && strings.Contains(said.Error(), "WRONGTYPE") {
		return book.Damaged("a key has a value of another type")
	}
	return err
}

// unavailable wraps a failure. It keeps the text of the error but not the error itself, so that
// the store's own timeout is not mistaken for the caller's.
func (s *Store) unavailable(ctx context.Context, doing string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return fmt.Errorf("%s: %w", doing, context.DeadlineExceeded)
	}
	kind := store.ErrUnavailable
	if errors.Is(err, redisconn.ErrUnconfirmed) {
		kind = store.ErrNotDurable
	}
	return fmt.Errorf("%w: %s: %s", kind, doing, s.conn.ErrorText(err))
}
