package boltstore

import (
	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/store"
)

// Watch implements [store.Changes]. Watchers hear of a change when it is on disk
// and before it is answered.
func (s *Store) Watch(w store.Watcher) (stop func()) { return s.watchers.Watch(w) }

// changed counts a change of an account, and tells of it when the transaction is
// on disk. Every operation that writes to an account calls it.
func (s *Store) changed(tx *bolt.Tx, b bucket, account string) error {
	rev := parseNumber(b.get(kindRev, "")) + 1
	tx.OnCommit(func() { s.watchers.Changed(account, rev) })
	return b.put(kindRev, "", number(rev))
}
