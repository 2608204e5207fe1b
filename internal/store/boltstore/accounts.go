package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// maxEntries is the most that one call of Entries or EntriesBefore reads.
const maxEntries = 1000

// Account implements [store.Accounts].
func (s *Store) Account(ctx context.Context, account string) (entitlement.Account, error) {
	if err := record.CheckAccount(account); err != nil {
		return entitlement.Account{}, err
	}
	a := entitlement.Account{Standings: make(map[string]entitlement.Standing)}
	s.holds.mu.Lock() // until the reader has begun, so that both are of one instant
	unlock := sync.OnceFunc(s.holds.mu.Unlock)
	defer unlock()
	err := s.view(ctx, func(tx *bolt.Tx) error {
		held := s.holds.cut(account)
		unlock()
		b := accountOf(tx, account)
		var err error
		if a.Rev, a.StandingsRev, a.Ledger, err = readLedger(b); err != nil {
			return err
		}
		a.Rev, a.HeldUntil = held.show(a.Rev, &a.Ledger, s.now())
		return b.scan(kindStanding, func(name, value []byte) error {
			a.Standings[string(name)], err = record.ParseStanding(string(value))
			return damaged(err)
		})
	})
	if err != nil {
		return entitlement.Account{}, err
	}
	return a, nil
}

// Object implements [store.Accounts].
func (s *Store) Object(ctx context.Context, account string, ref entitlement.Ref) (store.Object, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckRef(ref)); err != nil {
		return store.Object{}, err
	}
	var o store.Object
	err := s.view(ctx, func(tx *bolt.Tx) error {
		o = parseObject(accountOf(tx, account).get(kindObject, ref.String()))
		return nil
	})
	return o, err
}

func parseObject(b []byte) store.Object {
	if len(b) < 8 {
		return store.Object{}
	}
	return store.Object{Version: parseNumber(b), State: bytes.Clone(b[8:])}
}

// SignUp implements [store.Accounts].
func (s *Store) SignUp(ctx context.Context, c store.Commit) (entitlement.Account, error) {
	c.Version, c.Order, c.Settle = 0, nil, nil
	w, err := newCommit(c)
	if err != nil {
		return entitlement.Account{}, err
	}
	a, err := s.Account(ctx, c.Account) // most are not new, and reading is cheap
	if err != nil || a.Ledger.Seq > 0 {
		return a, err
	}
	err = s.update(ctx, len(w.object), func(tx *bolt.Tx) error {
		_, _, now, err := readLedger(accountOf(tx, w.Account))
		if err == nil && now.Seq > 0 {
			err = store.ErrConflict
		}
		if err != nil {
			return err
		}
		return s.apply(tx, w)
	})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		return entitlement.Account{}, err
	}
	return s.Account(ctx, c.Account)
}

// Commit implements [store.Accounts].
func (s *Store) Commit(ctx context.Context, c store.Commit) (store.Committed, error) {
	w, err := newCommit(c)
	if err != nil {
		return store.Committed{}, err
	}
	err = s.update(ctx, len(w.object), func(tx *bolt.Tx) error { return s.apply(tx, w) })
	if err != nil {
		return store.Committed{}, err
	}
	return w.done, nil
}

func newCommit(c store.Commit) (*commit, error) {
	c, err := record.CheckCommit(c)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", c.Object, err)
	}
	standing, err := record.Standing(c.Effect.Standing)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", c.Object, err)
	}
	w := &commit{Commit: c, standing: standing, object: append(number(c.Version+1), c.State...)}
	if c.Order != nil {
		w.result = *c.Order
	}
	if c.Settle != nil {
		w.settles = *c.Settle
		w.settles.Event.Body, w.settles.Retention.Body = nil, bytes.Clone(c.Settle.Retention.Body)
	}
	return w, nil
}

// commit is a commit on its way into the file.
type commit struct {
	store.Commit
	standing string
	object   []byte
	result   store.OrderResult
	settles  store.Settlement
	event    *event       // that is settled, and on its way into the file; nil: it is there
	before   *store.Order // nil: it is not read yet

	done  store.Committed
	order []byte // as it will be; nil when it stays as it is
}

