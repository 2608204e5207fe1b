package redisconn

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// checkReplication compares the replicas of a server with the [Durability]. It logs a warning when
// there are too few, and when there are some and a fail-over may lose what was acknowledged. A
// server that does not allow INFO is accepted.
func (c *Conn) checkReplication(ctx context.Context, server *redis.Client, addr string) error {
	info, err := server.Info(ctx, "replication").Result()
	var persistence string
	if err == nil {
		persistence, err = server.Info(ctx, "persistence").Result()
	}
	if judge(err) == unavailable {
		return err
	}
	if err != nil || infoField(info, "role") == "slave" {
		return nil //nolint:nilerr // the trial has warned
	}
	replicas, _ := strconv.Atoi(infoField(info, "connected_slaves"))
	switch isGuarded := infoField(info, "min_slaves_good_slaves") != ""; { // min-replicas-to-write is set
	case c.durability.Level == Fsync && infoField(persistence, "aof_enabled") == "0":
		return c.refuse(addr, "durability fsync needs an append-only file: set appendonly to yes")
	case c.durability.Level != Local && replicas < c.durability.Replicas:
		c.log.Warn("redis has fewer replicas than durability wants: until it has enough, whatever writes is answered with 503",
			"addr", addr, "replicas", replicas, "durability", c.durability.String())
	case c.durability.Level == Local && !isGuarded && (replicas > 0 || c.sentinel):
		c.log.Warn("redis answers before its replicas know: a fail-over may lose what was acknowledged. "+
			"Set durability, or min-replicas-to-write of redis", "addr", addr, "replicas", replicas)
	}
	return nil
}

// History names the processes that answer as masters, and the replication histories of their data.
// It changes when another server takes the place of one, and when one is restarted: then what was
// acknowledged last may be lost. It is "" when the servers do not tell.
func (c *Conn) History(ctx context.Context) (string, error) {
	masters, err := c.Masters(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, master := range masters {
		info, err := master.Info(ctx, "server", "replication").Result()
		switch what := judge(err); {
		case what == unavailable:
			return "", err
		case what != works:
			return "", nil
		}
		if id := infoField(info, "run_id"); id != "" {
			names = append(names, id+" "+infoField(info, "master_replid"))
		}
	}
	slices.Sort(names)
	return strings.Join(names, ","), nil
}
