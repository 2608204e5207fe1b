package store

import (
	"context"
	"time"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Holds sets credits aside for work that is under way, and spends them or gives
// them back. The rules are those of package ledger.
type Holds interface {
	// Hold sets credits aside until End ends the hold or its time is over, which
	// releases it. Asked for again by the same caller, a hold keeps its amount and
	// runs for TTL from then on.
	//
	// It returns ledger.ErrRange for an amount outside of 0..2^53-1.
	Hold(ctx context.Context, h Hold) (Held, error)
	// End spends e.Captured of what is held and gives the rest back. A hold ends
	// once: a repeat by the same caller is answered as the first was, within
	// [Recently] of it, and changes nothing.
	//
	// It returns ledger.ErrRange when less than e.Captured is held.
	End(ctx context.Context, e End) (Ended, error)
}

// Hold asks for credits to be set aside.
type Hold struct {
	Account string
	// ID names the hold in its account, and is the cause of its entries.
	ID string
	// By names the attempt of the caller, and no later one. Another By with the
	// same ID is somebody else, who is told how far the first one is. Empty: the ID
	// is the caller's own, and is never used again. Then a repeated End is answered
	// as the first was only if that spent something; a store may have forgotten that,
	// too, where its clock went back and a hundred entries have come since.
	By string
	// Fingerprint is a digest of what was asked for under the ID.
	Fingerprint string
	Amount      int64 // credits
	TTL         time.Duration
	// Renew lets a hold run on that is there, and places none.
	Renew bool
	// Token is that of the account as the caller last knew it; nil for none.
	Token any
}

// Held is the answer to a Hold.
type Held struct {
	Outcome HoldOutcome
	// Account is as it is now: all of it but its standings.
	Account entitlement.Account
	// Of a hold that is finished: what it spent, and what End left for this.
	Captured int64
	Receipt  []byte
	// Note is for End, and opaque; mostly of a hold that was placed by its Token.
	Note any
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

// End ends a hold.
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
	// Token is that of the account as the caller last knew it, and Note that of Held.
	Token, Note any
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
