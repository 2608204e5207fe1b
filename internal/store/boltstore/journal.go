package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// maxParked is the most that one call of Parked reads.
const maxParked = 100

// errEnough ends a scan early.
var errEnough = errors.New("enough")

// eventRecord is all of an event but its id and body.
type eventRecord struct {
	Type       []byte `json:"type"`
	State      []byte `json:"state"`
	Reason     []byte `json:"reason,omitempty"`
	Object     []byte `json:"object,omitempty"`
	Account    []byte `json:"account,omitempty"`
	ReceivedAt int64  `json:"received_at"` // milliseconds
	Deliveries int64  `json:"deliveries"`
	EndsAt     int64  `json:"ends_at,omitempty"` // milliseconds; 0 while the event has no end
}

// event is an event without its body, and its end.
type event struct {
	book.Event
	ends int64
}

// Receive implements [store.Store]. The time of receipt is this store's, and a new event is
// received, whatever d says.
func (s *Store) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	err := d.Event.Check()
	if d.Account != "" {
		err = errors.Join(err, book.CheckAccount(d.Account), book.CheckRef(d.Object))
	}
	if err != nil {
		return store.Received{}, fmt.Errorf("receive event: %w", err)
	}
	d.Event.Body = bytes.Clone(d.Event.Body)
	var r store.Received
	var refused error
	err = s.update(ctx, len(d.Event.Body), func(tx *bolt.Tx) error {
		known, ends, err := s.delivered(tx, d.Event)
		if err != nil {
			return err
		}
		if err := errors.Join(saveDelivery(tx, known, ends), saveBody(tx, d.Event)); err != nil {
			return err
		}
		r.Event = known.Event
		if d.Account == "" {
			return nil
		}
		if r.Owner, err = claim(tx, d.Object, d.Account); err != nil || r.Owner != d.Account || decide == nil {
			return err
		}
		r.Updated, r.Settled, err = s.decide(tx, d.Account, &known, decide)
		if failed, is := errors.AsType[writeError](err); is {
			return failed
		}
		if refused = err; err == errUnwritten { //nolint:errorlint // our own, never wrapped; the event is written
			refused = nil
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return store.Received{}, book.OfAccount(d.Account, err)
	}
	return r, nil
}

// delivered is the event with one more delivery, and when it was to end before.
func (s *Store) delivered(tx *bolt.Tx, e book.Event) (known event, ends int64, err error) {
	known, err = s.readEvent(tx, e.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		known = event{Event: e}
		known.State, known.ReceivedAt, known.Deliveries = book.EventReceived, s.now(), 0
	case err != nil:
		return event{}, 0, err
	}
	known.Body = e.Body
	known.Deliveries++
	ends = known.ends
	if ends != 0 {
		known.ends = max(ends, s.now().Add(book.Linger).UnixMilli())
	}
	return known, ends, nil
}

func saveDelivery(tx *bolt.Tx, e event, ends int64) error {
	return errors.Join(saveEvent(tx, e), moveEnd(tx, e.ID, ends, e.ends))
}

func saveBody(tx *bolt.Tx, e book.Event) error {
	return put(tx.Bucket(bucketBodies), []byte(e.ID), e.Body)
}

// Settle implements [store.Store].
func (s *Store) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("settle event: %w", err)
	}
	e.Body = nil
	if !e.State.Final() {
		r = book.Retention{}
	}
	r.Body = bytes.Clone(r.Body)
	return s.update(ctx, len(r.Body), func(tx *bolt.Tx) error {
		known, err := s.readEvent(tx, e.ID)
		if err != nil {
			return err
		}
		return s.settle(tx, known, e, r)
	})
}

// settle notes what became of the delivery e of the event known.
func (s *Store) settle(tx *bolt.Tx, known event, e book.Event, r book.Retention) error {
	if e.State.Final() && e.Deliveries > 0 && e.Deliveries < known.Deliveries {
		return nil
	}
	before := parkedKeys(known.Event)
	parked, ends := known.State == book.EventParked, known.ends
	known.State, known.Reason, known.Object, known.Account = e.State, e.Reason, e.Object, e.Account
	known.ends = endOf(known.ReceivedAt, s.now(), r.Keep)
	if err := errors.Join(saveEvent(tx, known), moveEnd(tx, e.ID, ends, known.ends)); err != nil {
		return err
	}
	if len(r.Body) > 0 && e.Deliveries == known.Deliveries {
		if err := put(tx.Bucket(bucketBodies), []byte(e.ID), r.Body); err != nil {
			return err
		}
	}
	index := tx.Bucket(bucketParked)
	if parked {
		for _, key := range before {
			if err := index.Delete(key); err != nil {
				return writeError{err}
			}
		}
	}
	if known.State == book.EventParked {
		for _, key := range parkedKeys(known.Event) {
			if err := put(index, key, nil); err != nil {
				return err
			}
		}
	}
	return s.adopt(tx, r.Keep)
}

