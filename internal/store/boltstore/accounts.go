package boltstore

import (
	"bytes"
	"context"
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
		src.seen = held.show(&src.kept, src.now)
		a = src.kept.Account()
		a.Standings = make(map[string]entitlement.Standing)
		err := src.bucket.scan(kindStanding, func(name, value []byte) (err error) {
			a.Standings[string(name)], err = record.ParseStanding(string(value))
			return err
		})
		if err == nil && look != nil {
			err = s.guarded(look, book.Open(account, &src.kept, src, src.now))
		}
		return err
	})
	if err != nil {
		return entitlement.Account{}, book.OfAccount(account, err)
	}
	return a, nil
}

// parseObject reads an object; the zero one if b is nil.
func parseObject(b []byte) (book.Object, error) {
	if b == nil {
		return book.Object{}, nil
	}
	o := book.Object{Version: parseNumber(b)}
	if o.Version < 1 || o.Version > ledger.Max {
		return o, book.Damaged("stored object: %.20q", b)
	}
	o.State = bytes.Clone(b[8:])
	return o, nil
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
			e, err := b.parseEntry(k, v)
			if err != nil {
				return err
			}
			if n := len(entries); n > 0 && max(e.Seq-entries[n-1].Seq, entries[n-1].Seq-e.Seq) != 1 {
				return book.Damaged("entry %d is followed by %d", entries[n-1].Seq, e.Seq)
			}
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, book.OfAccount(account, err)
	}
	return entries, nil
}

// parseEntry reads what is stored as an entry under a key.
func (b bucket) parseEntry(key, stored []byte) (e ledger.Entry, err error) {
	value, err := unseal(b.account, key, stored)
	if err == nil {
		e, err = record.ParseEntry(string(value))
	}
	if err == nil && e.Seq != parseNumber(key[1:]) {
		err = book.Damaged("entry %d has the number %d", parseNumber(key[1:]), e.Seq)
	}
	return e, err
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
	return s.names(ctx, bucketAccounts, after, limit)
}

// EventIDs implements [store.Lister].
func (s *Store) EventIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	return s.names(ctx, bucketEvents, after, limit)
}

// names lists the keys of a bucket. Where a page ends is its last key.
func (s *Store) names(ctx context.Context, bucket []byte, after string, limit int) (names []string, next string, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		k, _ := c.Seek([]byte(after))
		if after != "" && string(k) == after {
			k, _ = c.Next()
		}
		for ; k != nil; k, _ = c.Next() {
			if len(names) >= limit {
				next = names[len(names)-1]
				return nil
			}
			names = append(names, string(k))
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return names, next, nil
}
