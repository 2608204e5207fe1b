package boltstore

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

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
	seen    []liveHold   // the holds that a look finds, in place of held
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

// readKept reads what the file has of an account, and checks it. A later revision in k stays.
func readKept(b bucket, k *book.Kept) error {
	if b.Bucket == nil {
		return nil
	}
	c := b.Cursor() // one for all, because each takes memory for its way down the tree
	head, err := b.readHead(c)
	if err != nil {
		return err
	}
	file := book.Kept{Rev: head.rev, StandingsRev: head.standingsRev, Ledger: ledger.Account{Seq: head.seq, Debt: head.debt}}
	err = b.scanBy(c, kindLive, func(name, value []byte) error {
		g, err := record.ParseGrant(string(name), string(value))
		file.Ledger.Grants = append(file.Ledger.Grants, g) // the file has them in order of their ids
		return err
	})
	if err != nil {
		return err
	}
	last, err := b.lastEntry(c, head.seq)
	if err != nil {
		return err
	}
	if err := file.Check(last); err != nil {
		return err
	}
	k.Rev, k.StandingsRev, k.Ledger = max(k.Rev, file.Rev), file.StandingsRev, file.Ledger
	return nil
}

// head is an account's record. It is zero where there are only orders of before it was written
// with them.
type head struct{ rev, standingsRev, seq, debt int64 }

func (b bucket) readHead(c *bolt.Cursor) (h head, err error) {
	key, stored := c.Seek([]byte{kindHead})
	if len(key) != 1 || key[0] != kindHead {
		for _, kind := range []byte{kindClosed, kindEntry, kindEnded, kindLive, kindObject, kindStanding} {
			if key, _ := c.Seek([]byte{kind}); len(key) > 0 && key[0] == kind {
				return h, book.Damaged("there are other records, but no account record")
			}
		}
		key, stored := c.Seek([]byte{kindOrder})
		if len(key) > 0 && key[0] == kindOrder && len(stored) > 0 && stored[0] == sealMark {
			return h, book.Damaged("there are orders, but no account record")
		}
		return h, nil
	}
	value, err := unseal(b.account, key, stored)
	if err == nil && len(value) != headSize {
		err = book.Damaged("stored account record: %d bytes", len(value))
	}
	if err != nil {
		return h, err
	}
	return head{parseNumber(value), parseNumber(value[8:]), parseNumber(value[16:]), parseNumber(value[24:])}, nil
}

// lastEntry is the last entry if it has the number seq; zero if seq is 0 and there is none.
func (b bucket) lastEntry(c *bolt.Cursor, seq int64) (e ledger.Entry, err error) {
	key, stored := c.Seek(entryKey(max(seq, 1)))
	is := func(key []byte) bool { return len(key) == 9 && key[0] == kindEntry }
	if is(key) && parseNumber(key[1:]) == seq {
		if e, err = b.parseEntry(key, stored); err != nil {
			return e, err
		}
		key, _ = c.Next()
	}
	if is(key) {
		return e, book.Damaged("there is an entry %d, but the last one is %d", parseNumber(key[1:]), seq)
	}
	return e, nil
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

// Holds implements [book.Source].
func (src *source) Holds(limit int) ([]*book.PlacedHold, error) {
	var holds []*book.PlacedHold
	for _, hold := range src.seen {
		holds = append(holds, hold.PlacedHold)
	}
	if src.held != nil {
		for _, hold := range src.held.live {
			holds = append(holds, hold.PlacedHold)
		}
	}
	slices.SortFunc(holds, func(a, b *book.PlacedHold) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), cmp.Compare(a.ID, b.ID))
	})
	return holds[:min(len(holds), limit)], nil
}

// Ended implements [book.Source].
func (src *source) Ended(id, _ string) (*book.EndedHold, error) {
	if src.holds != nil {
		if e := src.holds.recent[holdName{src.account, id}]; e != nil && src.now.Before(e.Until) {
			return e, nil
		}
	}
	value, err := src.bucket.get(kindEnded, id)
	if value == nil || err != nil {
		return nil, err
	}
	return parseEnded(value)
}

// Closed implements [book.Source].
func (src *source) Closed(grant string) (g ledger.Grant, found bool, err error) {
	value, err := src.bucket.get(kindClosed, grant)
	if value == nil || err != nil {
		return g, false, err
	}
	g, err = record.ParseGrant(grant, string(value))
	return g, err == nil, err
}

// Object implements [book.Source].
func (src *source) Object(ref entitlement.Ref, _ bool) (book.Object, error) {
	value, err := src.bucket.get(kindObject, ref.String())
	if err != nil {
		return book.Object{}, err
	}
	return parseObject(value)
}

// Order implements [book.Source].
func (src *source) Order(id string, _ bool) (*book.Order, error) {
	return findOrder(src.bucket, src.account, id)
}

// Key implements [book.Source]. A key whose order is gone is forgotten, too.
func (src *source) Key(hash string) (*book.UsedKey, error) {
	value, err := src.bucket.get(kindKey, hash)
	if value == nil || err != nil {
		return nil, err
	}
	return parseKey(value)
}

// OpenOrders implements [book.Source]. A decision asks for it before it makes an order, and
// that is when old orders are forgotten.
func (src *source) OpenOrders() (int, error) {
	open := 0
	err := src.bucket.scan(kindUnpaid, func(name, value []byte) error {
		u, err := parseUnpaid(value)
		if err != nil {
			return err
		}
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
		return nil, book.Damaged("stored end of a hold: %v", err)
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
		return nil, book.Damaged("stored key: %v", err)
	}
	return &book.UsedKey{
		Order: string(r.Order), By: string(r.By), Fingerprint: string(r.Fingerprint), Done: r.Done,
		Until: time.UnixMilli(r.Until).UTC(),
	}, nil
}
