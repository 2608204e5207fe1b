package redisstore

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/redisconn"
)

// Options of [Open]. Those of the connection are the fields of [redisconn.Options] with the same
// names.
type Options struct {
	URL          string
	Password     string
	Credentials  func() redisconn.Credentials
	Timeout      time.Duration // 500 ms when zero
	StartTimeout time.Duration
	TLS          *tls.Config
	Logger       *slog.Logger
	Durability   redisconn.Durability

	// KeyPrefix begins every key; "dodogate:" when empty. It may not contain braces.
	KeyPrefix string
	// Clock tells the time in tests; when nil, Redis does.
	Clock func() time.Time
}

const (
	defaultPrefix  = "dodogate:"
	defaultTimeout = 500 * time.Millisecond
)

var errPrefix = errors.New("redis key prefix may not contain braces: they would decide in which slot of a Cluster every key is")

// Check reports what [Open] would refuse before it connects. No error shows a password.
func (o Options) Check() error {
	if err := o.conn().Check(); err != nil {
		return err
	}
	return o.checkPrefix()
}

func (o Options) checkPrefix() error {
	if strings.ContainsAny(o.KeyPrefix, "{}") {
		return errPrefix
	}
	return nil
}

// conn are the options of the connection.
func (o Options) conn() redisconn.Options {
	return redisconn.Options{
		URL: o.URL, Password: o.Password, Credentials: o.Credentials, Timeout: o.Timeout, StartTimeout: o.StartTimeout,
		TLS: o.TLS, Logger: o.Logger, Durability: o.Durability, KeyPrefix: o.KeyPrefix,
	}
}

// withDefaults are the options with defaults in place of zero values.
func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.KeyPrefix == "" {
		o.KeyPrefix = defaultPrefix
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
