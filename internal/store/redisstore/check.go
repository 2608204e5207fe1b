package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// errEviction says that the server is set to forget what matters.
	errEviction = errors.New("it would drop balances when its memory is full: set maxmemory-policy to noeviction")
	// errChannel says that the server's ACL keeps a user from what every change does.
	errChannel = errors.New("its user may not tell of changes: allow it the channels")
)

// check reports whether the server can be reached and may be trusted with money:
// [store.ErrUnavailable] with its address when it cannot be reached, and an
// error when its eviction policy may drop any key or its ACL keeps us from
// publishing. It warns where the server
// keeps no append-only file, and where it may drop keys that expire: with us,
// orders that nobody paid, idempotency keys and settled events.
//
// A server that is not there may be starting, as after a power cut: it is asked again until
// patience is over.
func (s *Store) check(ctx context.Context, patience time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for waits := false; ; waits = true {
		err := s.forEachServer(limited, s.checkServer)
		if err == nil || errors.Is(err, errEviction) || errors.Is(err, errChannel) {
			return err
		}
		if isStarting(err) && !waits {
			s.log.Warn("redis does not answer; maybe it is starting", "addr", s.addrs)
		}
		if !isStarting(err) || !sleep(limited, patience/20) {
			return s.unavailable(ctx, "reach redis at "+s.addrs, err)
		}
	}
}

// isStarting reports whether a server that is about to be there may answer so.
func isStarting(err error) bool {
	if _, answered := errors.AsType[redis.Error](err); answered {
		return redis.HasErrorPrefix(err, "LOADING") || redis.HasErrorPrefix(err, "CLUSTERDOWN") || redis.HasErrorPrefix(err, "MASTERDOWN")
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}

// sleep reports whether ctx lasted for as long.
func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// forEachServer runs check for the server, or for every master of a Cluster.
func (s *Store) forEachServer(ctx context.Context, check func(context.Context, redis.Cmdable, string) error) error {
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return check(ctx, s.client, s.addrs)
	}
	var one sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		one.Lock()
		defer one.Unlock()
		return check(ctx, node, node.Options().Addr)
	})
}

func (s *Store) checkServer(ctx context.Context, server redis.Cmdable, addr string) error {
	if err := server.Ping(ctx).Err(); err != nil {
		return err
	}
	if err := s.checkChannel(ctx, server); err != nil {
		return err
	}
	memory, err := server.Info(ctx, "memory").Result()
	if err == nil {
		var persistence string
		persistence, err = server.Info(ctx, "persistence").Result()
		memory += "\n" + persistence
	}
	if redis.HasErrorPrefix(err, "NOPERM") {
		s.log.Warn("redis does not let us look at its settings; balances need maxmemory-policy noeviction and appendonly yes", "addr", addr)
		return nil
	}
	if err != nil {
		return err
	}
	switch policy := infoField(memory, "maxmemory_policy"); {
	case policy == "noeviction" || policy == "":
	case strings.HasPrefix(policy, "volatile-"):
		s.log.Warn("redis may forget unpaid orders and idempotency keys before their time when its memory is full",
			"addr", addr, "maxmemory_policy", policy)
	default:
		return fmt.Errorf("redis at %s has maxmemory-policy %s: %w", addr, policy, errEviction)
	}
	if infoField(memory, "aof_enabled") == "0" {
		s.log.Warn("redis keeps no append-only file: a restart may lose what was acknowledged; set appendonly to yes", "addr", addr)
	}
	return nil
}

// checkChannel tries whether changes may be published: a script that may not
// would fail behind everything else that it does. What it publishes says nothing.
func (s *Store) checkChannel(ctx context.Context, server redis.Cmdable) error {
	err := server.Publish(ctx, s.changes, "").Err()
	if redis.HasErrorPrefix(err, "NOPERM") {
		return fmt.Errorf("redis at %s: %w: &%s*", s.addrs, errChannel, s.prefix)
	}
	return err
}

// infoField is a field of what INFO returns, "" when it is not there.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
