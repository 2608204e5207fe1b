package boltstore

import "github.com/dodogate/dodogate/internal/store"

// Watch implements [store.Changes]. Watchers hear of a change before it is
// answered and, if it is written, once it is on disk.
func (s *Store) Watch(w store.Watcher) (stop func()) { return s.watchers.Watch(w) }
