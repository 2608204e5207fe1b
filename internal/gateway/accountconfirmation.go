package gateway

import (
	"context"
	"errors"
	"reflect"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// What a request that is about to be refused may cost: about how many orders Dodo is
// asked, and how long the visitor waits.
const (
	ordersAsked     = 3
	confirmPatience = 2500 * time.Millisecond
)

// ConfirmAccount must be called before an account is refused something because it has
// not paid. It asks Dodo about a few of the account's orders that wait to be paid, those first
// that were not asked about for the longest time, and about the subscriptions of which something
// is not known. So refusals that follow each other come to every order. It applies what Dodo
// says, and returns what the account may do then, with the orders that wait all
// the same, newest first. An order whose last attempt failed waits for another.
//
// Dodo is asked as in [Events.Confirm]: once for all who ask at the same time,
// seldom for one order or account, and within the [Budget]. Its silence is no error. If it
// leaves open whether somebody has paid, the view is [View.Owed], and must not be refused; a
// store that fails is an error.
//
// That nothing waits is remembered with the view, and forgotten when an order can be
// paid, so that no store is asked for the next refusal.
func (e *Events) ConfirmAccount(ctx context.Context, account string) (now *View, waiting []book.Order, err error) {
	if len(account) > MaxAccount {
		return nil, nil, ErrAccount
	}
	known, result, err := e.views.View(ctx, account)
	e.observer.EntitlementRead(result)
	if err != nil {
		return nil, nil, err
	}
	if known.Settled() {
		return known, nil, nil
	}
	var q *inquiry
	if len(known.Doubts) > 0 && !known.Stale {
		q = e.inquire(ctx, account, known.Doubts)
	}
	// Orders first: one that is paid in between is then in the snapshot.
	waiting, err = e.store.Orders(ctx, account, store.OpenOrders)
	if err == nil && len(waiting) > 0 {
		if err = e.askOrders(ctx, e.turns.next(waiting, e.clock())); err == nil {
			waiting, err = e.store.Orders(ctx, account, store.OpenOrders)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if q != nil && q.wait(ctx, max(confirmPatience, e.glance)) && errors.Is(q.err, store.ErrUnavailable) {
		return nil, nil, q.err // Dodo may have said that it is paid
	}
	// From the store: what is remembered may be older than a payment that the orders
	// above already include.
	a, err := e.readAccount(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	now = e.viewOf(a)
	if len(waiting)+len(now.Doubts)+len(known.Doubts) == 0 && reflect.DeepEqual(now.Snapshot, known.Snapshot) {
		known.Settle()
		now = known
	}
	return now, waiting, nil
}

// ErrUnconfirmed says that an account may have paid for what it is refused, and Dodo has not said
// so yet, because it could not be asked.
var ErrUnconfirmed = errors.New("dodo has not said yet what the account has paid for")

// askOrders asks Dodo about all of the orders at once, and waits only so long.
func (e *Events) askOrders(ctx context.Context, orders []book.Order) error {
	patience, cancel := context.WithTimeout(ctx, confirmPatience)
	defer cancel()
	reads := make([]<-chan singleflight.Result, 0, len(orders))
	for _, o := range orders {
		reads = append(reads, e.askOrder(ctx, o))
	}
	for i, read := range reads {
		select {
		case done := <-read:
			// Dodo may have said that it is paid, so this is no "not paid".
			if errors.Is(done.Err, store.ErrUnavailable) {
				return done.Err
			}
			if done.Err != nil {
				e.logger.Warn("order could not be confirmed before a refusal", "order", orders[i].ID, "error", done.Err)
			}
		case <-patience.Done():
			return ctx.Err() // of those who left; the others are judged by what is known
		}
	}
	return nil
}
