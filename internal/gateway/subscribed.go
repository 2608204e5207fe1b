package gateway

import (
	"context"
	"errors"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// Way is how an account gets a product.
type Way string

// The ways.
const (
	WayBuy    Way = "buy"    // by a checkout
	WayChange Way = "change" // by changing a subscription that it has
	WayManage Way = "manage" // its subscription comes first: in the portal
	WayNone   Way = ""       // it has it
)

// WayTo says how an account that holds these subscriptions gets a product, and which of
// them is in the way of buying it. recurring says whether Dodo sells it as a subscription.
//
// Nobody is sold a second subscription, and nothing whose plan a subscription gives
// already, unless the product allows it: the customer would be charged for both.
func WayTo(p config.Product, recurring bool, held []Held) (Way, []Held) {
	if p.AllowMultiple {
		return WayBuy, nil
	}
	var inTheWay []Held
	for _, h := range held {
		if recurring || p.Plan != "" && p.Plan == h.Product.Plan {
			inTheWay = append(inTheWay, h)
		}
	}
	switch {
	case len(inTheWay) == 0:
		return WayBuy, nil
	case len(inTheWay) > 1:
		return WayManage, inTheWay
	}
	switch one := inTheWay[0]; {
	case one.Changeable() && (one.Product.ID == p.ID || !recurring):
		return WayNone, inTheWay
	case one.Changeable():
		return WayChange, inTheWay
	}
	return WayManage, inTheWay
}

// checkSecond refuses a checkout whose customer would be charged twice, or for something
// that never ends and is there already. What this gateway knows may be old, so Dodo is
// asked before anybody is refused, and about open orders before anybody is let through.
// now is what the account may do.
func (g *Gateway) checkSecond(ctx context.Context, account string, now *View, p config.Product, quantity int64) error {
	if p.AllowMultiple {
		return nil
	}
	if sold, known := g.offers.soldNow(p.ID); known && sold.Recurring && quantity > 1 {
		return ErrOnePiece
	}
	if p.Lasts == 0 && p.Plan != "" { // it may be one, and its webhook may be lost
		var err error
		if now, _, err = g.Settle(ctx, account); err != nil {
			return err
		}
	}
	if hasForEver(now.Snapshot, p) {
		return &SubscriptionsError{Reason: ErrSubscribed, Product: p}
	}
	if !now.Subscribed {
		return nil
	}
	held, err := g.Subscriptions(ctx, account)
	if err != nil || len(held) == 0 {
		return err
	}
	return g.checkHeld(ctx, account, p, held)
}

// mostReread bounds the subscriptions that Dodo is asked about before a refusal.
const mostReread = 3

func (g *Gateway) checkHeld(ctx context.Context, account string, p config.Product, held []Held) error {
	recurring := g.recurs(ctx, p)
	way, inTheWay := WayTo(p, recurring, held)
	if way == WayBuy {
		return nil
	}
	var still []Held
	for i, h := range inTheWay {
		if i < mostReread {
			now, holding, err := g.rereadHeld(ctx, account, h.ID, "checkout")
			if errors.Is(err, ErrNoSubscription) {
				continue // Dodo does not know it
			}
			if err != nil {
				return err
			}
			if !holding.Subscription.State.Ongoing(g.Clock()) {
				continue
			}
			h = now
		}
		still = append(still, h)
	}
	if way, inTheWay = WayTo(p, recurring, still); way != WayBuy {
		return &SubscriptionsError{Reason: ErrSubscribed, Product: p, Way: way, Held: inTheWay}
	}
	return nil
}

// hasForEver reports whether the account has the product's plan without end, and the
// product gives nothing else.
func hasForEver(now entitlement.Snapshot, p config.Product) bool {
	if p.Plan == "" || p.Credits > 0 {
		return false
	}
	for _, plan := range now.Plans {
		if plan.Name == p.Plan {
			return plan.ExpiresAt.IsZero()
		}
	}
	return false
}

// recurs reports whether a product is a subscription, as [Offer.IsSubscription] does.
func (g *Gateway) recurs(ctx context.Context, p config.Product) bool {
	sold, known := g.sold(ctx, p.ID)
	return Offer{Product: p, Priced: known, Recurring: sold.Recurring}.IsSubscription()
}
