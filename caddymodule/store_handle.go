package caddymodule

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// A handle is a [store.Store]: each operation is passed on to the open store,
// and counted while it runs. internal/store says what the operations do.

// passOn lets an open store do something.
func passOn[T any](ctx context.Context, h *handle, op operation, do func(context.Context, store.Store) (T, error)) (result T, err error) {
	err = h.run(ctx, op, func(ctx context.Context, s store.Store) (err error) {
		result, err = do(ctx, s)
		return err
	})
	return result, err
}

// Ping implements [store.Pinger].
func (h *handle) Ping(ctx context.Context) error {
	_, err := passOn(ctx, h, opRead, func(ctx context.Context, s store.Store) (struct{}, error) {
		return struct{}{}, store.Client{Store: s}.Ping(ctx)
	})
	return err
}

// Watch implements [store.Store]. It does not open the store: until somebody
// does, the watcher hears nothing.
func (h *handle) Watch(w store.Watcher) (stop func()) { return h.watchers.Watch(w) }

// Update implements [store.Store].
func (h *handle) Update(ctx context.Context, account string, decide store.Decision) (store.Updated, error) {
	return passOn(ctx, h, opUpdate, func(ctx context.Context, s store.Store) (store.Updated, error) { return s.Update(ctx, account, decide) })
}

// Receive implements [store.Store].
func (h *handle) Receive(ctx context.Context, d store.Delivery, decide store.Decision) (store.Received, error) {
	return passOn(ctx, h, opReceive, func(ctx context.Context, s store.Store) (store.Received, error) { return s.Receive(ctx, d, decide) })
}

// View implements [store.Store].
func (h *handle) View(ctx context.Context, account string, look store.Decision) (entitlement.Account, error) {
	a, err := passOn(ctx, h, opRead, func(ctx context.Context, s store.Store) (entitlement.Account, error) {
		return s.View(ctx, account, look)
	})
	if err == nil && a.Rev == 0 && h.damages.found(account) {
		return entitlement.Account{}, &store.DamagedError{Account: account, What: "things at Dodo belong to it, but it has no record"}
	}
	if err == nil {
		h.damages.fine(account, false)
	}
	return a, err
}

// Orders implements [store.Store].
func (h *handle) Orders(ctx context.Context, account string, list store.OrderList) ([]book.Order, error) {
	return passOn(ctx, h, opRead, func(ctx context.Context, s store.Store) ([]book.Order, error) { return s.Orders(ctx, account, list) })
}

// Entries implements [store.Store].
func (h *handle) Entries(ctx context.Context, account string, p store.Page) ([]ledger.Entry, error) {
	return passOn(ctx, h, opRead, func(ctx context.Context, s store.Store) ([]ledger.Entry, error) { return s.Entries(ctx, account, p) })
}

// Claim implements [store.Store].
func (h *handle) Claim(ctx context.Context, ref entitlement.Ref, account string) (string, error) {
	return passOn(ctx, h, opClaim, func(ctx context.Context, s store.Store) (string, error) { return s.Claim(ctx, ref, account) })
}

// Settle implements [store.Store].
func (h *handle) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	_, err := passOn(ctx, h, opSettle, func(ctx context.Context, s store.Store) (struct{}, error) { return struct{}{}, s.Settle(ctx, e, r) })
	return err
}

// Event implements [store.Store].
func (h *handle) Event(ctx context.Context, id string) (book.Event, error) {
	return passOn(ctx, h, opRead, func(ctx context.Context, s store.Store) (book.Event, error) { return s.Event(ctx, id) })
}

// Note implements [store.Store].
func (h *handle) Note(ctx context.Context, name, seen, text string) (string, error) {
	return passOn(ctx, h, opNote, func(ctx context.Context, s store.Store) (string, error) { return s.Note(ctx, name, seen, text) })
}

// Parked implements [store.Store].
func (h *handle) Parked(ctx context.Context, object, after string, limit int) (events []book.Event, next string, err error) {
	err = h.run(ctx, opRead, func(ctx context.Context, s store.Store) (err error) {
		events, next, err = s.Parked(ctx, object, after, limit)
		return err
	})
	return events, next, err
}

// AccountIDs implements [store.Store].
func (h *handle) AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	err = h.run(ctx, opRead, func(ctx context.Context, s store.Store) (err error) {
		ids, next, err = s.AccountIDs(ctx, after, limit)
		return err
	})
	return ids, next, err
}

// EventIDs implements [store.Lister].
func (h *handle) EventIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	err = h.run(ctx, opRead, func(ctx context.Context, s store.Store) error {
		lister, err := store.Client{Store: s}.Lister()
		if err == nil {
			ids, next, err = lister.EventIDs(ctx, after, limit)
		}
		return err
	})
	return ids, next, err
}

// Count implements [store.Days].
func (h *handle) Count(ctx context.Context, d book.Daily) error {
	return h.run(ctx, opNote, func(ctx context.Context, s store.Store) error {
		days, err := store.Client{Store: s}.Days()
		if err != nil {
			return err
		}
		return days.Count(ctx, d)
	})
}

// Day implements [store.Days].
func (h *handle) Day(ctx context.Context, of book.DailyKind, day, after string, limit int) (rows []book.Daily, next string, err error) {
	err = h.run(ctx, opRead, func(ctx context.Context, s store.Store) error {
		days, err := store.Client{Store: s}.Days()
		if err == nil {
			rows, next, err = days.Day(ctx, of, day, after, limit)
		}
		return err
	})
	return rows, next, err
}

// Records implements [store.Mender].
func (h *handle) Records(ctx context.Context, account string) (store.Records, error) {
	return passOn(ctx, h, opRead, func(ctx context.Context, s store.Store) (store.Records, error) {
		m, err := store.Client{Store: s}.Mender()
		if err != nil {
			return store.Records{}, err
		}
		return m.Records(ctx, account)
	})
}

// Replace implements [store.Mender].
func (h *handle) Replace(ctx context.Context, account string, r store.Records, with ledger.Account, entries []ledger.Entry) error {
	return h.run(ctx, opUpdate, func(ctx context.Context, s store.Store) error {
		m, err := store.Client{Store: s}.Mender()
		if err != nil {
			return err
		}
		return m.Replace(ctx, account, r, with, entries)
	})
}

// Bindings implements [store.Mender].
func (h *handle) Bindings(ctx context.Context, after string, limit int) (page []store.Binding, next string, err error) {
	err = h.run(ctx, opRead, func(ctx context.Context, s store.Store) error {
		m, err := store.Client{Store: s}.Mender()
		if err == nil {
			page, next, err = m.Bindings(ctx, after, limit)
		}
		return err
	})
	return page, next, err
}

// Interface guard
var _ store.Mender = (*handle)(nil)
