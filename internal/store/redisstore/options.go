package redisstore

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
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
	// Password is used instead of the URL's when it is not empty.
	Password string
	// Credentials are asked for before each new connection and used instead of those of
	// URL and Password; nil is those. The function must not block.
	Credentials func() Credentials
	// KeyPrefix begins every key; "dodogate:" when empty. It may not contain braces.
	KeyPrefix string
	// Timeout ends every operation, with all its repeats, from when it is its turn;
	// 500 ms when zero. In a rush operations wait for their turn for as long as the
	// server answers others, 20 timeouts at most.
	Timeout time.Duration
	// StartTimeout is how long Open waits for a server that does not answer, because it may be
	// starting; five seconds when zero.
	StartTimeout time.Duration
	// TLS turns TLS on, also for redis://.
	TLS *tls.Config
	// Clock tells the time in tests; when nil, Redis does.
	Clock func() time.Time
	// Logger hears of settings of the server that may lose data; nil is silence.
	Logger *slog.Logger
}

const (
	defaultPrefix       = "dodogate:"
	defaultTimeout      = 500 * time.Millisecond
	defaultStartTimeout = 5 * time.Second
	minDialTimeout      = time.Second // a first TLS handshake takes its time
	poolSize            = 64
	idleTime            = 5 * time.Minute
)

var errPrefix = errors.New("redis key prefix may not contain braces: they would decide in which slot of a Cluster every key is")

// Check reports what [Open] would refuse before it connects. No error shows a password.
func (o Options) Check() error {
	_, err := o.client()
	return err
}

// client is what the options say in go-redis' words. All of its timeouts and
// sizes are set: its defaults are meant for work that can wait.
func (o Options) client() (*redis.UniversalOptions, error) {
	u, err := parseURL(o.URL, o.Password)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(o.KeyPrefix, "{}") {
		return nil, errPrefix
	}
	if o.Password != "" {
		u.Password = o.Password
	}
	if o.TLS != nil {
		u.TLSConfig = o.TLS
	}
	u.DialTimeout = max(o.Timeout, minDialTimeout)
	u.DialerRetries = 1
	u.ReadTimeout, u.WriteTimeout, u.PoolTimeout = o.Timeout, o.Timeout, o.Timeout
	u.ContextTimeoutEnabled = true
	u.MaxRetries, u.MinRetryBackoff, u.MaxRetryBackoff = 3, 5*time.Millisecond, 50*time.Millisecond
	u.MaxRedirects = 5
	// Fewer idle ones than there may be would have a busy gateway close connections
	// after every burst and make them anew in the next one.
	u.PoolSize, u.MaxActiveConns, u.MaxIdleConns, u.ConnMaxIdleTime = poolSize, poolSize, poolSize, idleTime
	u.PipelinePoolSize = -1
	u.Protocol = 2 // nothing here needs RESP3 and its push messages
	u.DisableIdentity = true
	u.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return u, nil
}
