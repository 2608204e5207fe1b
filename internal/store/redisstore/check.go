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

// refusal is why a server cannot be the store. Asking again would not help.
type refusal string

func (r refusal) Error() string { return string(r) }

// check reports whether the servers can be reached and may be trusted with money. It returns
// [store.ErrUnavailable] with the address when one cannot be reached, and an error that
// lists all that is wrong when one cannot be the store: it lacks commands, keys or channels,
// it is one node of a Cluster, or its eviction policy may drop any key. It warns when the
// server keeps no append-only file, and when it may drop keys that expire: with us,
// orders that nobody paid, idempotency keys and settled events.
//
// A server that is not there may be starting, as after a power cut: it is asked again until
// the timeout is over.
func (s *Store) check(ctx context.Context, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for waits := false; ; waits = true {
		refused, err := s.checkServers(limited)
		if len(refused) > 0 {
			return errors.Join(refused...)
		}
		if err == nil {
			return nil
		}
		if isStarting(err) && !waits {
			s.log.Warn("redis does not answer; maybe it is starting", "addr", s.addrs)
		}
		if !isStarting(err) || !sleep(limited, timeout/20) {
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

// checkServers checks the server, or every master of a Cluster. It returns why some
// cannot be the store, and what failed otherwise.
func (s *Store) checkServers(ctx context.Context) (refused []error, err error) {
	checked := func(server *redis.Client, addr string) error {
		err := s.checkServer(ctx, server, addr)
		if _, ok := errors.AsType[refusal](err); ok {
			refused, err = append(refused, s.refused(addr, err)), nil
		}
		return err
	}
	cluster, ok := s.client.(*redis.ClusterClient)
	if !ok {
		// A Sentinel's client leads to the master.
		err = checked(s.client.(*redis.Client), s.addrs)
		return refused, err
	}
	var one sync.Mutex
	err = cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		one.Lock()
		defer one.Unlock()
		return checked(node, node.Options().Addr)
	})
	switch what := judge(err); {
	case err == nil || len(refused) > 0:
		return refused, err
	case strings.Contains(err.Error(), "cluster support disabled"):
		err = refusal("it is no Cluster: take cluster=true out of the url")
	case what == forbiddenCommand || what == unknownCommand:
		err = refusal("it does not allow the command " + clusterSlots)
	default:
		return refused, err
	}
	return []error{s.refused(s.addrs, err)}, nil
}

// checkServer returns a [refusal] when the server cannot be the store.
func (s *Store) checkServer(ctx context.Context, server *redis.Client, addr string) error {
	_, cluster := s.client.(*redis.ClusterClient)
	t := &trial{Store: s, server: server, addr: addr, cluster: cluster}
	if err := t.examine(ctx); err != nil {
		return err
	}
	if reason := t.reason(); reason != "" {
		return refusal(reason + "; docs/caddyfile.md lists what a user needs")
	}
	return s.checkSettings(ctx, server, addr)
}

func (s *Store) refused(addr string, why error) error {
	return fmt.Errorf("redis at %s cannot be the store: %s", addr, s.redact(why))
}

// format is that of the keys in doc.go. It is noted with the first other note, which is the site,
// so that a version that does not know it leaves the store alone.
const (
	format     = "1"
	formatNote = "format"
)

// checkFormat refuses a store that a newer version of dodogate has written. A store without
// a note, of before there was one, is of this format.
func (s *Store) checkFormat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	switch kept, err := s.client.Get(ctx, s.noteKey(formatNote)).Result(); {
	case errors.Is(err, redis.Nil):
		return nil
	case err != nil:
		return s.unavailable(ctx, "read the format of redis at "+s.addrs, err)
	case kept != format:
		return s.refused(s.addrs, refusal(fmt.Sprintf("a newer version of dodogate has written it: it has format %.20q, this version knows %q", kept, format)))
	}
	return nil
}
