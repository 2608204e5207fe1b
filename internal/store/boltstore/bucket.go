package boltstore

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// The first bytes of an account's keys, see doc.go.
const (
	kindHead       = 's'
	kindLive       = 'g'
	kindStanding   = 't'
	kindClosed     = 'c'
	kindEntry      = 'e'
	kindEnded      = 'h'
	kindEndedUntil = 'i'
	kindObject     = 'o'
	kindOrder      = 'r'
	kindUnpaid     = 'u'
	kindKey        = 'k'
)

// bucket is the bucket of an account, which may not exist: reading it finds nothing then. All
// reading and writing of an account's values goes through it, and so through the checksums.
type bucket struct {
	*bolt.Bucket
	account string
}

// accountOf returns the bucket of an account, to be read.
func accountOf(tx *bolt.Tx, account string) bucket {
	return bucket{tx.Bucket(bucketAccounts).Bucket([]byte(account)), account}
}

// accountFor returns the bucket of an account, to be written.
func accountFor(tx *bolt.Tx, account string) (bucket, error) {
	b, err := tx.Bucket(bucketAccounts).CreateBucketIfNotExists([]byte(account))
	if err != nil {
		return bucket{}, writeError{err}
	}
	return bucket{b, account}, nil
}

// has reports whether there is a key.
func (b bucket) has(kind byte, name string) bool {
	return b.Bucket != nil && b.Get(key(kind, name)) != nil
}

// get returns the value of a key, valid as long as the transaction; nil when
// there is none.
func (b bucket) get(kind byte, name string) ([]byte, error) {
	if b.Bucket == nil {
		return nil, nil
	}
	k := key(kind, name)
	return unseal(b.account, k, b.Get(k))
}

// scan calls visit for every key of a kind, in order of the names, until it
// returns an error.
func (b bucket) scan(kind byte, visit func(name, value []byte) error) error {
	if b.Bucket == nil {
		return nil
	}
	return b.scanBy(b.Cursor(), kind, visit)
}

// scanBy is scan by a cursor that the caller has.
func (b bucket) scanBy(c *bolt.Cursor, kind byte, visit func(name, value []byte) error) error {
	for k, v := c.Seek([]byte{kind}); len(k) > 0 && k[0] == kind; k, v = c.Next() {
		value, err := unseal(b.account, k, v)
		if err == nil {
			err = visit(k[1:], value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes a key.
func (b bucket) put(kind byte, name string, value []byte) error {
	k := key(kind, name)
	return put(b.Bucket, k, seal(b.account, k, value))
}

// remove removes a key if it is there.
func (b bucket) remove(kind byte, name string) error {
	if err := b.Delete(key(kind, name)); err != nil {
		return writeError{err}
	}
	return nil
}

func put(b *bolt.Bucket, key, value []byte) error {
	if err := b.Put(key, value); err != nil {
		return writeError{err}
	}
	return nil
}

func key(kind byte, name string) []byte { return append([]byte{kind}, name...) }

// keyText is a key as people read it.
func keyText(key []byte) string {
	if len(key) == 9 && key[0] == kindEntry {
		return fmt.Sprintf("e %d", parseNumber(key[1:]))
	}
	return fmt.Sprintf("%c %.60q", key[0], key[1:])
}

// entryKey is the key of an entry.
func entryKey(seq int64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 1+8), kindEntry), uint64(seq))
}

// number writes n so that keys are in order of their numbers.
func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// parseNumber reads the 8 bytes that number wrote; anything else is 0.
func parseNumber(b []byte) int64 {
	if len(b) < 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}
