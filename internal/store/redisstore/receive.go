package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Receive implements [store.Journal]. What is read of the account is read as if the claim
// will hold.
func (s *Store) Receive(ctx context.Context, e book.Event, b store.Binding) (stored book.Event, bound store.Bound, err error) {
	if err := errors.Join(record.CheckEvent(e), record.CheckBinding(b)); err != nil {
		return stored, bound, fmt.Errorf("receive event: %w", err)
	}
	err = s.ask(ctx, "receive event", func() error {
		stored, bound, err = s.receive(ctx, e, b)
		if err == nil && bound.Account != b.Account {
			bound.Object, err = s.Object(ctx, bound.Account, b.Object)
		}
		return err
	})
	if err != nil {
		return book.Event{}, store.Bound{}, err
	}
	return stored, bound, nil
}

// receive records an event, claims its object, and reads what there is of that and of its order,
// in one round trip. They may lie in different slots.
func (s *Store) receive(ctx context.Context, e book.Event, b store.Binding) (stored book.Event, bound store.Bound, err error) {
	event, args := []string{s.eventKey(e.ID)}, s.recordArgs(e)
	owner, account := []string{s.ownerKey(b.Object)}, []string{b.Account}
	src := &source{account: b.Account, keys: s.keysOf(b.Account)}
	objectKey, orderKey := src.keys.object(b.Object), src.keys.order(b.Order)
	src.find("HMGET", objectKey, "version", "state")
	src.find("HMGET", orderKey, orderFields[:]...)
	look := s.newRun(src, revision{}, time.Time{}, time.Time{})
	read := look.command(ctx, accountScript)
	var record, claim *redis.Cmd
	err = s.batch.do(ctx, func(ctx context.Context, p redis.Pipeliner) {
		record = evalSha(ctx, p, recordScript, event, args, bodyOf(e))
		claim = evalSha(ctx, p, claimScript, owner, account)
		_ = p.Process(ctx, read) // it is only noted
	})
	if err != nil {
		return stored, bound, err
	}
	reply, err := s.runAfter(ctx, record, recordScript, event, args, bodyOf(e))
	if err == nil {
		reply, err = unpacked(reply, recordedFields)
	}
	if err == nil {
		stored, err = recorded(e, reply)
	}
	if err == nil {
		reply, err = s.runAfter(ctx, claim, claimScript, owner, account)
	}
	if err != nil {
		return stored, bound, err
	}
	if bound.Account = reply[0]; bound.Account != b.Account {
		return stored, bound, nil
	}
	if reply, err = s.runAfter(ctx, read, accountScript, look.words[:len(look.keys)], look.words[len(look.keys):]); err == nil {
		reply, err = s.answered(src, reply)
	}
	if err != nil {
		return stored, bound, err
	}
	look.release()
	st, err := src.parse(reply)
	if err != nil {
		return stored, bound, err
	}
	st.items = src.items
	s.remember(b.Account, st) // the commit that follows is decided by it
	if reply := src.find("HMGET", objectKey).reply; len(reply) == 2 && reply[0] != "" {
		bound.Object, err = parseObject(reply[0], reply[1])
	}
	if reply := src.find("HMGET", orderKey).reply; err == nil && len(reply) == len(orderFields) && reply[0] != "" {
		bound.Order, err = parseBoundOrder(b, reply)
	}
	return stored, bound, err
}

func parseBoundOrder(b store.Binding, values []string) (*book.Order, error) {
	o, err := parseOrder(b.Account, b.Order, values)
	if err != nil {
		return nil, err
	}
	return &o, nil
}
