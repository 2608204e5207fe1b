package gateway

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// MaxEntry is above the number of any entry.
const MaxEntry = ledger.Max

// History is what an account bought, and a page of its ledger.
type History struct {
	// Purchases are the newest, see [store.Orders]. They do not depend on the page.
	Purchases []book.Order
	Entries   []ledger.Entry // newest first
	// Next is the page's last number, the before of the page that follows; 0
	// when there is none.
	Next int64
}

// History reads up to limit of the account's entries with a number below before,
// or of its newest when that is 0. An account that was never seen gets its
// sign-up credits first.
func (a *Accounts) History(ctx context.Context, account string, before int64, limit int) (History, error) {
	if len(account) > MaxAccount {
		return History{}, ErrAccount
	}
	if before == 0 {
		before = MaxEntry
	}
	// Entries first: an order whose credits are among them is then shown as paid.
	var h History
	var err error
	if h.Entries, err = a.entriesBefore(ctx, account, before, limit); err != nil {
		return History{}, err
	}
	if h.Purchases, err = a.store.Orders(ctx, account, store.Purchases); err != nil {
		return History{}, err
	}
	h.Next = nextPage(h.Entries)
	return h, nil
}

// nextPage is where the page after this one begins; 0 when there is none. Numbers
// have no gap and end at 1.
func nextPage(entries []ledger.Entry) int64 {
	if n := len(entries); n > 0 && entries[n-1].Seq > 1 {
		return entries[n-1].Seq
	}
	return 0
}

func (a *Accounts) entriesBefore(ctx context.Context, account string, before int64, limit int) ([]ledger.Entry, error) {
	entries, err := a.store.Entries(ctx, account, store.Page{Before: before, Limit: limit})
	if err != nil || len(entries) > 0 || a.signupCredits == 0 || before < MaxEntry {
		return entries, err
	}
	if _, err := a.Entitlement(ctx, account); err != nil {
		return nil, err
	}
	return a.store.Entries(ctx, account, store.Page{Before: before, Limit: limit})
}

// Entries reads up to limit of the account's entries with a number below before,
// or of its newest when that is 0, newest first. next is the before of the page
// that follows; 0 when there is none.
func (a *Accounts) Entries(ctx context.Context, account string, before int64, limit int) (entries []ledger.Entry, next int64, err error) {
	if len(account) > MaxAccount {
		return nil, 0, ErrAccount
	}
	if before == 0 {
		before = MaxEntry
	}
	entries, err = a.store.Entries(ctx, account, store.Page{Before: before, Limit: limit})
	return entries, nextPage(entries), err
}
