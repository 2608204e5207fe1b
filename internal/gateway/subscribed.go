package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Action is what an account can do to get a product.
type Action string

// The actions.
const (
	ActionBuy    Action = "buy"    // a checkout
	ActionChange Action = "change" // change a subscription to the product
	ActionManage Action = "manage" // resume, repair or end a subscription in the customer portal
)

// Way is one way for an account to get a product.
type Way struct {
	Action Action
	From   Held // the subscription that is changed or managed; zero for a checkout
}

// InTheWay are the subscriptions because of which a product is not sold to their account:
// they are charged again, and are for the same product or give the same plan. The customer
// would pay twice for one thing. A product with AllowMultiple is always sold, so is every
// other plan, and so is a plan that the account was promised and does not have.
func InTheWay(p config.Product, held []Held) []Held {
	if p.AllowMultiple {
		return nil
	}
	var all []Held
	for _, h := range held {
		if h.Renews() && !h.Withheld && h.gives(p) {
			all = append(all, h)
		}
	}
	return all
}

// gives reports whether a subscription is for a product, or for another one with its plan.
func (h Held) gives(p config.Product) bool {
	return h.Product.ID == p.ID || p.Plan != "" && p.Plan == h.Product.Plan
}

// Ways are the ways for an account with these subscriptions to get a product, the best
// first; none if it has the product. recurring says whether Dodo sells the product as a
// subscription.
//
// A change comes before a second purchase, because most customers want one plan. It is only
// there if it is clear which subscription would change. A subscription for the product that
// has stopped comes before both: it may go on, and would be charged beside the new one.
func Ways(p config.Product, recurring bool, held []Held) []Way {
	inTheWay := InTheWay(p, held)
	var ways []Way
	stopped := slices.IndexFunc(held, func(h Held) bool { return h.stopped() && h.gives(p) && !p.AllowMultiple })
	if stopped >= 0 {
		ways = append(ways, Way{ActionManage, held[stopped]})
	} else if from, ok := changesTo(p, recurring, held, inTheWay); ok {
		ways = append(ways, Way{ActionChange, from})
	}
	if len(inTheWay) == 0 {
		ways = append(ways, Way{Action: ActionBuy})
	}
	return ways
}

// changesTo finds the one subscription that can change to a product. With several in the way
// there is none: the others would refuse the change.
func changesTo(p config.Product, recurring bool, held, inTheWay []Held) (Held, bool) {
	if !recurring || p.AllowMultiple || len(inTheWay) > 1 {
		return Held{}, false
	}
	among := held
	if len(inTheWay) > 0 {
		among = inTheWay
	}
	var found []Held
	for _, h := range among {
		if h.Changeable() && h.Product.ID != p.ID {
			found = append(found, h)
		}
	}
	if len(found) != 1 {
		return Held{}, false
	}
	return found[0], true
}

// checkSecond refuses a checkout whose customer would pay twice for one thing, and one for
// several pieces of a subscription. Before it refuses, it makes sure at Dodo. It also counts
// a subscription whose payment is known and whose own webhook is late.
func (g *Gateway) checkSecond(ctx context.Context, account string, p config.Product, quantity int64) error {
	if p.AllowMultiple {
		return nil
	}
	if quantity > 1 && g.recurs(ctx, p) {
		return ErrOnePiece
	}
	if pack, err := g.isPack(ctx, account, p); pack || err != nil {
		return err
	}
	now, _, err := g.Settle(ctx, account)
	if err != nil {
		return err
	}
	if err := g.checkAwaited(ctx, account, p); err != nil || !now.Subscribed {
		return err
	}
	held, err := g.Subscriptions(ctx, account)
	if err != nil {
		return err
	}
	return g.checkHeld(ctx, account, p, held)
}

// isPack reports whether nothing is in the way of a product, because it gives no plan and is
// sold once. Dodo is not asked. Before the prices were read, a subscription to it that the
// account has tells.
func (g *Gateway) isPack(ctx context.Context, account string, p config.Product) (bool, error) {
	if p.Plan != "" {
		return false, nil
	}
	if sold, known := g.offers.soldNow(p.ID); known {
		return !sold.Recurring, nil
	}
	held, err := g.Subscriptions(ctx, account)
	return !slices.ContainsFunc(held, func(h Held) bool { return h.gives(p) }), err
}

// checkAwaited refuses a product if a subscription to it, or to its plan, is paid and Dodo
// has not told of the subscription yet.
func (g *Gateway) checkAwaited(ctx context.Context, account string, p config.Product) error {
	orders, err := g.Awaited(ctx, account)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if bought, known := g.Catalog.Named(o.Product); known && (Held{Product: bought}).gives(p) {
			return &SubscriptionsError{Reason: ErrSubscribed, Product: p, Awaited: o.ID}
		}
	}
	return nil
}

// checkOthers refuses to let one of the account's subscriptions go on for a product that
// another one gives already, for the reason that a checkout of it is refused. Dodo is asked
// about orders that were paid a moment ago, and one that is paid counts before Dodo has told
// of its subscription.
func (g *Gateway) checkOthers(ctx context.Context, account string, p config.Product, subscription string) error {
	if p.AllowMultiple || p.ID == "" {
		return nil
	}
	if _, _, err := g.Settle(ctx, account); err != nil {
		return err
	}
	if err := g.checkAwaited(ctx, account, p); err != nil {
		return err
	}
	all, err := g.Subscriptions(ctx, account)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(all, func(h Held) bool { return h.ID == subscription })
	return g.checkHeld(ctx, account, p, others)
}

// mostReread bounds the subscriptions that Dodo is asked about before a refusal.
const mostReread = 3

// checkHeld refuses a product if subscriptions are in the way, by what Dodo says about them
// now. If Dodo cannot be asked, the period that is paid is proof enough. Once that is over,
// nobody knows, and the error says so.
func (g *Gateway) checkHeld(ctx context.Context, account string, p config.Product, held []Held) error {
	inTheWay := InTheWay(p, held)
	for i, h := range inTheWay[:min(len(inTheWay), mostReread)] {
		now, _, err := g.rereadHeld(ctx, account, h.ID, "checkout")
		switch {
		case errors.Is(err, ErrNoSubscription):
			now = Held{ID: h.ID, Product: h.Product, Status: entitlement.SubscriptionExpired} // Dodo does not know it
		case err != nil && !g.Clock().Before(h.PeriodEnd):
			return err
		case err != nil:
			continue
		}
		inTheWay[i] = now
	}
	still := InTheWay(p, inTheWay)
	if len(still) == 0 {
		return nil
	}
	e := &SubscriptionsError{Reason: ErrSubscribed, Product: p, Held: still}
	_, e.CanChange = changesTo(p, g.recurs(ctx, p), still, still)
	return e
}

// recurs reports whether a product is a subscription, as [Offer.IsSubscription] does.
func (g *Gateway) recurs(ctx context.Context, p config.Product) bool {
	sold, known := g.sold(ctx, p.ID)
	return Offer{Product: p, Priced: known, Recurring: sold.Recurring}.IsSubscription()
}
