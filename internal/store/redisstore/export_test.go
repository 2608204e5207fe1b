package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
)

// Batch is what sends the commands of many callers together.
type Batch struct{ b *batch }

// NewBatch makes one whose every batch has so long.
func NewBatch(client redis.UniversalClient, timeout time.Duration) Batch {
	return Batch{newBatch(client, timeout)}
}

// Do is [batch.do].
func (b Batch) Do(ctx context.Context, ask func(context.Context, redis.Pipeliner)) error {
	return b.b.do(ctx, ask)
}

// Close is [batch.close].
func (b Batch) Close() { b.b.close() }

// Command is one that the store needs.
type Command struct {
	Name             string
	Direct, Scripted bool
	Cluster          bool // only a Cluster needs it
	Optional         bool // the store can do without
}

// Commands are all that the store needs.
func Commands() (list []Command) {
	for _, c := range commands {
		list = append(list, Command{c.name, c.direct, c.scripted, c.cluster, c.without != ""})
	}
	return list
}

// Judge says what the store makes of an error that a server replies with.
func Judge(text string) string {
	return [...]string{"works", "forbidden command", "forbidden key", "forbidden channel", "unknown command", "trouble"}[judgeText(text)]
}

// SetServerTime makes a store believe that it is so late by the server's clock.
func SetServerTime(s *Store, now time.Time) { s.server.set(now) }

// Waiting is how many decisions about an account wait for the one that leads.
func Waiting(s *Store, account string) int {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	return len(s.lines.accounts[account])
}

// Memory is what a store remembers.
type Memory struct{ m memory }

// NewMemory makes one that remembers nothing yet.
func NewMemory() Memory { return Memory{newMemory(maxRemembered)} }

// Set is [memory.set].
func (m Memory) Set(account, stamp string, kept book.Kept) {
	m.m.set(account, &state{revision: revision{kept.Rev, stamp}, Kept: kept})
}

// Get is [memory.get].
func (m Memory) Get(account string) (stamp string, kept book.Kept, found bool) {
	st := m.m.get(account)
	if st == nil {
		return "", kept, false
	}
	return st.stamp, st.Kept, st.rev == st.Rev
}

// Forget is [memory.forget].
func (m Memory) Forget(account string) { m.m.forget(account) }

// Close is [memory.close].
func (m Memory) Close() { m.m.close() }
