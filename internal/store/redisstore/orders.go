package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// retention is how long an unpaid order is kept after its expiry.
const retention = 30 * 24 * time.Hour

// CreateOrder implements [store.Orders].
func (s *Store) CreateOrder(ctx context.Context, o book.Order, key book.Key) (book.Order, book.Start, error) {
	o, err := record.NewOrder(o, key)
	if err != nil {
		return book.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	if _, err := record.Order(o); err != nil {
		return book.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	o.Terms = maps.Clone(o.Terms)
	var result book.Order
	var start book.Start
	_, err = s.update(ctx, "create order", o.Account, func(b *book.Book) (err error) {
		result, start, err = b.CreateOrder(o, key)
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
	if s.apart.Load() { // what goes together may arrive in any order
		if _, err := s.Claim(ctx, session, o.Account); err != nil {
			return err
		}
	}
	claimed := s.apart.Load()
	var claim *redis.BoolCmd
	var refused error
	_, err = s.updateWith(ctx, "open order", o.Account, &decision{
		ahead: func(ctx context.Context, p redis.Pipeliner) {
			if !claimed {
				claim = p.SetNX(ctx, s.ownerKey(session), o.Account, 0)
			}
		},
		decide: func(b *book.Book) (err error) {
			refused, err = b.OpenOrder(o, key)
			return err
		},
	})
	if err == nil && !claimed && (claim == nil || claim.Err() != nil) {
		_, err = s.Claim(ctx, session, o.Account)
	}
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
	_, err = s.update(ctx, "drop order", o.Account, func(b *book.Book) error { return b.DropOrder(o, key) })
	return err
}

// Order implements [store.Orders].
func (s *Store) Order(ctx context.Context, account, id string) (book.Order, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckNames(id)); err != nil {
		return book.Order{}, err
	}
	var o book.Order
	err := s.do(ctx, "read order", func(ctx context.Context) error {
		var err error
		o, err = s.readOrder(ctx, account, id)
		return err
	})
	return o, err
}

func (s *Store) readOrder(ctx context.Context, account, id string) (book.Order, error) {
	fields, err := s.client.HGetAll(ctx, s.keysOf(account).order(id)).Result()
	if err != nil {
		return book.Order{}, err
	}
	return parseOrder(account, id, orderValues(fields))
}

// orderFields are the fields of an order's hash, as receive.lua reads them.
var orderFields = [...]string{"order", "state", "created", "expires", "session", "url", "payment"}

// orderValues are the values of orderFields.
func orderValues(fields map[string]string) []string {
	values := make([]string, len(orderFields))
	for i, name := range orderFields {
		values[i] = fields[name]
	}
	return values
}

// parseOrder reads the values of orderFields, which are empty when there is no order.
func parseOrder(account, id string, values []string) (book.Order, error) {
	if values[0] == "" {
		return book.Order{}, fmt.Errorf("order: %w", store.ErrNotFound)
	}
	o, err := record.ParseOrder(account, id, []byte(values[0]))
	if err != nil {
		return book.Order{}, err
	}
	created, err1 := strconv.ParseInt(values[2], 10, 64)
	expires, err2 := strconv.ParseInt(values[3], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return book.Order{}, err
	}
	o.CreatedAt, o.ExpiresAt = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
	o.State = book.OrderState(values[1])
	o.SessionID, o.CheckoutURL, o.PaymentID = values[4], values[5], values[6]
	return o, nil
}

// OpenOrders implements [store.Orders].
func (s *Store) OpenOrders(ctx context.Context, account string) ([]book.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []book.Order
	err := s.do(ctx, "read open orders", func(ctx context.Context) error {
		k := s.keysOf(account)
		ids, err := s.run(ctx, openOrdersScript, []string{k.unpaid()}, []string{s.now()})
		if err != nil {
			return err
		}
		orders, err = s.readOrders(ctx, account, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	return newest(orders, book.MaxOpenOrders, func(o book.Order) bool {
		return o.SessionID != "" && o.State != book.OrderPaid
	}), nil
}

// Purchases implements [store.Orders].
func (s *Store) Purchases(ctx context.Context, account string) ([]book.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []book.Order
	err := s.do(ctx, "read purchases", func(ctx context.Context) error {
		k := s.keysOf(account)
		ids, err := s.run(ctx, purchasesScript, []string{k.unpaid(), k.paid(), k.failed()},
			[]string{s.now(), decimal(book.MaxPurchases)})
		if err != nil {
			return err
		}
		slices.Sort(ids) // one that failed and can still be paid is named twice
		orders, err = s.readOrders(ctx, account, slices.Compact(ids))
		return err
	})
	if err != nil {
		return nil, err
	}
	return newest(orders, book.MaxPurchases, func(o book.Order) bool {
		return o.SessionID != "" || o.State != book.OrderOpen
	}), nil
}

// readOrders reads the orders of the given ids, but for those that are gone.
func (s *Store) readOrders(ctx context.Context, account string, ids []string) ([]book.Order, error) {
	found, err := s.readHashes(ctx, ids, s.keysOf(account).order)
	if err != nil {
		return nil, err
	}
	var orders []book.Order
	for i, fields := range found {
		o, err := parseOrder(account, ids[i], orderValues(fields))
		if errors.Is(err, store.ErrNotFound) { // dropped or expired meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

// newest returns the orders that count, newest first, and no more than limit.
func newest(orders []book.Order, limit int, counts func(book.Order) bool) []book.Order {
	orders = slices.DeleteFunc(orders, func(o book.Order) bool { return !counts(o) })
	slices.SortFunc(orders, func(a, b book.Order) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return orders[:min(len(orders), limit)]
}

// readHashes reads the hashes of the given names in one round trip.
func (s *Store) readHashes(ctx context.Context, names []string, key func(string) string) ([]map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	replies := make([]*redis.MapStringStringCmd, len(names))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			replies[i] = p.HGetAll(ctx, key(name))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := make([]map[string]string, len(names))
	for i, reply := range replies {
		if found[i], err = reply.Result(); err != nil {
			return nil, err
		}
	}
	return found, nil
}
