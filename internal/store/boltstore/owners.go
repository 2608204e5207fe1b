package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Claim implements [store.Owners].
func (s *Store) Claim(ctx context.Context, ref entitlement.Ref, account string) (string, error) {
	if err := record.CheckAccount(account); err != nil {
		return "", err
	}
	owner, err := s.Owner(ctx, ref) // most are bound already, and reading is cheap
	if err != nil || owner != "" {
		return owner, err
	}
	var won string
	err = s.update(ctx, len(account), func(tx *bolt.Tx) (err error) {
		won, err = claim(tx, ref, account)
		return err
	})
	if err != nil {
		return "", err
	}
	return won, nil
}

func claim(tx *bolt.Tx, ref entitlement.Ref, account string) (string, error) {
	b, name := tx.Bucket(bucketOwners), []byte(ref.String())
	if owner := b.Get(name); owner != nil {
		return string(owner), nil
	}
	return account, put(b, name, []byte(account))
}

// Owner implements [store.Owners].
func (s *Store) Owner(ctx context.Context, ref entitlement.Ref) (string, error) {
	if err := record.CheckRef(ref); err != nil {
		return "", err
	}
	var owner string
	err := s.view(ctx, func(tx *bolt.Tx) error {
		owner = string(tx.Bucket(bucketOwners).Get([]byte(ref.String())))
		return nil
	})
	return owner, err
}
