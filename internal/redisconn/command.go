package redisconn

import "slices"

// Command is a Redis command that is needed. [Conn.Check] tries each of them.
type Command struct {
	Name string
	// Args make the command harmless. In them [TestKey] is a string that expires, [NoKey] a key
	// that does not exist, and [TestChannel] the channel of [Needs].
	Args     []string
	Direct   bool   // Go code sends it
	Scripted bool   // a script calls it
	Cluster  bool   // only a Cluster needs it
	Without  string // the consequence of its absence, if the caller can do without it
}

// Placeholders in the arguments of a [Command].
const (
	TestKey     = "$key"
	NoKey       = "$none"
	TestChannel = "$channel"
)

// Commands of this package that are not simply tried, and others that are named twice.
const (
	ping         = "PING"
	evalSHA      = "EVALSHA"
	eval         = "EVAL"
	subscribe    = "SUBSCRIBE"
	selectDB     = "SELECT"
	clusterSlots = "CLUSTER SLOTS"
)

// ownCommands are the commands that this package sends, after PING.
var ownCommands = []Command{
	{Name: evalSHA, Args: []string{"0000000000000000000000000000000000000000", "0"}, Direct: true},
	{Name: eval, Args: []string{"return 1", "0"}, Direct: true},
	{Name: subscribe, Direct: true}, // it is tried on a connection of its own
	{Name: selectDB, Direct: true},  // every new connection tries it, unless the database is 0
	{
		Name: "INFO", Args: []string{"memory"}, Direct: true,
		Without: "nobody checks that it keeps what it is given; balances need maxmemory-policy noeviction and appendonly yes",
	},
	{Name: clusterSlots, Direct: true, Cluster: true}, // go-redis finds the masters by it
	{Name: "ASKING", Direct: true, Cluster: true},     // while a slot moves
	{
		Name: "COMMAND", Args: []string{"COUNT"}, Direct: true, Cluster: true,
		Without: "the client asks for it again and again",
	},
}

// Needs are what a caller needs of a server.
type Needs struct {
	// Prefix begins all keys and channels.
	Prefix string
	// Commands that the caller sends, in the order in which they are tried. A command that makes
	// [TestKey] comes first, and one that removes it last. Commands that write other types find a
	// value of the wrong type in it.
	Commands []Command
	// Keys has one key of each kind, which is read and written without any effect: an ACL may
	// allow only some of them.
	Keys []string
	// Channels that the caller subscribes to. The first is [TestChannel].
	Channels []string
	// Manual is where the operator finds what a user needs.
	Manual string
}

// All are the commands of the caller and those of this package.
func (n Needs) All() []Command {
	return slices.Concat([]Command{{Name: ping, Direct: true}}, n.Commands, ownCommands)
}

// commands returns the commands that one server must have and that use accepts.
func (n Needs) commands(cluster bool, use func(Command) bool) (needed []Command) {
	for _, c := range n.All() {
		if (cluster || !c.Cluster) && use(c) {
			needed = append(needed, c)
		}
	}
	return needed
}

// isTried reports that sending a command with its arguments shows whether it works.
func (c Command) isTried() bool {
	return !slices.Contains([]string{subscribe, selectDB, clusterSlots}, c.Name)
}

// words are the command as it is sent.
func (c Command) words(key, none, channel string) []string {
	words := append(make([]string, 0, 1+len(c.Args)), c.Name)
	for _, arg := range c.Args {
		switch arg {
		case TestKey:
			arg = key
		case NoKey:
			arg = none
		case TestChannel:
			arg = channel
		}
		words = append(words, arg)
	}
	return words
}
