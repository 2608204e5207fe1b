package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Receive implements [store.Journal].
func (s *Store) Receive(ctx context.Context, e book.Event, b store.Binding) (book.Event, store.Bound, error) {
	if err := errors.Join(record.CheckEvent(e), record.CheckBinding(b)); err != nil {
		return book.Event{}, store.Bound{}, fmt.Errorf("receive event: %w", err)
	}
	e.Body = bytes.Clone(e.Body)
	r := receipt{event: e, binding: b}
	err := s.update(ctx, len(e.Body), func(tx *bolt.Tx) error { return s.receive(tx, &r) })
	if err == nil {
		err = r.unread
	}
	if err != nil {
		return book.Event{}, store.Bound{}, err
	}
	return r.event, r.bound, nil
}

// receipt is an event on its way into the file, with what is to be known of its object.
type receipt struct {
	event   book.Event
	binding store.Binding
	bound   store.Bound
	unread  error // why the order cannot be read; the event is in the file all the same
}

func (s *Store) receive(tx *bolt.Tx, r *receipt) error {
	known, ends, err := s.delivered(tx, r.event)
	if err != nil {
		return err
	}
	if err := saveBody(tx, r.event); err != nil {
		return err
	}
	b := r.binding
	if r.bound.Account, err = claim(tx, b.Object, b.Account); err != nil {
		return err
	}
	account := accountOf(tx, r.bound.Account)
	r.bound.Object = parseObject(account.get(kindObject, b.Object.String()))
	if r.bound.Account == b.Account {
		r.bound.Order, r.unread = findOrder(account, b.Account, b.Order)
	}
	r.event = known.Event
	return saveDelivery(tx, known, ends)
}

// findOrder reads an order; nil when there is none.
func findOrder(b bucket, account, id string) (*book.Order, error) {
	o, err := readOrder(b, account, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil //nolint:nilnil // as said
	case err != nil:
		return nil, err
	}
	return &o, nil
}
