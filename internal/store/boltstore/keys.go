package boltstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/store"
)

// keyRecord is what is kept of an idempotency key.
type keyRecord struct {
	Order       []byte `json:"order"` // the first order that was asked for with it
	By          []byte `json:"by"`    // the order id of the caller at work
	Fingerprint []byte `json:"fingerprint"`
	Done        bool   `json:"done,omitempty"`
	Until       int64  `json:"until"` // milliseconds: end of the lease or, when done, of memory
}

// readKey reads what is known of a key; nil when that is nothing, or no longer
// counts because its time is over or its order is gone.
func readKey(b bucket, hash string, now time.Time) (*keyRecord, error) {
	value := b.get(kindKey, hash)
	if hash == "" || value == nil {
		return nil, nil
	}
	k, err := parseKey(value)
	if err != nil {
		return nil, err
	}
	if k.over(now) || b.get(kindOrder, string(k.Order)) == nil {
		return nil, nil
	}
	return &k, nil
}

func parseKey(value []byte) (keyRecord, error) {
	var k keyRecord
	if err := json.Unmarshal(value, &k); err != nil {
		return k, damaged(fmt.Errorf("stored key is damaged: %w", err))
	}
	return k, nil
}

func (k keyRecord) over(now time.Time) bool { return k.Done && k.Until <= now.UnixMilli() }

func saveKey(b bucket, hash string, k keyRecord) error {
	if hash == "" {
		return nil
	}
	value, err := json.Marshal(k)
	if err != nil {
		return writeError{err}
	}
	return b.put(kindKey, hash, value)
}

// finishKey notes that a key led to the order, unless it leads to another or is
// finished already.
func finishKey(b bucket, known *keyRecord, order string, key store.Key, now time.Time) error {
	if known != nil && (known.Done || string(known.Order) != order) {
		return nil
	}
	return saveKey(b, key.Hash, keyRecord{
		Order: []byte(order), By: []byte(order), Fingerprint: []byte(key.Fingerprint),
		Done: true, Until: now.Add(key.Keep).UnixMilli(),
	})
}

// unpaid is when an unpaid order expires, and when it may be forgotten.
type unpaid struct{ expires, forget int64 }

// unpaidUntil writes an unpaid; keep is how long a key may lead to the order.
func unpaidUntil(expires, keep time.Time) []byte {
	last := keep
	if expires.After(last) {
		last = expires
	}
	return append(number(expires.UnixMilli()), number(last.Add(retention).UnixMilli())...)
}

func parseUnpaid(b []byte) unpaid {
	if len(b) != 16 {
		return unpaid{}
	}
	return unpaid{parseNumber(b), parseNumber(b[8:])}
}

// old names orders and keys of an account that may be forgotten.
type old struct{ orders, keys []string }

func findOld(b bucket, now time.Time) (old, error) {
	var o old
	gone := make(map[string]bool)
	err := b.scan(kindUnpaid, func(name, value []byte) error {
		if parseUnpaid(value).forget <= now.UnixMilli() {
			o.orders = append(o.orders, string(name))
			gone[string(name)] = true
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	err = b.scan(kindKey, func(name, value []byte) error {
		k, err := parseKey(value)
		if err == nil && (k.over(now) || gone[string(k.Order)] || b.get(kindOrder, string(k.Order)) == nil) {
			o.keys = append(o.keys, string(name))
		}
		return err
	})
	return o, err
}

func (o old) forget(b bucket) error {
	var errs []error
	for _, id := range o.orders {
		errs = append(errs, b.remove(kindOrder, id), b.remove(kindUnpaid, id))
	}
	for _, hash := range o.keys {
		errs = append(errs, b.remove(kindKey, hash))
	}
	return errors.Join(errs...)
}
