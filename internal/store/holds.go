package store

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
)

// Holds sets credits aside for work that is under way, and spends them or gives
// them back. The rules are those of packages book and ledger.
type Holds interface {
	// Hold sets credits aside until End ends the hold or its time is over, which
	// releases it. Asked for again by the same caller, a hold keeps its amount and
	// runs for TTL from then on.
	//
	// It returns ledger.ErrRange for an amount outside of 0..2^53-1.
	Hold(ctx context.Context, h book.Hold) (book.Held, error)
	// End spends e.Captured of what is held and gives the rest back. A hold ends
	// once: a repeat by the same caller is answered as the first was, within
	// [book.Recently] of it, and changes nothing.
	//
	// It returns ledger.ErrRange when less than e.Captured is held.
	End(ctx context.Context, e book.End) (book.Ended, error)
}
