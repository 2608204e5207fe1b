package redisstore

import (
	"context"
	"time"
)

// historyInterval is how often the store looks whether the server is still the same.
const historyInterval = 2 * time.Second

// OnReplaced has the function called each time that another server has taken the place of one, or
// that the data of one have another history: what was acknowledged last may be lost then. It must
// return soon, and is called only while somebody watches the store.
func (s *Store) OnReplaced(replaced func()) { s.replaced.Store(&replaced) }

// followHistory compares what the servers say of themselves until ctx ends: every now and then, and
// at once when changes are heard again, because the connection may lead to another server.
func (s *Store) followHistory(ctx context.Context) {
	ticker := time.NewTicker(historyInterval)
	defer ticker.Stop()
	known, heard := "", false
	for {
		limited, cancel := context.WithTimeout(ctx, s.conn.DialTimeout())
		history, err := s.conn.History(limited)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
		case history == "": // it does not tell
			if heard {
				s.tellReplaced()
			}
		case known != "" && history != known:
			s.tellReplaced()
			fallthrough
		default:
			known = history
		}
		if err == nil {
			heard = false
		}
		select {
		case <-ticker.C:
		case <-s.listener.again:
			heard = true
		case <-ctx.Done():
			return
		}
	}
}

// tellReplaced lets nobody go on with what was remembered of the server before.
func (s *Store) tellReplaced() {
	s.log.Warn("redis: another server, or one whose data have another history, has taken over; what it lacks of the last purchases is read from Dodo",
		"addrs", s.conn.Addrs())
	s.watchers.Renew()
	if replaced := s.replaced.Load(); replaced != nil {
		(*replaced)()
	}
}
