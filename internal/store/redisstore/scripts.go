package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed prelude.lua
var prelude string

//go:embed account.lua
var accountLua string

//go:embed claim.lua
var claimLua string

//go:embed note.lua
var noteLua string

//go:embed record.lua
var recordLua string

//go:embed settle.lua
var settleLua string

var (
	accountScript = redis.NewScript(prelude + accountLua)
	claimScript   = redis.NewScript(prelude + claimLua)
	noteScript    = redis.NewScript(prelude + noteLua)
	recordScript  = redis.NewScript(prelude + recordLua)
	settleScript  = redis.NewScript(prelude + settleLua)
)

// run runs a script, by its digest or, where the server does not know it (any
// more), by its text, and returns the strings that it returns.
func (s *Store) run(ctx context.Context, script *redis.Script, keys, args []string, long ...blob) ([]string, error) {
	var asked *redis.Cmd
	err := s.batch.do(ctx, func(ctx context.Context, p redis.Pipeliner) { asked = evalSha(ctx, p, script, keys, args, long...) })
	if err != nil {
		return nil, err
	}
	return s.runAfter(ctx, asked, script, keys, args, long...)
}

// blob is an argument that is sent without a copy of it, in place of one of the others.
// It may still be read when the caller has gone, so nobody may write to it.
type blob struct {
	at    int
	bytes []byte
}

// runAfter is run for a script that was asked for by its digest already, together
// with other commands: it returns what came of that, and runs it only where the
// server did not know it. That goes by the batch as well: in a rush on a server that
// was just started it is so for many at once, who would open all the connections that
// there may be.
func (s *Store) runAfter(ctx context.Context, asked *redis.Cmd, script *redis.Script, keys, args []string, long ...blob) ([]string, error) {
	if asked.Err() != nil && redis.HasErrorPrefix(asked.Err(), "NOSCRIPT") {
		list := anys(args)
		for _, b := range long {
			list[b.at] = b.bytes
		}
		err := s.batch.do(ctx, func(ctx context.Context, p redis.Pipeliner) { asked = script.Eval(ctx, p, keys, list...) })
		if err != nil {
			return nil, err
		}
	}
	return texts(asked)
}

// firstKey is the place of the first key in a command that runs a script.
const firstKey = 3

// evalSha asks for a script by its digest. It is [redis.Script.EvalSha] without a copy of
// each key and argument.
func evalSha(ctx context.Context, p redis.Pipeliner, script *redis.Script, keys, args []string, long ...blob) *redis.Cmd {
	list := append(make([]any, 0, firstKey+len(keys)+len(args)), "evalsha", script.Hash(), len(keys))
	for i := range keys {
		list = append(list, &keys[i])
	}
	for i := range args {
		list = append(list, &args[i])
	}
	for _, b := range long {
		list[firstKey+len(keys)+b.at] = b.bytes
	}
	cmd := redis.NewCmd(ctx, list...)
	cmd.SetFirstKeyPos(firstKey)
	_ = p.Process(ctx, cmd) // it is only noted
	return cmd
}

func anys(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

// texts are the strings that a script returned.
func texts(said *redis.Cmd) ([]string, error) {
	reply, err := said.Result()
	if err != nil {
		return nil, err
	}
	switch reply := reply.(type) {
	case string:
		return []string{reply}, nil
	case int64:
		return []string{strconv.FormatInt(reply, 10)}, nil
	case []any:
		texts := make([]string, len(reply))
		for i, r := range reply {
			text, ok := r.(string)
			if !ok {
				return nil, fmt.Errorf("script returned %T", r)
			}
			texts[i] = text
		}
		return texts, nil
	default:
		return nil, fmt.Errorf("script returned %T", reply)
	}
}

// unpacked is the list that a script returned as one text, see packed in prelude.lua. It
// has at least as many elements as are asked for.
func unpacked(reply []string, least int) ([]string, error) {
	const usual = 16 // as many as most have
	list, rest := make([]string, 0, usual), reply[0]
	for rest != "" {
		size, after, ok := cutNumber(rest)
		if !ok || size > int64(len(after)) {
			return nil, errReply(reply)
		}
		list, rest = append(list, after[:size]), after[size:]
	}
	if len(list) < least {
		return nil, errReply(reply)
	}
	return list, nil
}

// now is the time for a script, "" when Redis is to tell it.
func (s *Store) now() string {
	if s.clock == nil {
		return ""
	}
	return strconv.FormatInt(s.clock().UnixMilli(), 10)
}

func millis(d time.Duration) string { return decimal(milliseconds(d)) }

func milliseconds(d time.Duration) int64 { return max(d, 0).Milliseconds() }

// parseDigits reads what decimal wrote.
func parseDigits(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("stored number is damaged: %.20q", text)
	}
	return n, nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// slack is how much longer things are stored than they count: a test's clock
// stands still while the server's goes on.
func (s *Store) slack() time.Duration {
	if s.clock == nil {
		return 0
	}
	return time.Hour
}

func errReply(reply []string) error { return fmt.Errorf("script returned %d strings", len(reply)) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
