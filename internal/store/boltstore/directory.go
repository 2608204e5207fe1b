package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// AccountIDs implements [store.Directory]. Pages are in order of the ids.
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
