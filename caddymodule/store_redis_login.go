package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// redisLogin is the user and password of new connections to Redis when they come from
// files. It belongs to the store, which outlives configs.
type redisLogin struct {
	rest     string // of the url, which cannot change while the store is open
	current  atomic.Pointer[redisconn.Credentials]
	rotation *rotation
}

// newRedisLogin is nil if neither the url nor the password names a file.
func newRedisLogin(log *zap.Logger, written, resolved []string) (*redisLogin, error) {
	l := new(redisLogin)
	l.rotation = newRotation(log, "url and password of store redis", written, resolved, l.use)
	if l.rotation == nil {
		return nil, nil
	}
	rest, c, err := splitRedisLogin(resolved)
	if err != nil {
		return nil, err
	}
	l.rest = rest
	l.current.Store(&c)
	return l, nil
}

// splitRedisLogin reads a url and the password, if any, that replaces the one in it.
func splitRedisLogin(values []string) (rest string, c redisconn.Credentials, err error) {
	if err := checkRedisURL(values[0]); err != nil {
		return "", c, err
	}
	rest, c, err = redisconn.SplitURL(values[0])
	if values[1] != "" {
		c.Password = values[1]
	}
	return rest, c, err
}

func (l *redisLogin) use(values []string) error {
	rest, c, err := splitRedisLogin(values)
	switch {
	case err != nil:
		return err
	case rest != l.rest:
		return errors.New("the url has another address now: reload the config to go there")
	case c.Password == "" && l.current.Load().Password != "":
		return errors.New("the url has no password any more")
	}
	l.current.Store(&c)
	return nil
}

func (l *redisLogin) credentials() redisconn.Credentials { return *l.current.Load() }

// open is openRedis with a login that is kept up to date while the store is open.
func (l *redisLogin) open(ctx context.Context, options redisstore.Options) (openStore, error) {
	// The config may have been loaded long ago. The second look uses what the first found.
	l.rotation.look()
	l.rotation.look()
	options.Credentials = l.credentials
	s, err := redisstore.Open(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("store redis: %w", err)
	}
	return rotatingStore{redisWithProbe{s, options.Durability.Timeout}, keepRotating(l.rotation)}, nil
}

// rotatingStore is a store whose login is kept up to date until it is closed.
type rotatingStore struct {
	redisWithProbe
	stop context.CancelFunc
}

// Close implements [openStore].
func (s rotatingStore) Close() error {
	s.stop()
	return s.redisWithProbe.Close()
}

// Interface guard
var _ writeProber = rotatingStore{}
