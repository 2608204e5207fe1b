package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// likelySize is about how many bytes an update writes.
const likelySize = 1 << 10

// Update implements [store.Store].
func (s *Store) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	if err := book.CheckAccount(account); err != nil {
		return store.Updated{}, err
	}
	var done store.Updated
	err := s.update(ctx, likelySize, func(tx *bolt.Tx) (err error) {
		done, _, err = s.decide(tx, account, nil, decide)
		return err
	})
	if err != nil {
		return store.Updated{}, book.OfAccount(account, err)
	}
	return done, nil
}

// decide makes a decision about an account and writes what it changes. It returns errUnwritten
// if the caller can be answered before the transaction is on disk. A decision that fails changes
// nothing. received, unless it is nil, is the event that is being received. Only the goroutine
// that writes may call decide.
func (s *Store) decide(tx *bolt.Tx, account string, received *event, decide store.Decision) (done store.Updated, settled bool, err error) {
	src := &source{bucket: accountOf(tx, account), holds: s.holds, account: account, now: s.now()}
	if err := src.readKept(); err != nil {
		return done, false, err
	}
	b := book.Open(account, &src.kept, src, src.now)
	if err := s.guarded(decide, b); err != nil {
		return done, false, err
	}
	beside, err := s.beside(tx, b.Changes().Settled, received)
	if err != nil {
		return done, false, err
	}
	rev := src.kept.Rev
	if b.AccountChanged() {
		rev = s.nextRev(rev)
	}
	written := needsWriting(b)
	if written {
		if err := src.save(tx, b, rev); err != nil {
			return done, false, err
		}
	}
	s.holds.follow(b, src.kept.Rev, rev, written)
	s.tell(tx, b, rev, written)
	after := b.After(rev)
	done.Account = after.Account()
	for _, ref := range b.Changes().Commits {
		done.Waiting = done.Waiting || anyParked(tx, ref)
	}
	for _, ref := range b.Changes().Claims {
		if _, err := claim(tx, ref, account); err != nil {
			return done, false, err
		}
	}
	for _, d := range b.Changes().Counts {
		if err := count(tx, d, src.now); err != nil {
			return done, false, err
		}
	}
	for _, ref := range b.Changes().Freed {
		if err := free(tx, ref, account); err != nil {
			return done, false, err
		}
	}
	for _, e := range beside {
		if err := s.settle(tx, e.known, e.Event, e.Retention); err != nil {
			return done, false, err
		}
	}
	if !s.holds.isWriting(account) && len(b.Changes().Claims)+len(b.Changes().Freed)+len(b.Changes().Counts)+len(beside) == 0 {
		return done, false, errUnwritten
	}
	return done, len(beside) > 0, nil // also if the decision follows from something that is not on disk yet
}

// guarded makes a decision. One that panics fails, and only it: it has written nothing yet. A fault
// of the file, which it reads, is passed on.
func (s *Store) guarded(decide store.Decision, b *book.Book) (err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if _, fault := r.(interface{ Addr() uintptr }); fault {
			panic(r)
		}
		s.log.Error("a decision about an account panicked: it was not made", "panic", r, "stack", string(debug.Stack()))
		err = fmt.Errorf("%w: %v", errPanicked, r)
	}()
	return decide(b)
}

var errPanicked = errors.New("the decision panicked")

// settling is an event that is settled with a decision, and what is known of it.
type settling struct {
	book.Settlement
	known event
}

// beside reads the events that a decision settles.
func (s *Store) beside(tx *bolt.Tx, settled []book.Settlement, received *event) ([]settling, error) {
	var all []settling
	for _, e := range settled {
		if received != nil && received.ID == e.Event.ID {
			e.Event.Deliveries = received.Deliveries
			all = append(all, settling{e, *received})
			continue
		}
		known, err := s.readEvent(tx, e.Event.ID)
		if err != nil {
			return nil, err
		}
		all = append(all, settling{e, known})
	}
	return all, nil
}

// tell tells the watchers what was changed. A change that is written, or that follows from one
// that is not on disk yet, is told after the commit.
func (s *Store) tell(tx *bolt.Tx, b *book.Book, rev int64, written bool) {
	account, changed, payable := b.Account, b.Spendable(), false
	for _, row := range b.Changes().Orders {
		if o := row.Value; o != nil && o.SessionID != "" && o.State == book.OrderOpen {
			payable = true
		}
	}
	if !written && !changed {
		return
	}
	notify := func() {
		if written {
			s.holds.forget(account, rev)
		}
		if changed {
			s.watchers.Changed(account, rev)
		}
		if payable {
			s.watchers.Changed(account, 0)
		}
	}
	if s.holds.isWriting(account) {
		tx.OnCommit(notify)
	} else {
		notify()
	}
}

// nextRev is a revision above rev and above every one that was given before, also by an earlier
// process, whose unwritten revisions the file does not have: it follows the clock.
func (s *Store) nextRev(rev int64) int64 {
	s.lastRev = max(s.lastRev+1, rev+1, time.Now().UnixMicro())
	return s.lastRev
}
