package redisstore_test

import (
	"context"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/redisstore"
)

// opened is an open store, with the operations by name.
type opened struct {
	store.Client
	store *redisstore.Store
}

func dial(ctx context.Context, opts redisstore.Options) (*opened, error) {
	s, err := redisstore.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &opened{store.Client{Store: s}, s}, nil
}

func (s *opened) Close() error { return s.store.Close() }
