package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
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
	var a entitlement.Account
	s.holds.mu.Lock() // until the reader has begun, so that both are of one instant
	unlock := sync.OnceFunc(s.holds.mu.Unlock)
	defer unlock()
	err := s.view(ctx, func(tx *bolt.Tx) error {
		held := s.holds.cut(account)
		unlock()
		b := accountOf(tx, account)
		var kept book.Kept
		if err := readKept(b, &kept); err != nil {
			return err
		}
		held.show(&kept, s.now())
		a = kept.Account()
		a.Standings = make(map[string]entitlement.Standing)
		return b.scan(kindStanding, func(name, value []byte) (err error) {
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
func (s *Store) Object(ctx context.Context, account string, ref entitlement.Ref) (book.Object, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckRef(ref)); err != nil {
		return book.Object{}, err
	}
	var o book.Object
	err := s.view(ctx, func(tx *bolt.Tx) error {
		o = parseObject(accountOf(tx, account).get(kindObject, ref.String()))
		return nil
	})
	return o, err
}

func parseObject(b []byte) book.Object {
	if len(b) < 8 {
		return book.Object{}
	}
	return book.Object{Version: parseNumber(b), State: bytes.Clone(b[8:])}
}

// SignUp implements [store.Accounts].
func (s *Store) SignUp(ctx context.Context, c book.Commit) (entitlement.Account, error) {
	c.Version, c.Order, c.Settle = 0, nil, nil
	c, err := record.OwnCommit(c)
	if err != nil {
		return entitlement.Account{}, err
	}
	a, err := s.Account(ctx, c.Account) // most are not new, and reading is cheap
	if err != nil || a.Ledger.Seq > 0 {
		return a, err
	}
	err = s.update(ctx, len(c.State), func(tx *bolt.Tx) error {
		_, err := s.decide(tx, c.Account, func(b *book.Book) error { return b.SignUp(c) })
		return err
	})
	if err != nil {
		return entitlement.Account{}, err
	}
	return s.Account(ctx, c.Account)
}

// Commit implements [store.Accounts].
func (s *Store) Commit(ctx context.Context, c book.Commit) (book.Committed, error) {
	c, err := record.OwnCommit(c)
	if err != nil {
		return book.Committed{}, err
	}
	var done book.Committed
	err = s.update(ctx, len(c.State), func(tx *bolt.Tx) error {
		var settled event
		_, err := s.decide(tx, c.Account, func(b *book.Book) (err error) {
			if done.Entries, err = b.Commit(c); err == nil && c.Settle != nil {
				settled, err = s.readEvent(tx, c.Settle.Event.ID)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("commit %s: %w", c.Object, err)
		}
		if done.Waiting = anyParked(tx, c.Object); c.Settle == nil {
			return nil
		}
		return s.settle(tx, settled, c.Settle.Event, c.Settle.Retention)
	})
	if err != nil {
		return book.Committed{}, err
	}
	return done, nil
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
