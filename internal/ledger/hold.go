package ledger

import (
	"fmt"
	"time"
)

// Part is what a hold took from one grant.
type Part struct {
	Grant  string
	Amount int64
}

// Hold is an amount of credits set aside.
type Hold struct {
	ID        string
	Parts     []Part // in burn order
	ExpiresAt time.Time
}

// Amount is how much is held.
func (h Hold) Amount() int64 {
	var sum int64
	for _, p := range h.Parts {
		sum += p.Amount
	}
	return sum
}

// Expired reports whether the hold has run out, which releases it.
func (h Hold) Expired(now time.Time) bool { return !now.Before(h.ExpiresAt) }

// HoldOutcome is how Hold or End went.
type HoldOutcome string

// The outcomes of [Account.Hold].
const (
	Held         HoldOutcome = "held"
	Insufficient HoldOutcome = "insufficient" // nothing was held
)

// The outcomes of [Account.End].
const (
	Ended HoldOutcome = "ended"
	Gone  HoldOutcome = "gone" // it has ended before, has run out, or never was
)

// Hold sets amount aside until expiresAt, unless less is available. A hold that
// is there already keeps its amount, and runs on to expiresAt if that is later.
//
// It returns [ErrRange] for an amount outside of 0..[Max].
func (a Account) Hold(id string, amount int64, expiresAt time.Time, now time.Time) (Account, []Entry, HoldOutcome, error) {
	if amount < 0 || amount > Max {
		return a, nil, "", fmt.Errorf("hold %q: %w", id, ErrRange)
	}
	b := newBook(a, id, now)
	b.sweep()
	if h, held := b.Holds[id]; held {
		if until := instant(expiresAt); until.After(h.ExpiresAt) {
			h.ExpiresAt = until
			b.Holds[id] = h
		}
		return b.Account, b.entries, Held, nil
	}
	if b.Available(b.now) < amount {
		return b.Account, b.entries, Insufficient, nil
	}
	h := Hold{ID: id, ExpiresAt: instant(expiresAt)}
	for _, grant := range b.Grants.burnOrder() {
		g := b.Grants.At(grant)
		n := min(amount, g.Left)
		if n == 0 {
			continue
		}
		g.Left -= n
		g.Held += n
		amount -= n
		b.Grants.Put(g)
		h.Parts = append(h.Parts, Part{Grant: grant, Amount: n})
	}
	b.Holds[id] = h
	return b.Account, b.entries, Held, nil
}

// End spends captured of a hold's credits, soonest expiry first, and gives the
// rest back.
//
// It returns [ErrRange] for more than is held.
func (a Account) End(id string, captured int64, now time.Time) (Account, []Entry, HoldOutcome, error) {
	b := newBook(a, id, now)
	b.sweep()
	h, held := b.Holds[id]
	if !held {
		return b.Account, b.entries, Gone, nil
	}
	if captured < 0 || captured > h.Amount() {
		return a, nil, "", fmt.Errorf("end hold %q: %w", id, ErrRange)
	}
	var back []Part
	for _, p := range h.Parts {
		spent := min(captured, p.Amount)
		captured -= spent
		g := b.Grants.At(p.Grant)
		g.Held -= spent
		b.Grants.Put(g)
		b.enter(KindCapture, p.Grant, -spent)
		if rest := p.Amount - spent; rest > 0 {
			back = append(back, Part{Grant: p.Grant, Amount: rest})
		}
	}
	b.giveBack(back)
	delete(b.Holds, id)
	b.sweep()
	return b.Account, b.entries, Ended, nil
}
