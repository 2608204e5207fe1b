package ledger

import (
	"errors"
	"fmt"
)

// What an operator does by hand. Credits that an operator gives are a target as any other, see
// [Book.Apply].

var (
	// ErrTooFew says that fewer credits can be spent than are to be taken.
	ErrTooFew = errors.New("fewer credits can be spent")
	// ErrNotOwed says that less is owed than is to be waived.
	ErrNotOwed = errors.New("less is owed")
)

// Take takes amount from what is left, in burn order, and never from what is held. What is
// not left is owed if owe is set; else nothing is taken, and that is [ErrTooFew]. name is the
// cause of the entries, and the grant of the entry about what is owed.
func (b *Book) Take(name string, amount int64, owe bool) error {
	over := max(0, amount-b.available())
	switch {
	case amount < 0 || amount > Max:
		return fmt.Errorf("take: %w", ErrRange)
	case over > 0 && !owe:
		return ErrTooFew
	case b.Debt > Max-over:
		return fmt.Errorf("take: %w", ErrRange)
	}
	b.cause = name
	b.sweep()
	amount -= over
	for _, i := range b.burnOrder() {
		g := &b.Grants[i]
		n := min(amount, g.Left)
		g.Left -= n
		amount -= n
		b.enter(KindTake, g.ID, -n)
	}
	if over > 0 {
		b.Grants.Put(Grant{ID: name, CreatedAt: b.now}) // every entry names a grant that is kept
		b.Debt += over
		b.enter(KindTake, name, -over)
	}
	return nil
}

// Waive forgives amount of what is owed. It is a grant of its own, which pays that debt. name
// names the grant and must be new; it is the cause of the entry, too. It returns [ErrNotOwed]
// if less is owed.
func (b *Book) Waive(name string, amount int64) error {
	if amount < 0 || amount > b.Owed() {
		return ErrNotOwed
	}
	b.cause = name
	b.sweep()
	if amount > 0 {
		b.Grants.Put(Grant{ID: name, Amount: amount, Left: amount, CreatedAt: b.now})
		b.enter(KindWaive, name, amount)
		b.payDebt()
	}
	return nil
}

// Owed is what is owed once everything has happened that is due.
func (b *Book) Owed() int64 { return b.Account().At(b.now).Debt }

// Worth is what can be spent, what is held and what is owed, likewise.
func (b *Book) Worth() (available, held, owed int64) {
	a := b.Account().At(b.now)
	for _, g := range a.Grants {
		held += g.Held
	}
	return a.Available(b.now), held, a.Debt
}
