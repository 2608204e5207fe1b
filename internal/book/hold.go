package book

import (
	"fmt"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Hold asks for credits to be set aside until End ends the hold or its time is over, which
// releases it. Asked for again by the same caller, a hold keeps its amount and runs for TTL
// from then on.
type Hold struct {
	Account string
	// ID names the hold in its account, and is the cause of its entries.
	ID string
	// By names one attempt of a caller. A Hold with the same ID and another By comes from
	// another caller; its outcome says whether the first hold is running or finished. If By
	// is empty, only this caller uses the ID, and only once. Then a repeated End is answered
	// as the first was only if that spent something; a store may have forgotten that,
	// too, where its clock went back and a hundred entries have come since.
	By string
	// Fingerprint is a digest of what was asked for under the ID.
	Fingerprint string
	Amount      int64         // credits
	TTL         time.Duration // a millisecond at the least
	// Renew lets a hold run on that is there, and places none.
	Renew bool
}

// Held is the answer to a Hold.
type Held struct {
	Outcome HoldOutcome
	// Account is as it is now: all of it but its standings.
	Account entitlement.Account
	// Of a hold that is finished: what it spent, and what End left for this.
	Captured int64
	Receipt  []byte
	// Placed is the hold, for End; nil unless it is placed.
	Placed *PlacedHold
}

// HoldOutcome is how Hold went.
type HoldOutcome string

// The outcomes of Hold.
const (
	// HoldPlaced: the credits are set aside; the caller must end the hold.
	HoldPlaced HoldOutcome = "placed"
	// HoldRefused: less is available.
	HoldRefused HoldOutcome = "refused"
	// HoldGone: there is no such hold to renew.
	HoldGone HoldOutcome = "gone"
	// HoldRunning: another caller holds under this ID.
	HoldRunning HoldOutcome = "running"
	// HoldFinished: a caller spent under this ID, so long ago at most as it wished
	// it to be remembered.
	HoldFinished HoldOutcome = "finished"
	// HoldMismatched: the ID was used for something else; the fingerprints differ.
	HoldMismatched HoldOutcome = "mismatched"
)

// End spends a part of what is held, and gives the rest back. A hold ends once: a repeat by
// the same caller is answered as the first was, within [Recently] of it, and changes nothing.
type End struct {
	Account string
	ID      string
	By      string // of the Hold
	// Captured is what is spent, in credits; 0 releases the hold.
	Captured int64
	// Keep is how long a hold that spent something is remembered, and with it
	// Receipt, at most [MaxReceipt] bytes for whoever asks under the same ID.
	Keep    time.Duration
	Receipt []byte
	// Placed is that of Held, if the caller has it.
	Placed *PlacedHold
}

// Recently is how long the end of a hold is remembered in any case: longer than a
// store's client goes on repeating what it got no reply to.
const Recently = 10 * time.Second

// MaxReceipt is the size of the largest receipt, in bytes.
const MaxReceipt = 64 << 10

// Ended is the answer to an End.
type Ended struct {
	// Found: the hold was there, or the caller ended it moments ago. One that is
	// not found ran out, or never was; nothing was spent then.
	Found    bool
	Captured int64               // by the first End
	Account  entitlement.Account // as in [Held]
}

// PlacedHold is a hold that has not ended. It is never changed.
type PlacedHold struct {
	ledger.Hold
	By, Fingerprint string
}

// EndedHold is what is remembered of a hold that has ended.
type EndedHold struct {
	By, Fingerprint string
	Captured        int64
	Receipt         []byte
	Until           time.Time // when it is forgotten
}

// hold finds a hold that has not ended; nil is none.
func (b *Book) hold(id string, likely *PlacedHold) (*PlacedHold, error) {
	if h, changed := b.changes.Holds.Get(id); changed {
		return h, nil
	}
	return b.source.Hold(id, likely)
}

// ended finds the end of a hold that is still remembered; nil is none.
func (b *Book) ended(id, by string) (*EndedHold, error) {
	e, changed := b.changes.Ends.Get(id)
	if !changed {
		var err error
		if e, err = b.source.Ended(id, by); err != nil {
			return nil, err
		}
	}
	if e == nil || !b.Now.Before(e.Until) {
		return nil, nil
	}
	return e, nil
}

// Hold decides on a [Hold].
//
// It returns [ledger.ErrRange] for an amount outside of 0..2^53-1.
func (b *Book) Hold(h Hold) (Held, error) {
	if err := h.check(); err != nil {
		return Held{}, fmt.Errorf("hold: %w", err)
	}
	known, err := b.hold(h.ID, nil)
	if err != nil {
		return Held{}, err
	}
	switch {
	case known != nil && !known.Expired(b.Now):
		if known.Fingerprint != h.Fingerprint {
			return Held{Outcome: HoldMismatched}, nil
		}
		if known.By != h.By {
			return Held{Outcome: HoldRunning}, nil
		}
		b.ledger.Name(known.Hold)
	case h.Renew:
		return Held{Outcome: HoldGone}, nil
	case h.By != "":
		end, err := b.ended(h.ID, h.By)
		if err != nil {
			return Held{}, err
		}
		if end == nil || end.Captured == 0 && end.By != h.By {
			break
		}
		if end.Fingerprint != h.Fingerprint {
			return Held{Outcome: HoldMismatched}, nil
		}
		return Held{Outcome: HoldFinished, Captured: end.Captured, Receipt: end.Receipt}, nil
	}
	ttl := max(h.TTL, time.Millisecond) // until what is decided next it is there
	outcome, err := b.ledger.Hold(h.ID, h.Amount, b.Now.Add(ttl))
	if err != nil {
		return Held{}, err
	}
	if outcome != ledger.Held {
		return Held{Outcome: HoldRefused}, nil
	}
	placed := &PlacedHold{By: h.By, Fingerprint: h.Fingerprint}
	placed.Hold, _ = b.ledger.Held(h.ID)
	b.changes.Holds.put(h.ID, placed)
	return Held{Outcome: HoldPlaced, Placed: placed}, nil
}

// End decides on an [End].
//
// It returns [ledger.ErrRange] when less than e.Captured is held.
func (b *Book) End(e End) (Ended, error) {
	if err := e.check(); err != nil {
		return Ended{}, fmt.Errorf("end hold: %w", err)
	}
	hold, err := b.hold(e.ID, e.Placed)
	if err != nil {
		return Ended{}, err
	}
	if hold == nil || hold.Expired(b.Now) || hold.By != e.By {
		end, err := b.ended(e.ID, e.By)
		if err != nil || end == nil || end.By != e.By {
			return Ended{}, err
		}
		return Ended{Found: true, Captured: end.Captured}, nil
	}
	b.ledger.Name(hold.Hold)
	if _, err := b.ledger.End(e.ID, e.Captured); err != nil {
		return Ended{}, err
	}
	end := &EndedHold{By: e.By, Fingerprint: hold.Fingerprint, Captured: e.Captured, Until: b.Now.Add(Recently)}
	if e.Captured > 0 {
		end.Receipt, end.Until = e.Receipt, b.Now.Add(max(Recently, e.Keep))
	}
	b.changes.Holds.put(e.ID, nil)
	b.changes.Ends.put(e.ID, end)
	return Ended{Found: true, Captured: e.Captured}, nil
}
