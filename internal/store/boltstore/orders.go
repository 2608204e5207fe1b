package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// CreateOrder implements [store.Orders].
func (s *Store) CreateOrder(ctx context.Context, o book.Order, key book.Key) (book.Order, book.Start, error) {
	o, err := record.NewOrder(o, key)
	if err != nil {
		return book.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	value, err := record.Order(o)
	if err != nil {
		return book.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	o.Terms = maps.Clone(o.Terms) // now nothing of it is the caller's
	var result book.Order
	var start book.Start
	err = s.update(ctx, len(value), func(tx *bolt.Tx) error {
		_, err := s.decide(tx, o.Account, func(b *book.Book) (err error) {
			result, start, err = b.CreateOrder(o, key)
			return err
		})
		return err
	})
	if err != nil {
		return book.Order{}, "", err
	}
	return result, start, nil
}

// OpenOrder implements [store.Orders]. The order's expiry is taken over with the
// session, unless it is zero.
func (s *Store) OpenOrder(ctx context.Context, o book.Order, key book.Key) error {
	o, session, err := record.OpenedOrder(o, key)
	if err != nil {
		return fmt.Errorf("open order: %w", err)
	}
	var refused error // the session is claimed also then
	err = s.update(ctx, len(o.CheckoutURL), func(tx *bolt.Tx) error {
		_, err := s.decide(tx, o.Account, func(b *book.Book) (err error) {
			refused, err = b.OpenOrder(o, key)
			return err
		})
		if err == nil || errors.Is(err, errUnwritten) {
			_, err = claim(tx, session, o.Account)
		}
		return err
	})
	if err == nil && refused != nil {
		return fmt.Errorf("open order: %w", refused)
	}
	return err
}

// DropOrder implements [store.Orders]. An order that is paid stays, but its key
// is free.
func (s *Store) DropOrder(ctx context.Context, o book.Order, key book.Key) error {
	o, err := record.CheckOrder(o, key)
	if err != nil {
		return fmt.Errorf("drop order: %w", err)
	}
	return s.update(ctx, 0, func(tx *bolt.Tx) error {
		_, err := s.decide(tx, o.Account, func(b *book.Book) error { return b.DropOrder(o, key) })
		return err
	})
}

// Order implements [store.Orders].
func (s *Store) Order(ctx context.Context, account, id string) (book.Order, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckNames(id)); err != nil {
		return book.Order{}, err
	}
	var o book.Order
	err := s.view(ctx, func(tx *bolt.Tx) error {
		var err error
		o, err = readOrder(accountOf(tx, account), account, id)
		return err
	})
	return o, err
}

// OpenOrders implements [store.Orders].
func (s *Store) OpenOrders(ctx context.Context, account string) ([]book.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []book.Order
	err := s.view(ctx, func(tx *bolt.Tx) error {
		now := s.now()
		b := accountOf(tx, account)
		return b.scan(kindUnpaid, func(name, value []byte) error {
			if parseUnpaid(value).expires <= now.UnixMilli() {
				return nil
			}
			o, err := readOrder(b, account, string(name))
			if err == nil && o.SessionID != "" {
				orders = append(orders, o)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return newest(orders, book.MaxOpenOrders), nil
}

// Purchases implements [store.Orders].
func (s *Store) Purchases(ctx context.Context, account string) ([]book.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []book.Order
	err := s.view(ctx, func(tx *bolt.Tx) error {
		now := s.now()
		return accountOf(tx, account).scan(kindOrder, func(name, value []byte) error {
			o, err := record.ParseOrder(account, string(name), value)
			if o.State != book.OrderOpen || (o.SessionID != "" && o.ExpiresAt.After(now)) {
				orders = append(orders, o)
			}
			return damaged(err)
		})
	})
	if err != nil {
		return nil, err
	}
	return newest(orders, book.MaxPurchases), nil
}

// newest sorts orders, newest first, and returns no more than limit.
func newest(orders []book.Order, limit int) []book.Order {
	slices.SortFunc(orders, func(a, b book.Order) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return orders[:min(len(orders), limit)]
}

func readOrder(b bucket, account, id string) (book.Order, error) {
	value := b.get(kindOrder, id)
	if value == nil {
		return book.Order{}, fmt.Errorf("order: %w", store.ErrNotFound)
	}
	return parseOrder(account, id, value)
}

func parseOrder(account, id string, value []byte) (book.Order, error) {
	o, err := record.ParseOrder(account, id, value)
	return o, damaged(err)
}
