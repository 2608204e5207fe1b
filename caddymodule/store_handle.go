package caddymodule

import (
	"context"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/ledger"
	"github.com/dodogate/dodogate/internal/store"
)

// A handle is a [store.Store]: each operation is passed on to the open store,
// and counted while it runs. internal/store says what the operations do.

// Ping implements [store.Store].
func (h *handle) Ping(ctx context.Context) error {
	s, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.Ping(ctx)
}

// Watch implements [store.Changes]. It does not open the store: until somebody
// does, the watcher hears nothing.
func (h *handle) Watch(w store.Watcher) (stop func()) { return h.watchers.Watch(w) }

// Account implements [store.Accounts].
func (h *handle) Account(ctx context.Context, account string) (entitlement.Account, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return entitlement.Account{}, err
	}
	defer done()
	return s.Account(ctx, account)
}

// Object implements [store.Accounts].
func (h *handle) Object(ctx context.Context, account string, ref entitlement.Ref) (book.Object, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Object{}, err
	}
	defer done()
	return s.Object(ctx, account, ref)
}

// Commit implements [store.Accounts].
func (h *handle) Commit(ctx context.Context, c book.Commit) (book.Committed, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Committed{}, err
	}
	defer done()
	return s.Commit(ctx, c)
}

// SignUp implements [store.Accounts].
func (h *handle) SignUp(ctx context.Context, c book.Commit) (entitlement.Account, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return entitlement.Account{}, err
	}
	defer done()
	return s.SignUp(ctx, c)
}

// Hold implements [store.Holds].
func (h *handle) Hold(ctx context.Context, hold book.Hold) (book.Held, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Held{}, err
	}
	defer done()
	return s.Hold(ctx, hold)
}

// End implements [store.Holds].
func (h *handle) End(ctx context.Context, e book.End) (book.Ended, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Ended{}, err
	}
	defer done()
	return s.End(ctx, e)
}

// Entries implements [store.Accounts].
func (h *handle) Entries(ctx context.Context, account string, after int64, limit int) ([]ledger.Entry, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.Entries(ctx, account, after, limit)
}

// EntriesBefore implements [store.Accounts].
func (h *handle) EntriesBefore(ctx context.Context, account string, before int64, limit int) ([]ledger.Entry, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.EntriesBefore(ctx, account, before, limit)
}

// Claim implements [store.Owners].
func (h *handle) Claim(ctx context.Context, ref entitlement.Ref, account string) (string, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return s.Claim(ctx, ref, account)
}

// Owner implements [store.Owners].
func (h *handle) Owner(ctx context.Context, ref entitlement.Ref) (string, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return s.Owner(ctx, ref)
}

// CreateOrder implements [store.Orders].
func (h *handle) CreateOrder(ctx context.Context, o book.Order, key book.Key) (book.Order, book.Start, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Order{}, "", err
	}
	defer done()
	return s.CreateOrder(ctx, o, key)
}

// OpenOrder implements [store.Orders].
func (h *handle) OpenOrder(ctx context.Context, o book.Order, key book.Key) error {
	s, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.OpenOrder(ctx, o, key)
}

// DropOrder implements [store.Orders].
func (h *handle) DropOrder(ctx context.Context, o book.Order, key book.Key) error {
	s, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.DropOrder(ctx, o, key)
}

// Order implements [store.Orders].
func (h *handle) Order(ctx context.Context, account, id string) (book.Order, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Order{}, err
	}
	defer done()
	return s.Order(ctx, account, id)
}

// OpenOrders implements [store.Orders].
func (h *handle) OpenOrders(ctx context.Context, account string) ([]book.Order, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.OpenOrders(ctx, account)
}

// Purchases implements [store.Orders].
func (h *handle) Purchases(ctx context.Context, account string) ([]book.Order, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.Purchases(ctx, account)
}

// Record implements [store.Journal].
func (h *handle) Record(ctx context.Context, e book.Event) (book.Event, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Event{}, err
	}
	defer done()
	return s.Record(ctx, e)
}

// Receive implements [store.Journal].
func (h *handle) Receive(ctx context.Context, e book.Event, b store.Binding) (book.Event, store.Bound, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Event{}, store.Bound{}, err
	}
	defer done()
	return s.Receive(ctx, e, b)
}

// Settle implements [store.Journal].
func (h *handle) Settle(ctx context.Context, e book.Event, r book.Retention) error {
	s, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.Settle(ctx, e, r)
}

// Parked implements [store.Journal].
func (h *handle) Parked(ctx context.Context, object string) ([]book.Event, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return s.Parked(ctx, object)
}

// ParkedEvents implements [store.Journal].
func (h *handle) ParkedEvents(ctx context.Context, after string, limit int) (events []book.Event, next string, err error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	return s.ParkedEvents(ctx, after, limit)
}

// Event implements [store.Journal].
func (h *handle) Event(ctx context.Context, id string) (book.Event, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return book.Event{}, err
	}
	defer done()
	return s.Event(ctx, id)
}

// Mark implements [store.Marks].
func (h *handle) Mark(ctx context.Context, name string) (time.Time, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer done()
	return s.Mark(ctx, name)
}

// Note implements [store.Notes].
func (h *handle) Note(ctx context.Context, name, text string) (string, error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return s.Note(ctx, name, text)
}

// SetMark implements [store.Marks].
func (h *handle) SetMark(ctx context.Context, name string, at time.Time) error {
	s, done, err := h.use(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.SetMark(ctx, name, at)
}

// AccountIDs implements [store.Directory].
func (h *handle) AccountIDs(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	s, done, err := h.use(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	return s.AccountIDs(ctx, after, limit)
}
