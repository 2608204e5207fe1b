package redisconn

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options of [Open].
type Options struct {
	// URL is where Redis is:
	//
	//	redis://[user[:password]@]host[:port][/database]
	//	rediss://…                  the same over TLS
	//	unix:///path/to/socket[?db=1]
	//
	// with these parameters for more than one server:
	//
	//	addr=host:port       one more seed of a Cluster, or one more Sentinel; may be repeated
	//	cluster=true         a Cluster of which one seed is enough
	//	master_name=name     the hosts are Sentinels of this master
	URL string
	// Password replaces the URL's when it is not empty.
	Password string
	// Credentials returns the user and password of each new connection, in place of those of
	// URL and Password; nil uses those. The function must not block.
	Credentials func() Credentials
	// Timeout limits every operation, retries included, from when it starts to run; 500 ms when
	// zero. Operations that wait to run wait for as long as the server answers others, 20
	// timeouts at most.
	Timeout time.Duration
	// Durability is how safe a change must be before it is acknowledged. The timeouts add up.
	Durability Durability
	// KeyPrefix begins the keys that this package writes to find out how durable a change is.
	KeyPrefix string
	// StartTimeout is how long [Conn.Check] waits for a server that does not answer, because it
	// may be starting; five seconds when zero.
	StartTimeout time.Duration
	// TLS turns TLS on, also for redis://.
	TLS *tls.Config
	// Logger gets warnings about the server; nil discards them.
	Logger *slog.Logger
}

const (
	defaultTimeout      = 500 * time.Millisecond
	defaultStartTimeout = 5 * time.Second
	minDialTimeout      = time.Second // a first TLS handshake takes its time
	poolSize            = 64
	idleTime            = 5 * time.Minute
)

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = defaultStartTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Check reports what [Open] would refuse. No error shows a password.
func (o Options) Check() error {
	_, err := o.client()
	return err
}

// client returns go-redis' options. All of its timeouts and sizes are set: its defaults are
// meant for work that can wait.
func (o Options) client() (*redis.UniversalOptions, error) {
	u, err := parseURL(o.URL, o.Password)
	if err != nil {
		return nil, err
	}
	if err := o.Durability.Check(); err != nil {
		return nil, err
	}
	if o.Password != "" {
		u.Password = o.Password
	}
	if o.TLS != nil {
		u.TLSConfig = o.TLS
	}
	u.DialTimeout = max(o.Timeout, minDialTimeout)
	u.DialerRetries = 1
	u.ReadTimeout, u.WriteTimeout, u.PoolTimeout = o.Timeout+o.Durability.Timeout, o.Timeout, o.Timeout
	u.ContextTimeoutEnabled = true
	u.MaxRetries, u.MinRetryBackoff, u.MaxRetryBackoff = 3, 5*time.Millisecond, 50*time.Millisecond
	u.MaxRedirects = 5
	// With fewer idle connections than connections, a busy gateway would close some after every
	// burst and open them again in the next one.
	u.PoolSize, u.MaxActiveConns, u.MaxIdleConns, u.ConnMaxIdleTime = poolSize, poolSize, poolSize, idleTime
	u.PipelinePoolSize = -1
	u.Protocol = 2 // nothing here needs RESP3 and its push messages
	u.DisableIdentity = true
	u.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return u, nil
}
