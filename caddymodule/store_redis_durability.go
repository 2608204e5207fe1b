package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/redisconn"
)

// RedisDurability says where a change must be before a webhook, a claim or a charge is acknowledged.
// If it is not there in time, the answer is 503, and a repeat waits again.
type RedisDurability struct {
	// `local`: in the memory of the server. `replicas`: also in that of replicas. `fsync`: on the
	// disks of the server and of replicas, which needs Redis 7.2 and an append-only file.
	// Default: `local`.
	Level string `json:"level,omitempty"`
	// How many replicas: 1 to 16, and 0 is possible for `fsync`. Required unless the level is local.
	Replicas int `json:"replicas,omitempty"`
	// How long they may take, 1ms to 10s. Required unless the level is local.
	Timeout config.Duration `json:"timeout,omitempty"`
}

const durabilityLocal = "local"

func (r RedisDurability) level() redisconn.Durability {
	level := redisconn.Level(r.Level)
	if r.Level == durabilityLocal {
		level = redisconn.Local
	}
	return redisconn.Durability{Level: level, Replicas: r.Replicas, Timeout: r.Timeout.Std()}
}

// parse reads:
//
//	durability local
//	durability replicas <n> <period>
//	durability fsync    <n> <period>
func (r *RedisDurability) parse(d *caddyfile.Dispenser) error {
	const levels = "local, replicas <n> <period> or fsync <n> <period>"
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == durabilityLocal:
		*r = RedisDurability{}
		return nil
	case len(args) > 0 && args[0] == durabilityLocal:
		return d.Err("durability local takes no other arguments")
	case len(args) != 3 || args[0] != string(redisconn.Replicas) && args[0] != string(redisconn.Fsync):
		return d.Err("durability takes " + levels)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return d.Errf("durability %s: the number of replicas must be a whole number, not '%s'", args[0], args[1])
	}
	timeout, err := config.ParseDuration(args[2])
	if err != nil {
		return d.Errf("durability %s: %w", args[0], err)
	}
	*r = RedisDurability{Level: args[0], Replicas: n, Timeout: timeout}
	if err := r.level().Check(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
