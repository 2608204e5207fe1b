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

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

const (
	// retention is how long an unpaid order is kept after its expiry.
	retention = 30 * 24 * time.Hour
	// maxTurns is how often CreateOrder begins anew when the order that it is
	// led to is gone by the time that it looks.
	maxTurns = 3
)

// CreateOrder implements [store.Orders].
func (s *Store) CreateOrder(ctx context.Context, o store.Order, key store.Key) (store.Order, store.Start, error) {
	o, err := record.NewOrder(o, key)
	if err != nil {
		return store.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	value, err := record.Order(o)
	if err != nil {
		return store.Order{}, "", fmt.Errorf("create order: %w", err)
	}
	var result store.Order
	var start store.Start
	err = s.ask(ctx, "create order", func() error {
		var err error
		for range maxTurns {
			result, start, err = s.createOnce(ctx, o, key, value)
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return errors.New("orders of its key vanish")
	})
	if err != nil {
		return store.Order{}, "", err
	}
	return result, start, nil
}

func (s *Store) createOnce(ctx context.Context, o store.Order, key store.Key, value []byte) (store.Order, store.Start, error) {
	reply, err := s.run(ctx, createOrderScript, s.orderKeys(o, key), []string{
		s.now(), o.ID, string(value), decimal(o.ExpiresAt.UnixMilli()), flag(key.Hash != ""), key.Fingerprint,
		millis(key.Lease), millis(key.Keep), decimal(store.MaxOpenOrders), millis(retention),
		key.Ended,
	})
	if err != nil {
		return store.Order{}, "", err
	}
	start := store.Start(reply[0])
	switch {
	case start == "too many":
		return store.Order{}, "", fmt.Errorf("create order: %w", store.ErrTooManyOrders)
	case reply[1] == "":
		return store.Order{}, start, nil
	}
	if len(reply) == 3 { // it is new, so nobody has changed it
		created, err := record.ParseMillis(reply[2])
		o.CreatedAt, o.Terms = created, maps.Clone(o.Terms)
		return o, start, err
	}
	result, err := s.Order(ctx, o.Account, reply[1])
	if errors.Is(err, store.ErrNotFound) {
		// The order was forgotten before its key: then so is the key.
		o.ID = reply[1]
		if _, err := s.run(ctx, dropOrderScript, s.orderKeys(o, key), []string{o.ID, flag(key.Hash != "")}); err != nil {
			return store.Order{}, "", err
		}
	}
	return result, start, err
}

func (s *Store) orderKeys(o store.Order, key store.Key) []string {
	k := s.keysOf(o.Account)
	return []string{k.order(o.ID), k.unpaid(), k.key(key.Hash), k.failed()}
}

// OpenOrder implements [store.Orders]. The order's expiry is taken over with the
// session, unless it is zero.
func (s *Store) OpenOrder(ctx context.Context, o store.Order, key store.Key) error {
	o, session, err := record.OpenedOrder(o, key)
	if err != nil {
		return fmt.Errorf("open order: %w", err)
	}
	if !s.apart.Load() {
		err := s.openOrder(ctx, o, key, s.ownerKey(session))
		if !errors.Is(err, errApart) {
			return err
		}
		s.apart.Store(true)
	}
	if _, err := s.Claim(ctx, session, o.Account); err != nil {
		return err
	}
	return s.openOrder(ctx, o, key)
}

// openOrder is one run of open_order.lua, which claims the key of an owner if it is
// given one, and returns errApart when the server wants all keys of a script in one slot.
func (s *Store) openOrder(ctx context.Context, o store.Order, key store.Key, owner ...string) error {
	expires := ""
	if !o.ExpiresAt.IsZero() {
		expires = record.Millis(o.ExpiresAt)
	}
	return s.ask(ctx, "open order", func() error {
		k := s.keysOf(o.Account)
		keys := append([]string{k.order(o.ID), k.unpaid(), k.key(key.Hash)}, owner...)
		reply, err := s.run(ctx, openOrderScript, keys, []string{
			s.now(), o.ID, o.SessionID, o.CheckoutURL, expires, flag(key.Hash != ""), key.Fingerprint,
			millis(key.Keep), millis(retention), s.changes, o.Account,
		})
		switch {
		case err != nil && redis.HasErrorPrefix(err, "CROSSSLOT"):
			return errApart
		case err != nil:
			return err
		case reply[0] == "missing":
			return fmt.Errorf("open order: %w", store.ErrNotFound)
		case reply[0] == "conflict":
			return fmt.Errorf("open order: %w", store.ErrConflict)
		}
		return nil
	})
}

// DropOrder implements [store.Orders]. An order that is paid stays, but its key
// is free.
func (s *Store) DropOrder(ctx context.Context, o store.Order, key store.Key) error {
	o, err := record.CheckOrder(o, key)
	if err != nil {
		return fmt.Errorf("drop order: %w", err)
	}
	return s.ask(ctx, "drop order", func() error {
		_, err := s.run(ctx, dropOrderScript, s.orderKeys(o, key), []string{o.ID, flag(key.Hash != "")})
		return err
	})
}

// Order implements [store.Orders].
func (s *Store) Order(ctx context.Context, account, id string) (store.Order, error) {
	if err := errors.Join(record.CheckAccount(account), record.CheckNames(id)); err != nil {
		return store.Order{}, err
	}
	var o store.Order
	err := s.do(ctx, "read order", func(ctx context.Context) error {
		var err error
		o, err = s.readOrder(ctx, account, id)
		return err
	})
	return o, err
}

func (s *Store) readOrder(ctx context.Context, account, id string) (store.Order, error) {
	fields, err := s.client.HGetAll(ctx, s.keysOf(account).order(id)).Result()
	if err != nil {
		return store.Order{}, err
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
func parseOrder(account, id string, values []string) (store.Order, error) {
	if values[0] == "" {
		return store.Order{}, fmt.Errorf("order: %w", store.ErrNotFound)
	}
	o, err := record.ParseOrder(account, id, []byte(values[0]))
	if err != nil {
		return store.Order{}, err
	}
	created, err1 := strconv.ParseInt(values[2], 10, 64)
	expires, err2 := strconv.ParseInt(values[3], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return store.Order{}, err
	}
	o.CreatedAt, o.ExpiresAt = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
	o.State = store.OrderState(values[1])
	o.SessionID, o.CheckoutURL, o.PaymentID = values[4], values[5], values[6]
	return o, nil
}

// OpenOrders implements [store.Orders].
func (s *Store) OpenOrders(ctx context.Context, account string) ([]store.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []store.Order
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
	return newest(orders, store.MaxOpenOrders, func(o store.Order) bool {
		return o.SessionID != "" && o.State != store.OrderPaid
	}), nil
}

// Purchases implements [store.Orders].
func (s *Store) Purchases(ctx context.Context, account string) ([]store.Order, error) {
	if err := record.CheckAccount(account); err != nil {
		return nil, err
	}
	var orders []store.Order
	err := s.do(ctx, "read purchases", func(ctx context.Context) error {
		k := s.keysOf(account)
		ids, err := s.run(ctx, purchasesScript, []string{k.unpaid(), k.paid(), k.failed()},
			[]string{s.now(), decimal(store.MaxPurchases)})
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
	return newest(orders, store.MaxPurchases, func(o store.Order) bool {
		return o.SessionID != "" || o.State != store.OrderOpen
	}), nil
}

// readOrders reads the orders of the given ids, but for those that are gone.
func (s *Store) readOrders(ctx context.Context, account string, ids []string) ([]store.Order, error) {
	found, err := s.readHashes(ctx, ids, s.keysOf(account).order)
	if err != nil {
		return nil, err
	}
	var orders []store.Order
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
func newest(orders []store.Order, limit int, counts func(store.Order) bool) []store.Order {
	orders = slices.DeleteFunc(orders, func(o store.Order) bool { return !counts(o) })
	slices.SortFunc(orders, func(a, b store.Order) int {
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
