package redisconn

import (
	"context"
	crand "crypto/rand"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed trial.lua
var trialLua string

var trialScript = redis.NewScript(trialLua)

// trial finds out what a server does not allow. It tries every command, because nothing else works
// for ACLs, renamed commands, managed services and proxies alike. It needs no command that the
// caller does not need itself.
//
// A reply such as MOVED, READONLY or OOM shows that the command works: servers check the command
// and the user's rights first.
type trial struct {
	*Conn
	needs   Needs
	server  *redis.Client
	addr    string
	cluster bool // the server is a node, and the client knows that

	forbidden, unknown []string // commands
	keys               []string // that the user may not use
	channels           bool     // the user may not use them
}

// run tries everything. It returns an error when the server cannot answer for now, and a
// [Refusal] when the server is a node of a Cluster and the client does not know that.
func (t *trial) run(ctx context.Context) error {
	if err := t.server.Ping(ctx).Err(); err != nil {
		what, name := judge(err), quotedName(err)
		switch {
		case strings.Contains(err.Error(), "not allowed in cluster mode"): // SELECT
			return t.refuse(t.addr, "it is one node of a Cluster, which has only database 0: add cluster=true to the url and take the database out of it")
		case what != forbiddenCommand && what != unknownCommand:
			return err
		case name == selectDB:
			t.add(selectDB, what) // no connection works, so nothing else can be tried
			return nil
		case name != ping: // the login failed
			return err
		}
	}
	tag, err := t.findLocalTag(ctx)
	if err != nil {
		return err
	}
	key, none := t.needs.Prefix+"{"+tag+"}:check", t.needs.Prefix+"{"+tag+"}:none"
	direct := t.needs.commands(t.cluster, func(c Command) bool { return c.Direct && c.isTried() })
	scripted := t.needs.commands(t.cluster, func(c Command) bool { return c.Scripted })
	if err := t.try(ctx, direct, key, none); err != nil {
		return err
	}
	inScripts := t.tryScripted
	if t.lacks(eval) || t.lacks(evalSHA) {
		inScripts = t.try // so that all that is missing is listed
	}
	if err := inScripts(ctx, scripted, key, none); err != nil {
		return err
	}
	if err := t.remove(ctx, key); err != nil {
		return err
	}
	if err := t.tryKeys(ctx); err != nil {
		return err
	}
	return t.trySubscribe(ctx)
}

// localTags is how many keys are tried to see which of them a server keeps. A node of a Cluster
// that keeps half of all keys is mistaken for a whole server once in 2^localTags.
const localTags = 256

// findLocalTag returns a hash tag of keys that this server keeps. The tag is random, so
// that two gateways that start together do not use the same keys.
func (t *trial) findLocalTag(ctx context.Context) (tag string, err error) {
	random := crand.Text()
	cmds, _ := t.server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range localTags {
			p.Get(ctx, t.needs.Prefix+"{check-"+random+strconv.Itoa(i)+"}:check")
		}
		return nil
	})
	local := 0
	for i, cmd := range cmds {
		if judge(cmd.Err()) == unavailable {
			return "", cmd.Err()
		}
		if cmd.Err() != nil && redis.HasErrorPrefix(cmd.Err(), "MOVED") {
			continue
		}
		local, tag = local+1, "check-"+random+strconv.Itoa(i)
	}
	if local < localTags && !t.cluster {
		return "", t.refuse(t.addr, "it is one node of a Cluster, which keeps only some of the accounts: add cluster=true to the url")
	}
	if tag == "" {
		tag = "check-" + random
	}
	return tag, nil
}

// try tries commands as the gateway sends them.
func (t *trial) try(ctx context.Context, commands []Command, key, none string) error {
	cmds, _ := t.server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range commands {
			p.Do(ctx, toAny(c.words(key, none, t.needs.Channels[0]))...)
		}
		return nil
	})
	for i, cmd := range cmds {
		what := judge(cmd.Err())
		if what == unavailable {
			return cmd.Err()
		}
		t.note(commands[i].Name, key, what)
	}
	return nil
}

