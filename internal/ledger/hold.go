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
	b := a.Open(now)
	outcome, err := b.Hold(id, amount, expiresAt)
	if err != nil {
		return a, nil, "", err
	}
	if outcome == Insufficient {
		b.sweep() // what time has done is in the account returned
	}
	return b.Account(), b.Entries, outcome, nil
}

// Hold is [Account.Hold].
func (b *Book) Hold(id string, amount int64, expiresAt time.Time) (HoldOutcome, error) {
	if amount < 0 || amount > Max {
		return "", fmt.Errorf("hold %q: %w", id, ErrRange)
	}
	b.cause = id
	if i := b.find(id); i >= 0 && !b.holds[i].Expired(b.now) {
		if until := instant(expiresAt); until.After(b.holds[i].ExpiresAt) {
			b.holds[i].ExpiresAt = until
		}
		b.sweep()
		return Held, nil
	}
	if b.available() < amount {
		return Insufficient, nil
	}
	b.sweep()
	h := Hold{ID: id, ExpiresAt: instant(expiresAt), Parts: make([]Part, 0, 1)}
	for _, i := range b.burnOrder() {
		g := &b.Grants[i]
		n := min(amount, g.Left)
		if n == 0 {
			continue
		}
		g.Left -= n
		g.Held += n
		amount -= n
		h.Parts = append(h.Parts, Part{Grant: g.ID, Amount: n})
	}
	b.holds = append(b.holds, h)
	return Held, nil
}

// End spends captured of a hold's credits, soonest expiry first, and gives the
// rest back.
//
// It returns [ErrRange] for more than is held.
func (a Account) End(id string, captured int64, now time.Time) (Account, []Entry, HoldOutcome, error) {
	b := a.Open(now)
	outcome, err := b.End(id, captured)
	if err != nil {
		return a, nil, "", err
	}
	if outcome == Gone {
		b.sweep() // what time has done is in the account returned
	}
	return b.Account(), b.Entries, outcome, nil
}

// End is [Account.End].
func (b *Book) End(id string, captured int64) (HoldOutcome, error) {
	b.cause = id
	h, held := b.Held(id)
	if !held || h.Expired(b.now) {
		return Gone, nil
	}
	if captured < 0 || captured > h.Amount() {
		return "", fmt.Errorf("end hold %q: %w", id, ErrRange)
	}
	b.sweep()
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
	b.forget(id)
	b.sweep()
	return Ended, nil
}
