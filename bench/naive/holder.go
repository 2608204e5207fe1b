package naive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
	bolt "go.etcd.io/bbolt"
)

// Holder sets one credit of an account aside under an id, and spends it later.
type Holder interface {
	// Hold returns what is left, or less than 0 if there is not enough.
	Hold(ctx context.Context, account, id string) (left int64, err error)
	Capture(ctx context.Context, account, id string) error
	Close() error
}

// How a holder keeps its credits.
const (
	// Two scripts in Redis, each as a command of its own.
	Scripts = "scripts"
	// The same two scripts. Those that wait at the same moment share a round trip.
	Batched = "batched"
	// Like Batched, but holds expire, a capture writes an entry, and other processes are notified.
	Whole = "whole"
	// Holds in memory; each capture is one group-committed write to a bbolt file.
	File = "file"
)

// NewHolder opens a holder: where is host and port of Redis, or the file.
func NewHolder(ctx context.Context, how, where string) (Holder, error) {
	switch how {
	case Scripts, Batched, Whole:
		h := redisHolder{hold: hold, capture: capture, keys: holdKeys}
		if how == Whole {
			h = redisHolder{hold: wholeHold, capture: wholeCapture, keys: wholeKeys}
		}
		var err error
		h.scripts, err = newScripts(ctx, where, how != Scripts, h.hold, h.capture)
		return h, err
	case File:
		j, err := OpenJournal(where)
		if err != nil {
			return nil, err
		}
		return &fileHolder{Journal: j, accounts: make(map[string]*balance)}, nil
	}
	return nil, fmt.Errorf("how to hold is %q, but must be %s, %s, %s or %s", how, Scripts, Batched, Whole, File)
}

// redisHolder holds credits by two scripts.
type redisHolder struct {
	*scripts
	hold, capture *redis.Script
	keys          func(account string) []string
}

// The least that two phases can be in Redis: a hold never expires, no entry is written, and no
// other process is notified.
var (
	hold = redis.NewScript(`
local credits, held = unpack(redis.call('HMGET', KEYS[1], 'credits', 'held'))
local left = tonumber(credits or '0') - tonumber(held or '0') - tonumber(ARGV[2])
if left < 0 then return -1 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[2])
return left
`)
	capture = redis.NewScript(`
local held = redis.call('HGET', KEYS[2], ARGV[1])
if not held then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'held', -held)
redis.call('HINCRBY', KEYS[1], 'credits', -held)
return 1
`)
)

func holdKeys(account string) []string { return []string{Key(account), "holds:" + account} }

// The same two phases with holds that expire after a minute, an entry for each capture, and a
// message for each hold.
var (
	wholeHold = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now)) do
  redis.call('HINCRBY', KEYS[1], 'held', -redis.call('HGET', KEYS[2], id))
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
local credits, held = unpack(redis.call('HMGET', KEYS[1], 'credits', 'held'))
local left = tonumber(credits or '0') - tonumber(held or '0') - tonumber(ARGV[2])
if left < 0 then return -1 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], now + 60000, ARGV[1])
redis.call('HINCRBY', KEYS[1], 'held', ARGV[2])
redis.call('PUBLISH', 'changes', KEYS[1])
return left
`)
	wholeCapture = redis.NewScript(`
local held = redis.call('HGET', KEYS[2], ARGV[1])
if not held then return 0 end
local time = redis.call('TIME')
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'held', -held)
local left = redis.call('HINCRBY', KEYS[1], 'credits', -held)
redis.call('RPUSH', KEYS[4], time[1] .. ' capture -' .. held .. ' ' .. left .. ' ' .. ARGV[1])
return 1
`)
)

func wholeKeys(account string) []string {
	return append(holdKeys(account), "expiring:"+account, "entries:"+account)
}

func (h redisHolder) Hold(ctx context.Context, account, id string) (int64, error) {
	return h.call(ctx, h.hold, h.keys(account), id, 1)
}

func (h redisHolder) Capture(ctx context.Context, account, id string) error {
	found, err := h.call(ctx, h.capture, h.keys(account), id)
	if err == nil && found != 1 {
		err = errNoHold
	}
	return err
}

var errNoHold = errors.New("there is no such hold")

// fileHolder is the least that two phases can be with a file: the hold is a number in memory,
// and the capture writes the new balance and an entry.
type fileHolder struct {
	*Journal
	mu       sync.Mutex
	accounts map[string]*balance
}

type balance struct{ credits, held int64 }

func (h *fileHolder) Hold(_ context.Context, account, _ string) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.accounts[account]
	if b == nil {
		b = &balance{credits: Start}
		h.accounts[account] = b
	}
	left := b.credits - b.held - 1
	if left < 0 {
		return -1, nil
	}
	b.held++
	return left, nil
}

func (h *fileHolder) Capture(_ context.Context, account, id string) error {
	return h.Do(func(bucket *bolt.Bucket) error {
		h.mu.Lock()
		b := h.accounts[account]
		b.credits, b.held = b.credits-1, b.held-1
		credits := strconv.FormatInt(b.credits, 10)
		h.mu.Unlock()
		if err := bucket.Put([]byte(Key(account)), []byte(credits)); err != nil {
			return err
		}
		return appendEntry(bucket, account+" -1 "+credits+" "+id)
	})
}

// appendEntry writes a line behind all others.
func appendEntry(bucket *bolt.Bucket, line string) error {
	n, err := bucket.NextSequence()
	if err != nil {
		return err
	}
	return bucket.Put(binary.BigEndian.AppendUint64([]byte("entry:"), n), []byte(line))
}
