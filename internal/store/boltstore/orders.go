package boltstore

import (
	"cmp"
	"context"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Orders implements [store.Store].
func (s *Store) Orders(ctx context.Context, account string, list store.OrderList) ([]book.Order, error) {
	if err := book.CheckAccount(account); err != nil {
		return nil, err
	}
	read, limit := s.openOrders, book.MaxOpenOrders
	if list == store.Purchases {
		read, limit = s.purchases, book.MaxPurchases
	}
	var orders []book.Order
	err := s.view(ctx, func(tx *bolt.Tx) (err error) {
		orders, err = read(account, accountOf(tx, account))
		return err
	})
	if err != nil {
		return nil, book.OfAccount(account, err)
	}
	return newest(orders, limit), nil
}

func (s *Store) openOrders(account string, b bucket) (orders []book.Order, err error) {
	now := s.now().UnixMilli()
	err = b.scan(kindUnpaid, func(name, value []byte) error {
		if u, err := parseUnpaid(value); err != nil || u.expires <= now {
			return err
		}
		o, err := findOrder(b, account, string(name))
		if o != nil && o.SessionID != "" {
			orders = append(orders, *o)
		}
		return err
	})
	return orders, err
}

func (s *Store) purchases(account string, b bucket) (orders []book.Order, err error) {
	now := s.now()
	err = b.scan(kindOrder, func(name, value []byte) error {
		o, err := record.ParseOrder(account, string(name), value)
		if o.State != book.OrderOpen || (o.SessionID != "" && o.ExpiresAt.After(now)) {
			orders = append(orders, o)
		}
		return err
	})
	return orders, err
}

// newest sorts orders, newest first, and returns no more than limit.
func newest(orders []book.Order, limit int) []book.Order {
	slices.SortFunc(orders, func(a, b book.Order) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return orders[:min(len(orders), limit)]
}

// findOrder reads an order; nil when there is none.
func findOrder(b bucket, account, id string) (*book.Order, error) {
	value, err := b.get(kindOrder, id)
	if value == nil || err != nil {
		return nil, err
	}
	o, err := record.ParseOrder(account, id, value)
	if err != nil {
		return nil, err
	}
	return &o, nil
}
