package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/store/record"
)

// noteKey names a note in the bucket of what is said about the file as a whole.
func noteKey(name string) []byte { return []byte("note " + name) }

// Note implements [store.Notes].
func (s *Store) Note(ctx context.Context, name, text string) (string, error) {
	if err := record.CheckNames(name, text); err != nil {
		return "", err
	}
	var kept string
	read := func(tx *bolt.Tx) { kept = string(tx.Bucket(bucketMeta).Get(noteKey(name))) }
	err := s.view(ctx, func(tx *bolt.Tx) error {
		read(tx)
		return nil
	})
	if err != nil {
		return "", err
	}
	if kept != "" || text == "" {
		return kept, nil
	}
	err = s.update(ctx, len(name)+len(text), func(tx *bolt.Tx) error {
		if read(tx); kept != "" {
			return nil
		}
		kept = text
		return put(tx.Bucket(bucketMeta), noteKey(name), []byte(text))
	})
	if err != nil {
		return "", err
	}
	return kept, nil
}
