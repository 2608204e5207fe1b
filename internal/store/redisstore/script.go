package redisstore

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store/record"
)

// scriptRun is a run of account.lua while it is put together: its keys, and its arguments,
// which are written behind each other into one text. A charge has forty of them, and each would
// be a piece of memory.
type scriptRun struct {
	keys []string
	text []byte
	ends []int

	words []string // keys and arguments, once it is a command
	sent  []any    // what is sent
}

var scriptRuns = sync.Pool{New: func() any {
	return &scriptRun{keys: make([]string, 0, 16), text: make([]byte, 0, 2<<10), ends: make([]int, 0, 128)}
}}

// maxPooled is the size in bytes of the largest run that is used again.
const maxPooled = 64 << 10

func newScriptRun() *scriptRun {
	c := scriptRuns.Get().(*scriptRun)
	c.keys, c.text, c.ends = c.keys[:0], c.text[:0], c.ends[:0]
	return c
}

// command is the run as a command, by the script's digest. It and the arguments of the run are
// good until release.
func (c *scriptRun) command(ctx context.Context, script *redis.Script) *redis.Cmd {
	n := len(c.keys)
	c.words = append(c.words[:0], c.keys...)
	all, from := string(c.text), 0
	for _, to := range c.ends {
		c.words = append(c.words, all[from:to])
		from = to
	}
	c.sent = append(c.sent[:0], "evalsha", script.Hash(), n)
	for i := range c.words {
		c.sent = append(c.sent, &c.words[i])
	}
	cmd := redis.NewCmd(ctx, c.sent...)
	cmd.SetFirstKeyPos(redisconn.FirstKey)
	return cmd
}

// release lets the run be used again. Nobody may be about to read it.
func (c *scriptRun) release() {
	if cap(c.text) > maxPooled {
		return
	}
	clear(c.keys)
	clear(c.words)
	clear(c.sent)
	scriptRuns.Put(c)
}

// touches adds a key to those that the script is given.
func (c *scriptRun) touches(key string) {
	if !slices.Contains(c.keys, key) {
		c.keys = append(c.keys, key)
	}
}

// countSize is how many bytes a number of words has: enough for as many as a command can have.
const countSize = 10

// list begins a list or a command, whose number of words is written when end ends it.
func (c *scriptRun) list() (at listStart) {
	at = listStart{len(c.text), len(c.ends) + 1}
	c.text = append(c.text, "          "...)
	c.ends = append(c.ends, len(c.text))
	return at
}

// listStart is where a list began.
type listStart struct{ text, words int }

func (c *scriptRun) end(at listStart) {
	var digits [20]byte
	n := strconv.AppendInt(digits[:0], int64(len(c.ends)-at.words), 10)
	copy(c.text[at.text+countSize-len(n):], n)
}

// run adds a command about a key.
func (c *scriptRun) run(name, key string, words ...string) {
	c.touches(key)
	at := c.list()
	c.add(name)
	c.add(key)
	for _, word := range words {
		c.add(word)
	}
	c.end(at)
}

// tell adds a command that publishes. A channel is no key.
func (c *scriptRun) tell(channel, text string) {
	at := c.list()
	c.add("PUBLISH")
	c.add(channel)
	c.add(text)
	c.end(at)
}

// word ends a word.
func (c *scriptRun) word() { c.ends = append(c.ends, len(c.text)) }

// add adds a word that is made of parts.
func (c *scriptRun) add(parts ...string) {
	for _, part := range parts {
		c.text = append(c.text, part...)
	}
	c.word()
}

// int adds a number in digits.
func (c *scriptRun) int(n int64) {
	c.text = strconv.AppendInt(c.text, n, 10)
	c.word()
}

// time adds an instant, as [record.Millis] writes it.
func (c *scriptRun) time(t time.Time) {
	c.text = record.AppendMillis(c.text, t)
	c.word()
}

// grant adds a grant, as [record.Grant] writes it.
func (c *scriptRun) grant(g ledger.Grant) {
	c.text = record.AppendGrant(c.text, g)
	c.word()
}
