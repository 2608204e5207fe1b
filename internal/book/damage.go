package book

import (
	"errors"
	"fmt"

	"github.com/dodogate/dodogate/internal/ledger"
)

// ErrDamaged is what every [DamagedError] is.
var ErrDamaged = errors.New("stored records are damaged")

// ReasonDamaged is the reason that a parked event shows whose record cannot be read. Its body is
// empty.
const ReasonDamaged = "damaged"

// DamagedError says that a stored record is not what was written. It concerns one account, or one
// event. It says nothing about the store, which is there.
type DamagedError struct {
	Account string // the account of the record; "" for an event
	What    string // what is wrong, with a short piece of a stored value at most
}

// Damaged makes an error about a record of an account that [OfAccount] is to name.
func Damaged(format string, args ...any) error {
	return &DamagedError{What: fmt.Sprintf(format, args...)}
}

func (e *DamagedError) Error() string {
	if e.Account == "" {
		return "damaged: " + e.What
	}
	return fmt.Sprintf("the records of account %.100q are damaged: %s", e.Account, e.What)
}

// Unwrap makes it [ErrDamaged].
func (e *DamagedError) Unwrap() error { return ErrDamaged }

// OfAccount names the account in an error about a damaged record. It passes other errors on.
func OfAccount(account string, err error) error {
	damaged, is := errors.AsType[*DamagedError](err)
	if !is || damaged.Account != "" {
		return err
	}
	return &DamagedError{Account: account, What: damaged.What}
}

// Check says what is wrong with what was read of an account, whose ledger ends with the entry
// last; zero if it has none. Every store calls it for every account that it reads.
func (k *Kept) Check(last ledger.Entry) error {
	switch {
	case k.Rev < 0 || k.StandingsRev < 0 || k.StandingsRev > k.Rev:
		return Damaged("revision %d with standings of revision %d", k.Rev, k.StandingsRev)
	case k.Rev == 0 && (k.Ledger.Seq != 0 || k.Ledger.Debt != 0 || len(k.Ledger.Grants) > 0):
		return Damaged("there are grants, entries or debt, but no revision")
	}
	if err := k.Ledger.Check(last); err != nil {
		return Damaged("%v", err)
	}
	return nil
}
