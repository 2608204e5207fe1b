package redisconn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Conn is a connection to Redis. [Open] makes one. Its methods may be called at the same time.
type Conn struct {
	client       redis.UniversalClient
	addrs        string
	timeout      time.Duration
	startTimeout time.Duration
	log          *slog.Logger
	logins       *logins
	reads        *Batch
	writes       *Batch // the same when nobody waits for replicas
	durability   Durability
	sentinel     bool
	limiter      limiter
	silence      *silence
	settings     settings
}

// Open prepares a connection. It does not connect yet; [Conn.Check] does. No error shows a
// password. The caller must [Conn.Close] it.
func Open(opts Options) (*Conn, error) {
	opts = opts.withDefaults()
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
	redirectLog()
	c := &Conn{
		client: newClient(client), addrs: strings.Join(client.Addrs, ", "),
		timeout: opts.Timeout, startTimeout: opts.StartTimeout, log: opts.Logger, logins: logins, limiter: newLimiter(poolSize),
		durability: opts.Durability, sentinel: client.MasterName != "",
	}
	probe := c.answers
	if c.IsCluster() {
		probe = nil
	}
	c.silence = newSilence(probe)
	c.reads = newBatch(c.client, c.timeout, c.silence)
	c.writes = c.reads
	if opts.Durability.Level != Local {
		confirm(c.client, opts.Durability, opts.KeyPrefix)
		c.writes = newConfirmedBatch(c.client, c.timeout+opts.Durability.Timeout, c.silence)
	}
	return c, nil
}

// Close closes all connections and waits for the batches that are being sent. Everything that is
// sent later fails.
func (c *Conn) Close() error {
	c.reads.close()
	c.writes.close()
	c.silence.close()
	if err := c.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}

// Client is the go-redis client, for commands within [Conn.Do] and for subscriptions.
func (c *Conn) Client() redis.UniversalClient { return c.client }

// Addrs are the configured addresses, for logs and errors.
func (c *Conn) Addrs() string { return c.addrs }

// DialTimeout is how long a new connection may take.
func (c *Conn) DialTimeout() time.Duration { return max(c.timeout, minDialTimeout) }

// IsCluster reports that the connection was configured as one to a Cluster.
func (c *Conn) IsCluster() bool {
	_, is := c.client.(*redis.ClusterClient)
	return is
}

// Masters are the server, or the masters of a Cluster in the order of their addresses. A
// Sentinel's client leads to the master.
func (c *Conn) Masters(ctx context.Context) ([]*redis.Client, error) {
	cluster, ok := c.client.(*redis.ClusterClient)
	if !ok {
		return []*redis.Client{c.client.(*redis.Client)}, nil
	}
	var (
		mu      sync.Mutex
		masters []*redis.Client
	)
	err := cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, node)
		return nil
	})
	slices.SortFunc(masters, func(a, b *redis.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return masters, err
}

// Do calls run when fewer than 64 operations are running, with a context that ends after the
// timeout. isAnswer reports that an error of run shows that the server answered.
func (c *Conn) Do(ctx context.Context, run func(context.Context) error, isAnswer func(error) bool) error {
	if err := c.silence.pass(ctx); err != nil {
		return err
	}
	if err := c.limiter.acquire(ctx, c.timeout); err != nil {
		return err
	}
	before, answered := c.limiter.answered.Load(), false
	defer func() { c.limiter.release(answered) }()
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := run(limited)
	answered = err == nil || isAnswer(err)
	if !answered && ctx.Err() == nil && limited.Err() != nil && c.limiter.answered.Load() == before {
		c.silence.begin()
	}
	return err
}

// answers reports whether the server says anything at all.
func (c *Conn) answers(ctx context.Context) bool {
	err := c.client.Ping(ctx).Err()
	_, refused := errors.AsType[redis.Error](err)
	return err == nil || refused
}

// Reads sends commands whose results nobody is promised.
func (c *Conn) Reads() *Batch { return c.reads }

// Writes sends commands whose results are acknowledged. They are as durable as the
// [Options.Durability] says, or fail with [ErrUnconfirmed]. That goes for what they read as well: it
// may be what an earlier command wrote, which nobody has confirmed yet.
func (c *Conn) Writes() *Batch { return c.writes }

// ErrorText describes an error of the connection without passwords.
func (c *Conn) ErrorText(err error) string {
	if late, ok := errors.AsType[net.Error](err); (ok && late.Timeout()) || errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time from redis at " + c.addrs
	}
	return c.Redact(err)
}

// Redact is an error's text without passwords: a server that does not know HELLO repeats its
// arguments.
func (c *Conn) Redact(err error) string { return c.logins.redact(err.Error()) }

// redirectLog sends what go-redis logs, a line on stderr for every failed dial, to the debug
// level of the process's log. Our errors say the same. It concerns every user of go-redis in the
// process, so it is done once.
var redirectLog = sync.OnceFunc(func() { redis.SetLogger(debugLog{}) })

type debugLog struct{}

func (debugLog) Printf(ctx context.Context, format string, args ...any) {
	if slog.Default().Enabled(ctx, slog.LevelDebug) {
		slog.DebugContext(ctx, "go-redis", "message", fmt.Sprintf(format, args...))
	}
}
