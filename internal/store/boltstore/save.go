package boltstore

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// The file knows nothing of holds. What is held is written as left, so that after a crash
// everything that was held is back where it came from. Only where a part of that is forgiven
// and would not come back, a grant says how much is held, see [lost].

const (
	headSize    = 32 // bytes
	likelyEntry = 64 // bytes of an entry that are no names
	likelyGrant = 64 // bytes of a grant
)

// needsWriting reports whether a book changed anything that is in the file.
func needsWriting(b *book.Book) bool {
	c := b.Changes()
	needs := len(b.Entries())+len(c.Objects)+len(c.Standings)+len(c.Orders)+len(c.Keys) > 0
	if !needs {
		b.Grants(func(before, after *ledger.Grant) { needs = needs || inFile(before) != inFile(after) })
	}
	return needs
}

// inFile is a grant as the file has it.
func inFile(g *ledger.Grant) ledger.Grant {
	saved := *g
	if g.Waived == 0 {
		saved.Left, saved.Held = g.Left+g.Held, 0
	}
	return saved
}

// saving writes into the bucket of an account until a write fails.
type saving struct {
	bucket bucket
	err    error
}

func (w *saving) put(kind byte, name string, value []byte) {
	if w.err == nil {
		w.err = w.bucket.put(kind, name, value)
	}
}

func (w *saving) remove(kind byte, name string) {
	if w.err == nil {
		w.err = w.bucket.remove(kind, name)
	}
}

// putEncoded puts a value, unless it could not be encoded.
func (w *saving) putEncoded(kind byte, name string, value []byte, err error) {
	if err != nil && w.err == nil {
		w.err = writeError{err}
	}
	w.put(kind, name, value)
}

// save writes what a book changed, as the revision rev, and forgets what is old.
func (src *source) save(tx *bolt.Tx, b *book.Book, rev int64) error {
	w := &saving{bucket: src.bucket}
	if w.bucket.Bucket == nil {
		w.bucket, w.err = accountFor(tx, src.account)
	}
	w.forget(tx, src.account, src.old)
	if b.AccountChanged() {
		w.ledger(b, src.kept.StandingsRev, rev)
	} else if !w.bucket.has(kindHead, "") {
		w.put(kindHead, "", make([]byte, headSize)) // orders without a record are damage
	}
	c := b.Changes()
	for _, row := range c.Objects {
		w.put(kindObject, row.Key.String(), append(number(row.Value.Version), row.Value.State...))
	}
	for _, row := range c.Standings {
		if row.Value == nil {
			w.remove(kindStanding, row.Key.String())
			continue
		}
		text, err := record.Standing(*row.Value)
		w.putEncoded(kindStanding, row.Key.String(), []byte(text), err)
	}
	w.ends(b)
	for _, row := range c.Orders {
		w.order(row.Key, row.Value, c.Keys)
	}
	for _, row := range c.Keys {
		if row.Value == nil {
			w.remove(kindKey, row.Key)
			continue
		}
		value, err := writeKey(row.Value)
		w.putEncoded(kindKey, row.Key, value, err)
	}
	return w.err
}

// ledger writes the head, the grants that changed and the entries that were added.
func (w *saving) ledger(b *book.Book, standingsRev, rev int64) {
	if b.Committed() {
		standingsRev = rev
	}
	seq, debt := b.Ledger()
	head := make([]byte, 0, headSize)
	for _, n := range [...]int64{rev, standingsRev, seq, debt} {
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	w.put(kindHead, "", head)
	b.Grants(func(before, after *ledger.Grant) {
		if before, after := inFile(before), inFile(after); before != after {
			w.grant(before, after)
		}
	})
	for _, e := range b.Entries() {
		if w.err == nil {
			w.err = w.bucket.put(kindEntry, string(number(e.Seq)), record.AppendEntry(make([]byte, 0, likelyEntry+len(e.Grant)+len(e.Cause)), e))
		}
	}
}

// grant writes a grant among the live or the closed ones, and takes it away from the
// others. One that was live and still is was never among the closed ones.
func (w *saving) grant(before, g ledger.Grant) {
	in, out := byte(kindLive), byte(kindClosed)
	if !g.Open() {
		in, out = out, in
	}
	w.put(in, g.ID, record.AppendGrant(make([]byte, 0, likelyGrant), g))
	if !before.Open() || !g.Open() {
		w.remove(out, g.ID)
	}
}

// order writes an order and, unless it is paid, when it may be forgotten: [retention] after its
// expiry and after the end of the keys that lead to it.
func (w *saving) order(id string, o *book.Order, keys book.Table[string, *book.UsedKey]) {
	if o == nil {
		w.remove(kindOrder, id)
		w.remove(kindUnpaid, id)
		return
	}
	value, err := record.Order(*o)
	w.putEncoded(kindOrder, id, value, err)
	if o.State == book.OrderPaid {
		w.remove(kindUnpaid, id)
		return
	}
	last := o.ExpiresAt
	for _, row := range keys {
		if k := row.Value; k != nil && k.Order == id && k.Until.After(last) {
			last = k.Until
		}
	}
	var before unpaid
	if value, err := w.bucket.get(kindUnpaid, id); err == nil && value != nil {
		before, _ = parseUnpaid(value) // what cannot be read is replaced
	}
	forget := max(before.forget, last.Add(retention).UnixMilli())
	w.put(kindUnpaid, id, append(number(o.ExpiresAt.UnixMilli()), number(forget)...))
}

// ends writes the ends of holds that are remembered for longer than [book.Recently], and when
// they may be forgotten.
func (w *saving) ends(b *book.Book) {
	ends := b.Changes().Ends
	for _, row := range ends {
		if !row.Value.Until.After(b.Now.Add(book.Recently)) {
			continue
		}
		value, err := writeEnded(row.Value)
		w.putEncoded(kindEnded, row.Key, value, err)
		w.put(kindEndedUntil, string(number(row.Value.Until.UnixMilli()))+row.Key, nil)
	}
	if len(ends) > 0 {
		w.forgetEnds(b.Now)
	}
}
