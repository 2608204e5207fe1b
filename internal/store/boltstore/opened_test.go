package boltstore_test

import (
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/boltstore"
)

// opened is an open store, with the operations by name.
type opened struct {
	store.Client
	store *boltstore.Store
}

func dial(path string, opts boltstore.Options) (*opened, error) {
	s, err := boltstore.Open(path, opts)
	if err != nil {
		return nil, err
	}
	return &opened{store.Client{Store: s}, s}, nil
}

func (s *opened) Close() error           { return s.store.Close() }
func (s *opened) Stats() boltstore.Stats { return s.store.Stats() }
