package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Receive implements [store.Journal].
func (s *Store) Receive(ctx context.Context, e store.Event, b store.Binding) (store.Event, store.Bound, error) {
	if err := errors.Join(record.CheckEvent(e), record.CheckBinding(b)); err != nil {
		return store.Event{}, store.Bound{}, fmt.Errorf("receive event: %w", err)
	}
	e.Body = bytes.Clone(e.Body)
	r := receipt{event: e, binding: b, guess: guessOf(e, b)}
	err := s.update(ctx, len(e.Body), func(tx *bolt.Tx) error { return s.receive(tx, &r) })
	if err == nil {
		err = r.unread
	}
	if err != nil {
		return store.Event{}, store.Bound{}, err
	}
	return r.event, r.bound, nil
}

// receipt is an event on its way into the file, with what is to be known of its object.
type receipt struct {
	event   store.Event
	binding store.Binding
	guess   *guess // nil: there is none
	bound   store.Bound
	unread  error // why the order cannot be read; the event is in the file all the same
}

// guess is what may follow from an event at once; see [store.Guess].
type guess struct {
	*commit
	terms map[string]entitlement.Terms
}

// guessOf is the binding's guess. There is none that cannot be written: [Store.Commit]
// says why.
func guessOf(e store.Event, b store.Binding) *guess {
	if b.Guess == nil {
		return nil
	}
	g := b.Guess()
	if g == nil {
		return nil
	}
	c, err := record.CheckGuess(e, b, *g)
	if err != nil {
		return nil
	}
	w, err := newCommit(c)
	if err != nil {
		return nil
	}
	return &guess{commit: w, terms: g.Terms}
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
	if r.isGuessed() {
		w := r.guess.commit
		w.event, w.before = &known, r.bound.Order
		err := s.apply(tx, w)
		if err == nil {
			as := w.settles.Event
			r.event.State, r.event.Reason, r.event.Object, r.event.Account = as.State, as.Reason, as.Object, as.Account
			r.bound.Committed = &w.done
			return nil
		}
		if _, failed := errors.AsType[writeError](err); failed {
			return err
		} // else it was refused, and wrote nothing; Commit will say so
	}
	return saveDelivery(tx, known, ends)
}

// isGuessed reports whether all is as the guess takes it to be.
func (r *receipt) isGuessed() bool {
	o := r.bound.Order
	return r.guess != nil && r.event.Deliveries == 1 && r.bound.Object.Version == 0 &&
		o != nil && o.State == store.OrderOpen && maps.EqualFunc(o.Terms, r.guess.terms, entitlement.Terms.Equal)
}

// findOrder reads an order; nil when there is none.
func findOrder(b bucket, account, id string) (*store.Order, error) {
	o, err := readOrder(b, account, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil //nolint:nilnil // as said
	case err != nil:
		return nil, err
	}
	return &o, nil
}
