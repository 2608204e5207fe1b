package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

var _ store.Mender = (*Store)(nil)

// Records implements [store.Mender].
func (s *Store) Records(ctx context.Context, account string) (store.Records, error) {
	r := &reading{}
	err := s.view(ctx, func(tx *bolt.Tx) error {
		r.read(accountOf(tx, account))
		return nil
	})
	return r.Records, err
}

// reading are the records of an account while they are read one by one.
type reading struct{ store.Records }

func (r *reading) read(b bucket) {
	r.Standings, r.Objects = make(map[string]entitlement.Standing), make(map[entitlement.Ref]book.Object)
	if b.Bucket == nil {
		return
	}
	c := b.Cursor()
	var bad []store.Unreadable
	for k, stored := c.First(); k != nil; k, stored = c.Next() {
		value, err := unseal(b.account, k, stored)
		if err == nil {
			err = r.add(b, k, value)
		}
		if err != nil {
			bad = append(bad, store.Unreadable{Key: string(k), What: fmt.Sprintf("record %s: %v", keyText(k), err)})
			if k[0] == kindLive || k[0] == kindClosed {
				r.Ledger.Lost = append(r.Ledger.Lost, string(k[1:]))
			}
		}
	}
	r.Unreadable = bad
}

// add reads one record.
func (r *reading) add(b bucket, key, value []byte) (err error) {
	name := string(key[1:])
	switch key[0] {
	case kindHead:
		if len(value) != headSize {
			return book.Damaged("%d bytes", len(value))
		}
		r.There, r.Rev, r.Ledger.Head = true, parseNumber(value), true
		r.Ledger.Seq, r.Ledger.Debt = parseNumber(value[16:]), parseNumber(value[24:])
		if r.Rev < 0 || r.Ledger.Seq < 0 || r.Ledger.Seq > ledger.Max || r.Ledger.Debt < 0 || r.Ledger.Debt > ledger.Max {
			r.Ledger.Head = false
			return book.Damaged("out of range")
		}
	case kindLive, kindClosed:
		var g ledger.Grant
		if g, err = record.ParseGrant(name, string(value)); err == nil && g.Open() != (key[0] == kindLive) {
			err = book.Damaged("it is among the wrong grants")
		}
		if err == nil {
			r.Ledger.Grants = append(r.Ledger.Grants, g)
		}
	case kindEntry:
		err = r.addEntry(key, value)
	case kindStanding:
		r.Standings[name], err = record.ParseStanding(string(value))
	case kindObject:
		ref, _ := entitlement.ParseRef(name)
		r.Objects[ref], err = parseObject(value)
	case kindOrder:
		var o book.Order
		if o, err = record.ParseOrder(b.account, name, value); err == nil {
			r.Orders = append(r.Orders, o)
		}
	case kindUnpaid:
		_, err = parseUnpaid(value)
	case kindKey:
		_, err = parseKey(value)
	case kindEnded:
		_, err = parseEnded(value)
	case kindEndedUntil:
	default:
		err = book.Damaged("its kind is not known")
	}
	return err
}

// mostGap is how many entries in a row that are missing are believed in.
const mostGap = 1000

func (r *reading) addEntry(key, value []byte) error {
	at := parseNumber(key[1:])
	entries := &r.Ledger.Entries
	if len(key) != 9 || at <= int64(len(*entries)) || at > int64(len(*entries))+mostGap {
		return book.Damaged("its number is wrong")
	}
	e, err := record.ParseEntry(string(value))
	if err == nil && e.Seq != at {
		err = book.Damaged("entry %d has the number %d", at, e.Seq)
	}
	if err != nil {
		e = ledger.Entry{}
	}
	*entries = append(*entries, make([]ledger.Entry, at-int64(len(*entries))-1)...)
	*entries = append(*entries, e)
	return err
}

// Replace implements [store.Mender].
func (s *Store) Replace(ctx context.Context, account string, r store.Records, with ledger.Account, entries []ledger.Entry) error {
	with.Grants, entries = slices.Clone(with.Grants), slices.Clone(entries)
	return s.update(ctx, likelySize, func(tx *bolt.Tx) error {
		now := &reading{}
		now.read(accountOf(tx, account))
		if now.Rev != r.Rev || len(now.Ledger.Entries) != len(r.Ledger.Entries) {
			return fmt.Errorf("replace records: %w", store.ErrConflict)
		}
		b, err := accountFor(tx, account)
		if err != nil {
			return err
		}
		if err := b.clear(r.Unreadable); err != nil {
			return err
		}
		w := &saving{bucket: b}
		rev := s.nextRev(max(r.Rev, s.holds.tidied))
		w.put(kindHead, "", slices.Concat(number(rev), number(rev), number(with.Seq), number(with.Debt)))
		for i := range with.Grants {
			g := inFile(&with.Grants[i])
			kind := byte(kindClosed)
			if g.Open() {
				kind = kindLive
			}
			w.put(kind, g.ID, record.AppendGrant(nil, g))
		}
		for _, e := range entries {
			w.put(kindEntry, string(number(e.Seq)), record.AppendEntry(nil, e))
		}
		if w.err == nil {
			tx.OnCommit(func() { s.watchers.Changed(account, rev) })
		}
		return w.err
	})
}

// clear removes an account's ledger, and the records that cannot be read.
func (b bucket) clear(unreadable []store.Unreadable) error {
	var gone [][]byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if slices.Contains([]byte{kindHead, kindLive, kindClosed, kindEntry}, k[0]) {
			gone = append(gone, bytes.Clone(k))
		}
	}
	for _, bad := range unreadable {
		gone = append(gone, []byte(bad.Key))
	}
	for _, k := range gone {
		if err := b.Delete(k); err != nil {
			return writeError{err}
		}
	}
	return nil
}

// Bindings implements [store.Mender].
func (s *Store) Bindings(ctx context.Context, after string, limit int) (page []store.Binding, next string, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketOwners).Cursor()
		k, v := c.Seek([]byte(after))
		if after != "" && string(k) == after {
			k, v = c.Next()
		}
		for ; k != nil; k, v = c.Next() {
			if len(page) >= limit {
				next = page[len(page)-1].Ref.String()
				return nil
			}
			ref, _ := entitlement.ParseRef(string(k))
			page = append(page, store.Binding{Ref: ref, Account: string(v)})
		}
		return nil
	})
	return page, next, err
}
