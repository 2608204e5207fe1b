package ledger

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// Kind says what an entry did.
type Kind string

// The kinds of entry.
const (
	KindGrant    Kind = "grant"    // credits given
	KindClawBack Kind = "clawback" // credits taken back by a refund or the like
	KindExpire   Kind = "expire"   // credits that ran out unspent
	KindCapture  Kind = "capture"  // credits spent
)

// Entry is one immutable line of an account's ledger.
type Entry struct {
	Seq     int64     `json:"seq"`     // 1, 2, 3… without a gap
	At      time.Time `json:"at"`      // when it was written, UTC, in milliseconds
	Kind    Kind      `json:"kind"`    //
	Grant   string    `json:"grant"`   // the grant it changed
	Amount  int64     `json:"amount"`  // change of the balance, in credits; negative when taken
	Balance int64     `json:"balance"` // the balance after it; negative while credits are owed
	Cause   string    `json:"cause"`   // what brought it: an event's id, a hold's, or the use case's name
}

// book is an account while it is being written to.
type book struct {
	Account
	cause   string
	now     time.Time
	balance int64
	moving  int64            // by Apply, what its targets give that others may have moved to them
	renamed map[string]int64 // by Apply, what of a grant its targets gave by another name so far
	entries []Entry
}

func newBook(a Account, cause string, now time.Time) *book {
	return &book{Account: a.clone(), cause: cause, now: instant(now), balance: a.Balance()}
}

func (b *book) enter(kind Kind, grant string, amount int64) {
	if amount == 0 {
		return
	}
	b.Seq++
	b.balance += amount
	b.entries = append(b.entries, Entry{
		Seq: b.Seq, At: b.now, Kind: kind, Grant: grant,
		Amount: amount, Balance: b.balance, Cause: b.cause,
	})
}

// sweep does what time alone does: it releases the holds that have run out, begins
// the grants that are due, pays debt from what is left, and enters what is left in
// expired grants as expired.
// Everything that changes an account begins and ends with it.
func (b *book) sweep() {
	if hasExpired(maps.Values(b.Holds), b.now) {
		for _, id := range slices.Sorted(maps.Keys(b.Holds)) {
			if h := b.Holds[id]; h.Expired(b.now) {
				b.giveBack(h.Parts)
				delete(b.Holds, id)
			}
		}
	}
	b.begin()
	b.payDebt()
	if !hasExpired(slices.Values(b.Grants), b.now) {
		return
	}
	for _, id := range b.Grants.burnOrder() {
		g := b.Grants.At(id)
		if g.Left == 0 || !g.Expired(b.now) {
			continue
		}
		b.enter(KindExpire, id, -g.Left)
		g.Lapsed = min(g.Lapsed+g.Left, Max)
		g.Left = 0
		b.Grants.Put(g)
	}
}

// hasExpired spares most sweeps the sorting: mostly time has done nothing.
func hasExpired[T interface{ Expired(now time.Time) bool }](all iter.Seq[T], now time.Time) bool {
	for one := range all {
		if one.Expired(now) {
			return true
		}
	}
	return false
}

// begin gives what waited in the grants that are due.
func (b *book) begin() {
	if !slices.ContainsFunc(b.Grants, func(g Grant) bool { return g.Due(b.now) }) {
		return
	}
	for _, id := range b.Grants.burnOrder() {
		g := b.Grants.At(id)
		if !g.Due(b.now) {
			continue
		}
		b.enter(KindGrant, id, g.Waiting)
		g.Left += g.Waiting
		g.Waiting, g.StartsAt = 0, time.Time{}
		b.Grants.Put(g)
	}
}

// payDebt pays from what is left, in burn order. The balance does not change:
// there is as much less owed as there is less to spend.
func (b *book) payDebt() {
	if b.Debt == 0 {
		return
	}
	for _, id := range b.Grants.burnOrder() {
		g := b.Grants.At(id)
		paid := min(b.Debt, g.Left)
		g.Left -= paid
		b.Debt -= paid
		b.Grants.Put(g)
	}
}

// giveBack returns held credits to the grants that they came from, less what
// was forgiven there. What is not given back is entered as clawed back.
func (b *book) giveBack(parts []Part) {
	for _, p := range parts {
		g := b.Grants.At(p.Grant)
		g.Held -= p.Amount
		kept := min(p.Amount, g.Waived)
		g.Waived -= kept
		g.Left += p.Amount - kept
		b.Grants.Put(g)
		b.enter(KindClawBack, p.Grant, -kept)
	}
}
