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

//go:embed ledger.lua
var ledgerLua string

//go:embed usual.lua
var usualLua string

//go:embed usual_hold.lua
var usualHoldLua string

//go:embed usual_end.lua
var usualEndLua string

//go:embed account.lua
var accountLua string

//go:embed hold.lua
var holdLua string

//go:embed end.lua
var endLua string

//go:embed commit.lua
var commitLua string

//go:embed claim.lua
var claimLua string

//go:embed create_order.lua
var createOrderLua string

//go:embed open_order.lua
var openOrderLua string

//go:embed drop_order.lua
var dropOrderLua string

//go:embed open_orders.lua
var openOrdersLua string

//go:embed entries_before.lua
var entriesBeforeLua string

//go:embed purchases.lua
var purchasesLua string

//go:embed record.lua
var recordLua string

//go:embed settle.lua
var settleLua string

var (
	accountScript       = redis.NewScript(prelude + ledgerLua + accountLua)
	commitScript        = redis.NewScript(prelude + ledgerLua + commitLua)
	holdScript          = redis.NewScript(prelude + usualLua + usualHoldLua + ledgerLua + holdLua)
	endScript           = redis.NewScript(prelude + usualLua + usualEndLua + ledgerLua + endLua)
	claimScript         = redis.NewScript(prelude + claimLua)
	createOrderScript   = redis.NewScript(prelude + createOrderLua)
	openOrderScript     = redis.NewScript(prelude + openOrderLua)
	dropOrderScript     = redis.NewScript(prelude + dropOrderLua)
	openOrdersScript    = redis.NewScript(prelude + openOrdersLua)
	entriesBeforeScript = redis.NewScript(prelude + entriesBeforeLua)
	purchasesScript     = redis.NewScript(prelude + purchasesLua)
	recordScript        = redis.NewScript(prelude + recordLua)
	settleScript        = redis.NewScript(prelude + settleLua)
)

// run runs a script, by its digest or, where the server does not know it (any
// more), by its text, and returns the strings that it returns.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]string, error) {
	return texts(script.Run(ctx, s.client, keys, args...))
}

// runAfter is run for a script that was asked for by its digest already, together
// with other commands: it returns what came of that, and runs it only where the
// server did not know it.
func (s *Store) runAfter(ctx context.Context, asked *redis.Cmd, script *redis.Script, keys []string, args ...any) ([]string, error) {
	if redis.HasErrorPrefix(asked.Err(), "NOSCRIPT") {
		return s.run(ctx, script, keys, args...)
	}
	return texts(asked)
}

// together sends what ask asks for in one round trip. What fails is said by each
// command.
func (s *Store) together(ctx context.Context, ask func(redis.Pipeliner)) {
	p := s.client.Pipeline()
	ask(p)
	_, _ = p.Exec(ctx)
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

// now is the time for a script, "" when Redis is to tell it.
func (s *Store) now() string {
	if s.clock == nil {
		return ""
	}
	return strconv.FormatInt(s.clock().UnixMilli(), 10)
}

func millis(d time.Duration) string { return strconv.FormatInt(max(d, 0).Milliseconds(), 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
