package redisstore

import (
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
)

//go:embed prelude.lua
var prelude string

//go:embed account.lua
var accountLua string

//go:embed free.lua
var freeLua string

//go:embed note.lua
var noteLua string

//go:embed record.lua
var recordLua string

//go:embed settle.lua
var settleLua string

var (
	accountScript = redis.NewScript(prelude + accountLua)
	freeScript    = redis.NewScript(prelude + freeLua)
	noteScript    = redis.NewScript(prelude + noteLua)
	recordScript  = redis.NewScript(prelude + recordLua)
	settleScript  = redis.NewScript(prelude + settleLua)
)

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
		return 0, book.Damaged("stored number: %.20q", text)
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
