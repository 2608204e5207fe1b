package redisstore

import (
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/redisconn"
)

// commands is the only list of the Redis commands that the store needs, besides those of
// redisconn. The check at the start tries them, and the ACL rule in docs/caddyfile.md is tested
// against them. SET comes first because it makes the key that the others use; PEXPIRE and DEL
// remove it.
var commands = []redisconn.Command{
	{Name: "SET", Args: []string{redisconn.TestKey, "1", "PX", "10000"}, Direct: true, Scripted: true},
	{Name: "SETNX", Args: []string{redisconn.TestKey, "1"}, Direct: true},
	{Name: "GET", Args: []string{redisconn.TestKey}, Direct: true, Scripted: true},
	{Name: "EXISTS", Args: []string{redisconn.TestKey}, Direct: true, Scripted: true},
	{Name: "PERSIST", Args: []string{redisconn.NoKey}, Scripted: true},
	{Name: "PTTL", Args: []string{redisconn.TestKey}, Scripted: true},

	{Name: "HSET", Args: []string{redisconn.TestKey, "f", "v"}, Direct: true, Scripted: true},
	{Name: "HGET", Args: []string{redisconn.TestKey, "f"}, Direct: true, Scripted: true},
	{Name: "HMGET", Args: []string{redisconn.TestKey, "f"}, Direct: true, Scripted: true},
	{Name: "HGETALL", Args: []string{redisconn.TestKey}, Direct: true, Scripted: true},
	{Name: "HDEL", Args: []string{redisconn.TestKey, "f"}, Scripted: true},

	{Name: "RPUSH", Args: []string{redisconn.TestKey, "v"}, Scripted: true},
	{Name: "LLEN", Args: []string{redisconn.TestKey}, Direct: true, Scripted: true},
	{Name: "LRANGE", Args: []string{redisconn.TestKey, "0", "0"}, Direct: true, Scripted: true},

	{Name: "ZADD", Args: []string{redisconn.TestKey, "0", "m"}, Direct: true, Scripted: true},
	{Name: "ZREM", Args: []string{redisconn.TestKey, "m"}, Direct: true, Scripted: true},
	{Name: "ZREMRANGEBYRANK", Args: []string{redisconn.TestKey, "0", "0"}, Scripted: true},
	{Name: "ZREMRANGEBYSCORE", Args: []string{redisconn.TestKey, "0", "0"}, Scripted: true},
	{Name: "ZRANGE", Args: []string{redisconn.TestKey, "0", "0"}, Direct: true},
	{Name: "ZREVRANGE", Args: []string{redisconn.TestKey, "0", "0"}, Direct: true},
	{Name: "ZRANGEBYLEX", Args: []string{redisconn.TestKey, "-", "+"}, Direct: true},
	{Name: "ZRANGEBYSCORE", Args: []string{redisconn.TestKey, "0", "0"}, Scripted: true},
	{Name: "ZCOUNT", Args: []string{redisconn.TestKey, "0", "0"}, Scripted: true},

	{Name: "TIME", Scripted: true},
	{Name: "PUBLISH", Args: []string{redisconn.TestChannel, ""}, Direct: true, Scripted: true},
	{Name: "PEXPIRE", Args: []string{redisconn.TestKey, "10000"}, Direct: true, Scripted: true},
	{Name: "DEL", Args: []string{redisconn.TestKey}, Direct: true, Scripted: true},

	{Name: "HSCAN", Args: []string{redisconn.TestKey, "0", "COUNT", "1"}, Direct: true, Without: "sales by day cannot be shown"},
	{Name: "SCAN", Args: []string{"0", "COUNT", "1"}, Direct: true, Without: "accounts cannot be exported"},
}

// needs are what the store needs of a server.
func (s *Store) needs() redisconn.Needs {
	const nobody = "check"
	k, ref := s.keysOf(nobody), entitlement.Ref{Kind: nobody, ID: nobody}
	return redisconn.Needs{
		Prefix: s.prefix, Commands: commands, Channels: []string{s.changes, s.changes + ":check"},
		Keys: []string{
			k.account, k.holds, k.expiring, k.entries, k.closed, k.ended(nobody), k.unpaid(), k.paid(), k.failed(),
			k.object(ref), k.order(nobody), k.key(nobody), s.ownerKey(ref), s.eventKey(nobody), s.noteKey(nobody),
			s.noteKey("mark:" + nobody), s.parkedKey(nobody), s.allParkedKey(), s.prefix + "confirmed",
			s.dayKey(nobody, nobody),
		},
		Manual: "docs/caddyfile.md lists what a user needs",
	}
}
