package redisconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Durability is how safe a change must be before it is acknowledged.
type Durability struct {
	Level    Level
	Replicas int           // that must have the change
	Timeout  time.Duration // how long they may take to say so
}

// Level says where a change must be before it is acknowledged.
type Level string

// The levels.
const (
	Local    Level = ""         // in the memory of the server; nobody waits
	Replicas Level = "replicas" // and in that of replicas (WAIT)
	Fsync    Level = "fsync"    // and on the disks of the server and of replicas (WAITAOF)
)

// ErrUnconfirmed says that a command ran, but that too few replicas confirmed in time that they know its result.
var ErrUnconfirmed = errors.New("not confirmed")

// Limits of a [Durability].
const (
	maxReplicas       = 16
	minConfirmTimeout = time.Millisecond
	maxConfirmTimeout = 10 * time.Second // Dodo waits for a webhook's answer for 15 seconds
)

// Check reports what is wrong with it.
func (d Durability) Check() error {
	least := 1
	switch {
	case d.Level == Local && d == (Durability{}):
		return nil
	case d.Level == Local:
		return errors.New("durability local has neither replicas nor a timeout")
	case d.Level == Fsync:
		least = 0
	case d.Level != Replicas:
		return fmt.Errorf("durability must be local, replicas or fsync, not %q", d.Level)
	}
	if d.Replicas < least || d.Replicas > maxReplicas {
		return fmt.Errorf("durability %s: the number of replicas must be from %d to %d", d.Level, least, maxReplicas)
	}
	if d.Timeout < minConfirmTimeout || d.Timeout > maxConfirmTimeout {
		return fmt.Errorf("durability %s: the timeout must be from %v to %v", d.Level, minConfirmTimeout, maxConfirmTimeout)
	}
	return nil
}

// String is the level as it is configured.
func (d Durability) String() string {
	if d.Level == Local {
		return "local"
	}
	return fmt.Sprintf("%s %d %v", d.Level, d.Replicas, d.Timeout)
}

// commands are what a server must have for it.
func (d Durability) commands() []Command {
	switch d.Level {
	case Replicas:
		return []Command{{Name: strings.ToUpper(wait), Args: []string{"0", "1"}, Direct: true}}
	case Fsync:
		return []Command{{Name: strings.ToUpper(waitAOF), Args: []string{"0", "0", "1"}, Direct: true}}
	default:
		return nil
	}
}

// Commands that wait for replicas.
const (
	wait    = "wait"
	waitAOF = "waitaof"
	asking  = "asking"
)

var waits = []string{wait, waitAOF}

// confirmedKey marks the context of commands that must be confirmed.
type confirmedKey struct{}

// confirmer adds to each pipeline that must be confirmed, on the connection to one server, a write
// and a WAIT behind it: what the pipeline wrote or read was in the server before that write, so
// replicas that have the write have all of it. go-redis repeats such a pipeline as a whole, on one
// other connection. The write is needed because a pipeline that finds its change made already writes
// nothing itself, and since Redis 7.2 WAIT counts only what its own connection wrote.
type confirmer struct {
	Durability
	prefix  string
	cluster bool
}

// confirm adds a confirmer to the client of each server.
func confirm(client redis.UniversalClient, d Durability, prefix string) {
	h := &confirmer{Durability: d, prefix: prefix}
	if cluster, ok := client.(*redis.ClusterClient); ok {
		h.cluster = true
		cluster.OnNewNode(func(node *redis.Client) { node.AddHook(h) })
		return
	}
	client.AddHook(h)
}

