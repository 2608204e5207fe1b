package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// checkSecond refuses a checkout whose customer would pay twice for one thing, and one for
// several pieces of a subscription. Before it refuses, it makes sure at Dodo. It also counts
// a subscription whose payment is known and whose own webhook is late.
func (s *Shop) checkSecond(ctx context.Context, account string, p config.Product, quantity int64) error {
	if p.AllowMultiple {
		return nil
	}
	if quantity > 1 && s.recurs(ctx, p) {
		return ErrOnePiece
	}
	if pack, err := s.isPack(ctx, account, p); pack || err != nil {
		return err
	}
	now, _, err := s.events.ConfirmAccount(ctx, account)
	if err != nil {
		return err
	}
	if err := s.checkUnfulfilled(ctx, account, p); err != nil || !now.Subscribed {
		return err
	}
	held, err := s.Subscriptions(ctx, account)
	if err != nil {
		return err
	}
	return s.checkHeld(ctx, account, p, held)
}

// isPack reports whether nothing is in the way of a product, because it gives no plan and is
// sold once. Dodo is not asked. Before the prices were read, a subscription to it that the
// account has tells.
func (s *Shop) isPack(ctx context.Context, account string, p config.Product) (bool, error) {
	if p.Plan != "" {
		return false, nil
	}
	if sold, known := s.offers.soldNow(p.ID); known {
		return !sold.Recurring, nil
	}
	held, err := s.Subscriptions(ctx, account)
	return !slices.ContainsFunc(held, func(h Held) bool { return h.gives(p) }), err
}

// checkUnfulfilled refuses a product if a subscription to it, or to its plan, is paid and Dodo
// has not told of the subscription yet.
func (s *Shop) checkUnfulfilled(ctx context.Context, account string, p config.Product) error {
	orders, err := s.Unfulfilled(ctx, account)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if bought, known := s.catalog.Named(o.Product); known && (Held{Product: bought}).gives(p) {
			return &SubscriptionsError{Reason: ErrSubscribed, Product: p, Unfulfilled: o.ID}
		}
	}
	return nil
}

// checkOthers refuses to let one of the account's subscriptions go on for a product that
// another one gives already, for the reason that a checkout of it is refused. Dodo is asked
// about orders that were paid a moment ago, and one that is paid counts before Dodo has told
// of its subscription.
func (s *Shop) checkOthers(ctx context.Context, account string, p config.Product, subscription string) error {
	if p.AllowMultiple || p.ID == "" {
		return nil
	}
	if _, _, err := s.events.ConfirmAccount(ctx, account); err != nil {
		return err
	}
	if err := s.checkUnfulfilled(ctx, account, p); err != nil {
		return err
	}
	all, err := s.Subscriptions(ctx, account)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(all, func(h Held) bool { return h.ID == subscription })
	return s.checkHeld(ctx, account, p, others)
}

// mostReread bounds the subscriptions that Dodo is asked about before a refusal.
const mostReread = 3

// checkHeld refuses a product if subscriptions are in the way, by what Dodo says about them
// now. If Dodo cannot be asked, the period that is paid is proof enough. Once that is over,
// nobody knows, and the error says so.
func (s *Shop) checkHeld(ctx context.Context, account string, p config.Product, held []Held) error {
	inTheWay := InTheWay(p, held)
	for i, h := range inTheWay[:min(len(inTheWay), mostReread)] {
		now, _, err := s.rereadHeld(ctx, account, h.ID, "checkout")
		switch {
		case errors.Is(err, ErrNoSubscription):
			now = Held{ID: h.ID, Product: h.Product, Status: entitlement.SubscriptionExpired} // Dodo does not know it
		case err != nil && !s.clock().Before(h.PeriodEnd):
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
	_, e.CanChange = changesTo(p, s.recurs(ctx, p), still, still)
	return e
}

// recurs reports whether a product is a subscription, as [Offer.IsSubscription] does.
func (s *Shop) recurs(ctx context.Context, p config.Product) bool {
	sold, known := s.sold(ctx, p.ID)
	return Offer{Product: p, Priced: known, Recurring: sold.Recurring}.IsSubscription()
}
