package store

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// Mender is a store whose records of an account can be looked through one by one, and replaced.
// Both stores are.
type Mender interface {
	// Records reads all records of an account, and says of those that cannot be read why.
	Records(ctx context.Context, account string) (Records, error)
	// Replace writes a ledger with its entries in the place of the account's, and removes the records
	// that r says cannot be read. The revision is higher than all before. It returns [ErrConflict] if
	// the account was changed since r was read.
	Replace(ctx context.Context, account string, r Records, with ledger.Account, entries []ledger.Entry) error
	// Bindings lists what is bound to accounts, page by page, like AccountIDs.
	Bindings(ctx context.Context, after string, limit int) (page []Binding, next string, err error)
}

// Records are those of one account, as far as they can be read.
type Records struct {
	// There is a record of the account itself. Without it Rev is 0, and nothing is known of the debt.
	There     bool
	Rev       int64
	Stamp     string // of the last change, where the store has one
	Ledger    ledger.Remains
	Standings map[string]entitlement.Standing
	Objects   map[entitlement.Ref]book.Object
	Orders    []book.Order
	// Unreadable are the records that cannot be read, by their keys in the store.
	Unreadable []Unreadable
}

// Unreadable is a record that cannot be read.
type Unreadable struct {
	Key  string
	What string // why
}

// Binding is an object with the account that it is bound to.
type Binding struct {
	Ref     entitlement.Ref
	Account string
}
