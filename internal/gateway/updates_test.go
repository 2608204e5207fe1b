package gateway_test

import (
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// The kinds of updates that stores of tests interfere with.
const (
	commits = "commit"
	holds   = "hold"
	ends    = "end"
	creates = "create order"
	opens   = "open order"
)

// kindOf is what a decision wants of an account that has credits, and nothing else: one of
// the kinds above, or "". Of a commit, it is the object, too.
func kindOf(account string, decide store.Decision) (kind string, object entitlement.Ref) {
	const plenty = 1 << 40
	kept := book.Kept{Rev: 1, Ledger: ledger.Account{Grants: ledger.Grants{{ID: "g", Amount: plenty, Left: plenty}}}}
	b := book.Open(account, &kept, nothing{}, time.Now())
	_ = decide(b)
	switch c := b.Changes(); {
	case len(c.Commits) > 0:
		return commits, c.Commits[0]
	case len(c.Ends) > 0:
		return ends, object
	case len(c.Holds) > 0:
		return holds, object
	case len(c.Claims) > 0:
		return opens, object
	case len(c.Orders) > 0:
		return creates, object
	default:
		return "", object
	}
}

// nothing is an account that has nothing.
type nothing struct{}

func (nothing) Hold(_ string, likely *book.PlacedHold) (*book.PlacedHold, error) { return likely, nil }
func (nothing) Ended(_, _ string) (*book.EndedHold, error)                       { return nil, nil }
func (nothing) Closed(string) (g ledger.Grant, found bool, err error)            { return g, false, nil }
func (nothing) Object(entitlement.Ref, bool) (o book.Object, err error)          { return o, nil }
func (nothing) Order(string, bool) (*book.Order, error)                          { return nil, nil }
func (nothing) Key(string) (*book.UsedKey, error)                                { return nil, nil }
func (nothing) OpenOrders() (int, error)                                         { return 0, nil }
func (nothing) Holds(int) ([]*book.PlacedHold, error)                            { return nil, nil }
