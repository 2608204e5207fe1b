package gateway

import (
	"context"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Exported is an account as it is now. Of an [Inspection] it has the account and its
// snapshot.
type Exported struct {
	Account string
	Import  entitlement.Import // what an operator imported, with Dodo's ids
	Inspection
}

// Export reads the accounts page by page, see [store.Directory]. Reading changes nothing.
func (a *Accounts) Export(ctx context.Context, after string, limit int) (accounts []Exported, next string, err error) {
	ids, next, err := a.store.AccountIDs(ctx, after, limit)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		e := Exported{Account: id}
		if e.Inspection.Account, err = a.store.Account(ctx, id); err != nil {
			return nil, "", err
		}
		object, err := a.store.Object(ctx, id, importRef)
		if err != nil {
			return nil, "", err
		}
		record, err := recordOf(importRef, object)
		if err != nil {
			return nil, "", err
		}
		e.Import = record.Import
		now := a.clock()
		e.Snapshot = e.Inspection.Account.Snapshot(now, a.catalog.Ranking())
		e.Ledger = e.Ledger.At(now)
		accounts = append(accounts, e)
	}
	return accounts, next, nil
}
