package boltstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// source is an account as a decision finds it: its holds in memory, and the rest in the file.
type source struct {
	bucket  bucket
	holds   *holds // nil for who only looks
	account string
	now     time.Time
	kept    book.Kept
	held    *heldAccount // nil when nothing is held
	old     old          // what OpenOrders found that may be forgotten
}

var _ book.Source = (*source)(nil)

// readKept reads what is kept, with the holds in memory laid over it.
func (src *source) readKept() error {
	src.kept.Rev = src.holds.tidied
	src.held = src.holds.of(src.account)
	if err := readKept(src.bucket, &src.kept); err != nil {
		return err
	}
	src.held.layOver(&src.kept, src.now)
	return nil
}

// readKept reads what the file has of an account. A later revision in k stays.
func readKept(b bucket, k *book.Kept) error {
	if b.Bucket == nil {
		return nil
	}
	c := b.Cursor() // one for both, because each takes memory for its way down the tree
	if key, head := c.Seek([]byte{kindHead}); len(key) == 1 && key[0] == kindHead && len(head) == headSize {
		k.Rev, k.StandingsRev = max(k.Rev, parseNumber(head)), parseNumber(head[8:])
		k.Ledger.Seq, k.Ledger.Debt = parseNumber(head[16:]), parseNumber(head[24:])
	}
	return scan(c, []byte{kindLive}, func(name, value []byte) error {
		g, err := record.ParseGrant(string(name), string(value))
		k.Ledger.Grants = append(k.Ledger.Grants, g) // the file has them in order of their ids
		return damaged(err)
	})
}

// Hold implements [book.Source].
func (src *source) Hold(id string, _ *book.PlacedHold) (*book.PlacedHold, error) {
	if src.held != nil {
		if hold := src.held.live[id]; hold != nil {
			return hold.PlacedHold, nil
		}
	}
	return nil, nil
}

// Ended implements [book.Source].
func (src *source) Ended(id, _ string) (*book.EndedHold, error) {
	if src.holds != nil {
		if e := src.holds.recent[holdName{src.account, id}]; e != nil && src.now.Before(e.Until) {
			return e, nil
		}
	}
	value := src.bucket.get(kindEnded, id)
	if value == nil {
		return nil, nil
	}
	return parseEnded(value)
}

// Closed implements [book.Source].
func (src *source) Closed(grant string) (g ledger.Grant, found bool, err error) {
	value := src.bucket.get(kindClosed, grant)
	if value == nil {
		return g, false, nil
	}
	g, err = record.ParseGrant(grant, string(value))
	return g, err == nil, damaged(err)
}

// Object implements [book.Source].
func (src *source) Object(ref entitlement.Ref, _ bool) (book.Object, error) {
	return parseObject(src.bucket.get(kindObject, ref.String())), nil
}

// Order implements [book.Source].
func (src *source) Order(id string, _ bool) (*book.Order, error) {
	return findOrder(src.bucket, src.account, id)
}

// Key implements [book.Source]. A key whose order is gone is forgotten, too.
func (src *source) Key(hash string) (*book.UsedKey, error) {
	value := src.bucket.get(kindKey, hash)
	if value == nil {
		return nil, nil
	}
	return parseKey(value)
}

// OpenOrders implements [book.Source]. A decision asks for it before it makes an order, and
// that is when old orders are forgotten.
func (src *source) OpenOrders() (int, error) {
	open := 0
	err := src.bucket.scan(kindUnpaid, func(name, value []byte) error {
		u := parseUnpaid(value)
		if u.expires > src.now.UnixMilli() {
			open++
		}
		if u.forget <= src.now.UnixMilli() {
			src.old.orders = append(src.old.orders, string(name))
		}
		return nil
	})
	if err == nil {
		err = src.old.findKeys(src.bucket, src.now)
	}
	return open, err
}

// In JSON of the file, names are bytes, because they need not be UTF-8.

// endedRecord is the end of a hold in the file.
type endedRecord struct {
	By          []byte `json:"by"`
	Fingerprint []byte `json:"fingerprint"`
	Captured    int64  `json:"captured"`
	Receipt     []byte `json:"receipt,omitempty"`
	Until       int64  `json:"until"` // milliseconds
}

func writeEnded(e *book.EndedHold) ([]byte, error) {
	return json.Marshal(endedRecord{
		By: []byte(e.By), Fingerprint: []byte(e.Fingerprint), Captured: e.Captured, Receipt: e.Receipt, Until: e.Until.UnixMilli(),
	})
}

func parseEnded(value []byte) (*book.EndedHold, error) {
	var r endedRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, damaged(fmt.Errorf("stored end of a hold is damaged: %w", err))
	}
	return &book.EndedHold{
		By: string(r.By), Fingerprint: string(r.Fingerprint), Captured: r.Captured, Receipt: r.Receipt,
		Until: time.UnixMilli(r.Until).UTC(),
	}, nil
}

// keyRecord is an idempotency key in the file.
type keyRecord struct {
	Order       []byte `json:"order"`
	By          []byte `json:"by"`
	Fingerprint []byte `json:"fingerprint"`
	Done        bool   `json:"done,omitempty"`
	Until       int64  `json:"until"` // milliseconds
}

func writeKey(k *book.UsedKey) ([]byte, error) {
	return json.Marshal(keyRecord{
		Order: []byte(k.Order), By: []byte(k.By), Fingerprint: []byte(k.Fingerprint), Done: k.Done, Until: k.Until.UnixMilli(),
	})
}

func parseKey(value []byte) (*book.UsedKey, error) {
	var r keyRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, damaged(fmt.Errorf("stored key is damaged: %w", err))
	}
	return &book.UsedKey{
		Order: string(r.Order), By: string(r.By), Fingerprint: string(r.Fingerprint), Done: r.Done,
		Until: time.UnixMilli(r.Until).UTC(),
	}, nil
}
