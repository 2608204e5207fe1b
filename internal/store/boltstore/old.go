package boltstore

import (
	"time"

	"github.com/dodogate/dodogate/internal/book"
)

// retention is how long an unpaid order is kept after its expiry, at least.
const retention = 30 * 24 * time.Hour

// unpaid is when an unpaid order expires, and when it may be forgotten, in milliseconds.
type unpaid struct{ expires, forget int64 }

func parseUnpaid(b []byte) (unpaid, error) {
	if len(b) != 16 {
		return unpaid{}, book.Damaged("stored expiry of an order: %.20q", b)
	}
	return unpaid{parseNumber(b), parseNumber(b[8:])}, nil
}

// old names orders and keys of an account that may be forgotten.
type old struct{ orders, keys []string }

// findKeys finds the keys whose time is over, or whose order is gone. Those of orders that are
// forgotten now are found the next time.
func (o *old) findKeys(b bucket, now time.Time) error {
	return b.scan(kindKey, func(name, value []byte) error {
		k, err := parseKey(value)
		if err != nil {
			return err
		}
		if k.Done && !now.Before(k.Until) || !b.has(kindOrder, k.Order) {
			o.keys = append(o.keys, string(name))
		}
		return nil
	})
}

func (w *saving) forget(o old) {
	for _, id := range o.orders {
		w.remove(kindOrder, id)
		w.remove(kindUnpaid, id)
	}
	for _, hash := range o.keys {
		w.remove(kindKey, hash)
	}
}
