package book

import (
	"errors"
	"fmt"

	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
)

// ErrConflict is returned when the object or order changed since the caller read it. Read it
// again.
var ErrConflict = errors.New("changed meanwhile")

// Object is the merged state of one object. State is JSON that a store does not look into.
type Object struct {
	Version int64 // 1 after the first commit, then one more for each
	State   []byte
}

// Commit is one object's new state and what it gives.
type Commit struct {
	Account string
	Object  entitlement.Ref
	Version int64  // the version that State was computed from
	State   []byte // becomes version Version+1
	Effect  entitlement.Effect
	// Policy says what becomes of credits that are taken back and are spent
	// already; empty is [ledger.PolicyDebt].
	Policy ledger.Policy
	Cause  string // for the entries: the event's id, or the use case's name
	// Order, when not nil, moves one of the account's orders along. An order
	// that the store does not have is passed over; one that is paid stays paid.
	Order *OrderResult
	// Settle, when not nil, settles the event that the state comes from, in a final state:
	// in the same step, or right behind it where the two cannot be written together. What
	// is not committed is not settled; an error of the settling says nothing about the
	// commit. It is [ErrNotFound] when there is no such event.
	Settle *Settlement
}

// OrderResult is what became of an order.
type OrderResult struct {
	ID        string
	State     OrderState
	PaymentID string
}

// Commit writes an object's new state with everything that follows from it, and returns the
// entries that it added.
//
// It returns [ErrConflict] when the object's version is not c.Version, so a repeat of a
// commit that went through is a conflict; and [ledger.ErrRange] when a grant or the balance
// would leave its range.
func (b *Book) Commit(c Commit) ([]ledger.Entry, error) {
	c, err := c.checked()
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", c.Object, err)
	}
	object, err := b.Object(c.Object)
	if err != nil {
		return nil, err
	}
	if object.Version != c.Version {
		return nil, fmt.Errorf("commit %s: %w", c.Object, ErrConflict)
	}
	var order *Order
	if c.Order != nil {
		if order, err = b.order(c.Order.ID, false); err != nil {
			return nil, err
		}
	}
	for _, t := range c.Effect.Grants {
		if err := b.reopen(t.ID, t.Into); err != nil {
			return nil, err
		}
	}
	before := len(b.ledger.Entries)
	if err := b.ledger.Apply(c.Effect.Grants, c.Policy, c.Cause); err != nil {
		return nil, err
	}
	b.changes.Objects.put(c.Object, &Object{Version: c.Version + 1, State: c.State})
	var standing *entitlement.Standing
	if !c.Effect.Standing.IsZero() {
		standing = &c.Effect.Standing
	}
	b.changes.Standings.put(c.Object, standing)
	if order != nil && order.State != OrderPaid {
		moved := *order
		moved.State = c.Order.State
		if c.Order.PaymentID != "" {
			moved.PaymentID = c.Order.PaymentID
		}
		b.changes.Orders.put(moved.ID, &moved)
	}
	b.changes.Commits = append(b.changes.Commits, c.Object)
	if c.Settle != nil {
		b.changes.Settled = append(b.changes.Settled, *c.Settle)
	}
	return b.ledger.Entries[before:len(b.ledger.Entries):len(b.ledger.Entries)], nil
}

// Claim binds a thing at Dodo to the account, unless it is bound already. That may be done even
// if the decision is made again.
func (b *Book) Claim(ref entitlement.Ref) error {
	if err := CheckRef(ref); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	b.changes.Claims = append(b.changes.Claims, ref)
	return nil
}

// SignUp commits to an account without entries, unless the object was written before.
func (b *Book) SignUp(c Commit) error {
	if b.ledger.Seq > 0 {
		return nil
	}
	_, err := b.Commit(c)
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// reopen reads grants that are closed, which a fact may open again.
func (b *Book) reopen(ids ...string) error {
	for _, id := range ids {
		if id == "" || b.ledger.Grants.At(id).ID != "" {
			continue
		}
		g, found, err := b.source.Closed(id)
		if err != nil {
			return fmt.Errorf("grant %q: %w", id, err)
		}
		if found {
			b.grants = append(ledger.Grants(nil), b.grants...)
			b.grants.Put(g)
			b.ledger.Grants.Put(g)
		}
	}
	return nil
}
