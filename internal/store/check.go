package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Wrong lists what is wrong with the records of an account; nothing if all is well. It looks at
// every record, which [Store.View] does not.
func (r Records) Wrong() (wrong []string) {
	for _, bad := range r.Unreadable {
		wrong = append(wrong, bad.What)
	}
	paid := slices.ContainsFunc(r.Orders, func(o book.Order) bool { return o.State == book.OrderPaid })
	if !r.There && (paid || len(r.Ledger.Entries)+len(r.Ledger.Grants)+len(r.Standings)+len(r.Objects)+len(wrong) > 0) {
		wrong = append(wrong, "there are other records, but no account record")
	}
	wrong = append(wrong, r.Ledger.Check()...)
	for _, name := range slices.Sorted(maps.Keys(r.Standings)) {
		ref, is := entitlement.ParseRef(name)
		if _, there := r.Objects[ref]; !is || !there {
			wrong = append(wrong, fmt.Sprintf("%.80q gives something, but is not there itself", name))
		}
	}
	return slices.Compact(wrong)
}

// ErrNoMender says that a store cannot be looked through. Both of ours can.
var ErrNoMender = errors.New("this store cannot be looked through")

// Mender is the store, if it is one.
func (c Client) Mender() (Mender, error) {
	switch s := c.Store.(type) {
	case Mender:
		return s, nil
	case Client:
		return s.Mender()
	case interface{ Unwrap() Store }:
		return Client{Store: s.Unwrap()}.Mender()
	default:
		return nil, ErrNoMender
	}
}