// DialHook implements [redis.Hook].
func (h *confirmer) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements [redis.Hook].
func (h *confirmer) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (h *confirmer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if ctx.Value(confirmedKey{}) == nil || !isAcknowledged(cmds) {
			return next(ctx, cmds)
		}
		// In a Cluster, go-redis repeats commands by themselves on another node, ours as well.
		all := slices.DeleteFunc(slices.Clone(cmds), func(cmd redis.Cmder) bool { return slices.Contains(waits, cmd.Name()) })
		if slices.ContainsFunc(all, func(cmd redis.Cmder) bool { return cmd.Name() == asking }) {
			all = append(all, redis.NewStatusCmd(ctx, asking)) // the marker goes the same way
		}
		marker, waiting := h.marker(ctx, cmds), h.waiting(ctx)
		err := next(ctx, append(all, marker, waiting))
		if why := h.missing(marker, waiting); why != nil {
			for _, cmd := range cmds {
				if cmd.Err() == nil || errors.Is(cmd.Err(), redis.Nil) {
					cmd.SetErr(why)
				}
			}
		}
		return err
	}
}

// isAcknowledged reports whether anybody is promised what a pipeline does. Nobody is if it only asks
// whether a key exists, which in a Cluster may be on another server than what is written with it;
// nor if it sets up a new connection, which go-redis does with the context of the commands that the
// connection is for.
func isAcknowledged(cmds []redis.Cmder) bool {
	return slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool {
		return !slices.Contains([]string{"exists", "hello", "auth", "select", "readonly", "client", "ping"}, cmd.Name())
	})
}

// marker is the write. In a Cluster it is in the slot of one of the commands, so that it goes to
// the same server; such keys are many, and live only for a second.
func (h *confirmer) marker(ctx context.Context, cmds []redis.Cmder) *redis.StatusCmd {
	key := h.prefix + "confirmed"
	if !h.cluster {
		return redis.NewStatusCmd(ctx, "set", key, "1")
	}
	i := slices.IndexFunc(cmds, func(cmd redis.Cmder) bool { return keyOf(cmd) != "" })
	return redis.NewStatusCmd(ctx, "set", key+":{"+hashTag(keyOf(cmds[max(i, 0)]))+"}", "1", "px", "1000")
}

// keyOf is the first key of a command; "" is none.
func keyOf(cmd redis.Cmder) string {
	at := 1
	if name := cmd.Name(); name == "evalsha" || name == "eval" {
		at = FirstKey
	}
	if args := cmd.Args(); at < len(args) {
		switch key := args[at].(type) {
		case string:
			return key
		case *string:
			return *key
		}
	}
	return ""
}

// hashTag is the part of a key that decides in which slot of a Cluster it is.
func hashTag(key string) string {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			return tag
		}
	}
	return key
}

func (h *confirmer) waiting(ctx context.Context) *redis.Cmd {
	if h.Level == Fsync {
		return redis.NewCmd(ctx, waitAOF, 1, h.Replicas, h.Timeout.Milliseconds())
	}
	return redis.NewCmd(ctx, wait, h.Replicas, h.Timeout.Milliseconds())
}

// missing says what is missing, nil if nothing is.
func (h *confirmer) missing(marker *redis.StatusCmd, waiting *redis.Cmd) error {
	if err := marker.Err(); err != nil {
		return fmt.Errorf("%w: %s", ErrUnconfirmed, err.Error())
	}
	reply, err := waiting.Result()
	if err != nil {
		return fmt.Errorf("%w: %s", ErrUnconfirmed, err.Error())
	}
	var own, replicas int64
	switch reply := reply.(type) {
	case int64: // WAIT
		replicas = reply
	case []any: // WAITAOF
		if len(reply) == 2 {
			own, _ = reply[0].(int64)
			replicas, _ = reply[1].(int64)
		}
	}
	if h.Level == Fsync && own < 1 {
		return fmt.Errorf("%w: it was not on the server's own disk within %v", ErrUnconfirmed, h.Timeout)
	}
	if replicas < int64(h.Replicas) {
		return fmt.Errorf("%w: %d of %d replicas confirmed it within %v", ErrUnconfirmed, replicas, h.Replicas, h.Timeout)
	}
	return nil
}
