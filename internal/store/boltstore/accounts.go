package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// View implements [store.Store].
func (s *Store) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	if err := book.CheckAccount(account); err != nil {
		return entitlement.Account{}, err
	}
	var a entitlement.Account
	s.holds.mu.Lock() // until the reader has begun, so that both are of one instant
	unlock := sync.OnceFunc(s.holds.mu.Unlock)
	defer unlock()
	err := s.view(ctx, func(tx *bolt.Tx) error {
		held := s.holds.cut(account)
		unlock()
		src := &source{bucket: accountOf(tx, account), account: account, now: s.now()}
		if err := readKept(src.bucket, &src.kept); err != nil {
			return err
		}
		held.show(&src.kept, src.now)
		a = src.kept.Account()
		a.Standings = make(map[string]entitlement.Standing)
		err := src.bucket.scan(kindStanding, func(name, value []byte) (err error) {
			a.Standings[string(name)], err = record.ParseStanding(string(value))
			return damaged(err)
		})
		if err == nil && look != nil {
			err = look(book.Open(account, &src.kept, src, src.now))
		}
		return err
	})
	if err != nil {
		return entitlement.Account{}, err
	}
	return a, nil
}

func parseObject(b []byte) book.Object {
	if len(b) < 8 {
		return book.Object{}
	}
	return book.Object{Version: parseNumber(b), State: bytes.Clone(b[8:])}
}

// Entries implements [store.Store].
func (s *Store) Entries(ctx context.Context, account string, p store.Page) ([]ledger.Entry, error) {
	if err := book.CheckAccount(account); err != nil {
		return nil, err
	}
	limit := min(p.Limit, store.MaxEntries)
	var entries []ledger.Entry
	err := s.view(ctx, func(tx *bolt.Tx) error {
		b := accountOf(tx, account)
		if b.Bucket == nil || limit <= 0 {
			return nil
		}
		c := b.Cursor()
		k, v, next := entriesFrom(c, p)
		for ; len(k) > 0 && k[0] == kindEntry && len(entries) < limit; k, v = next() {
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

// entriesFrom is the first key of a page with its value, and what finds the next.
func entriesFrom(c *bolt.Cursor, p store.Page) (k, v []byte, next func() (k, v []byte)) {
	if p.Before == 0 {
		k, v = c.Seek(entryKey(max(p.After, 0) + 1))
		return k, v, c.Next
	}
	// Seek finds the first key that is not before it. There is one behind all entries, the head.
	c.Seek(entryKey(max(p.Before, 0)))
	k, v = c.Prev()
	return k, v, c.Prev
}

// AccountIDs implements [store.Store]. Pages are in order of the ids.
func (s *Store) AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketAccounts).Cursor()
		k, _ := c.Seek([]byte(after))
		if after != "" && string(k) == after {
			k, _ = c.Next()
		}
		for ; k != nil; k, _ = c.Next() {
			if len(ids) >= limit {
				next = ids[len(ids)-1]
				return nil
			}
			ids = append(ids, string(k))
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return ids, next, nil
}

// damaged says that the file holds what was never written to it.
func damaged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}