// tryScripted tries commands within a script, which runs by its text and by its digest.
func (t *trial) tryScripted(ctx context.Context, commands []Command, key, none string) error {
	var args []any
	for _, c := range commands {
		words := c.words(key, none, t.needs.Channels[0])
		args = append(append(args, len(words)), toAny(words)...)
	}
	keys := []string{key, none}
	replies, err := trialScript.Eval(ctx, t.server, keys, args...).StringSlice()
	if err == nil {
		replies, err = trialScript.EvalSha(ctx, t.server, keys, args...).StringSlice()
	}
	switch what := judge(err); {
	case err == nil && len(replies) != len(commands):
		return fmt.Errorf("a script returned %d replies, want %d", len(replies), len(commands))
	case what == unavailable:
		return err
	case what == forbiddenKey:
		t.note(eval, key, what)
	case what == forbiddenCommand || what == unknownCommand:
		return t.refuse(t.addr, "it does not run scripts: "+err.Error())
	}
	for i, reply := range replies {
		if reply == "" {
			continue
		}
		what := judgeText(reply)
		if what == unavailable {
			return fmt.Errorf("%s in a script: %s", commands[i].Name, reply)
		}
		t.note(commands[i].Name, key, what)
	}
	return nil
}

// remove removes the key of a trial that could not do so itself: the server does not allow it, or
// the trial ended early.
func (t *trial) remove(ctx context.Context, key string) error {
	if err := t.server.Del(ctx, key).Err(); judge(err) == unavailable {
		return err
	}
	return nil
}

// tryKeys reads and writes, without any effect, a key of each kind: an ACL pattern may match only
// some of them, or only allow reads.
func (t *trial) tryKeys(ctx context.Context) error {
	cmds, _ := t.server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range t.needs.Keys {
			p.HGet(ctx, name, "\x00")
			p.ZRem(ctx, name, "\x00")
		}
		return nil
	})
	for i, cmd := range cmds {
		switch what := judge(cmd.Err()); what {
		case unavailable:
			return cmd.Err()
		case forbiddenKey:
			t.note("", t.needs.Keys[i/2], what)
		default: // commands have been tried before
		}
	}
	return nil
}

// trySubscribe subscribes on a connection of its own.
func (t *trial) trySubscribe(ctx context.Context) error {
	sub := t.server.Subscribe(ctx, t.needs.Channels...)
	defer sub.Close()
	_, err := sub.Receive(ctx)
	what := judge(err)
	if what == unavailable {
		return err
	}
	t.note(subscribe, "", what)
	return nil
}

// note keeps the verdict on a command.
func (t *trial) note(name, key string, what verdict) {
	switch what {
	case forbiddenKey:
		if !slices.Contains(t.keys, key) {
			t.keys = append(t.keys, key)
		}
	case forbiddenChannel:
		t.channels = true
	case forbiddenCommand, unknownCommand:
		t.add(name, what)
	case works, unavailable:
	}
}

func (t *trial) add(name string, what verdict) {
	list := &t.unknown
	if what == forbiddenCommand {
		list = &t.forbidden
	}
	if !t.lacks(name) {
		*list = append(*list, name)
	}
}

func (t *trial) lacks(name string) bool {
	return slices.Contains(t.forbidden, name) || slices.Contains(t.unknown, name)
}

// reason lists what the server lacks; empty when it lacks nothing. It logs a warning about each
// command that the caller can do without.
func (t *trial) reason() string {
	needed := func(lacking []string) (names []string) {
		for _, c := range t.needs.All() {
			switch {
			case !slices.Contains(lacking, c.Name):
			case c.Without == "":
				names = append(names, c.Name)
			default:
				t.log.Warn("redis refuses a command that the store can do without", "addr", t.addr, "command", c.Name, "consequence", c.Without)
			}
		}
		return names
	}
	var reasons []string
	if names := needed(t.forbidden); len(names) > 0 {
		reasons = append(reasons, "its ACL forbids the commands "+strings.Join(names, ", "))
	}
	if names := needed(t.unknown); len(names) > 0 {
		reasons = append(reasons, "it does not have the commands "+strings.Join(names, ", ")+" (renamed, or not offered)")
		if slices.Contains(names, strings.ToUpper(waitAOF)) {
			reasons = append(reasons, "durability fsync needs Redis 7.2 or newer; durability replicas does not")
		}
	}
	if len(t.keys) > 0 {
		reasons = append(reasons, "its ACL forbids keys (such as "+t.keys[0]+"): allow ~"+t.needs.Prefix+"*")
	}
	if t.channels {
		reasons = append(reasons, "its ACL forbids channels: allow &"+t.needs.Prefix+"*")
	}
	return strings.Join(reasons, "; ")
}
