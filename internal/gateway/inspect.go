package gateway

import (
	"context"
	"fmt"
	"regexp"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
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
}

// maxSearched bounds the search for an account's parked events, in pages.
const maxSearched = 25

// Inspect reads an account.
func (g *Gateway) Inspect(ctx context.Context, account string) (Inspection, error) {
	if len(account) > MaxAccount {
		return Inspection{}, ErrAccount
	}
	// The account comes last: what is paid in between is then in it.
	var v Inspection
	var err error
	if v.Parked, v.ParkedMore, err = g.parkedOf(ctx, account); err != nil {
		return Inspection{}, err
	}
	if v.Purchases, err = g.Store.Purchases(ctx, account); err != nil {
		return Inspection{}, err
	}
	if v.Pending, err = g.Pending(ctx, account); err != nil {
		return Inspection{}, err
	}
	if v.Account, err = g.Store.Account(ctx, account); err != nil {
		return Inspection{}, err
	}
	v.Snapshot = g.viewOf(v.Account).Snapshot
	v.Ledger = v.Ledger.At(g.Clock())
	return v, nil
}

func (g *Gateway) parkedOf(ctx context.Context, account string) (events []book.Event, more bool, err error) {
	after := ""
	for range maxSearched {
		page, next, err := g.Store.ParkedEvents(ctx, after, redrivePage)
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

// Entries reads up to limit of the account's entries with a number below before,
// or of its newest when that is 0, newest first. next is the before of the page
// that follows; 0 when there is none.
func (g *Gateway) Entries(ctx context.Context, account string, before int64, limit int) (entries []ledger.Entry, next int64, err error) {
	if len(account) > MaxAccount {
		return nil, 0, ErrAccount
	}
	if before == 0 {
		before = MaxEntry
	}
	entries, err = g.Store.EntriesBefore(ctx, account, before, limit)
	return entries, nextPage(entries), err
}

var eventID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// Event reads an event from the journal, or [store.ErrNotFound].
func (g *Gateway) Event(ctx context.Context, id string) (book.Event, error) {
	if !eventID.MatchString(id) {
		return book.Event{}, store.ErrNotFound
	}
	return g.Store.Event(ctx, id)
}

// ParkedEvents reads what is parked, see [store.Journal].
func (g *Gateway) ParkedEvents(ctx context.Context, after string, limit int) (events []book.Event, next string, err error) {
	return g.Store.ParkedEvents(ctx, after, limit)
}
