package store

import (
	"context"
	"errors"
)

// Lister lists the journal. Both stores do.
type Lister interface {
	// EventIDs lists the events that are in the journal, page by page, in an order of the store's
	// own. after is "" for the first page and then the next of the page before, which is "" when
	// there are no more. A page has about limit ids, and may have none. What is there during the
	// whole of it is listed at least once.
	EventIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error)
}

// ErrNoLister says that a store cannot list its events.
var ErrNoLister = errors.New("this store cannot list its events")

// Lister is the store, if it lists events.
func (c Client) Lister() (Lister, error) {
	switch s := c.Store.(type) {
	case Lister:
		return s, nil
	case interface{ Lister() (Lister, error) }:
		return s.Lister()
	case interface{ Unwrap() Store }:
		return Client{Store: s.Unwrap()}.Lister()
	default:
		return nil, ErrNoLister
	}
}
