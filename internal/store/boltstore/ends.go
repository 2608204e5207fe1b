package boltstore

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
)

// An event in a final state has an end, from which on it is not read any more.
// The index of ends has them in order of time, and whatever is written takes along
// a few whose end has come. So nothing is searched, no transaction is long, and
// the file's pages are used again.

const (
	minSweep  = 16 // events that a transaction removes, or one for each operation in it
	adoptStep = 64 // events that are adopted in one go
)

// keyAdopted is how far adopt has come: "+" and the id of the event that it looked
// at last, or adoptedAll.
var keyAdopted = []byte("events adopted")

const adoptedAll = "all"

// endOf is when an event ends that is delivered or settled now; 0 is never.
func endOf(received, now time.Time, keep time.Duration) int64 {
	if keep <= 0 {
		return 0
	}
	return max(received.Add(keep).UnixMilli(), now.Add(book.Linger).UnixMilli())
}

func endKey(ends int64, id string) []byte { return append(number(ends), id...) }

// moveEnd keeps the index of ends true when an event's end changes.
func moveEnd(tx *bolt.Tx, id string, from, to int64) error {
	if from == to {
		return nil
	}
	index := tx.Bucket(bucketEnds)
	if from != 0 {
		if err := index.Delete(endKey(from, id)); err != nil {
			return writeError{err}
		}
	}
	if to != 0 {
		return put(index, endKey(to, id), nil)
	}
	return nil
}

// sweep removes up to most events whose end has come.
func (s *Store) sweep(tx *bolt.Tx, most int) error {
	index := tx.Bucket(bucketEnds)
	var over [][]byte
	c := index.Cursor()
	if k, _ := c.First(); k != nil {
		now := s.now().UnixMilli()
		for ; k != nil && parseNumber(k) <= now && len(over) < most; k, _ = c.Next() {
			over = append(over, bytes.Clone(k))
		}
	}
	events, bodies := tx.Bucket(bucketEvents), tx.Bucket(bucketBodies)
	size := 0
	for _, k := range over {
		id := k[min(8, len(k)):]
		if r, err := parseEvent(events.Get(id)); err == nil && r.EndsAt == parseNumber(k) {
			if size > maxBatchBytes {
				return nil
			}
			size += len(bodies.Get(id))
			for _, b := range []*bolt.Bucket{events, bodies} {
				if err := b.Delete(id); err != nil {
					return writeError{err}
				}
			}
		} // else the event was recorded anew after its end
		if err := index.Delete(k); err != nil {
			return writeError{err}
		}
	}
	return nil
}

// adopt gives an end to events that were settled before this store knew of ends.
// It goes once through all events of the file, some at each call.
func (s *Store) adopt(tx *bolt.Tx, keep time.Duration) error {
	meta := tx.Bucket(bucketMeta)
	progress := string(meta.Get(keyAdopted))
	if progress == adoptedAll || keep <= 0 {
		return nil
	}
	events := tx.Bucket(bucketEvents)
	last := strings.TrimPrefix(progress, "+")
	progress = adoptedAll
	adopted := make(map[string]eventRecord)
	c, n := events.Cursor(), 0
	for k, v := c.Seek([]byte(last)); k != nil; k, v = c.Next() {
		if n++; n > adoptStep {
			progress = "+" + last
			break
		}
		last = string(k)
		if r, err := parseEvent(v); err == nil && r.EndsAt == 0 && book.EventState(r.State).Final() {
			r.EndsAt = endOf(time.UnixMilli(r.ReceivedAt), s.now(), keep)
			adopted[last] = r
		}
	}
	for id, r := range adopted {
		value, err := json.Marshal(r)
		if err != nil {
			return writeError{err}
		}
		if err := put(events, []byte(id), value); err != nil {
			return err
		}
		if err := moveEnd(tx, id, 0, r.EndsAt); err != nil {
			return err
		}
	}
	return put(meta, keyAdopted, []byte(progress))
}
