package redisconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Refusal is why a server cannot be used. Trying again does not help.
type Refusal struct{ Addr, Reason string }

func (r Refusal) Error() string {
	return fmt.Sprintf("redis at %s cannot be the store: %s", r.Addr, r.Reason)
}

// IsRefusal reports that err is or contains a [Refusal].
func IsRefusal(err error) bool {
	_, is := errors.AsType[Refusal](err)
	return is
}

// Refuse is a Refusal of all servers, without passwords.
func (c *Conn) Refuse(reason string) error { return c.refuse(c.addrs, reason) }

func (c *Conn) refuse(addr, reason string) error {
	return Refusal{addr, c.logins.redact(reason)}
}

// Check reports whether the servers can be reached and may be trusted with money. The error lists
// a [Refusal] for each server that lacks commands, keys or channels, that is a node of a Cluster
// although the connection is not configured as one, or whose eviction policy may drop any key. It
// logs a warning about every other dangerous setting, see [Conn.Inspect].
//
// A server that cannot be reached may be starting, for example after a power cut: Check tries
// again until the StartTimeout is over.
func (c *Conn) Check(ctx context.Context, needs Needs) error {
	limited, cancel := context.WithTimeout(ctx, c.startTimeout)
	defer cancel()
	for warned := false; ; warned = true {
		refused, err := c.checkServers(limited, needs)
		if len(refused) > 0 {
			return errors.Join(refused...)
		}
		if err == nil {
			_, err = c.Inspect(limited)
		}
		if err == nil {
			return nil
		}
		if isStarting(err) && !warned {
			c.log.Warn("redis does not answer; maybe it is starting", "addr", c.addrs)
		}
		if !isStarting(err) || !sleep(limited, c.startTimeout/20) {
			return err
		}
	}
}

// isStarting reports whether a server that is about to be ready may answer so.
func isStarting(err error) bool {
	if _, answered := errors.AsType[redis.Error](err); answered {
		return redis.HasErrorPrefix(err, "LOADING") || redis.HasErrorPrefix(err, "CLUSTERDOWN") || redis.HasErrorPrefix(err, "MASTERDOWN")
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded)
}

// sleep reports that ctx did not end during the pause.
func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// checkServers checks the server, or every master of a Cluster. It returns the refusals and the
// first other failure.
func (c *Conn) checkServers(ctx context.Context, needs Needs) (refused []error, err error) {
	check := func(server *redis.Client, addr string) error {
		err := c.checkServer(ctx, server, addr, needs)
		if IsRefusal(err) {
			refused, err = append(refused, err), nil
		}
		return err
	}
	cluster, ok := c.client.(*redis.ClusterClient)
	if !ok {
		// A Sentinel's client leads to the master.
		err = check(c.client.(*redis.Client), c.addrs)
		return refused, err
	}
	var mu sync.Mutex
	err = cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		return check(node, node.Options().Addr)
	})
	switch what := judge(err); {
	case err == nil || len(refused) > 0:
		return refused, err
	case strings.Contains(err.Error(), "cluster support disabled"):
		err = c.Refuse("it is no Cluster: take cluster=true out of the url")
	case what == forbiddenCommand || what == unknownCommand:
		err = c.Refuse("it does not allow the command " + clusterSlots)
	default:
		return refused, err
	}
	return []error{err}, nil
}

// checkServer returns a [Refusal] when the server cannot be used.
func (c *Conn) checkServer(ctx context.Context, server *redis.Client, addr string, needs Needs) error {
	needs.Commands = slices.Concat(needs.Commands, c.durability.commands())
	t := &trial{Conn: c, needs: needs, server: server, addr: addr, cluster: c.IsCluster()}
	if err := t.run(ctx); err != nil {
		return err
	}
	if reason := t.reason(); reason != "" {
		return c.refuse(addr, reason+"; "+needs.Manual)
	}
	if err := c.checkReplication(ctx, server, addr); err != nil {
		return err
	}
	return c.checkSettings(ctx, server, addr)
}
