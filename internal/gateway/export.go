package gateway

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Exported is an account as it is now. Of an [Inspection] it has the account, its snapshot
// and its acts.
type Exported struct {
	Account string
	Import  entitlement.Import // what an operator imported, with Dodo's ids
	Inspection
}

// Export reads the accounts page by page, see [store.Directory]. Reading changes nothing.
// An account that is damaged is not among them, but in damaged.
func (a *Accounts) Export(ctx context.Context, after string, limit int) (accounts []Exported, damaged *Damaged, next string, err error) {
	ids, next, err := a.store.AccountIDs(ctx, after, limit)
	if err != nil {
		return nil, nil, "", err
	}
	for _, id := range ids {
		e, err := a.exported(ctx, id)
		var is bool
		damaged, is = damaged.with(err)
		switch {
		case is:
		case err != nil:
			return nil, nil, "", err
		default:
			accounts = append(accounts, e)
		}
	}
	return accounts, damaged, next, nil
}

func (a *Accounts) exported(ctx context.Context, account string) (e Exported, err error) {
	e.Account = account
	var record entitlement.Record
	e.Inspection.Account, err = a.store.View(ctx, account, func(b *book.Book) error {
		object, err := b.Object(importRef)
		if err != nil {
			return err
		}
		if record, err = recordOf(importRef, object); err != nil {
			return err
		}
		e.Acts, err = b.Acts()
		return err
	})
	if err != nil {
		return e, err
	}
	e.Import = record.Import
	now := a.clock()
	e.Snapshot = e.Inspection.Account.Snapshot(now, a.catalog.Ranking())
	e.Ledger = e.Ledger.At(now)
	return e, nil
}
