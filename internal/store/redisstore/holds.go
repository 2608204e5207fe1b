package redisstore

import (
	"bytes"
	"context"
	"fmt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Hold implements [store.Holds].
func (s *Store) Hold(ctx context.Context, h book.Hold) (book.Held, error) {
	if err := record.CheckHold(h); err != nil {
		return book.Held{}, fmt.Errorf("hold: %w", err)
	}
	var held book.Held
	st, err := s.update(ctx, "hold", h.Account, func(b *book.Book) (err error) {
		held, err = b.Hold(h)
		return err
	})
	if err != nil {
		return book.Held{}, err
	}
	held.Account = st.Account()
	return held, nil
}

// End implements [store.Holds].
func (s *Store) End(ctx context.Context, e book.End) (book.Ended, error) {
	if err := record.CheckEnd(e); err != nil {
		return book.Ended{}, fmt.Errorf("end hold: %w", err)
	}
	e.Receipt = bytes.Clone(e.Receipt) // the decision may be made when the caller has gone
	var ended book.Ended
	st, err := s.update(ctx, "end hold", e.Account, func(b *book.Book) (err error) {
		ended, err = b.End(e)
		return err
	})
	if err != nil {
		return book.Ended{}, err
	}
	ended.Account = st.Account()
	return ended, nil
}
