package book

import (
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Kept is what a store keeps of an account that every decision needs. It is never changed.
type Kept struct {
	// Rev is the number of the last change; 0 before the first. StandingsRev was Rev at
	// the last commit.
	Rev, StandingsRev int64
	// Ledger has the grants that are [ledger.Grant.Open], and the holds that have run out.
	Ledger ledger.Account
	// Next is when the next hold runs out that has not, or earlier; zero if there is none.
	Next time.Time
}

// Account is what callers are shown of it: all but the standings.
func (k *Kept) Account() entitlement.Account {
	return entitlement.Account{Rev: k.Rev, StandingsRev: k.StandingsRev, HeldUntil: k.Next, Ledger: k.Ledger}
}

// Source reads what a store keeps of an account beside [Kept]. What a decision is likely to
// find may be given: the source may then answer so without reading, if the store compares it
// before it writes. A source that has not read something returns [ErrUnread], and the
// decision is made again when it has.
type Source interface {
	// Hold is a hold that has not ended; nil is none.
	Hold(id string, likely *PlacedHold) (*PlacedHold, error)
	// Holds are up to limit of the holds that have not ended, those first that end first.
	Holds(limit int) ([]*PlacedHold, error)
	// Ended is the end of a hold that is remembered; nil is none.
	Ended(id, by string) (*EndedHold, error)
	// Closed is a grant that is not open; false is none.
	Closed(grant string) (ledger.Grant, bool, error)
	// Object is the merged state of an object; the zero one is none, which is likely if it is new.
	Object(ref entitlement.Ref, isNew bool) (Object, error)
	// Order is an order of the account; nil is none, which is likely if it is new.
	Order(id string, isNew bool) (*Order, error)
	// Key is an idempotency key; nil is none, which is likely.
	Key(hash string) (*UsedKey, error)
	// OpenOrders is how many orders are neither paid nor expired, most likely 0.
	OpenOrders() (int, error)
}

// ErrUnread is what a [Source] returns that has not read what it was asked for.
var ErrUnread = errors.New("not read yet")

// Book is an account while decisions are made about it, one after the other. A decision
// that returns an error changes nothing.
type Book struct {
	Account string
	Now     time.Time // in UTC milliseconds

	kept    *Kept
	source  Source
	ledger  ledger.Book
	grants  ledger.Grants // before, those that were closed included
	changes Changes
	oneHold [1]Row[string, *PlacedHold] // room for what mostly is one
	oneEnd  [1]Row[string, *EndedHold]
}

// Changes are what decisions changed beside the ledger. Values of nil are removed.
type Changes struct {
	Holds     Table[string, *PlacedHold]
	Ends      Table[string, *EndedHold]
	Objects   Table[entitlement.Ref, *Object]
	Standings Table[entitlement.Ref, *entitlement.Standing]
	Orders    Table[string, *Order]
	Keys      Table[string, *UsedKey]

	// Claims are things at Dodo that are to be bound to the account, unless they are bound.
	Claims []entitlement.Ref
	// Freed are things that are to be bound to the account no more, once the rest is written.
	Freed []entitlement.Ref
	// Counts are daily values that are to be kept.
	Counts []Daily
	// Commits are the objects that were committed, and Settled the events that are to be
	// settled if the rest is written; both in order.
	Commits []entitlement.Ref
	Settled []Settlement
}

// Table is a small map in order of insertion.
type Table[K comparable, V any] []Row[K, V]

// Row is a key with its value.
type Row[K comparable, V any] struct {
	Key   K
	Value V
}

// Get is the value of a key.
func (t Table[K, V]) Get(key K) (value V, found bool) {
	for i := range t {
		if t[i].Key == key {
			return t[i].Value, true
		}
	}
	return value, false
}

func (t *Table[K, V]) put(key K, value V) {
	for i := range *t {
		if (*t)[i].Key == key {
			(*t)[i].Value = value
			return
		}
	}
	*t = append(*t, Row[K, V]{key, value})
}

// Open opens a book of an account at an instant.
func Open(account string, kept *Kept, source Source, now time.Time) *Book {
	now = now.UTC().Truncate(time.Millisecond)
	b := &Book{Account: account, Now: now, kept: kept, source: source, grants: kept.Ledger.Grants}
	b.changes.Holds, b.changes.Ends = b.oneHold[:0], b.oneEnd[:0]
	b.ledger.Open(kept.Ledger, now)
	return b
}

// Changed reports whether any decision changed anything that belongs to the account.
func (b *Book) Changed() bool {
	return b.AccountChanged() || len(b.changes.Orders)+len(b.changes.Keys) > 0
}

// Touched reports whether any decision left anything in the book.
func (b *Book) Touched() bool {
	return b.Changed() || len(b.changes.Claims)+len(b.changes.Freed)+len(b.changes.Counts)+len(b.changes.Commits)+len(b.changes.Settled) > 0
}

// Object is the merged state of one of the account's objects; the zero one if it was never
// written.
func (b *Book) Object(ref entitlement.Ref) (Object, error) {
	if o, changed := b.changes.Objects.Get(ref); changed {
		return *o, nil
	}
	if err := CheckRef(ref); err != nil {
		return Object{}, err
	}
	// Most facts about a payment are the first; a subscription lives for long.
	return b.source.Object(ref, ref.Kind != entitlement.KindSubscription)
}

// Order is one of the account's orders; nil if there is none.
func (b *Book) Order(id string) (*Order, error) {
	if err := CheckNames(id); err != nil {
		return nil, err
	}
	return b.order(id, false)
}

func (b *Book) grantsChanged() bool {
	for i := range b.ledger.Grants {
		if b.ledger.Grants[i] != *b.before(i, b.ledger.Grants[i].ID) {
			return true
		}
	}
	return false
}

var noGrant ledger.Grant

// before is a grant as it was, which is mostly at the same place.
func (b *Book) before(place int, id string) *ledger.Grant {
	if place < len(b.grants) && b.grants[place].ID == id {
		return &b.grants[place]
	}
	if g := b.grants.Of(id); g != nil {
		return g
	}
	return &noGrant
}

// Changes are what was changed beside the ledger.
func (b *Book) Changes() *Changes { return &b.changes }

// Entries are those that were added to the ledger.
func (b *Book) Entries() []ledger.Entry { return b.ledger.Entries }

// Grants calls each for every grant that was changed, as it was (zero: it was not) and as it is.
func (b *Book) Grants(each func(before, after *ledger.Grant)) {
	for i := range b.ledger.Grants {
		after := &b.ledger.Grants[i]
		if before := b.before(i, after.ID); *before != *after {
			each(before, after)
		}
	}
}

// Over are the holds that ran out and were released.
func (b *Book) Over(each func(id string)) {
	for id, before := range b.kept.Ledger.Holds {
		if after, goesOn := b.ledger.Held(id); !goesOn || !after.ExpiresAt.Equal(before.ExpiresAt) {
			each(id)
		}
	}
}

// AccountChanged reports whether more was changed than orders and keys, which no balance hangs on.
func (b *Book) AccountChanged() bool {
	c := &b.changes
	return len(b.ledger.Entries) > 0 || b.ledger.Debt != b.kept.Ledger.Debt ||
		len(c.Holds)+len(c.Ends)+len(c.Objects)+len(c.Standings) > 0 || b.grantsChanged()
}

// After is what is kept of the account by now, if it was changed as the given revision.
func (b *Book) After(rev int64) Kept {
	after := Kept{Rev: rev, StandingsRev: b.kept.StandingsRev, Next: b.kept.Next}
	if b.Committed() {
		after.StandingsRev = rev
	}
	after.Ledger = ledger.Account{Seq: b.ledger.Seq, Debt: b.ledger.Debt}
	for _, g := range b.ledger.Grants {
		if !g.Open() {
			continue
		}
		if after.Ledger.Grants == nil {
			after.Ledger.Grants = make(ledger.Grants, 0, len(b.ledger.Grants))
		}
		after.Ledger.Grants = append(after.Ledger.Grants, g)
	}
	for id, h := range b.kept.Ledger.Holds {
		if now, goesOn := b.ledger.Held(id); goesOn && now.ExpiresAt.Equal(h.ExpiresAt) {
			if after.Ledger.Holds == nil {
				after.Ledger.Holds = make(map[string]ledger.Hold)
			}
			after.Ledger.Holds[id] = h
			if !h.Expired(b.Now) { // the clock went back
				after.Next = Sooner(after.Next, h.ExpiresAt)
			}
		}
	}
	for _, row := range b.changes.Holds {
		if row.Value != nil {
			after.Next = Sooner(after.Next, row.Value.ExpiresAt)
		}
	}
	return after
}

// Spendable reports whether anything changed that those who watch the account must know: what
// can be spent, is owed or waits, or what objects give.
func (b *Book) Spendable() bool {
	if b.Committed() || b.ledger.Debt != b.kept.Ledger.Debt {
		return true
	}
	for i := range b.ledger.Grants {
		g := &b.ledger.Grants[i]
		before := b.before(i, g.ID)
		if g.Left != before.Left || g.Waiting != before.Waiting {
			return true
		}
	}
	return false
}

// Ledger is the account's ledger by now: its number of entries and its debt.
func (b *Book) Ledger() (seq, debt int64) { return b.ledger.Seq, b.ledger.Debt }

// Committed reports whether an object was written, and standings may have changed.
func (b *Book) Committed() bool { return len(b.changes.Objects) > 0 }

// Window is when, no longer than span around [Book.Now], what was decided would have been decided
// the same: from, and before till.
func (b *Book) Window(span time.Duration) (from, till time.Time) {
	from, till = b.Now.Add(-span), b.Now.Add(span)
	at := func(t time.Time) {
		switch {
		case t.IsZero():
		case t.After(b.Now):
			if t.Before(till) {
				till = t
			}
		case t.After(from):
			from = t
		}
	}
	at(b.kept.Next)
	for i := range b.grants {
		at(b.grants[i].ExpiresAt)
		at(b.grants[i].StartsAt)
	}
	for _, h := range b.kept.Ledger.Holds {
		at(h.ExpiresAt)
	}
	return from, till
}

// Sooner is the earlier of two instants, of which the zero one is never.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
