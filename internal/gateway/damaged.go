package gateway

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// ReasonDamaged is why an event is parked whose account, or whose own record, is damaged.
const ReasonDamaged = book.ReasonDamaged

// mostDamaged is how many damaged accounts a pass names.
const mostDamaged = 100

// Damaged are the damaged accounts that a pass met, and passed over. It is never changed; nil has
// none.
type Damaged struct {
	Accounts []string // at most mostDamaged
	More     bool     // there were others
}

// Names are those of the accounts.
func (d *Damaged) Names() []string {
	if d == nil {
		return nil
	}
	return d.Accounts
}

// with is d with the account of an error about damaged records. It reports whether the error is one.
func (d *Damaged) with(err error) (*Damaged, bool) {
	damaged, is := errors.AsType[*store.DamagedError](err)
	switch names := d.Names(); {
	case !is:
		return d, false
	case slices.Contains(names, damaged.Account):
		return d, true
	case len(names) == mostDamaged:
		return &Damaged{names, true}, true
	default:
		return &Damaged{Accounts: append(slices.Clone(names), damaged.Account)}, true
	}
}

// log says which accounts were passed over, if there were any.
func (d *Damaged) log(logger *slog.Logger, pass string) {
	if d != nil {
		logger.Warn("accounts are damaged, and were passed over; see `dodogate dodo check`, and mend each with `dodogate dodo rebuild <account>`",
			"pass", pass, "accounts", d.Accounts, "more", d.More)
	}
}

// noteDamaged notes the account of an error about damaged records, and reports whether it is one.
func (r *reconciliation) noteDamaged(err error) (is bool) {
	r.Damaged, is = r.Damaged.with(err)
	return is
}
