package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Receive implements [store.Journal]. What is read of the account is read as if the claim
// will hold.
func (s *Store) Receive(ctx context.Context, e store.Event, b store.Binding) (stored store.Event, bound store.Bound, err error) {
	if err := errors.Join(record.CheckEvent(e), record.CheckBinding(b)); err != nil {
		return stored, bound, fmt.Errorf("receive event: %w", err)
	}
	err = s.ask(ctx, "receive event", func() error {
		err := errApart
		if !s.apart.Load() {
			stored, bound, err = s.receive(ctx, e, b)
		}
		if errors.Is(err, errApart) {
			s.apart.Store(true)
			stored, bound, err = s.receiveApart(ctx, e, b)
		}
		if err == nil && bound.Account != b.Account {
			bound.Object, err = s.Object(ctx, bound.Account, b.Object)
		}
		return err
	})
	if err != nil {
		return store.Event{}, store.Bound{}, err
	}
	return stored, bound, nil
}

// receive is one run of receive.lua, or errApart when the server wants all keys of a
// script in one slot.
func (s *Store) receive(ctx context.Context, e store.Event, b store.Binding) (stored store.Event, bound store.Bound, err error) {
	keys, long := s.receiveKeys(e, b), []blob{bodyOf(e)}
	const before = 10 // of a guess
	args := append(s.appendRecord(make([]string, 0, before+commitFields), e), b.Account)
	var guess *store.Guess
	if b.Guess != nil {
		guess = b.Guess()
	}
	if guess != nil {
		if more, err := s.appendGuess(args, e, b, *guess); err == nil {
			args, long = more, append(long, blob{before + stateArg, guess.Commit.State})
		} else {
			guess = nil // the event is taken all the same, and Commit says what is wrong
		}
	}
	reply, err := s.run(ctx, receiveScript, keys, args, long...)
	if err != nil && redis.HasErrorPrefix(err, "CROSSSLOT") {
		return stored, bound, errApart
	}
	if err == nil {
		reply, err = unpacked(reply, recordedFields+1)
	}
	if err == nil {
		stored, err = recorded(e, reply)
	}
	if err != nil {
		return stored, bound, err
	}
	bound.Account, reply = reply[recordedFields], reply[recordedFields+1:]
	if bound.Account != b.Account {
		return stored, bound, nil
	}
	if len(reply) <= len(orderFields) {
		return stored, bound, errReply(reply)
	}
	if reply[0] != "" {
		if bound.Order, err = parseBoundOrder(b, reply); err != nil {
			return stored, bound, err
		}
	}
	switch reply = reply[len(orderFields):]; {
	case len(reply) == 1 && guess != nil:
		stored, bound.Committed, err = guessed(stored, *guess, reply)
	case len(reply) < 2:
		err = errReply(reply)
	case reply[0] != "":
		bound.Object, err = parseObject(reply[0], reply[1])
	}
	return stored, bound, err
}

// receiveKeys are those of a commit that settles the event, but that the owner is in the
// place of failed orders, which that commit has not.
func (s *Store) receiveKeys(e store.Event, b store.Binding) []string {
	const most = 12
	k := s.keysOf(b.Account)
	keys := append(make([]string, 0, most), k.ledger()...)
	return append(keys, k.object(b.Object), k.order(b.Order), k.unpaid(), k.paid(), s.ownerKey(b.Object),
		s.parkedKey(b.Object.String()), s.eventKey(e.ID))
}

// appendGuess appends what an order's JSON has in it if the guess is right, which nothing
// else in it can look like, for quotes in texts are escaped; and the arguments of the commit.
func (s *Store) appendGuess(args []string, e store.Event, b store.Binding, g store.Guess) ([]string, error) {
	c, err := record.CheckGuess(e, b, g)
	if err != nil {
		return nil, err
	}
	standing, err := record.Standing(c.Effect.Standing)
	if err != nil {
		return nil, err
	}
	promised, err := entitlement.AppendTerms([]byte(`,"terms":`), g.Terms)
	return s.appendCommit(append(args, string(append(promised, `,"`...))), c, standing), err
}

// guessed is what became of an event whose guess was right. It is new, so it was never
// parked.
func guessed(e store.Event, g store.Guess, reply []string) (store.Event, *store.Committed, error) {
	reply, err := unpacked(reply, 1)
	if err != nil {
		return e, nil, err
	}
	done, _, err := committed(g.Commit, reply)
	as := g.Commit.Settle.Event
	e.State, e.Reason, e.Object, e.Account = as.State, as.Reason, as.Object, as.Account
	return e, &done, err
}

// receiveApart is receive by parts, which may lie in different slots.
func (s *Store) receiveApart(ctx context.Context, e store.Event, b store.Binding) (stored store.Event, bound store.Bound, err error) {
	event, args := []string{s.eventKey(e.ID)}, s.recordArgs(e)
	owner, account, k := []string{s.ownerKey(b.Object)}, []string{b.Account}, s.keysOf(b.Account)
	var record, claim *redis.Cmd
	var object, order *redis.MapStringStringCmd
	err = s.batch.do(ctx, func(ctx context.Context, p redis.Pipeliner) {
		record = evalSha(ctx, p, recordScript, event, args, bodyOf(e))
		claim = evalSha(ctx, p, claimScript, owner, account)
		object, order = p.HGetAll(ctx, k.object(b.Object)), p.HGetAll(ctx, k.order(b.Order))
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
	if bound.Object, err = readObject(object); err != nil {
		return stored, bound, err
	}
	fields, err := order.Result()
	if err == nil && len(fields) > 0 {
		bound.Order, err = parseBoundOrder(b, orderValues(fields))
	}
	return stored, bound, err
}

func parseBoundOrder(b store.Binding, values []string) (*store.Order, error) {
	o, err := parseOrder(b.Account, b.Order, values)
	if err != nil {
		return nil, err
	}
	return &o, nil
}
