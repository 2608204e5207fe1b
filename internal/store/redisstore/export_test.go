package redisstore

import (
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/redisconn"
)

// Commands are all that the store needs, those of its connection included.
func Commands() []redisconn.Command { return redisconn.Needs{Commands: commands}.All() }

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
