package redisconn

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// FirstKey is the position of the first key in a command that runs a script.
const FirstKey = 3

// Blob is an argument of a script that is sent without a copy of it, in place of the argument at
// the position At. Sending may outlast the call, so nobody may write to it afterwards.
type Blob struct {
	At    int
	Bytes []byte
}

// Run runs a script by its digest or, on a server that does not have it, by its text. It
// returns the strings that the script returns.
func (b *Batch) Run(ctx context.Context, script *redis.Script, keys, args []string, blobs ...Blob) ([]string, error) {
	var sent *redis.Cmd
	err := b.Do(ctx, func(ctx context.Context, p redis.Pipeliner) { sent = EvalSHA(ctx, p, script, keys, args, blobs...) })
	if err != nil {
		return nil, err
	}
	return b.RunAfter(ctx, sent, script, keys, args, blobs...)
}

// RunAfter is [Batch.Run] for a script that was sent by its digest already, together with other
// commands. It returns the result, and sends the text only if the server did not have the script.
// That goes through the batch as well: after a restart of the server many callers do so at once, and
// would otherwise open all connections.
func (b *Batch) RunAfter(ctx context.Context, sent *redis.Cmd, script *redis.Script, keys, args []string, blobs ...Blob) ([]string, error) {
	if sent.Err() != nil && redis.HasErrorPrefix(sent.Err(), "NOSCRIPT") {
		list := toAny(args)
		for _, blob := range blobs {
			list[blob.At] = blob.Bytes
		}
		err := b.Do(ctx, func(ctx context.Context, p redis.Pipeliner) { sent = script.Eval(ctx, p, keys, list...) })
		if err != nil {
			return nil, err
		}
	}
	return Strings(sent)
}

// EvalSHA adds a script by its digest. It is [redis.Script.EvalSha] without a copy of each key and
// argument.
func EvalSHA(ctx context.Context, p redis.Pipeliner, script *redis.Script, keys, args []string, blobs ...Blob) *redis.Cmd {
	list := append(make([]any, 0, FirstKey+len(keys)+len(args)), "evalsha", script.Hash(), len(keys))
	for i := range keys {
		list = append(list, &keys[i])
	}
	for i := range args {
		list = append(list, &args[i])
	}
	for _, b := range blobs {
		list[FirstKey+len(keys)+b.At] = b.Bytes
	}
	cmd := redis.NewCmd(ctx, list...)
	cmd.SetFirstKeyPos(FirstKey)
	_ = p.Process(ctx, cmd) // a pipeline only queues it
	return cmd
}

func toAny(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

// Strings are the strings that a script returned: one, a list of them, or an integer in digits.
func Strings(cmd *redis.Cmd) ([]string, error) {
	reply, err := cmd.Result()
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