func (s *Store) apply(tx *bolt.Tx, w *commit) error {
	b := accountOf(tx, w.Account)
	if parseObject(b.get(kindObject, w.Object.String())).Version != w.Version {
		return fmt.Errorf("commit %s: %w", w.Object, store.ErrConflict)
	}
	var known event
	switch {
	case w.event != nil:
		known = *w.event
	case w.Settle != nil:
		var err error
		if known, err = s.readEvent(tx, w.settles.Event.ID); err != nil {
			return err
		}
	}
	now := s.now()
	k, err := s.readBook(b, w.Account, now, grantIDs(w.Effect.Grants))
	if err != nil {
		return err
	}
	if k.after, k.entries, err = k.before.Apply(w.Effect.Grants, w.Policy, w.Cause, now); err != nil {
		return fmt.Errorf("commit %s: %w", w.Object, err)
	}
	if err := w.readOrder(b); err != nil {
		return err
	}
	if b, err = accountFor(tx, w.Account); err != nil {
		return err
	}
	s.turn(tx, k, true)
	k.srev = k.rev
	w.done = store.Committed{Entries: k.entries, Waiting: anyParked(tx, w.Object)}
	err = errors.Join(k.save(b), w.save(b))
	if w.Settle != nil {
		err = errors.Join(err, s.settle(tx, known, w.settles.Event, w.settles.Retention))
	}
	return err
}

func grantIDs(targets []ledger.Target) []string {
	ids := make([]string, 0, len(targets))
	for _, t := range targets {
		ids = append(ids, t.ID)
		if t.Into != "" {
			ids = append(ids, t.Into)
		}
	}
	return ids
}

// readOrder reads the commit's order and moves it along.
func (w *commit) readOrder(b bucket) error {
	if w.Order == nil {
		return nil
	}
	known := w.before
	if known == nil {
		var err error
		if known, err = findOrder(b, w.Account, w.result.ID); err != nil || known == nil {
			return err
		}
	}
	if known.State == store.OrderPaid {
		return nil
	}
	order := *known
	var err error
	order.State = w.result.State
	if w.result.PaymentID != "" {
		order.PaymentID = w.result.PaymentID
	}
	w.order, err = record.Order(order)
	return err
}

// save writes all of a commit but its book.
func (w *commit) save(b bucket) error {
	errs := []error{
		b.put(kindObject, w.Object.String(), w.object),
		w.saveStanding(b),
	}
	if w.order != nil {
		errs = append(errs, b.put(kindOrder, w.result.ID, w.order))
		if w.result.State == store.OrderPaid {
			errs = append(errs, b.remove(kindUnpaid, w.result.ID))
		}
	}
	return errors.Join(errs...)
}

func (w *commit) saveStanding(b bucket) error {
	if w.standing == "" {
		return b.remove(kindStanding, w.Object.String())
	}
	return b.put(kindStanding, w.Object.String(), []byte(w.standing))
}

// Entries implements [store.Accounts].
func (s *Store) Entries(ctx context.Context, account string, after int64, limit int) ([]ledger.Entry, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	limit = min(limit, maxEntries)
	var entries []ledger.Entry
	err := s.view(ctx, func(tx *bolt.Tx) error {
		b := accountOf(tx, account)
		if b.Bucket == nil || limit <= 0 {
			return nil
		}
		c := b.Cursor()
		from := slices.Concat([]byte{kindEntry}, number(max(after, 0)+1))
		for k, v := c.Seek(from); k != nil && k[0] == kindEntry && len(entries) < limit; k, v = c.Next() {
			e, err := record.ParseEntry(string(v))
			if err != nil {
				return damaged(err)
			}
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// EntriesBefore implements [store.Accounts].
func (s *Store) EntriesBefore(ctx context.Context, account string, before int64, limit int) ([]ledger.Entry, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	limit = min(limit, maxEntries)
	var entries []ledger.Entry
	err := s.view(ctx, func(tx *bolt.Tx) error {
		b := accountOf(tx, account)
		if b.Bucket == nil {
			return nil
		}
		c := b.Cursor()
		// Seek finds the first key that is not before it. There is one behind
		// all entries, seq.
		c.Seek(slices.Concat([]byte{kindEntry}, number(max(before, 0))))
		for k, v := c.Prev(); k != nil && k[0] == kindEntry && len(entries) < limit; k, v = c.Prev() {
			e, err := record.ParseEntry(string(v))
			if err != nil {
				return damaged(err)
			}
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// damaged says that the file holds what was never written to it.
func damaged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
