package boltstore

import (
	"encoding/binary"
	"slices"

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

// bucket is a bbolt bucket that may not exist: reading it finds nothing then.
type bucket struct{ *bolt.Bucket }

// accountOf returns the bucket of an account, to be read.
func accountOf(tx *bolt.Tx, account string) bucket {
	return bucket{tx.Bucket(bucketAccounts).Bucket([]byte(account))}
}

// accountFor returns the bucket of an account, to be written.
func accountFor(tx *bolt.Tx, account string) (bucket, error) {
	b, err := tx.Bucket(bucketAccounts).CreateBucketIfNotExists([]byte(account))
	if err != nil {
		return bucket{}, writeError{err}
	}
	return bucket{b}, nil
}

// get returns the value of a key, valid as long as the transaction; nil when
// there is none.
func (b bucket) get(kind byte, name string) []byte {
	if b.Bucket == nil {
		return nil
	}
	return b.Get(key(kind, name))
}

// scan calls visit for every key of a kind, in order of the names, until it
// returns an error.
func (b bucket) scan(kind byte, visit func(name, value []byte) error) error {
	if b.Bucket == nil {
		return nil
	}
	return scan(b.Cursor(), []byte{kind}, visit)
}

// put writes a key.
func (b bucket) put(kind byte, name string, value []byte) error {
	return put(b.Bucket, key(kind, name), value)
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

// scan calls visit for every key under a prefix, which it is given without it.
func scan(c *bolt.Cursor, prefix []byte, visit func(name, value []byte) error) error {
	for k, v := c.Seek(prefix); len(k) >= len(prefix) && slices.Equal(k[:len(prefix)], prefix); k, v = c.Next() {
		if err := visit(k[len(prefix):], v); err != nil {
			return err
		}
	}
	return nil
}

func key(kind byte, name string) []byte { return append([]byte{kind}, name...) }

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
