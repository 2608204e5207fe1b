package redisstore

import (
	"context"
	crand "crypto/rand"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/entitlement"
)

//go:embed try.lua
var tryLua string

var tryScript = redis.NewScript(tryLua)

// trial finds out what a server does not let the store do. It tries every command: only
// that tells the truth about every server, whether the reason is an ACL, a renamed command,
// a managed service or a proxy. It needs no command that the store does not need itself.
//
// A reply such as MOVED, READONLY or OOM shows that the command works: servers look
// for the command and the user's rights first.
type trial struct {
	*Store
	server  *redis.Client
	addr    string
	cluster bool // it is one of a Cluster, and the client knows that

	forbidden, unknown []string // commands
	keys               []string // names of keys that the user may not use
	channels           bool     // the user may not use ours
}

// examine returns an error when the server cannot answer for now, and a [refusal] when it is
// a node of a Cluster that the store takes for a whole server.
func (t *trial) examine(ctx context.Context) error {
	if err := t.server.Ping(ctx).Err(); err != nil {
		what, name := judge(err), quotedName(err)
		switch {
		case what != forbiddenCommand && what != unknownCommand:
			return err
		case name == selectDB:
			t.add(selectDB, what) // no connection comes up, so nothing else can be tried
			return nil
		case name != "PING": // it was not PING that failed, but the login
			return err
		}
	}
	tag, err := t.findLocalTag(ctx)
	if err != nil {
		return err
	}
	key, none := t.prefix+"{"+tag+"}:check", t.prefix+"{"+tag+"}:none"
	direct := neededBy(t.cluster, func(c command) bool { return c.direct && c.isTried() })
	scripted := neededBy(t.cluster, func(c command) bool { return c.scripted })
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

// localTags is how many keys are tried to see which of them a server keeps. A node
// of a Cluster that keeps half of all keys is taken for a whole server once in 2^localTags.
const localTags = 256

// findLocalTag returns a hash tag of keys that this server keeps. The tag is random, so
// that two gateways that start together do not meet.
func (t *trial) findLocalTag(ctx context.Context) (tag string, err error) {
	random := crand.Text()
	cmds, _ := t.server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range localTags {
			p.Get(ctx, t.prefix+"{check-"+random+strconv.Itoa(i)+"}:check")
		}
		return nil
	})
	local := 0
	for i, cmd := range cmds {
		if judge(cmd.Err()) == trouble {
			return "", cmd.Err()
		}
		if cmd.Err() != nil && redis.HasErrorPrefix(cmd.Err(), "MOVED") {
			continue
		}
		local, tag = local+1, "check-"+random+strconv.Itoa(i)
	}
	if local < localTags && !t.cluster {
		return "", refusal("it is one node of a Cluster, which keeps only some of the accounts: add cluster=true to the url")
	}
	if tag == "" {
		tag = "check-" + random
	}
	return tag, nil
}

// try tries commands as the gateway sends them.
func (t *trial) try(ctx context.Context, commands []command, key, none string) error {
	cmds, _ := t.server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range commands {
			p.Do(ctx, anys(c.words(key, none, t.changes))...)
		}
		return nil
	})
	for i, cmd := range cmds {
		what := judge(cmd.Err())
		if what == trouble {
			return cmd.Err()
		}
		t.note(commands[i].name, key, what)
	}
	return nil
}

// tryScripted tries commands within a script, which runs by its text and by its digest.
func (t *trial) tryScripted(ctx context.Context, commands []command, key, none string) error {
	var args []any
	for _, c := range commands {
		words := c.words(key, none, t.changes)
		args = append(append(args, len(words)), anys(words)...)
	}
	keys := []string{key, none}
	replies, err := tryScript.Eval(ctx, t.server, keys, args...).StringSlice()
	if err == nil {
		replies, err = tryScript.EvalSha(ctx, t.server, keys, args...).StringSlice()
	}
	switch what := judge(err); {
	case err == nil && len(replies) != len(commands):
		return fmt.Errorf("a script returned %d replies, want %d", len(replies), len(commands))
	case what == trouble:
		return err
	case what == forbiddenKey:
		t.note(eval, key, what)
	case what == forbiddenCommand || what == unknownCommand:
		return refusal("it does not run scripts: " + err.Error())
	}
	for i, reply := range replies {
		if reply == "" {
			continue
		}
		what := judgeText(reply)
		if what == trouble {
			return fmt.Errorf("%s in a script: %s", commands[i].name, reply)
		}
		t.note(commands[i].name, key, what)
	}
	return nil
}

// remove removes the key of a trial that could not do so itself, because the server does
// not let it or ended it early.
func (t *trial) remove(ctx context.Context, key string) error {
	if err := t.server.Del(ctx, key).Err(); judge(err) == trouble {
		return err
	}
	return nil
}

// tryKeys reads and writes, without any effect, a key of each kind: a pattern may fit some
// of them only, or only let them be read.
func (t *trial) tryKeys(ctx context.Context) error {
	const nobody = "check"
	k, ref := t.keysOf(nobody), entitlement.Ref{Kind: nobody, ID: nobody}
	names := append([]string{k.account, k.holds, k.expiring, k.entries, k.closed}, k.ended(nobody), k.unpaid(), k.paid(), k.failed(), k.object(ref), k.order(nobody), k.key(nobody),
		t.ownerKey(ref), t.eventKey(nobody), t.noteKey(nobody), t.noteKey("mark:"+nobody), t.parkedKey(nobody), t.allParkedKey())
	cmds, _ := t.server.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range names {
			p.HGet(ctx, name, "\x00")
			p.ZRem(ctx, name, "\x00")
		}
		return nil
	})
	for i, cmd := range cmds {
		switch what := judge(cmd.Err()); what {
		case trouble:
			return cmd.Err()
		case forbiddenKey:
			t.note("", names[i/2], what)
		default: // commands have been tried before
		}
	}
	return nil
}

// trySubscribe subscribes as [Store.follow] does, on a connection of its own.
func (t *trial) trySubscribe(ctx context.Context) error {
	sub := t.server.Subscribe(ctx, t.changes, t.changes+":check")
	defer sub.Close()
	_, err := sub.Receive(ctx)
	what := judge(err)
	if what == trouble {
		return err
	}
	t.note(subscribe, "", what)
	return nil
}

// note keeps what came of a command.
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
	case works, trouble:
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

// reason is what the server lacks, by name; empty when it lacks nothing. What the store can
// do without is warned of.
func (t *trial) reason() string {
	needed := func(lacking []string) (names []string) {
		for _, c := range commands {
			switch {
			case !slices.Contains(lacking, c.name):
			case c.without == "":
				names = append(names, c.name)
			default:
				t.log.Warn("redis refuses a command that the store can do without", "addr", t.addr, "command", c.name, "consequence", c.without)
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
	}
	if len(t.keys) > 0 {
		reasons = append(reasons, "its ACL forbids keys (such as "+t.keys[0]+"): allow ~"+t.prefix+"*")
	}
	if t.channels {
		reasons = append(reasons, "its ACL forbids channels: allow &"+t.prefix+"*")
	}
	return strings.Join(reasons, "; ")
}
