package redisstore

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strconv"
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
	// KeyPrefix begins every key; "dodogate:" when empty. It may not contain braces.
	KeyPrefix string
	// Timeout ends every operation, with all its repeats, from when it is its turn;
	// 500 ms when zero. In a rush operations wait for their turn for as long as the
	// server answers others, 20 timeouts at most.
	Timeout time.Duration
	// Patience is how long Open waits for a server that does not answer, because it may be
	// starting; five seconds when zero.
	Patience time.Duration
	// TLS turns TLS on, also for redis://.
	TLS *tls.Config
	// Clock tells the time in tests; when nil, Redis does.
	Clock func() time.Time
	// Logger hears of settings of the server that may lose data; nil is silence.
	Logger *slog.Logger
}

const (
	defaultPrefix   = "dodogate:"
	defaultTimeout  = 500 * time.Millisecond
	defaultPatience = 5 * time.Second
	minDialTimeout  = time.Second // a first TLS handshake takes its time
	poolSize        = 64
	idleTime        = 5 * time.Minute
)

// Errors of the configuration never show the URL: it may hold a password, in
// places where nobody looks for one.
var (
	errURL       = errors.New("redis URL is not of the form redis://host:port/database, rediss://… or unix:///path (it is not shown, for it may hold a password)")
	errParameter = errors.New("redis URL has a parameter that is not known; addr, cluster, db and master_name are")
	errDatabase  = errors.New("redis URL names a database that is not a number")
	errCluster   = errors.New("redis URL names both a Cluster and a Sentinel master")
	errPrefix    = errors.New("redis key prefix may not contain braces: they would decide in which slot of a Cluster every key is")
)

// client is what the options say in go-redis' words. All of its timeouts and
// sizes are set: its defaults are meant for work that can wait.
func (o Options) client() (*redis.UniversalOptions, error) {
	u, err := parseURL(o.URL)
	if err != nil {
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

func parseURL(text string) (*redis.UniversalOptions, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, errURL
	}
	o := new(redis.UniversalOptions)
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	query := u.Query()
	database := query.Get("db")
	switch u.Scheme {
	case "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		fallthrough
	case "redis":
		if u.Hostname() == "" {
			return nil, errURL
		}
		o.Addrs = []string{withPort(u.Host)}
		if path := strings.Trim(u.Path, "/"); path != "" {
			database = path
		}
	case "unix":
		if u.Host != "" || u.Path == "" || query.Has("addr") || query.Has("cluster") || query.Has("master_name") {
			return nil, errURL
		}
		o.Addrs = []string{u.Path}
	default:
		return nil, errURL
	}
	return o, parseQuery(o, query, database)
}

func parseQuery(o *redis.UniversalOptions, query url.Values, database string) error {
	for name := range query {
		switch name {
		case "addr", "cluster", "db", "master_name":
		default:
			return errParameter
		}
	}
	if database != "" {
		n, err := strconv.Atoi(database)
		if err != nil || n < 0 {
			return errDatabase
		}
		o.DB = n
	}
	for _, addr := range query["addr"] {
		o.Addrs = append(o.Addrs, withPort(addr))
	}
	o.MasterName = query.Get("master_name")
	o.IsClusterMode = query.Get("cluster") == "true"
	if o.MasterName != "" && o.IsClusterMode {
		return errCluster
	}
	return nil
}

// withPort adds the port that Redis has where none is named.
func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "6379")
}
