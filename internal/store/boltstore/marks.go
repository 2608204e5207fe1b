package boltstore

import (
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/store/record"
)

// markKey names a mark in the bucket of what is said about the file as a whole.
func markKey(name string) []byte { return []byte("mark " + name) }

// Mark implements [store.Marks].
func (s *Store) Mark(ctx context.Context, name string) (time.Time, error) {
	if err := record.CheckNames(name); err != nil {
		return time.Time{}, err
	}
	var at time.Time
	err := s.view(ctx, func(tx *bolt.Tx) error {
		value := tx.Bucket(bucketMeta).Get(markKey(name))
		if value == nil {
			return nil
		}
		var err error
		at, err = record.ParseMillis(string(value))
		return damaged(err)
	})
	return at, err
}

// SetMark implements [store.Marks].
func (s *Store) SetMark(ctx context.Context, name string, at time.Time) error {
	at, err := record.Time(at)
	if err == nil {
		err = record.CheckNames(name)
	}
	if err != nil {
		return fmt.Errorf("set mark: %w", err)
	}
	return s.update(ctx, len(name), func(tx *bolt.Tx) error {
		return put(tx.Bucket(bucketMeta), markKey(name), []byte(record.Millis(at)))
	})
}
