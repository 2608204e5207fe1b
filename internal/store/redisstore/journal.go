package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
)

// An event, the index of the events parked under its object and the index of all
// parked events lie in different slots of a Cluster, so the event is written on
// its own and the two indexes, in any order, before or after it. What must never
// happen is an event that is parked and not in both of them:
//
//   - Parking writes indexes, event, indexes. A crash after the first leaves an
//     event in an index that is not parked, which reading passes over.
//   - Un-parking writes event, indexes, and then looks at the event once more: if
//     somebody has parked it meanwhile, it goes back into them.
//
// So whoever comes last leaves the indexes right, whatever the other does: if the
// event ends as parked, either parking writes them after un-parking cleared
// them, or un-parking sees that it is parked.
//
// Parked anew under another object, an event stays in the index of all.
//
// An event in a final state ends by Redis' own clock (settle.lua); while it waits
// it has no end. One that had been parked leaves the indexes before that, unless
// a crash and the end of all retries left it in there, to be passed over.

// maxParked is the most that one call of Parked reads.
const maxParked = 100

// tokenArg is the place of what names a delivery in recordArgs.
const tokenArg = 6

// recordArgs are what record.lua takes, but for the body. The time of receipt is this store's,
// and a new event is received, whatever e says.
func (s *Store) recordArgs(e book.Event) []string {
	var token [8]byte
	_, _ = rand.Read(token[:]) // it never fails
	return []string{s.now(), e.Type, "", e.Reason, e.Object, e.Account, hex.EncodeToString(token[:]), linger}
}

var linger = millis(book.Linger)

// bodyOf is the argument that recordArgs leaves out.
func bodyOf(e book.Event) redisconn.Blob { return redisconn.Blob{At: 2, Bytes: e.Body} }

// recordedFields is how much record.lua says.
const recordedFields = 7

// recorded is e as record.lua says that it is stored now.
func recorded(e book.Event, reply []string) (book.Event, error) {
	var err error
	e.Type, e.State, e.Reason, e.Object, e.Account = reply[0], book.EventState(reply[1]), reply[2], reply[3], reply[4]
	e.ReceivedAt, e.Deliveries, err = parseReceipt(reply[5], reply[6])
	return e, err
}

// Settle implements [store.Store].
func (s *Store) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	if err := e.Check(); err != nil {
		return fmt.Errorf("settle event: %w", err)
	}
	if !e.State.Final() {
		r = book.Retention{}
	}
	if e.State == book.EventParked {
		return s.ask(ctx, "settle event", func() error { return s.park(ctx, e) })
	}
	return s.ask(ctx, "settle event", func() error {
		under, err := s.settle(ctx, e, r, decimal(e.Deliveries))
		if err != nil || under == nil {
			return err
		}
		return s.unpark(ctx, e.ID, *under)
	})
}

// unpark takes an event out of both indexes when it was settled otherwise.
func (s *Store) unpark(ctx context.Context, id string, was place) error {
	return s.ask(ctx, "settle event", func() error { return s.unindex(ctx, id, was, true) })
}

