package gateway

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

const (
	confirmCooldown = 2 * time.Second
	confirmDeadline = 15 * time.Second
)

// Confirm asks Dodo how one of the account's own orders stands, applies what
// Dodo says, and returns the order as it is then. The caller's word grants
// nothing; anybody else's order is [store.ErrNotFound].
//
// An order is returned as paid when what was bought has arrived. A payment for a subscription
// comes without it, so until Dodo has told of the subscription the order is open, and has no
// checkout.
//
// Dodo is asked about an order at most once in a few seconds, and within the
// [Budget]. Beyond it nobody is refused: the order is returned as it is stored, and
// the webhook or the next call brings it further. The same holds if ctx ends before
// Dodo has answered; what Dodo then says is applied nevertheless.
func (e *Events) Confirm(ctx context.Context, account, id string) (book.Order, error) {
	order, fulfilled, err := e.confirm(ctx, account, id)
	if order.State == book.OrderPaid && !fulfilled {
		order = unfulfilled(order)
	}
	return order, err
}

// confirm is [Events.Confirm] with the order as it is stored. fulfilled reports whether it is
// paid and what was bought has arrived.
func (e *Events) confirm(ctx context.Context, account, id string) (order book.Order, fulfilled bool, err error) {
	if order, fulfilled, err = e.orderFulfilled(ctx, account, id); err != nil {
		return order, false, err
	}
	if !fulfilled && order.SessionID != "" {
		select {
		case read := <-e.askOrder(ctx, order):
			if read.Err != nil {
				return order, false, read.Err
			}
		case <-ctx.Done():
			return order, false, nil
		}
		if order, fulfilled, err = e.orderFulfilled(ctx, account, id); err != nil {
			return order, false, err
		}
	}
	if fulfilled {
		// Another goroutine, or another gateway, may have committed the payment just now,
		// and this gateway may not know of that. A caller that hears "paid" then reads
		// the account, and must see what was bought.
		e.views.Forget(account)
	}
	return order, fulfilled, nil
}

// ConfirmAddressed is [Events.Confirm] for a caller that knows only an order's id, which
// cannot be guessed: a caller that has it was given it. What it returns has things of the
// account in it, which are not for everybody who can see the order.
func (e *Events) ConfirmAddressed(ctx context.Context, id string) (book.Order, error) {
	if !orderID.MatchString(id) {
		return book.Order{}, store.ErrNotFound
	}
	account, err := e.store.Owner(ctx, addressOf(id))
	if err != nil {
		return book.Order{}, err
	}
	return e.Confirm(ctx, account, id)
}

// addressOf is where it is noted whose order has an id.
func addressOf(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindOrder, ID: id}
}

// askOrder reads the order again at Dodo, unless that was done a moment ago or the
// budget does not allow it. All who ask at the same time get the one answer, and it is
// applied also when they have left.
func (e *Events) askOrder(ctx context.Context, order book.Order) <-chan singleflight.Result {
	return e.confirms.DoChan(order.ID, func() (any, error) {
		if !e.cooldowns.pass(order.ID, e.clock()) {
			return nil, nil
		}
		err := e.readOrder(context.WithoutCancel(ctx), order)
		if e.refusedByBudget(err) {
			e.turns.again(order.ID)
			return nil, nil
		}
		return nil, err
	})
}

// readOrder applies what Dodo says about the payment of an order's session or, if that is known,
// about the subscription that was bought.
func (e *Events) readOrder(ctx context.Context, order book.Order) error {
	ctx, cancel := context.WithTimeout(ctx, confirmDeadline)
	defer cancel()
	ctx = withCall(ctx, callFor(ctx, forConfirm, order.Account))
	if order.State == book.OrderPaid {
		b, err := e.fulfilmentOf(ctx, order)
		if err == nil && !b.complete {
			_, err = e.resolve(ctx, entitlement.Doubt{Subscription: b.subscription})
		}
		return err
	}
	fact, err := e.readSession(ctx, order.SessionID)
	if errors.Is(err, dodo.ErrNotFound) {
		return nil // nothing is paid that Dodo does not know of
	}
	if err != nil {
		return err
	}
	cause := "confirm:" + order.ID
	if _, err := e.apply(ctx, fact, cause, nil); err != nil || fact.Payment.Subscription == "" {
		return err
	}
	// Only the subscription of a payment says what the payment bought.
	fact, err = e.provider.Subscription(ctx, fact.Payment.Subscription)
	if err != nil {
		return err
	}
	_, err = e.apply(ctx, fact, cause, nil)
	return err
}

// readSession reads the payment of a session, if there is one.
func (e *Events) readSession(ctx context.Context, id string) (dodo.Fact, error) {
	session, err := e.provider.Session(ctx, id)
	if err != nil {
		return dodo.Fact{}, err
	}
	if session.PaymentID == "" {
		return dodo.Fact{}, dodo.ErrNotFound
	}
	fact, err := e.provider.Payment(ctx, session.PaymentID)
	if err == nil && fact.Clues.SessionID == "" {
		fact.Clues.SessionID = id // Dodo just said so
	}
	return fact, err
}

// Order reads one of the account's own orders; [store.ErrNotFound] for any other.
func (e *Events) Order(ctx context.Context, account, id string) (book.Order, error) {
	if account == "" || !orderID.MatchString(id) {
		return book.Order{}, store.ErrNotFound
	}
	return e.store.Order(ctx, account, id)
}
