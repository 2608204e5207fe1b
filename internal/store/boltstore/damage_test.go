package boltstore_test

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
	"github.com/dodogate/dodogate/internal/store/storetest"
)

// entry is the key of an entry.
func entry(seq uint64) string { return string(binary.BigEndian.AppendUint64([]byte("e"), seq)) }

// TestPlantedDamage damages records of one account in the file, one at a time. Every damage is
// found, none shows a wrong balance, and the ledger is mended if the rest says how.
func TestPlantedDamage(t *testing.T) {
	const grant = "gpayment:pay_1/0"
	flip := func(key string, at int) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error {
			value := append([]byte(nil), b.Get([]byte(key))...)
			if at < 0 {
				at += len(value)
			}
			value[at] ^= 4
			return b.Put([]byte(key), value)
		}
	}
	put := func(key, value string) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error { return b.Put([]byte(key), []byte(value)) }
	}
	gone := func(keys ...string) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error {
			for _, key := range keys {
				if b.Get([]byte(key)) == nil && key != "s" {
					t.Errorf("there is no %q", key)
				}
				if err := b.Delete([]byte(key)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	copied := func(from, to string) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error { return b.Put([]byte(to), append([]byte(nil), b.Get([]byte(from))...)) }
	}
	cut := func(key string) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error {
			value := b.Get([]byte(key))
			return b.Put([]byte(key), append([]byte(nil), value[:len(value)-1]...))
		}
	}
	for name, c := range map[string]struct {
		storetest.Damage
		plant func(*bolt.Bucket) error
	}{
		"a bit of the account":                {plant: flip("s", -1)},
		"a bit of the account's mark":         {plant: flip("s", 0)},
		"a bit of a grant":                    {plant: flip(grant, 9)},
		"a bit of a grant's mark":             {plant: flip(grant, 0)},
		"a bit of the last entry":             {plant: flip(entry(4), -3)},
		"a bit of an entry":                   {plant: flip(entry(2), 12)},
		"a bit of a standing":                 {plant: flip("tpayment:pay_1", -2)},
		"a bit of an object":                  {plant: flip("opayment:pay_1", -1)},
		"a bit of an order":                   {plant: flip("rord_1", 20)},
		"a bit of a key":                      {plant: flip("khash", 20)},
		"a bit of the end of a hold":          {plant: flip("hspent", 20)},
		"a bit of a closed grant":             {plant: flip("cpayment:pay_2/0", -1)},
		"the account is gone":                 {plant: gone("s")},
		"the account and the entries are":     {storetest.Damage{Unmended: true}, gone("s", entry(1), entry(2), entry(3), entry(4), grant, "cpayment:pay_2/0")},
		"a grant is gone":                     {plant: gone(grant)},
		"a closed grant is gone":              {plant: gone("cpayment:pay_2/0")},
		"the last entry is gone":              {plant: gone(entry(4))},
		"an entry is gone":                    {plant: gone(entry(2))},
		"an object is gone":                   {plant: gone("opayment:pay_1")},
		"a grant in the old form has more":    {plant: put(grant, "100 5000 0 0 0 - 1700000000000")},
		"a debt in the old form":              {plant: put("s", string(make([]byte, 31))+"\x05")},
		"the account in the old form is cut":  {plant: put("s", string(make([]byte, 31)))},
		"a grant is cut":                      {plant: cut(grant)},
		"an entry is in the place of another": {plant: copied(entry(1), entry(2))},
		"there is one entry more":             {plant: copied(entry(4), entry(5))},
		"a record is of no known kind":        {plant: put("zero", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dodogate.db")
			s, err := dial(path, boltstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			storetest.LiveOn(t, s.store)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := bolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = db.Update(func(tx *bolt.Tx) error { return c.plant(tx.Bucket([]byte("accounts")).Bucket([]byte("ann"))) })
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			c.Want(t, open(t, path, boltstore.Options{}).store)
		})
	}
}

// TestDecisionPanics: a decision that panics fails, and others are made as before.
func TestDecisionPanics(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "dodogate.db"), boltstore.Options{})
	bad := func(*book.Book) error { panic("a bug") }
	if _, err := s.Update(t.Context(), "ann", bad); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("update: %v", err)
	}
	if _, err := s.View(t.Context(), "ann", bad); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("view: %v", err)
	}
	if err := give(t.Context(), s, "ann", 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