func (s *Store) park(ctx context.Context, e book.Event) error {
	var known *redis.StringCmd
	err := s.conn.Reads().Do(ctx, func(ctx context.Context, p redis.Pipeliner) { known = p.HGet(ctx, s.eventKey(e.ID), "received") })
	if err != nil {
		return err
	}
	received, err := known.Int64()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("settle event: %w", store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	if err := s.index(ctx, e.ID, e.Object, received, true); err != nil {
		return err
	}
	under, err := s.settle(ctx, e, book.Retention{}, decimal(e.Deliveries))
	if err != nil {
		return err
	}
	if err := s.index(ctx, e.ID, e.Object, received, true); err != nil {
		return err
	}
	if under == nil || under.object == e.Object {
		return nil
	}
	return s.unindex(ctx, e.ID, *under, false)
}

// index puts an event into the index of an object and, if so, into that of all.
func (s *Store) index(ctx context.Context, id, object string, received int64, all bool) error {
	return s.writeAll(ctx, func(ctx context.Context, p redis.Pipeliner) (sent []redis.Cmder) {
		sent = append(sent, p.ZAdd(ctx, s.parkedKey(object), redis.Z{Score: float64(received), Member: id}))
		if all {
			sent = append(sent, p.ZAdd(ctx, s.allParkedKey(), redis.Z{Member: parkedName(received, id)}))
		}
		return sent
	})
}

// writeAll sends commands and returns the first error of one.
func (s *Store) writeAll(ctx context.Context, add func(context.Context, redis.Pipeliner) []redis.Cmder) error {
	var sent []redis.Cmder
	if err := s.conn.Writes().Do(ctx, func(ctx context.Context, p redis.Pipeliner) { sent = add(ctx, p) }); err != nil {
		return err
	}
	for _, cmd := range sent {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// parkedName names a parked event in the index of all, where every score is 0, so
// that Redis keeps the names in the order of their bytes: events by receipt, then
// by id, each with a place of its own, from which a page can go on.
func parkedName(received int64, id string) string {
	return fmt.Sprintf("%016x%s", uint64(received), id)
}

// idOfParked is the id in what parkedName returned.
func idOfParked(name string) string { return name[min(16, len(name)):] }

// place is where an event stands in the indexes.
type place struct {
	object   string
	received int64 // milliseconds
}

// settle writes the state of an event and returns where it was parked before, nil
// when it never was or when somebody else has to say what became of it.
func (s *Store) settle(ctx context.Context, e book.Event, r book.Retention, delivery string) (under *place, err error) {
	reply, err := s.conn.Writes().Run(ctx, settleScript, []string{s.eventKey(e.ID)}, s.settleArgs(e, r, delivery))
	if err != nil {
		return nil, err
	}
	under, _, err = settled(reply)
	return under, err
}

// settled reads what settle.lua says; done is false where it waits for a commit.
func settled(reply []string) (under *place, done bool, err error) {
	if reply, err = unpacked(reply, 1); err != nil {
		return nil, false, err
	}
	switch {
	case reply[0] == "not committed":
		return nil, false, nil
	case reply[0] == "missing":
		return nil, false, fmt.Errorf("settle event: %w", store.ErrNotFound)
	case reply[0] == "delivered since":
		return nil, true, nil
	case len(reply) < 3:
		return nil, false, errReply(reply)
	}
	under, err = parsePlace(reply[1], reply[2])
	return under, true, err
}

// settleArgs are what settle.lua takes. A delivery is its number or its token.
func (s *Store) settleArgs(e book.Event, r book.Retention, delivery string) []string {
	return []string{s.now(), string(e.State), e.Reason, e.Object, e.Account, millis(r.Keep), linger, string(r.Body), delivery}
}

// parsePlace reads where an event was parked, nil when it never was.
func parsePlace(under, received string) (*place, error) {
	if under == "" {
		return nil, nil
	}
	at, err := strconv.ParseInt(received, 10, 64)
	if err != nil {
		return nil, book.Damaged("stored event: %v", err)
	}
	return &place{object: under[1:], received: at}, nil
}

// unindex takes an event out of the index of an object, unless it is parked
// under it by now, and, if so, out of that of all, unless it is parked at all.
func (s *Store) unindex(ctx context.Context, id string, was place, all bool) error {
	err := s.writeAll(ctx, func(ctx context.Context, p redis.Pipeliner) (sent []redis.Cmder) {
		sent = append(sent, p.ZRem(ctx, s.parkedKey(was.object), id))
		if all {
			sent = append(sent, p.ZRem(ctx, s.allParkedKey(), parkedName(was.received, id)))
		}
		return sent
	})
	if err != nil {
		return err
	}
	var read *redis.SliceCmd
	err = s.conn.Reads().Do(ctx, func(ctx context.Context, p redis.Pipeliner) { read = p.HMGet(ctx, s.eventKey(id), "state", "object") })
	if err != nil {
		return err
	}
	now, err := read.Result()
	if err != nil || now[0] != string(book.EventParked) {
		return err
	}
	object, _ := now[1].(string)
	if object != was.object && !all {
		return nil
	}
	return s.index(ctx, id, object, was.received, all)
}

// Parked implements [store.Store]. What it says next is the last event's name in the index of
// all.
func (s *Store) Parked(ctx context.Context, object, after string, limit int) (events []book.Event, next string, err error) {
	if err := book.CheckNames(object); err != nil {
		return nil, "", err
	}
	limit = min(limit, maxParked)
	err = s.do(ctx, "read parked events", func(ctx context.Context) error {
		if object != "" {
			events, err = s.parkedUnder(ctx, object, limit)
		} else {
			events, next, err = s.allParked(ctx, after, limit)
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	return events, next, nil
}

func (s *Store) parkedUnder(ctx context.Context, object string, limit int) (events []book.Event, err error) {
	for from := int64(0); len(events) < limit; from += maxParked {
		ids, err := s.client.ZRange(ctx, s.parkedKey(object), from, from+maxParked-1).Result()
		if err != nil || len(ids) == 0 {
			return events, err
		}
		found, err := s.readHashes(ctx, ids, s.eventKey)
		if err != nil {
			return nil, err
		}
		for i, fields := range found {
			if fields["state"] != string(book.EventParked) || fields["object"] != object || len(events) == limit {
				continue
			}
			e := parseParked(ids[i], fields)
			events = append(events, e)
		}
	}
	return events, nil
}

func (s *Store) allParked(ctx context.Context, after string, limit int) (events []book.Event, next string, err error) {
	for next = after; len(events) < limit; {
		from := "-"
		if next != "" {
			from = "(" + next
		}
		names, err := s.client.ZRangeByLex(ctx, s.allParkedKey(), &redis.ZRangeBy{Min: from, Max: "+", Count: int64(limit)}).Result()
		if err != nil || len(names) == 0 {
			return events, "", err
		}
		found, err := s.readHashes(ctx, names, func(name string) string { return s.eventKey(idOfParked(name)) })
		if err != nil {
			return nil, "", err
		}
		for i, fields := range found {
			if len(events) == limit {
				break
			}
			if next = names[i]; fields["state"] != string(book.EventParked) {
				continue
			}
			e := parseParked(idOfParked(next), fields)
			events = append(events, e)
		}
	}
	return events, next, nil
}

// Event implements [store.Store].
func (s *Store) Event(ctx context.Context, id string) (book.Event, error) {
	if err := book.CheckNames(id); err != nil {
		return book.Event{}, err
	}
	var e book.Event
	err := s.do(ctx, "read event", func(ctx context.Context) error {
		fields, err := s.client.HGetAll(ctx, s.eventKey(id)).Result()
		if err != nil {
			return err
		}
		if len(fields) == 0 {
			return fmt.Errorf("event: %w", store.ErrNotFound)
		}
		e, err = parseEvent(id, fields)
		return err
	})
	return e, err
}

// parseParked is parseEvent for a list, which one event that cannot be read must not end.
func parseParked(id string, fields map[string]string) book.Event {
	e, err := parseEvent(id, fields)
	if err != nil {
		return book.Event{ID: id, State: book.EventParked, Reason: book.ReasonDamaged}
	}
	return e
}

func parseEvent(id string, fields map[string]string) (book.Event, error) {
	e := book.Event{
		ID: id, Type: fields["type"], Body: []byte(fields["body"]), State: book.EventState(fields["state"]),
		Reason: fields["reason"], Object: fields["object"], Account: fields["account"],
	}
	var err error
	e.ReceivedAt, e.Deliveries, err = parseReceipt(fields["received"], fields["deliveries"])
	return e, err
}

func parseReceipt(received, deliveries string) (at time.Time, n int64, err error) {
	ms, err1 := strconv.ParseInt(received, 10, 64)
	n, err2 := strconv.ParseInt(deliveries, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return time.Time{}, 0, book.Damaged("stored event: %v", err)
	}
	return time.UnixMilli(ms).UTC(), n, nil
}