// Parked implements [store.Store]. What it says next is the last event's key.
func (s *Store) Parked(ctx context.Context, object, after string, limit int) (events []book.Event, next string, err error) {
	if err := book.CheckNames(object); err != nil {
		return nil, "", err
	}
	limit, prefix := min(limit, maxParked), parkedUnder(object)
	if object == "" {
		prefix = parkedAll
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketParked).Cursor()
		from := slices.Concat(prefix, []byte(after))
		for k, _ := c.Seek(from); bytes.HasPrefix(k, prefix) && len(events) < limit; k, _ = c.Next() {
			if after != "" && bytes.Equal(k, from) {
				continue
			}
			name := k[len(prefix):]
			id := string(name[min(8, len(name)):])
			e, err := s.readEventAndBody(tx, id)
			if errors.Is(err, store.ErrDamaged) {
				e, err = book.Event{ID: id, State: book.EventParked, Reason: book.ReasonDamaged}, nil
			}
			if err != nil {
				return err
			}
			events, next = append(events, e), string(name)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if len(events) < limit || object != "" {
		next = ""
	}
	return events, next, nil
}

// parkedUnder begins the key of every event parked under an object. The length
// comes first, so that no object's name begins another's.
func parkedUnder(object string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(object))), object...)
}

// anyParked reports whether events are parked under an object.
func anyParked(tx *bolt.Tx, object entitlement.Ref) bool {
	prefix := parkedUnder(object.String())
	k, _ := tx.Bucket(bucketParked).Cursor().Seek(prefix)
	return bytes.HasPrefix(k, prefix)
}

// parkedAll begins one more key of every parked event, whatever it is parked
// under: no object's name is so long.
var parkedAll = []byte{0xff, 0xff}

func parkedKeys(e book.Event) [][]byte {
	name := append(number(e.ReceivedAt.UnixMilli()), e.ID...)
	return [][]byte{append(parkedUnder(e.Object), name...), slices.Concat(parkedAll, name)}
}

// Event implements [store.Store].
func (s *Store) Event(ctx context.Context, id string) (book.Event, error) {
	if err := book.CheckNames(id); err != nil {
		return book.Event{}, err
	}
	var e book.Event
	err := s.view(ctx, func(tx *bolt.Tx) error {
		var err error
		e, err = s.readEventAndBody(tx, id)
		return err
	})
	if err != nil {
		return book.Event{}, err
	}
	return e, nil
}

func (s *Store) readEventAndBody(tx *bolt.Tx, id string) (book.Event, error) {
	e, err := s.readEvent(tx, id)
	e.Body = bytes.Clone(tx.Bucket(bucketBodies).Get([]byte(id)))
	return e.Event, err
}

// readEvent reads an event that has not ended.
func (s *Store) readEvent(tx *bolt.Tx, id string) (event, error) {
	value := tx.Bucket(bucketEvents).Get([]byte(id))
	if value == nil {
		return event{}, fmt.Errorf("event: %w", store.ErrNotFound)
	}
	r, err := parseEvent(value)
	if err != nil {
		return event{}, err
	}
	if r.EndsAt != 0 && r.EndsAt <= s.now().UnixMilli() {
		return event{}, fmt.Errorf("event: %w", store.ErrNotFound)
	}
	return event{ends: r.EndsAt, Event: book.Event{
		ID: id, Type: string(r.Type), State: book.EventState(r.State), Reason: string(r.Reason),
		Object: string(r.Object), Account: string(r.Account),
		ReceivedAt: time.UnixMilli(r.ReceivedAt).UTC(), Deliveries: r.Deliveries,
	}}, nil
}

func parseEvent(value []byte) (eventRecord, error) {
	var r eventRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return eventRecord{}, book.Damaged("stored event: %v", err)
	}
	return r, nil
}

func saveEvent(tx *bolt.Tx, e event) error {
	value, err := json.Marshal(eventRecord{
		Type: []byte(e.Type), State: []byte(e.State), Reason: []byte(e.Reason),
		Object: []byte(e.Object), Account: []byte(e.Account),
		ReceivedAt: e.ReceivedAt.UnixMilli(), Deliveries: e.Deliveries, EndsAt: e.ends,
	})
	if err != nil {
		return writeError{err}
	}
	return put(tx.Bucket(bucketEvents), []byte(e.ID), value)
}
