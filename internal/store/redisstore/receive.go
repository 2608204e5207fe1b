package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/redisconn"
	"github.com/dodogate/dodogate/internal/store"
)

// errElsewhere: the object is bound to another account.
var errElsewhere = errors.New("bound to another account")

// Receive implements [store.Store]. The event is recorded and its object bound right before
// the account is read or written, in the same round trip.
func (s *Store) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	err := d.Event.Check()
	if d.Account != "" {
		err = errors.Join(err, book.CheckAccount(d.Account), book.CheckRef(d.Object))
	}
	if err != nil {
		return store.Received{}, fmt.Errorf("receive event: %w", err)
	}
	r := s.newReceipt(d)
	if d.Account == "" {
		err := s.ask(ctx, "record event", func() error { return s.record(ctx, r) })
		return store.Received{Event: r.stored}, err
	}
	if decide == nil {
		decide = func(*book.Book) error { return nil }
	}
	done, settled, err := s.update(ctx, d.Account, &decision{decide: decide, receipt: r})
	if err != nil && !errors.Is(err, errElsewhere) {
		return store.Received{}, err
	}
	return store.Received{Event: r.stored, Owner: r.owner, Updated: done, Settled: settled}, nil
}

// receipt is an event on its way into the journal, and whose its object is.
type receipt struct {
	event  book.Event
	object entitlement.Ref
	to     string // the account that the object is to be bound to; "" binds nothing

	eventKeys, eventArgs []string // what the script takes
	ownerKey             string   // of the object

	// what was asked for last
	recorded *redis.Cmd
	claimed  binding

	done   bool       // it is in the journal
	stored book.Event // as it is there
	owner  string     // "" is not known yet
}

func (s *Store) newReceipt(d store.Delivery) *receipt {
	return &receipt{
		event: d.Event, object: d.Object, to: d.Account,
		eventKeys: []string{s.eventKey(d.Event.ID)}, eventArgs: s.recordArgs(d.Event),
		ownerKey: s.ownerKey(d.Object),
	}
}

// token names this delivery of the event.
func (r *receipt) token() string { return r.eventArgs[tokenArg] }

// received reports whether all events that are received with decisions are in the journal.
func received(decisions []*decision) bool {
	return !slices.ContainsFunc(decisions, func(d *decision) bool { return d.receipt != nil && !d.receipt.done })
}

// record only stores a delivery in the journal.
func (s *Store) record(ctx context.Context, r *receipt) error {
	reply, err := s.conn.Writes().Run(ctx, recordScript, r.eventKeys, r.eventArgs, bodyOf(r.event))
	if err == nil {
		reply, err = unpacked(reply, recordedFields)
	}
	if err == nil {
		r.stored, err = recorded(r.event, reply)
	}
	return err
}

// addReceipt adds what stores a delivery and binds its object, unless that is done.
func (s *Store) addReceipt(ctx context.Context, p redis.Pipeliner, r *receipt) {
	if r == nil || r.done {
		return
	}
	r.recorded = redisconn.EvalSHA(ctx, p, recordScript, r.eventKeys, r.eventArgs, bodyOf(r.event))
	r.claimed = addBinding(ctx, p, r.ownerKey, r.to, ownerLife(r.object))
}

// readReceipt reads what came of that.
func (s *Store) readReceipt(ctx context.Context, r *receipt) error {
	if r == nil || r.done {
		return nil
	}
	reply, err := s.conn.Writes().RunAfter(ctx, r.recorded, recordScript, r.eventKeys, r.eventArgs, bodyOf(r.event))
	if err == nil {
		reply, err = unpacked(reply, recordedFields)
	}
	if err == nil {
		r.stored, err = recorded(r.event, reply)
	}
	if err == nil {
		r.owner, err = r.claimed.owner()
	}
	r.done = err == nil
	return err
}

// ownerOf is whose the object of an event is. Until it is known, that is likely to be who it is
// to be bound to.
func (s *Store) ownerOf(src *source, r *receipt) string {
	if r.owner != "" {
		return r.owner
	}
	return src.find("GET", r.ownerKey).text(r.to)
}

// forgetOthers lets nothing be compared any more that is not the account's.
func (src *source) forgetOthers() {
	src.items = slices.DeleteFunc(src.items, func(it item) bool { return !strings.HasPrefix(it.key, src.keys.base) })
}

// beside is what goes to the server with what a decision changed: the events that are settled with
// it, and the question whether others are parked under the objects that it committed.
type beside struct {
	settled []book.Settlement
	commits []entitlement.Ref
	receipt *receipt

	parked  []*redis.IntCmd
	settles []*redis.Cmd // none where they have to be on their own
	keys    [][]string
	args    [][]string
}

// delivery says which delivery of its event a settlement is about.
func (w *beside) delivery(e book.Event) string {
	if w.receipt != nil && w.receipt.event.ID == e.ID && e.Deliveries == 0 {
		return w.receipt.token()
	}
	return decimal(e.Deliveries)
}

// addBeside adds the commands that come behind the change of a stamp.
func (s *Store) addBeside(ctx context.Context, p redis.Pipeliner, w *beside, account, stamp string) {
	w.parked, w.settles, w.keys, w.args = nil, nil, nil, nil
	for _, ref := range w.commits {
		w.parked = append(w.parked, p.Exists(ctx, s.parkedKey(ref.String())))
	}
	if s.apart.Load() {
		return
	}
	for _, e := range w.settled {
		keys := []string{account, s.eventKey(e.Event.ID)}
		args := append(s.settleArgs(e.Event, e.Retention, w.delivery(e.Event)), stamp)
		w.settles = append(w.settles, redisconn.EvalSHA(ctx, p, settleScript, keys, args))
	}
}

// finish settles what is not settled yet, and reports whether events may be parked under what was
// committed.
func (s *Store) finish(ctx context.Context, w *beside) (waiting, settled bool, err error) {
	waiting = len(w.parked) < len(w.commits)
	for _, parked := range w.parked {
		waiting = waiting || parked.Err() != nil || parked.Val() > 0
	}
	for i, e := range w.settled {
		if i < len(w.settles) {
			done, err := s.finishSettling(ctx, w.settles[i], e.Event.ID)
			if err != nil {
				return waiting, false, err
			}
			if done {
				continue
			}
		}
		under, err := s.settle(ctx, e.Event, e.Retention, w.delivery(e.Event))
		if err == nil && under != nil {
			err = s.unpark(ctx, e.Event.ID, *under)
		}
		if err != nil {
			return waiting, false, err
		}
	}
	return waiting, len(w.settled) > 0, nil
}

// finishSettling reports whether an event was settled right behind the change.
func (s *Store) finishSettling(ctx context.Context, asked *redis.Cmd, id string) (done bool, err error) {
	reply, err := redisconn.Strings(asked)
	if err != nil {
		return false, nil //nolint:nilerr // it is tried on its own
	}
	under, done, err := settled(reply)
	if err != nil || !done {
		return false, nil //nolint:nilerr // likewise
	}
	if under != nil {
		err = s.unpark(ctx, id, *under)
	}
	return true, err
}
