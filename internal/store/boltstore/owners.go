package boltstore

import (
	"context"
	"errors"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Claim implements [store.Store].
func (s *Store) Claim(ctx context.Context, ref entitlement.Ref, account string) (owner string, err error) {
	err = book.CheckRef(ref)
	if account != "" {
		err = errors.Join(err, book.CheckAccount(account))
	}
	if err != nil {
		return "", err
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		owner = string(tx.Bucket(bucketOwners).Get([]byte(ref.String())))
		return nil
	})
	if err != nil || owner != "" || account == "" {
		return owner, err
	}
	err = s.update(ctx, len(account), func(tx *bolt.Tx) (err error) {
		owner, err = claim(tx, ref, account)
		return err
	})
	if err != nil {
		return "", err
	}
	return owner, nil
}

func claim(tx *bolt.Tx, ref entitlement.Ref, account string) (string, error) {
	b, name := tx.Bucket(bucketOwners), []byte(ref.String())
	if owner := b.Get(name); owner != nil {
		return string(owner), nil
	}
	return account, put(b, name, []byte(account))
}

// free unbinds a thing that is the account's.
func free(tx *bolt.Tx, ref entitlement.Ref, account string) error {
	b, name := tx.Bucket(bucketOwners), []byte(ref.String())
	if string(b.Get(name)) != account {
		return nil
	}
	if err := b.Delete(name); err != nil {
		return writeError{err}
	}
	return nil
}

// noteKey names a note in the bucket of what is said about the file as a whole. Marks are under
// the names that they always had.
func noteKey(name string) []byte {
	if mark, is := strings.CutPrefix(name, "mark:"); is {
		return []byte("mark " + mark)
	}
	return []byte("note " + name)
}

// Note implements [store.Store].
func (s *Store) Note(ctx context.Context, name, seen, text string) (kept string, err error) {
	if err := book.CheckNames(name, text); err != nil {
		return "", err
	}
	read := func(tx *bolt.Tx) { kept = string(tx.Bucket(bucketMeta).Get(noteKey(name))) }
	err = s.view(ctx, func(tx *bolt.Tx) error {
		read(tx)
		return nil
	})
	if err != nil || kept != seen || text == "" {
		return kept, err
	}
	err = s.update(ctx, len(name)+len(text), func(tx *bolt.Tx) error {
		if read(tx); kept != seen {
			return nil
		}
		kept = text
		return put(tx.Bucket(bucketMeta), noteKey(name), []byte(text))
	})
	if err != nil {
		return "", err
	}
	return kept, nil
}

// Watch implements [store.Store]. Watchers hear of a change before it is answered and, if it
// is written, once it is on disk.
func (s *Store) Watch(w store.Watcher) (stop func()) { return s.watchers.Watch(w) }
