package boltstore

import (
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
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

// forget removes old orders and keys. The session of an order that nobody paid goes with it, if it
// is bound to the account.
func (w *saving) forget(tx *bolt.Tx, account string, o old) {
	owners := tx.Bucket(bucketOwners)
	for _, id := range o.orders {
		if order, err := findOrder(w.bucket, account, id); err == nil && order != nil && order.SessionID != "" && w.err == nil {
			session := []byte(entitlement.Ref{Kind: entitlement.KindSession, ID: order.SessionID}.String())
			if string(owners.Get(session)) == account {
				w.err = owners.Delete(session)
			}
		}
		w.remove(kindOrder, id)
		w.remove(kindUnpaid, id)
	}
	for _, hash := range o.keys {
		w.remove(kindKey, hash)
	}
}
