package redisconn

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// checkSettings checks what the server does when its memory is full, and after a power cut. A
// server that does not allow INFO is accepted; the trial logs a warning about that.
func (c *Conn) checkSettings(ctx context.Context, server *redis.Client, addr string) error {
	memory, err := server.Info(ctx, "memory").Result()
	var persistence string
	if err == nil {
		persistence, err = server.Info(ctx, "persistence").Result()
	}
	if judge(err) == unavailable {
		return err
	}
	switch policy := infoField(memory, "maxmemory_policy"); {
	case policy == "noeviction" || policy == "":
	case strings.HasPrefix(policy, "volatile-"):
		c.log.Warn("redis may forget unpaid orders and idempotency keys before their time when its memory is full",
			"addr", addr, "maxmemory_policy", policy)
	default:
		return c.refuse(addr, "its maxmemory-policy "+policy+" would drop balances when its memory is full: set it to noeviction")
	}
	if infoField(persistence, "aof_enabled") == "0" {
		c.log.Warn("redis keeps no append-only file: a restart may lose what was acknowledged; set appendonly to yes", "addr", addr)
	}
	return nil
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
