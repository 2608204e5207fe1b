package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// manageDeadline is how long managing a subscription may take in all. What was begun at
// Dodo is finished within it, also when the client has left.
const manageDeadline = 25 * time.Second

// Cancel lets one of the account's subscriptions end with the period that is paid, or
// with undo go on after all. Dodo does it, and is read again, so that the account's next
// request sees it. A repeat changes nothing and gets the same answer. Undo is refused beside
// another subscription for the same thing, because the customer would pay twice.
func (s *Shop) Cancel(ctx context.Context, who Identity, which Which, undo bool) (Held, error) {
	held, err := s.one(ctx, who.Account, which)
	if err != nil {
		return Held{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), manageDeadline)
	defer cancel()
	if undo && held.CancelAtEnd {
		if err := s.checkOthers(ctx, who.Account, held.Product, held.ID); err != nil {
			return Held{}, err
		}
	}
	asked := withCall(ctx, callFor(ctx, forCheckout, who.Account))
	refused := s.provider.SetCancelAtEnd(asked, held.ID, !undo)
	if refused != nil && !errors.Is(refused, dodo.ErrRejected) {
		s.refusedByBudget(refused)
		return Held{}, notFoundIsGone(refused)
	}
	now, _, err := s.rereadHeld(ctx, who.Account, held.ID, "cancel:"+held.ID)
	switch {
	case refused == nil && err != nil:
		// Dodo has done it. Its webhook will say so.
		s.logger.Warn("subscription could not be read after its cancellation was changed", "subscription", held.ID, "error", err)
		held.CancelAtEnd = !undo
		return held, nil
	case err != nil:
		return Held{}, err
	case refused != nil && !now.is(!undo):
		return Held{}, managingError(refused)
	}
	return now, nil
}

// is reports whether a subscription is to end, or to go on.
func (h Held) is(ending bool) bool {
	switch h.Status {
	case entitlement.SubscriptionCancelled, entitlement.SubscriptionExpired, entitlement.SubscriptionFailed:
		return ending
	}
	return h.CancelAtEnd == ending
}
