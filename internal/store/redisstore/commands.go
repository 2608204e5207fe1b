package redisstore

import "slices"

// command is a Redis command that the store needs. [commands] is the only list of them: the
// check at the start tries what it names, and the ACL rule in docs/caddyfile.md is tested by it.
type command struct {
	name string
	// args make the command harmless. In them "$key" is a string that expires, "$none" a key
	// that does not exist, and "$channel" the channel of changes.
	args     []string
	direct   bool   // the gateway sends it
	scripted bool   // a script calls it
	cluster  bool   // only a Cluster needs it
	without  string // what goes wrong without it, if the store can do without
}

// commands are in the order in which they are tried: SET makes $key, PEXPIRE and DEL remove
// it. Commands that write find a value of another type in it.
var commands = []command{
	{name: "PING", direct: true},
	{name: "SET", args: []string{"$key", "1", "PX", "10000"}, direct: true, scripted: true},
	{name: "SETNX", args: []string{"$key", "1"}, direct: true},
	{name: "GET", args: []string{"$key"}, direct: true, scripted: true},
	{name: "EXISTS", args: []string{"$key"}, direct: true, scripted: true},
	{name: "PERSIST", args: []string{"$none"}, scripted: true},
	{name: "PTTL", args: []string{"$key"}, scripted: true},

	{name: "HSET", args: []string{"$key", "f", "v"}, scripted: true},
	{name: "HGET", args: []string{"$key", "f"}, direct: true, scripted: true},
	{name: "HMGET", args: []string{"$key", "f"}, direct: true, scripted: true},
	{name: "HGETALL", args: []string{"$key"}, direct: true, scripted: true},
	{name: "HDEL", args: []string{"$key", "f"}, scripted: true},

	{name: "RPUSH", args: []string{"$key", "v"}, scripted: true},
	{name: "LLEN", args: []string{"$key"}, direct: true, scripted: true},
	{name: "LRANGE", args: []string{"$key", "0", "0"}, direct: true, scripted: true},

	{name: "ZADD", args: []string{"$key", "0", "m"}, direct: true, scripted: true},
	{name: "ZREM", args: []string{"$key", "m"}, direct: true, scripted: true},
	{name: "ZREMRANGEBYRANK", args: []string{"$key", "0", "0"}, scripted: true},
	{name: "ZREMRANGEBYSCORE", args: []string{"$key", "0", "0"}, scripted: true},
	{name: "ZRANGE", args: []string{"$key", "0", "0"}, direct: true},
	{name: "ZREVRANGE", args: []string{"$key", "0", "0"}, direct: true},
	{name: "ZRANGEBYLEX", args: []string{"$key", "-", "+"}, direct: true},
	{name: "ZRANGEBYSCORE", args: []string{"$key", "0", "0"}, scripted: true},
	{name: "ZCOUNT", args: []string{"$key", "0", "0"}, scripted: true},

	{name: "TIME", scripted: true},
	{name: "PUBLISH", args: []string{"$channel", ""}, direct: true, scripted: true},
	{name: "PEXPIRE", args: []string{"$key", "10000"}, scripted: true},
	{name: "DEL", args: []string{"$key"}, direct: true, scripted: true},

	{name: "SCAN", args: []string{"0", "COUNT", "1"}, direct: true, without: "accounts cannot be exported"},
	{name: evalSHA, args: []string{"0000000000000000000000000000000000000000", "0"}, direct: true},
	{name: eval, args: []string{"return 1", "0"}, direct: true},
	{name: subscribe, direct: true}, // it is tried on a connection of its own
	{name: selectDB, direct: true},  // every new connection tries it, unless the database is 0
	{
		name: "INFO", args: []string{"memory"}, direct: true,
		without: "nobody checks that it keeps what it is given; balances need maxmemory-policy noeviction and appendonly yes",
	},
	{name: clusterSlots, direct: true, cluster: true}, // go-redis finds the masters by it
	{name: "ASKING", direct: true, cluster: true},     // while a slot moves
	{
		name: "COMMAND", args: []string{"COUNT"}, direct: true, cluster: true,
		without: "the client asks for it again and again",
	},
}

// Commands that are not simply tried.
const (
	evalSHA      = "EVALSHA"
	eval         = "EVAL"
	subscribe    = "SUBSCRIBE"
	selectDB     = "SELECT"
	clusterSlots = "CLUSTER SLOTS"
)

// neededBy are the commands that one server must have, as use selects them.
func neededBy(cluster bool, use func(command) bool) (needed []command) {
	for _, c := range commands {
		if (cluster || !c.cluster) && use(c) {
			needed = append(needed, c)
		}
	}
	return needed
}

// isTried reports whether sending a command with its args shows that it works.
func (c command) isTried() bool {
	return !slices.Contains([]string{subscribe, selectDB, clusterSlots}, c.name)
}

// words are the command as it is sent.
func (c command) words(key, none, channel string) []string {
	words := append(make([]string, 0, 1+len(c.args)), c.name)
	for _, arg := range c.args {
		switch arg {
		case "$key":
			arg = key
		case "$none":
			arg = none
		case "$channel":
			arg = channel
		}
		words = append(words, arg)
	}
	return words
}
