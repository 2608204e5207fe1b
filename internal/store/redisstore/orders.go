package redisstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// retention is how long an unpaid order is kept after its expiry.
const retention = 30 * 24 * time.Hour

// orderFields are the fields of an order's hash.
var orderFields = [...]string{"order", "state", "created", "expires", "session", "url", "payment"}

// orderValues are the values of orderFields.
func orderValues(fields map[string]string) []string {
	values := make([]string, len(orderFields))
	for i, name := range orderFields {
		values[i] = fields[name]
	}
	return values
}

// parseOrder reads the values of orderFields, the first of which is empty when there is no order.
func parseOrder(account, id string, values []string) (*book.Order, error) {
	if values[0] == "" {
		return nil, nil //nolint:nilnil // as said
	}
	o, err := record.ParseOrder(account, id, []byte(values[0]))
	if err != nil {
		return nil, err
	}
	created, err1 := parseDigits(values[2])
	expires, err2 := parseDigits(values[3])
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	o.CreatedAt, o.ExpiresAt = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
	o.State = book.OrderState(values[1])
	o.SessionID, o.CheckoutURL, o.PaymentID = values[4], values[5], values[6]
	return &o, nil
}

// Orders implements [store.Store].
func (s *Store) Orders(ctx context.Context, account string, list store.OrderList) (orders []book.Order, err error) {
	if err := book.CheckAccount(account); err != nil {
		return nil, err
	}
	k := s.keysOf(account)
	keys, limit := []string{k.unpaid()}, book.MaxOpenOrders
	if list == store.Purchases {
		keys, limit = append(keys, k.paid(), k.failed()), book.MaxPurchases
	}
	err = s.do(ctx, "read orders", func(ctx context.Context) error {
		ids, err := s.readIDs(ctx, keys)
		if err != nil {
			return err
		}
		orders, err = s.readOrders(ctx, account, ids)
		return err
	})
	if err != nil {
		return nil, book.OfAccount(account, err)
	}
	now := s.serverNow()
	return newest(orders, limit, func(o book.Order) bool {
		open := o.SessionID != "" && o.State != book.OrderPaid && o.ExpiresAt.After(now)
		return open || list == store.Purchases && o.State != book.OrderOpen
	}), nil
}

// readIDs reads as many of the last in each list as a list of orders can have: of the unpaid
// ones, there are never more that have not expired.
func (s *Store) readIDs(ctx context.Context, keys []string) ([]string, error) {
	lists := make([]*redis.StringSliceCmd, len(keys))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			lists[i] = p.ZRevRange(ctx, key, 0, book.MaxPurchases-1)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, list := range lists {
		ids = append(ids, list.Val()...)
	}
	slices.Sort(ids) // one that failed and can still be paid is in two
	return slices.Compact(ids), nil
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
		if err != nil {
			return nil, err
		}
		if o != nil { // neither dropped nor expired meanwhile
			orders = append(orders, *o)
		}
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
