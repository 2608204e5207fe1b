package gateway

import (
	"context"
	"fmt"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// What operators look at. Looking changes nothing: an account that was never seen
// gets no sign-up credits from it.

// Inspection is everything that an account's entitlement follows from.
type Inspection struct {
	entitlement.Account                      // of this moment, see [ledger.Account.At]
	Snapshot            entitlement.Snapshot // likewise
	// Pending are the orders that can still be paid, newest first.
	Pending []book.Order
	// Purchases are the newest, see [store.Orders].
	Purchases []book.Order
	// Parked are the events about the account that are parked, oldest first.
	Parked []book.Event
	// ParkedMore: so much is parked that not all of it was looked through.
	ParkedMore bool
	// Acts are the newest acts of operators, the newest first.
	Acts []book.Acted
}

// Known reports whether anything was ever heard of the account.
func (v *Inspection) Known() bool {
	return everWritten(v.Account) || len(v.Pending)+len(v.Purchases)+len(v.Parked) > 0
}

// everWritten reports whether anything was ever committed to an account. Its Rev does not say
// so: a store may give a new account one above that of others.
func everWritten(a entitlement.Account) bool {
	return a.Ledger.Seq > 0 || a.StandingsRev > 0
}

// maxSearched bounds the search for an account's parked events, in pages.
const maxSearched = 25

// Inspect reads an account.
func (a *Accounts) Inspect(ctx context.Context, account string) (Inspection, error) {
	if len(account) > MaxAccount {
		return Inspection{}, ErrAccount
	}
	// The account comes last: what is paid in between is then in it.
	var v Inspection
	var err error
	if v.Parked, v.ParkedMore, err = a.parkedOf(ctx, account); err != nil {
		return Inspection{}, err
	}
	if v.Purchases, err = a.store.Orders(ctx, account, store.Purchases); err != nil {
		return Inspection{}, err
	}
	if v.Pending, err = a.store.Orders(ctx, account, store.OpenOrders); err != nil {
		return Inspection{}, err
	}
	v.Account, err = a.store.View(ctx, account, func(b *book.Book) (err error) {
		v.Acts, err = b.Acts()
		return err
	})
	if err != nil {
		return Inspection{}, err
	}
	v.Snapshot = a.viewOf(v.Account).Snapshot
	v.Ledger = v.Ledger.At(a.clock())
	return v, nil
}

func (a *Accounts) parkedOf(ctx context.Context, account string) (events []book.Event, more bool, err error) {
	after := ""
	for range maxSearched {
		page, next, err := a.store.Parked(ctx, "", after, redrivePage)
		if err != nil {
			return nil, false, fmt.Errorf("read parked events: %w", err)
		}
		for _, e := range page {
			if e.Account == account {
				events = append(events, e)
			}
		}
		if next == "" {
			return events, false, nil
		}
		after = next
	}
	return events, true, nil
}
