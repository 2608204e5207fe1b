package ledger

import (
	"fmt"
	"slices"
	"time"
)

// Target is what a grant should amount to according to a fact, whatever it
// amounted to before. Amount 0 takes it back. Times count in milliseconds.
type Target struct {
	ID        string
	Amount    int64
	StartsAt  time.Time // zero: at once
	ExpiresAt time.Time // zero: never
	CreatedAt time.Time
	// Into is the grant that gives these credits from now on, because facts came to
	// name them otherwise; mostly empty. What was spent or forgiven of them counts
	// as spent or forgiven there, whatever the policy.
	Into string
}

// Policy says what becomes of a claw-back that finds credits spent already.
type Policy string

// The policies.
const (
	// PolicyDebt lets the account owe them: later credits pay first.
	PolicyDebt Policy = "debt"
	// PolicyFloor forgives them, unless the same fact gives as much by another grant.
	PolicyFloor Policy = "floor"
)

// Apply brings each target's grant to its amount and returns the account after
// it with the entries that explain the change. The receiver is not changed.
//
// It returns [ErrRange] when an amount or the balance would leave 0..[Max].
func (a Account) Apply(targets []Target, policy Policy, cause string, now time.Time) (Account, []Entry, error) {
	b := a.Open(now)
	if err := b.Apply(targets, policy, cause); err != nil {
		return a, nil, err
	}
	return b.Account(), b.Entries, nil
}

// Apply is [Account.Apply].
func (b *Book) Apply(targets []Target, policy Policy, cause string) error {
	before := *b
	before.Grants, before.holds = slices.Clone(b.Grants), slices.Clone(b.holds)
	b.cause, b.moving, b.renamed = cause, 0, nil
	b.sweep()
	b.countMoves(targets)
	for _, t := range targets {
		if err := b.set(t, policy); err != nil {
			*b = before
			return fmt.Errorf("set grant %q: %w", t.ID, err)
		}
	}
	b.sweep()
	return nil
}

func (b *Book) set(t Target, policy Policy) error {
	if t.Amount < 0 || t.Amount > Max {
		return ErrRange
	}
	g := b.Grants.At(t.ID)
	if g.ID == "" {
		if t.Amount == 0 {
			return nil
		}
		g = Grant{ID: t.ID}
	}
	g.StartsAt, g.ExpiresAt, g.CreatedAt = instant(t.StartsAt), instant(t.ExpiresAt), instant(t.CreatedAt)
	if err := b.revive(&g); err != nil {
		return err
	}
	change := t.Amount - g.Amount
	if change > b.room(g) || change < 0 && b.Debt > Max+change {
		return ErrRange
	}
	g.Amount = t.Amount
	if change >= 0 {
		renamed := min(change, b.renamed[t.ID])
		if renamed > 0 {
			b.renamed[t.ID] -= renamed
		}
		b.enter(KindGrant, t.ID, g.raise(change, renamed, b.now))
	} else {
		begun := max(0, -change-g.Waiting)
		taken, over := g.clawBack(-change)
		moved := min(over, b.moving)
		if t.Into != "" {
			moved = min(begun, b.moving) // spent or not, its heir gives it
		}
		b.moving -= moved
		if policy == PolicyFloor && t.Into == "" {
			g.Waived += over - moved
			over = moved
		}
		b.Debt += over
		b.enter(KindClawBack, t.ID, -taken-over)
	}
	if g.Waiting == 0 {
		g.StartsAt = time.Time{}
	}
	if t.Into != "" && t.Into != t.ID {
		b.moveWaived(&g, t.Into)
	}
	b.Grants.Put(g)
	return nil
}

// countMoves finds out how much the targets give that can be spent at once. What is taken
// back of other ones beside it has only moved, so policy floor does not forgive it: what was
// spent of it was spent of these.
func (b *Book) countMoves(targets []Target) {
	var waived map[string]int64 // what [Book.moveWaived] brings, by heir
	for _, t := range targets {
		if t.Into == "" || t.Into == t.ID {
			continue
		}
		if b.renamed == nil {
			b.renamed, waived = make(map[string]int64), make(map[string]int64)
		}
		g := b.Grants.At(t.ID)
		b.renamed[t.Into] = min(b.renamed[t.Into]+max(0, g.Amount-t.Amount), Max)
		waived[t.Into] = min(waived[t.Into]+g.Waived-min(g.Waived, g.Held), Max)
	}
	for _, t := range targets {
		g := b.Grants.At(t.ID)
		n := t.Amount - g.Amount
		if n > 0 && !b.now.Before(instant(t.StartsAt)) {
			kept := min(max(0, n-b.renamed[t.ID]), g.Waived+waived[t.ID])
			b.moving = min(b.moving+n-kept, Max)
		}
	}
}

// moveWaived moves what was forgiven of a grant to the one that gives its credits
// now. It was spent under the old name, so the entries say that it is taken here
// and given there.
func (b *Book) moveWaived(g *Grant, into string) {
	moved := g.Waived - min(g.Waived, g.Held) // what is held may still be kept here
	if moved == 0 {
		return
	}
	g.Waived -= moved
	b.enter(KindClawBack, g.ID, -moved)
	heir := b.Grants.At(into)
	heir.ID = into
	heir.Waived = min(heir.Waived+moved, Max)
	b.enter(KindGrant, into, moved)
	b.Grants.Put(heir)
}

// revive gives back what lapsed of a grant that runs on after all: its expiry was
// moved after it had passed.
func (b *Book) revive(g *Grant) error {
	if g.Lapsed == 0 || g.Expired(b.now) {
		return nil
	}
	if g.Lapsed > b.room(*g) {
		return ErrRange
	}
	b.enter(KindGrant, g.ID, g.Lapsed)
	g.Left += g.Lapsed
	g.Lapsed = 0
	b.Grants.Put(*g)
	b.payDebt() // else there could be more left for a moment than can be counted
	*g = b.Grants.At(g.ID)
	return nil
}

// room is how much a grant may be raised by. Neither the balance may leave the range nor,
// until the debt is paid from it, what is left of the grant, also once all that waits has
// begun.
func (b *Book) room(g Grant) int64 {
	return Max - max(b.balance+Account{Grants: b.Grants}.waiting(), g.Left+g.Waiting)
}

// raise adds n, less what was forgiven before, to what is left, or to what waits if the
// grant has not begun. It returns what that adds to the balance. What was given by another
// name before does not come back, so nothing was forgiven of it.
func (g *Grant) raise(n, renamed int64, now time.Time) int64 {
	kept := min(n-renamed, g.Waived)
	g.Waived -= kept
	if now.Before(g.StartsAt) {
		g.Waiting += n - kept
		return 0
	}
	g.Left += n - kept
	return n - kept
}

// clawBack takes n from what has not begun, then from what is left, then from what has
// lapsed. It returns how much of it was still in the balance, and how much was spent or
// is held.
func (g *Grant) clawBack(n int64) (taken, over int64) {
	waiting := min(n, g.Waiting)
	g.Waiting -= waiting
	n -= waiting
	taken = min(n, g.Left)
	g.Left -= taken
	lapsed := min(n-taken, g.Lapsed)
	g.Lapsed -= lapsed
	return taken, n - taken - lapsed
}
