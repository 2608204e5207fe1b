package store

import (
	"context"
	"errors"

	"github.com/dodogate/dodogate/internal/book"
)

// Days is what a store keeps by day, for statistics. Both stores have it; a decision counts by
// [book.Book.Count].
type Days interface {
	// Count keeps a value of a day in place of the one with its name. Repeating it changes
	// nothing. The collection is removed [book.DailyLife] after its day.
	Count(ctx context.Context, d book.Daily) error
	// Day reads a page of a collection, in an order of the store's own. after is "" for the first
	// page and then the next of the page before, which is "" when there are no more. A page has
	// about limit values. What is kept during the whole of it is read at least once.
	Day(ctx context.Context, of book.DailyKind, day, after string, limit int) (rows []book.Daily, next string, err error)
}

// ErrNoDays says that a store keeps nothing by day.
var ErrNoDays = errors.New("this store keeps nothing by day")

// Days is the store, if it keeps anything by day.
func (c Client) Days() (Days, error) {
	switch s := c.Store.(type) {
	case Days:
		return s, nil
	case interface{ Days() (Days, error) }:
		return s.Days()
	case interface{ Unwrap() Store }:
		return Client{Store: s.Unwrap()}.Days()
	default:
		return nil, ErrNoDays
	}
}
