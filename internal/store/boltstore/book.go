package boltstore

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store/record"
)

// book is an account's ledger on its way through one operation: what is in the
// file, with the holds in memory laid over it.
//
// The file knows nothing of holds. What is held is written as left, so that after
// a crash everything that was held is back where it came from.
type book struct {
	account string
	now     time.Time
	srev    int64 // the revision of the last commit
	rev     int64 // of what is in the file
	before  ledger.Account
	after   ledger.Account
	entries []ledger.Entry
	held    *heldAccount // nil when nothing was held
}

// readBook reads an account for an operation that is about the given grants and
// holds, beside everything that is live and every hold that has run out. Only
// the goroutine that writes may call it.
func (s *Store) readBook(b bucket, account string, now time.Time, grants []string, holds ...string) (*book, error) {
	k := &book{account: account, now: now, held: s.holds.of(account)}
	var err error
	if k.rev, k.srev, k.before, err = readLedger(b); err != nil {
		return nil, err
	}
	for _, id := range grants {
		if value := b.get(kindClosed, id); value != nil {
			g, err := record.ParseGrant(id, string(value))
			if err != nil {
				return nil, damaged(err)
			}
			k.before.Grants.Put(g)
		}
	}
	k.rev = k.held.layOver(&k.before, k.rev, now, holds)
	k.rev = max(k.rev, s.holds.tidied)
	k.after = k.before
	return k, nil
}

// readLedger reads what the file knows of an account's ledger, but for the
// grants of which nothing is left or waiting.
func readLedger(b bucket) (rev, srev int64, a ledger.Account, err error) {
	a = ledger.Account{Holds: make(map[string]ledger.Hold)}
	if b.Bucket == nil {
		return 0, 0, a, nil
	}
	c := b.Cursor() // one for both, because each takes memory for its way down the tree
	if k, head := c.Seek([]byte{kindHead}); len(k) == 1 && k[0] == kindHead && len(head) == headSize {
		rev, srev, a.Seq, a.Debt = parseNumber(head), parseNumber(head[8:]), parseNumber(head[16:]), parseNumber(head[24:])
	}
	err = scan(c, []byte{kindLive}, func(name, value []byte) error {
		g, err := record.ParseGrant(string(name), string(value))
		a.Grants.Put(g)
		return damaged(err)
	})
	return rev, srev, a, err
}

// changed reports whether there is anything to write, as against to remember.
func (k *book) changed() bool {
	if len(k.entries) > 0 || k.after.Debt != k.before.Debt {
		return true
	}
	for _, g := range k.after.Grants {
		if inFile(g) != inFile(k.before.Grants.At(g.ID)) {
			return true
		}
	}
	return false
}

// inFile is a grant as the file has it.
func inFile(g ledger.Grant) ledger.Grant {
	g.Left, g.Held = g.Left+g.Held, 0
	return g
}

// save writes what changed.
func (k *book) save(b bucket) error {
	head := make([]byte, 0, headSize)
	for _, n := range [...]int64{k.rev, k.srev, k.after.Seq, k.after.Debt} {
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	if err := b.put(kindHead, "", head); err != nil {
		return err
	}
	for _, g := range k.after.Grants {
		before := inFile(k.before.Grants.At(g.ID))
		if g := inFile(g); g != before {
			if err := saveGrant(b, before, g); err != nil {
				return err
			}
		}
	}
	for _, e := range k.entries {
		line := record.AppendEntry(make([]byte, 0, likelyEntry+len(e.Grant)+len(e.Cause)), e)
		if err := put(b.Bucket, entryKey(e.Seq), line); err != nil {
			return err
		}
	}
	return nil
}

const (
	headSize    = 32 // bytes
	likelyEntry = 64 // bytes of an entry that are no names
	likelyGrant = 64 // bytes of a grant
)

// saveGrant writes a grant among the live or the closed ones, and takes it away
// from the others. One that was live and still is was never among the closed ones.
func saveGrant(b bucket, before, g ledger.Grant) error {
	in, out := byte(kindLive), byte(kindClosed)
	if !g.Open() {
		in, out = out, in
	}
	err := b.put(in, g.ID, record.AppendGrant(make([]byte, 0, likelyGrant), g))
	if err != nil || before.Open() && g.Open() {
		return err
	}
	return b.remove(out, g.ID)
}

// conclude ends an operation of holds: it writes what changed, and then what
// more says, or else returns errUnwritten. Holds that ended are over.
func (s *Store) conclude(tx *bolt.Tx, k *book, more func(bucket) error) error {
	if !k.changed() {
		s.turn(tx, k, false)
		return errUnwritten
	}
	b, err := accountFor(tx, k.account)
	if err != nil {
		return err
	}
	s.turn(tx, k, true)
	err = k.save(b)
	if more != nil {
		err = errors.Join(err, more(b))
	}
	return err
}

// turn gives the book its new revision and ends what held before and holds no
// more. What is written counts for readers from when it is in the file.
func (s *Store) turn(tx *bolt.Tx, k *book, written bool) {
	if written {
		s.holds.write(k.account, k.rev)
	}
	k.rev = s.nextRev(k.rev)
	var over []string
	for id, hold := range k.before.Holds {
		if _, goesOn := k.after.Holds[id]; !goesOn || hold.Expired(k.now) {
			over = append(over, id)
		}
	}
	if len(over) > 0 {
		s.holds.end(k.account, over, k.rev, written)
	}
	if written {
		account, rev := k.account, k.rev
		tx.OnCommit(func() {
			s.holds.forget(account, rev)
			s.watchers.Changed(account, rev)
		})
	}
}

// tell tells of a change that is not written; after those that it follows, when
// they are on their way into the file.
func (s *Store) tell(tx *bolt.Tx, k *book) {
	account, rev := k.account, k.rev
	if s.holds.isWriting(account) {
		tx.OnCommit(func() { s.watchers.Changed(account, rev) })
		return
	}
	s.watchers.Changed(account, rev)
}

// after is what an operation of holds returns: what follows from something that
// is on its way into the file is not answered before that is there.
func (s *Store) after(account string, err error) error {
	if err == errUnwritten && s.holds.isWriting(account) { //nolint:errorlint // our own, never wrapped
		return nil
	}
	return err
}

// nextRev is a revision above rev, and above any that was given before, also by
// a process whose holds nobody remembers: it follows the clock.
func (s *Store) nextRev(rev int64) int64 {
	s.lastRev = max(s.lastRev+1, rev+1, time.Now().UnixMicro())
	return s.lastRev
}

// shown is the account after the operation, as answers have it.
func (k *book) shown() entitlement.Account {
	a := entitlement.Account{Rev: k.rev, StandingsRev: k.srev, Ledger: k.after}
	if spent := func(g ledger.Grant) bool { return !g.Open() }; slices.ContainsFunc(a.Ledger.Grants, spent) {
		a.Ledger.Grants = slices.DeleteFunc(slices.Clone(a.Ledger.Grants), spent)
	}
	maps.DeleteFunc(a.Ledger.Holds, func(_ string, h ledger.Hold) bool { return !h.Expired(k.now) })
	a.HeldUntil = k.held.next(k.now)
	return a
}
