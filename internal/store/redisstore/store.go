package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// Store is a [store.Store] in Redis. It is made by [Open].
type Store struct {
	client  redis.UniversalClient
	batch   *batch
	addrs   string
	name    string // of this gateway, for a turn; random
	prefix  string
	changes string // the channel where changes are published; it is not a key
	timeout time.Duration
	clock   func() time.Time
	log     *slog.Logger
	logins  *logins
	turns   turns
	lines   lines
	memory  memory
	server  serverClock
	apart   atomic.Bool // an event and an account are never written by one script

	watchers  store.Watchers
	listening sync.Once // starts the listener
	listener  listener
}

var _ store.Store = (*Store)(nil)

// Open connects to Redis and checks that it can be used. No error shows a password. The caller must [Store.Close] the store.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.StartTimeout <= 0 {
		opts.StartTimeout = defaultStartTimeout
	}
	if opts.KeyPrefix == "" {
		opts.KeyPrefix = defaultPrefix
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	client, err := opts.client()
	if err != nil {
		return nil, err
	}
	logins := &logins{current: opts.Credentials}
	if logins.current == nil {
		fixed := Credentials{client.Username, client.Password}
		logins.current = func() Credentials { return fixed }
	}
	client.CredentialsProvider = logins.next
	quiet()
	s := &Store{
		logins: logins,
		client: redis.NewUniversalClient(client), addrs: strings.Join(client.Addrs, ", "),
		name: newStamp(), prefix: opts.KeyPrefix, changes: opts.KeyPrefix + "changes", timeout: opts.Timeout, clock: opts.Clock, log: opts.Logger,
		turns: turns{free: make(chan struct{}, poolSize)}, server: serverClock{began: time.Now()},
		memory: newMemory(maxRemembered),
	}
	_, cluster := s.client.(*redis.ClusterClient)
	s.apart.Store(cluster)
	s.batch = newBatch(s.client, s.timeout)
	s.listener.ctx, s.listener.end = context.WithCancel(context.Background())
	err = s.check(ctx, opts.StartTimeout)
	if err == nil {
		err = s.checkFormat(ctx)
	}
	if err != nil {
		s.batch.close()
		s.memory.close()
		return nil, errors.Join(err, s.client.Close())
	}
	return s, nil
}

// Close closes all connections. Later calls return [store.ErrUnavailable].
func (s *Store) Close() error {
	s.stopListening()
	s.batch.close()
	s.memory.close()
	if err := s.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return s.unavailable(context.Background(), "close redis", err)
	}
	return nil
}

// Ping asks the server whether it is there.
func (s *Store) Ping(ctx context.Context) error {
	return s.do(ctx, "ping redis", func(ctx context.Context) error { return s.client.Ping(ctx).Err() })
}

// do runs what talks to Redis when it is its turn, within the store's timeout, and
// turns what goes wrong into the store's words.
func (s *Store) do(ctx context.Context, doing string, talk func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.turns.take(ctx, s.timeout); err != nil {
		return s.unavailable(ctx, doing, err)
	}
	answered := false
	defer func() { s.turns.give(answered) }()
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := talk(limited)
	if answered = err == nil || isOurs(err); answered {
		return err
	}
	return s.unavailable(ctx, doing, err)
}

// ask is do for what goes by the batch, which gives it its turn and its time.
func (s *Store) ask(ctx context.Context, doing string, talk func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err := talk()
	if err == nil || isOurs(err) {
		return err
	}
	return s.unavailable(ctx, doing, err)
}

// isOurs reports whether an error is an answer of the store, not a failure.
func isOurs(err error) bool {
	for _, answer := range []error{store.ErrUnavailable, store.ErrNotFound, store.ErrConflict, store.ErrTooManyOrders, ledger.ErrRange} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// unavailable says what failed. The texts of other people's errors are kept, and
// not the errors, so that our own timeout is not taken for the caller's.
func (s *Store) unavailable(ctx context.Context, doing string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return fmt.Errorf("%s: %w", doing, context.DeadlineExceeded)
	}
	if late, ok := errors.AsType[net.Error](err); (ok && late.Timeout()) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s: no answer in time from redis at %s", store.ErrUnavailable, doing, s.addrs)
	}
	return fmt.Errorf("%w: %s: %s", store.ErrUnavailable, doing, s.redact(err))
}

// redact is an error's text without passwords: a server that does not know HELLO
// repeats its arguments.
func (s *Store) redact(err error) string {
	return s.logins.redact(err.Error())
}

// quiet sends what go-redis itself writes, a line on stderr for every failed
// dial, to the debug level of the process's log. Our errors say the same. It
// concerns every user of go-redis in the process, so it is done once.
var quiet = sync.OnceFunc(func() { redis.SetLogger(debugLog{}) })

type debugLog struct{}

func (debugLog) Printf(ctx context.Context, format string, args ...any) {
	if slog.Default().Enabled(ctx, slog.LevelDebug) {
		slog.DebugContext(ctx, "go-redis", "message", fmt.Sprintf(format, args...))
	}
}
