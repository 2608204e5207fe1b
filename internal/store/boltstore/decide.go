package boltstore

import (
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// decide makes a decision about an account and writes what it changes. It returns the account
// after it, and errUnwritten if the caller can be answered before the transaction is on disk.
// A decision that fails changes nothing. Only the goroutine that writes may call decide.
func (s *Store) decide(tx *bolt.Tx, account string, decide func(*book.Book) error) (entitlement.Account, error) {
	src := &source{bucket: accountOf(tx, account), holds: s.holds, account: account, now: s.now()}
	if err := src.readKept(); err != nil {
		return entitlement.Account{}, err
	}
	b := book.Open(account, &src.kept, src, src.now)
	if err := decide(b); err != nil {
		return entitlement.Account{}, err
	}
	rev := src.kept.Rev
	if b.AccountChanged() {
		rev = s.nextRev(rev)
	}
	written := needsWriting(b)
	if written {
		if err := src.save(tx, b, rev); err != nil {
			return entitlement.Account{}, err
		}
	}
	s.holds.follow(b, src.kept.Rev, rev, written)
	s.tell(tx, b, rev, written)
	after := b.After(rev)
	if !s.holds.isWriting(account) {
		return after.Account(), errUnwritten
	}
	return after.Account(), nil // also if the decision follows from something that is not on disk yet
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
