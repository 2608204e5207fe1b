package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// Remembered counts what is kept of holds: accounts and ended holds in memory, and
// an account's ended holds in the file. Nobody may write meanwhile.
func (s *Store) Remembered(account string) (accounts, recent, inFile int, err error) {
	err = s.view(context.Background(), func(tx *bolt.Tx) error {
		b := accountOf(tx, account)
		count := func(_, _ []byte) error { inFile++; return nil }
		if err := b.scan(kindEnded, count); err != nil {
			return err
		}
		return b.scan(kindEndedUntil, count)
	})
	return len(s.holds.accounts), max(len(s.holds.recent), len(s.holds.queue)), inFile, err
}
