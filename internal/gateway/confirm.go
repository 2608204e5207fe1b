package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
	"github.com/dodogate/dodogate/internal/store"
)

// Confirm asks Dodo how one of the account's own orders stands, applies what
// Dodo says, and returns the order as it is then. The caller's word grants
// nothing; anybody else's order is [store.ErrNotFound].
//
// An order is returned as paid when what was bought is there. A payment for a subscription
// comes without it, so until Dodo has told of the subscription the order is open, and has no
// checkout.
//
// Dodo is asked about an order at most once in a few seconds, and within the
// [Budget]. Beyond it nobody is refused: the order is returned as it is stored, and
// the webhook or the next call brings it further. So it is when ctx ends before Dodo
// has answered; what Dodo then says is applied all the same.
func (g *Gateway) Confirm(ctx context.Context, account, id string) (book.Order, error) {
	order, there, err := g.confirm(ctx, account, id)
	if order.State == book.OrderPaid && !there {
		order = awaited(order)
	}
	return order, err
}

// confirm is [Gateway.Confirm] with the order as it is stored. there reports whether it is
// paid and what was bought is there.
func (g *Gateway) confirm(ctx context.Context, account, id string) (order book.Order, there bool, err error) {
	if order, there, err = g.bought(ctx, account, id); err != nil {
		return order, false, err
	}
	if !there && order.SessionID != "" {
		select {
		case read := <-g.ask(ctx, order):
			if read.Err != nil {
				return order, false, read.Err
			}
		case <-ctx.Done():
			return order, false, nil
		}
		if order, there, err = g.bought(ctx, account, id); err != nil {
			return order, false, err
		}
	}
	if there {
		// Another goroutine, or another gateway, may have committed the payment just now,
		// and this gateway may not know of that. A caller that hears "paid" then reads
		// the account, and must see what was bought.
		g.views.Forget(account)
	}
	return order, there, nil
}

// bought reads an order. there reports whether it is paid and what was bought is there.
func (g *Gateway) bought(ctx context.Context, account, id string) (order book.Order, there bool, err error) {
	order, err = g.Order(ctx, account, id)
	if err != nil || order.State != book.OrderPaid {
		return order, false, err
	}
	b, err := g.boughtBy(ctx, order)
	return order, err == nil && b.there, err
}

// ConfirmAddressed is [Gateway.Confirm] for a caller who knows nothing but an order's id,
// which cannot be guessed: whoever has it was given it. What it returns has things of the
// account in it, which are not for everybody who can see the order.
func (g *Gateway) ConfirmAddressed(ctx context.Context, id string) (book.Order, error) {
	if !orderID.MatchString(id) {
		return book.Order{}, store.ErrNotFound
	}
	account, err := g.Store.Owner(ctx, addressOf(id))
	if err != nil {
		return book.Order{}, err
	}
	return g.Confirm(ctx, account, id)
}

// addressOf is where it is noted whose order has an id.
func addressOf(id string) entitlement.Ref {
	return entitlement.Ref{Kind: entitlement.KindOrder, ID: id}
}

// ask reads the order again at Dodo, unless that was done a moment ago or the
// budget does not allow it. All who ask at the same time get the one answer, and it is
// applied also when they have left.
func (g *Gateway) ask(ctx context.Context, order book.Order) <-chan singleflight.Result {
	return g.confirms.DoChan(order.ID, func() (any, error) {
		if !g.cooldowns.pass(order.ID, g.Clock()) {
			return nil, nil
		}
		err := g.reread(context.WithoutCancel(ctx), order)
		if g.refusedByBudget(err) {
			return nil, nil
		}
		return nil, err
	})
}

// reread applies what Dodo says about the payment of an order's session or, if that is known,
// about the subscription that was bought.
func (g *Gateway) reread(ctx context.Context, order book.Order) error {
	ctx, cancel := context.WithTimeout(ctx, confirmDeadline)
	defer cancel()
	ctx = withCall(ctx, callFor(ctx, forConfirm, order.Account))
	if order.State == book.OrderPaid {
		b, err := g.boughtBy(ctx, order)
		if err == nil && !b.there {
			_, err = g.resolve(ctx, entitlement.Doubt{Subscription: b.subscription})
		}
		return err
	}
	fact, err := g.readSession(ctx, order.SessionID)
	if errors.Is(err, dodo.ErrNotFound) {
		return nil // nothing is paid that Dodo does not know of
	}
	if err != nil {
		return err
	}
	cause := "confirm:" + order.ID
	if _, err := g.apply(ctx, fact, cause, nil, nil); err != nil || fact.Payment.Subscription == "" {
		return err
	}
	// What the payment bought is told by the subscription that it belongs to.
	fact, err = g.Provider.Subscription(ctx, fact.Payment.Subscription)
	if err != nil {
		return err
	}
	_, err = g.apply(ctx, fact, cause, nil, nil)
	return err
}

// readSession reads the payment of a session, as far as there is one.
func (g *Gateway) readSession(ctx context.Context, id string) (dodo.Fact, error) {
	session, err := g.Provider.Session(ctx, id)
	if err != nil {
		return dodo.Fact{}, err
	}
	if session.PaymentID == "" {
		return dodo.Fact{}, dodo.ErrNotFound
	}
	fact, err := g.Provider.Payment(ctx, session.PaymentID)
	if err == nil && fact.Clues.SessionID == "" {
		fact.Clues.SessionID = id // Dodo just said so
	}
	return fact, err
}

// cooldowns lets each name pass once in a while. It forgets what has cooled
// down, so it holds no more names than pass within that while.
type cooldowns struct {
	every time.Duration
	mu    sync.Mutex
	last  map[string]time.Time
}

const cooldownsSwept = 1024

func (c *cooldowns) pass(name string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.last[name]; ok && now.Sub(last) < c.every {
		return false
	}
	if len(c.last) >= cooldownsSwept {
		for n, last := range c.last {
			if now.Sub(last) >= c.every {
				delete(c.last, n)
			}
		}
	}
	c.last[name] = now
	return true
}
