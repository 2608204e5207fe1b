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

	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// An event and the index of the events parked under its object lie in different
// slots of a Cluster, so they are written one after the other. What must never
// happen is an event that is parked and not in the index:
//
//   - Parking writes index, event, index. A crash after the first leaves an
//     event in the index that is not parked, which reading passes over.
//   - Un-parking writes event, index, and then looks at the event once more: if
//     somebody has parked it meanwhile, it goes back into the index.
//
// So whoever comes last leaves the index right, whatever the other does: if the
// event ends as parked, either parking writes the index after un-parking cleared
// it, or un-parking sees that it is parked.

// maxParked is the most that one call of Parked reads.
const maxParked = 100

// Record implements [store.Journal]. The time of receipt is this store's, and a
// new event is received, whatever e says.
func (s *Store) Record(ctx context.Context, e store.Event) (store.Event, error) {
	if err := record.CheckEvent(e); err != nil {
		return store.Event{}, fmt.Errorf("record event: %w", err)
	}
	var token [8]byte
	_, _ = rand.Read(token[:]) // it never fails
	var stored store.Event
	err := s.do(ctx, "record event", func(ctx context.Context) error {
		reply, err := s.run(ctx, recordScript, []string{s.eventKey(e.ID)},
			s.now(), e.Type, e.Body, e.Reason, e.Object, e.Account, hex.EncodeToString(token[:]))
		if err != nil {
			return err
		}
		fields := make(map[string]string)
		for i, name := range []string{"type", "state", "reason", "object", "account", "received", "deliveries"} {
			fields[name] = reply[i]
		}
		fields["body"] = string(e.Body)
		stored, err = parseEvent(e.ID, fields)
		return err
	})
	return stored, err
}

// Settle implements [store.Journal].
func (s *Store) Settle(ctx context.Context, e store.Event) error {
	if err := record.CheckEvent(e); err != nil {
		return fmt.Errorf("settle event: %w", err)
	}
	return s.do(ctx, "settle event", func(ctx context.Context) error {
		if e.State == store.EventParked {
			return s.park(ctx, e)
		}
		under, err := s.settle(ctx, e)
		if err != nil {
			return err
		}
		return s.unindex(ctx, e.ID, under)
	})
}

func (s *Store) park(ctx context.Context, e store.Event) error {
	received, err := s.client.HGet(ctx, s.eventKey(e.ID), "received").Float64()
	if errors.Is(err, redis.Nil) {
		return fmt.Errorf("settle event: %w", store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	index := func() error {
		return s.client.ZAdd(ctx, s.parkedKey(e.Object), redis.Z{Score: received, Member: e.ID}).Err()
	}
	if err := index(); err != nil {
		return err
	}
	under, err := s.settle(ctx, e)
	if err != nil {
		return err
	}
	if err := index(); err != nil {
		return err
	}
	if under != nil && *under == e.Object {
		return nil
	}
	return s.unindex(ctx, e.ID, under)
}

// settle writes the state of an event and returns the object that it was parked
// under before, nil when there was none.
func (s *Store) settle(ctx context.Context, e store.Event) (under *string, err error) {
	reply, err := s.run(ctx, settleScript, []string{s.eventKey(e.ID)}, string(e.State), e.Reason, e.Object, e.Account)
	if err != nil {
		return nil, err
	}
	if reply[0] == "missing" {
		return nil, fmt.Errorf("settle event: %w", store.ErrNotFound)
	}
	if reply[1] == "" {
		return nil, nil
	}
	object := reply[1][1:]
	return &object, nil
}

// unindex takes an event out of the index of an object, unless it is parked
// under it by now.
func (s *Store) unindex(ctx context.Context, id string, object *string) error {
	if object == nil {
		return nil
	}
	if err := s.client.ZRem(ctx, s.parkedKey(*object), id).Err(); err != nil {
		return err
	}
	now, err := s.client.HMGet(ctx, s.eventKey(id), "state", "object", "received").Result()
	if err != nil {
		return err
	}
	if now[0] != string(store.EventParked) || now[1] != *object {
		return nil
	}
	received, err := strconv.ParseFloat(fmt.Sprint(now[2]), 64)
	if err != nil {
		return err
	}
	return s.client.ZAdd(ctx, s.parkedKey(*object), redis.Z{Score: received, Member: id}).Err()
}

// Parked implements [store.Journal].
func (s *Store) Parked(ctx context.Context, object string) ([]store.Event, error) {
	if err := record.CheckNames(object); err != nil {
		return nil, err
	}
	var events []store.Event
	err := s.do(ctx, "read parked events", func(ctx context.Context) error {
		for from := int64(0); ; from += maxParked {
			ids, err := s.client.ZRange(ctx, s.parkedKey(object), from, from+maxParked-1).Result()
			if err != nil || len(ids) == 0 {
				return err
			}
			found, err := s.readHashes(ctx, ids, s.eventKey)
			if err != nil {
				return err
			}
			for i, fields := range found {
				if fields["state"] != string(store.EventParked) || fields["object"] != object {
					continue
				}
				e, err := parseEvent(ids[i], fields)
				if err != nil {
					return err
				}
				if events = append(events, e); len(events) == maxParked {
					return nil
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return events, nil
}

// Event implements [store.Journal].
func (s *Store) Event(ctx context.Context, id string) (store.Event, error) {
	if err := record.CheckNames(id); err != nil {
		return store.Event{}, err
	}
	var e store.Event
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

func parseEvent(id string, fields map[string]string) (store.Event, error) {
	received, err1 := strconv.ParseInt(fields["received"], 10, 64)
	deliveries, err2 := strconv.ParseInt(fields["deliveries"], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return store.Event{}, fmt.Errorf("stored event is damaged: %w", err)
	}
	return store.Event{
		ID: id, Type: fields["type"], Body: []byte(fields["body"]), State: store.EventState(fields["state"]),
		Reason: fields["reason"], Object: fields["object"], Account: fields["account"],
		ReceivedAt: time.UnixMilli(received).UTC(), Deliveries: deliveries,
	}, nil
}
