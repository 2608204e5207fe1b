package boltstore

import (
	"bytes"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Hold implements [store.Holds].
func (s *Store) Hold(ctx context.Context, h book.Hold) (book.Held, error) {
	if err := record.CheckHold(h); err != nil {
		return book.Held{}, fmt.Errorf("hold: %w", err)
	}
	var held book.Held
	err := s.update(ctx, len(h.ID), func(tx *bolt.Tx) error {
		after, err := s.decide(tx, h.Account, func(b *book.Book) (err error) {
			held, err = b.Hold(h)
			return err
		})
		held.Account = after
		return err
	})
	if err != nil {
		return book.Held{}, err
	}
	return held, nil
}

// End implements [store.Holds].
func (s *Store) End(ctx context.Context, e book.End) (book.Ended, error) {
	if err := record.CheckEnd(e); err != nil {
		return book.Ended{}, fmt.Errorf("end hold: %w", err)
	}
	e.Receipt = bytes.Clone(e.Receipt)
	var ended book.Ended
	err := s.update(ctx, len(e.Receipt), func(tx *bolt.Tx) error {
		after, err := s.decide(tx, e.Account, func(b *book.Book) (err error) {
			ended, err = b.End(e)
			return err
		})
		ended.Account = after
		return err
	})
	if err != nil {
		return book.Ended{}, err
	}
	return ended, nil
}
