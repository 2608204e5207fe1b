package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store/record"
)

// Commit implements [store.Accounts]. The event is settled right behind the commit, in the same
// round trip where all keys of a script need not lie in one slot.
func (s *Store) Commit(ctx context.Context, c book.Commit) (book.Committed, error) {
	c, err := record.OwnCommit(c)
	if err != nil {
		return book.Committed{}, err
	}
	if c.Settle != nil {
		if err := s.mustHaveEvent(ctx, c); err != nil {
			return book.Committed{}, err
		}
	}
	w := &commit{Store: s, of: c}
	var done book.Committed
	_, err = s.updateWith(ctx, "commit "+c.Object.String(), c.Account, &decision{behind: w.behind, decide: func(b *book.Book) (err error) {
		done.Entries, err = b.Commit(c)
		return err
	}})
	if err != nil {
		return book.Committed{}, err
	}
	done.Waiting, err = w.finish(ctx)
	return done, err
}

// commit is what goes to the server together with a commit.
type commit struct {
	*Store
	of     book.Commit
	parked *redis.IntCmd
	settle *redis.Cmd // nil where it has to be on its own
	keys   []string
	args   []string
}

// behind adds the commands that come behind the commit of a stamp.
func (w *commit) behind(ctx context.Context, p redis.Pipeliner, stamp string) {
	w.parked = p.Exists(ctx, w.parkedKey(w.of.Object.String()))
	if w.of.Settle == nil || w.apart.Load() {
		return
	}
	w.keys = []string{w.keysOf(w.of.Account).account, w.eventKey(w.of.Settle.Event.ID)}
	w.args = append(w.settleArgs(w.of.Settle.Event, w.of.Settle.Retention), stamp)
	w.settle = evalSha(ctx, p, settleScript, w.keys, w.args)
}

// finish settles what is not settled, and reports whether events may be parked under the object.
func (w *commit) finish(ctx context.Context) (waiting bool, err error) {
	waiting = w.parked == nil || w.parked.Err() != nil || w.parked.Val() > 0
	switch {
	case w.of.Settle == nil:
		return waiting, nil
	case w.settle != nil && w.settle.Err() != nil && redis.HasErrorPrefix(w.settle.Err(), "CROSSSLOT"):
		w.apart.Store(true)
	case w.settle != nil:
		reply, err := texts(w.settle)
		if err != nil {
			break
		}
		under, done, err := settled(reply)
		if err == nil && done && under != nil {
			err = w.unpark(ctx, w.of.Settle.Event.ID, *under)
		}
		if err != nil || done {
			return waiting, err
		}
	}
	return waiting, w.Settle(ctx, w.of.Settle.Event, w.of.Settle.Retention)
}

// mustHaveEvent makes sure that the event is there that the commit settles.
func (s *Store) mustHaveEvent(ctx context.Context, c book.Commit) error {
	if c.Settle.Event.Deliveries > 0 { // it was recorded just now
		return nil
	}
	_, err := s.Event(ctx, c.Settle.Event.ID)
	if err != nil {
		return fmt.Errorf("commit %s: %w", c.Object, err)
	}
	return nil
}
