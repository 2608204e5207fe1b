package redisconn

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Setting is what [Conn.Inspect] looks at.
type Setting string

// The settings.
const (
	ClusterMode Setting = "cluster"     // a Cluster that is addressed as one server
	Eviction    Setting = "eviction"    // keys are dropped when the memory is full
	Persistence Setting = "persistence" // a restart loses data
	Replication Setting = "replication" // a fail-over loses data, or there is no server to fail over to
)

// Settings are all of them.
var Settings = []Setting{ClusterMode, Eviction, Persistence, Replication}

// danger is a setting of one server that may lose data.
type danger struct {
	setting Setting
	addr    string
	text    string // what may happen, and what to do
	fatal   bool   // a server that has it is refused at the start
}

// maxLag is for how many seconds a replica may not have acknowledged anything. Each does so every
// second.
const maxLag = 10

// settings is what inspections have found.
type settings struct {
	mu       sync.Mutex
	known    map[Setting]bool // those that are dangerous
	replicas int              // the largest number that was seen
}

// Inspect reads the settings of all servers and returns those that are dangerous. It logs a line
// when a setting becomes dangerous and one when it is safe again. A server that does not allow INFO
// has no dangerous setting; [Conn.Check] has logged a warning about that.
func (c *Conn) Inspect(ctx context.Context) ([]Setting, error) {
	var (
		found    []danger
		replicas int
	)
	err := c.Do(ctx, func(ctx context.Context) error {
		masters, err := c.Masters(ctx)
		if err != nil {
			return err
		}
		found, replicas = nil, 0
		for _, master := range masters {
			dangers, n, err := c.dangersOf(ctx, master, c.nameOf(master))
			if err != nil {
				return err
			}
			found, replicas = append(found, dangers...), replicas+n
		}
		return nil
	}, func(error) bool { return false })
	if err != nil {
		return nil, err
	}
	return c.report(found, replicas), nil
}

// nameOf is the address of a master for logs. A Sentinel's client does not tell it.
func (c *Conn) nameOf(master *redis.Client) string {
	if c.IsCluster() {
		return master.Options().Addr
	}
	return c.addrs
}

// report logs what has changed, and returns the settings that are dangerous.
func (c *Conn) report(found []danger, replicas int) (dangerous []Setting) {
	s := &c.settings
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replicas = max(s.replicas, replicas); replicas < s.replicas {
		found = append(found, danger{setting: Replication, addr: c.addrs, text: fmt.Sprintf(
			"it has lost replicas, %d of %d are connected: a fail-over may lose what was acknowledged, or may not be possible", replicas, s.replicas)})
	}
	if s.known == nil {
		s.known = make(map[Setting]bool)
	}
	for _, setting := range Settings {
		i := slices.IndexFunc(found, func(d danger) bool { return d.setting == setting })
		switch {
		case i >= 0 && !s.known[setting]:
			c.log.Warn("redis: a setting is dangerous", "setting", string(setting), "addr", found[i].addr, "danger", found[i].text)
		case i < 0 && s.known[setting]:
			c.log.Info("redis: a setting is safe again", "setting", string(setting), "addr", c.addrs)
		}
		if s.known[setting] = i >= 0; i >= 0 {
			dangerous = append(dangerous, setting)
		}
	}
	return dangerous
}

// checkSettings refuses a server with a fatal setting.
func (c *Conn) checkSettings(ctx context.Context, server *redis.Client, addr string) error {
	dangers, _, err := c.dangersOf(ctx, server, addr)
	if err != nil {
		return err
	}
	for _, d := range dangers {
		if d.fatal {
			return c.refuse(addr, d.text)
		}
	}
	return nil
}

// dangersOf reads the settings of one server, and how many replicas it has.
func (c *Conn) dangersOf(ctx context.Context, server *redis.Client, addr string) (dangers []danger, replicas int, err error) {
	cmds, _ := server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, section := range []string{"cluster", "memory", "persistence", "replication"} {
			p.Info(ctx, section)
		}
		return nil
	})
	var info strings.Builder
	for _, cmd := range cmds {
		if judge(cmd.Err()) == unavailable {
			return nil, 0, cmd.Err()
		}
		info.WriteString(cmd.(*redis.StringCmd).Val() + "\n")
	}
	field := func(name string) string { return infoField(info.String(), name) }
	add := func(setting Setting, fatal bool, text string) {
		dangers = append(dangers, danger{setting: setting, addr: addr, text: text, fatal: fatal})
	}
	if field("cluster_enabled") == "1" && !c.IsCluster() {
		add(ClusterMode, true, "it is one node of a Cluster, which may keep only some of the accounts: add cluster=true to the url")
	}
	switch policy := field("maxmemory_policy"); {
	case policy == "noeviction" || policy == "":
	case strings.HasPrefix(policy, "volatile-"):
		add(Eviction, false, "its maxmemory-policy "+policy+" may drop unpaid orders and idempotency keys before their time when its memory is full: set it to noeviction")
	default:
		add(Eviction, true, "its maxmemory-policy "+policy+" would drop balances when its memory is full: set it to noeviction")
	}
	switch aof := field("aof_enabled"); {
	case aof == "0":
		add(Persistence, false, "it keeps no append-only file: a restart may lose what was acknowledged; set appendonly to yes")
	case aof == "1" && field("aof_last_write_status") == "err":
		add(Persistence, false, "it cannot write its append-only file: a restart may lose what was acknowledged; its own log says why")
	}
	replicas, _ = strconv.Atoi(field("connected_slaves"))
	if text := replicationDanger(field, replicas); text != "" {
		add(Replication, false, text)
	}
	return dangers, replicas, nil
}

// replicationDanger is what is wrong with the replication of a server; "" is nothing.
func replicationDanger(field func(string) string, replicas int) string {
	if field("role") == "slave" {
		return "it is a replica and takes no writes"
	}
	for i := range replicas {
		state := make(map[string]string)
		for pair := range strings.SplitSeq(field("slave"+strconv.Itoa(i)), ",") {
			name, value, _ := strings.Cut(pair, "=")
			state[name] = value
		}
		if lag, err := strconv.Atoi(state["lag"]); state["state"] != "online" || err != nil || lag > maxLag {
			return "one of its replicas is behind: a fail-over to it would lose what was acknowledged"
		}
	}
	return ""
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
