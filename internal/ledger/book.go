package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Book is an account while it is changed at one instant, by one operation or by several.
// An operation that fails or refuses changes nothing. It is made by [Account.Open].
type Book struct {
	Seq     int64
	Debt    int64
	Grants  Grants
	Entries []Entry // that were added

	holds   []Hold // the ones that were named or have run out, and have not ended
	now     time.Time
	cause   string // of what is entered
	balance int64
	moving  int64            // by Apply, what its targets give that others may have moved to them
	renamed map[string]int64 // by Apply, what of a grant its targets gave by another name so far

	// room for what mostly is one, so that a book is one piece of memory
	oneGrant [1]Grant
	oneEntry [1]Entry
	oneHold  [1]Hold
	order    [2]int
}

// Open opens a book of the account. The account itself is not changed. Of its holds it
// needs those that operations name and those that have run out.
func (a Account) Open(now time.Time) *Book {
	b := new(Book)
	b.Open(a, now)
	return b
}

// Open is [Account.Open], into a book that is empty.
func (b *Book) Open(a Account, now time.Time) {
	b.Seq, b.Debt, b.now, b.balance = a.Seq, a.Debt, instant(now), a.Balance()
	b.Grants = append(b.oneGrant[:0], a.Grants...)
	b.Entries = b.oneEntry[:0]
	b.holds = b.oneHold[:0]
	if len(a.Holds) > 0 {
		for _, id := range slices.Sorted(maps.Keys(a.Holds)) {
			b.holds = append(b.holds, a.Holds[id])
		}
	}
}

// Account is the account by now.
func (b *Book) Account() Account {
	a := Account{Seq: b.Seq, Debt: b.Debt, Grants: b.Grants, Holds: make(map[string]Hold, len(b.holds))}
	for _, h := range b.holds {
		a.Holds[h.ID] = h
	}
	return a
}

// Held is a hold that was named or has run out, and has not ended.
func (b *Book) Held(id string) (h Hold, held bool) {
	if i := b.find(id); i >= 0 {
		return b.holds[i], true
	}
	return h, false
}

// Name lets operations find a hold.
func (b *Book) Name(h Hold) {
	if i := b.find(h.ID); i >= 0 {
		b.holds[i] = h
		return
	}
	b.holds = append(b.holds, h)
}

func (b *Book) find(id string) int {
	return slices.IndexFunc(b.holds, func(h Hold) bool { return h.ID == id })
}

func (b *Book) forget(id string) {
	b.holds = slices.DeleteFunc(b.holds, func(h Hold) bool { return h.ID == id })
}

// available is [Account.Available].
func (b *Book) available() int64 {
	if b.hasRunOut() || b.Debt > 0 {
		return b.Account().Available(b.now)
	}
	return Account{Grants: b.Grants}.Available(b.now)
}

func (b *Book) hasRunOut() bool {
	for i := range b.holds {
		if b.holds[i].Expired(b.now) {
			return true
		}
	}
	return false
}

// burnOrder are the places of the grants in the order in which they are spent. It holds until
// the next one.
func (b *Book) burnOrder() []int {
	order := b.order[:0]
	for i := range b.Grants {
		order = append(order, i)
	}
	if len(order) > 1 {
		slices.SortFunc(order, func(i, j int) int { return b.Grants[i].Compare(b.Grants[j]) })
	}
	return order
}

func (b *Book) enter(kind Kind, grant string, amount int64) {
	if amount == 0 {
		return
	}
	b.Seq++
	b.balance += amount
	b.Entries = append(b.Entries, Entry{
		Seq: b.Seq, At: b.now, Kind: kind, Grant: grant,
		Amount: amount, Balance: b.balance, Cause: b.cause,
	})
}

// sweep does what time alone does: it releases the holds that have run out, begins
// the grants that are due, pays debt from what is left, and enters what is left in
// expired grants as expired.
// Everything that changes an account begins and ends with it.
func (b *Book) sweep() {
	if b.hasRunOut() {
		slices.SortFunc(b.holds, func(g, h Hold) int { return cmp.Compare(g.ID, h.ID) })
		for i := range b.holds {
			if h := &b.holds[i]; h.Expired(b.now) {
				b.giveBack(h.Parts)
			}
		}
		b.holds = slices.DeleteFunc(b.holds, func(h Hold) bool { return h.Expired(b.now) })
	}
	b.begin()
	b.payDebt()
	if !slices.ContainsFunc(b.Grants, func(g Grant) bool { return g.Left > 0 && g.Expired(b.now) }) {
		return
	}
	for _, i := range b.burnOrder() {
		g := &b.Grants[i]
		if g.Left == 0 || !g.Expired(b.now) {
			continue
		}
		b.enter(KindExpire, g.ID, -g.Left)
		g.Lapsed = min(g.Lapsed+g.Left, Max)
		g.Left = 0
	}
}

// begin gives what waited in the grants that are due.
func (b *Book) begin() {
	if !slices.ContainsFunc(b.Grants, func(g Grant) bool { return g.Due(b.now) }) {
		return
	}
	for _, i := range b.burnOrder() {
		g := &b.Grants[i]
		if !g.Due(b.now) {
			continue
		}
		b.enter(KindGrant, g.ID, g.Waiting)
		g.Left += g.Waiting
		g.Waiting, g.StartsAt = 0, time.Time{}
	}
}

// payDebt pays from what is left, in burn order. The balance does not change:
// there is as much less owed as there is less to spend.
func (b *Book) payDebt() {
	if b.Debt == 0 {
		return
	}
	for _, i := range b.burnOrder() {
		g := &b.Grants[i]
		paid := min(b.Debt, g.Left)
		g.Left -= paid
		b.Debt -= paid
	}
}

// giveBack returns held credits to the grants that they came from, less what
// was forgiven there. What is not given back is entered as clawed back.
func (b *Book) giveBack(parts []Part) {
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
