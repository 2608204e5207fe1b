package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// retention is how long an unpaid order is kept after its expiry, at least.
const retention = 30 * 24 * time.Hour

// CreateOrder implements [store.Orders].
func (s *Store) CreateOrder(ctx context.Context, o store.Order, key store.Key) (store.Order, store.Start, error) {
	o, err := record.NewOrder(o, key)
	if err != nil {
		return store.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	o.CreatedAt = s.now()
	value, err := record.Order(o)
	if err != nil {
		return store.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	o.Terms = maps.Clone(o.Terms) // now nothing of it is the caller's
	c := creation{order: o, value: value, key: key, now: s.now}
	if err := s.update(ctx, len(value), c.run); err != nil {
		return store.Order{}, "", err
	}
	return c.result, c.start, nil
}

// creation is an order on its way into the file.
type creation struct {
	order store.Order
	value []byte // as it is written
	key   store.Key
	now   func() time.Time

	result store.Order
	start  store.Start
}

func (c *creation) run(tx *bolt.Tx) error {
	now := c.now()
	b := accountOf(tx, c.order.Account)
	known, err := readKey(b, c.key.Hash, now)
	if err != nil {
		return err
	}
	if known != nil && (!known.Done || string(known.Order) != c.key.Ended) {
		return c.again(b, *known, now)
	}
	c.start = store.Created
	c.result, err = readOrder(b, c.order.Account, c.order.ID)
	switch {
	case err == nil: // a repeat
		return saveKey(b, c.key.Hash, c.running(now))
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	c.result = c.order
	return c.store(tx, b, now)
}

// again answers for a key that was seen before, and takes the order over when
// its caller did not finish in time.
func (c *creation) again(b bucket, known keyRecord, now time.Time) error {
	if string(known.Fingerprint) != c.key.Fingerprint {
		c.start = store.Mismatched
		if !known.Done {
			return nil
		}
		var err error
		c.result, err = readOrder(b, c.order.Account, string(known.Order))
		return err
	}
	own := string(known.By) == c.order.ID
	if !known.Done && !own && now.UnixMilli() < known.Until {
		c.start = store.Running
		return nil
	}
	var err error
	if c.result, err = readOrder(b, c.order.Account, string(known.Order)); err != nil {
		return err
	}
	if known.Done {
		c.start = store.Replayed
		return nil
	}
	c.start = store.Resumed
	if c.result.ID == c.order.ID {
		c.start = store.Created
	}
	next := c.running(now)
	next.Order = known.Order
	return saveKey(b, c.key.Hash, next)
}

func (c *creation) running(now time.Time) keyRecord {
	return keyRecord{
		Order: []byte(c.order.ID), By: []byte(c.order.ID), Fingerprint: []byte(c.key.Fingerprint),
		Until: now.Add(c.key.Lease).UnixMilli(),
	}
}

// store writes the order, unless the account has too many, and forgets what is
// old enough.
func (c *creation) store(tx *bolt.Tx, b bucket, now time.Time) error {
	open := 0
	err := b.scan(kindUnpaid, func(_, value []byte) error {
		if parseUnpaid(value).expires > now.UnixMilli() {
			open++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if open >= store.MaxOpenOrders {
		return fmt.Errorf("create order: %w", store.ErrTooManyOrders)
	}
	old, err := findOld(b, now)
	if err != nil {
		return err
	}
	if b, err = accountFor(tx, c.order.Account); err != nil {
		return err
	}
	return errors.Join(
		old.forget(b),
		b.put(kindOrder, c.order.ID, c.value),
		b.put(kindUnpaid, c.order.ID, unpaidUntil(c.order.ExpiresAt, now.Add(c.key.Keep))),
		saveKey(b, c.key.Hash, c.running(now)),
	)
}

// OpenOrder implements [store.Orders]. The order's expiry is taken over with the
// session, unless it is zero.
func (s *Store) OpenOrder(ctx context.Context, o store.Order, key store.Key) error {
	o, session, err := record.OpenedOrder(o, key)
	if err != nil {
		return fmt.Errorf("open order: %w", err)
	}
	var refused error // what is written all the same
	err = s.update(ctx, len(o.CheckoutURL), func(tx *bolt.Tx) error {
		now := s.now()
		b := accountOf(tx, o.Account)
		stored, err := readOrder(b, o.Account, o.ID)
		if errors.Is(err, store.ErrNotFound) {
			refused = store.ErrNotFound
			_, err = claim(tx, session, o.Account)
			return err
		}
		if err != nil {
			return err
		}
		if stored.SessionID != "" && stored.SessionID != o.SessionID {
			refused = store.ErrConflict
		}
		known, err := readKey(b, key.Hash, now)
		if err != nil {
			return err
		}
		tx.OnCommit(func() { s.watchers.Changed(o.Account, 0) })
		_, err = claim(tx, session, o.Account)
		return errors.Join(err, saveSession(b, stored, o, now.Add(key.Keep)), finishKey(b, known, o.ID, key, now))
	})
	if err == nil && refused != nil {
		return fmt.Errorf("open order: %w", refused)
	}
	return err
}

// saveSession stores the session in o unless the stored order has one.
func saveSession(b bucket, stored, o store.Order, keep time.Time) error {
	if stored.SessionID != "" {
		return nil
	}
	stored.SessionID, stored.CheckoutURL = o.SessionID, o.CheckoutURL
	if !o.ExpiresAt.IsZero() {
		stored.ExpiresAt = o.ExpiresAt
	}
	value, err := record.Order(stored)
	if err != nil {
		return writeError{err}
	}
	err = b.put(kindOrder, o.ID, value)
	if stored.State == store.OrderPaid {
		return err
	}
	return errors.Join(err, b.put(kindUnpaid, o.ID, unpaidUntil(stored.ExpiresAt, keep)))
}

// DropOrder implements [store.Orders]. An order that is paid stays, but its key
// is free.
func (s *Store) DropOrder(ctx context.Context, o store.Order, key store.Key) error {
	o, err := record.CheckOrder(o, key)
	if err != nil {
		return fmt.Errorf("drop order: %w", err)
	}
	return s.update(ctx, 0, func(tx *bolt.Tx) error {
		b := accountOf(tx, o.Account)
		if b.Bucket == nil {
			return nil
		}
		stored, err := readOrder(b, o.Account, o.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		known, keyErr := readKey(b, key.Hash, s.now())
		if keyErr != nil {
			return keyErr
		}
		if stored.SessionID != "" {
			return nil
		}
		var errs []error
		if err == nil && stored.State != store.OrderPaid {
			errs = append(errs, b.remove(kindOrder, o.ID), b.remove(kindUnpaid, o.ID))
		}
		if known != nil && string(known.Order) == o.ID {
			errs = append(errs, b.remove(kindKey, key.Hash))
		}
		return errors.Join(errs...)
	})
}

// Order implements [store.Orders].
func (s *Store) Order(ctx context.Context, account, id string) (store.Order, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckNames(id)); err != nil {
		return store.Order{}, err
	}
	var o store.Order
	err := s.view(ctx, func(tx *bolt.Tx) error {
		var err error
		o, err = readOrder(accountOf(tx, account), account, id)
		return err
	})
	return o, err
}

// OpenOrders implements [store.Orders].
func (s *Store) OpenOrders(ctx context.Context, account string) ([]store.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []store.Order
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
	return newest(orders, store.MaxOpenOrders), nil
}

// Purchases implements [store.Orders].
func (s *Store) Purchases(ctx context.Context, account string) ([]store.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []store.Order
	err := s.view(ctx, func(tx *bolt.Tx) error {
		now := s.now()
		return accountOf(tx, account).scan(kindOrder, func(name, value []byte) error {
			o, err := record.ParseOrder(account, string(name), value)
			if o.State != store.OrderOpen || (o.SessionID != "" && o.ExpiresAt.After(now)) {
				orders = append(orders, o)
			}
			return damaged(err)
		})
	})
	if err != nil {
		return nil, err
	}
	return newest(orders, store.MaxPurchases), nil
}

// newest sorts orders, newest first, and returns no more than limit.
func newest(orders []store.Order, limit int) []store.Order {
	slices.SortFunc(orders, func(a, b store.Order) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return orders[:min(len(orders), limit)]
}

func readOrder(b bucket, account, id string) (store.Order, error) {
	value := b.get(kindOrder, id)
	if value == nil {
		return store.Order{}, fmt.Errorf("order: %w", store.ErrNotFound)
	}
	return parseOrder(account, id, value)
}

func parseOrder(account, id string, value []byte) (store.Order, error) {
	o, err := record.ParseOrder(account, id, value)
	return o, damaged(err)
}
