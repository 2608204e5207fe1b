package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/store"
)

// openSession makes the session at Dodo and stores it in the order.
func (s *Shop) openSession(ctx context.Context, p *purchase) error {
	session, err := s.provider.CreateCheckout(withCall(ctx, p.call), &p.wish)
	return s.conclude(ctx, p, session, err)
}

// conclude goes on after the call of Dodo. From here on the client may leave; what was
// begun is finished.
func (s *Shop) conclude(ctx context.Context, p *purchase, session dodo.Session, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpDeadline)
	defer cancel()
	if err != nil {
		s.drop(ctx, p)
		s.refusedByBudget(err)
		if err = checkoutError(err); errors.Is(err, ErrDiscountCode) {
			s.budget.wrongCode(p.call)
		}
		return err
	}
	return s.open(ctx, p, session)
}

// drop forgets an order that got no session, also if the client has left.
func (s *Shop) drop(ctx context.Context, p *purchase) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpDeadline)
	defer cancel()
	if err := s.store.DropOrder(ctx, p.order, p.key); err != nil {
		s.logger.Warn("order of a failed checkout could not be dropped; its key is free after the lease",
			"order", p.order.ID, "error", err)
	}
}

// open makes the order one that can be paid.
func (s *Shop) open(ctx context.Context, p *purchase, session dodo.Session) error {
	p.order.SessionID, p.order.CheckoutURL = session.ID, session.URL
	p.order.ExpiresAt = s.clock().Add(sessionLife).Truncate(time.Millisecond) // as a repeat will see it
	s.noteAddress(ctx, p.order)                                               // before a repeat of the request can find the order done
	err := s.store.OpenOrder(ctx, p.order, p.key)
	s.views.Changed(p.order.Account, 0) // the store's message may come after the payment
	if errors.Is(err, store.ErrConflict) {
		// We stood still for longer than the lease, and another request went on with the
		// order. Of two sessions, the customer must see but one.
		p.order, err = s.store.Order(ctx, p.order.Account, p.order.ID)
	}
	if errors.Is(err, store.ErrNotFound) {
		// The store was emptied meanwhile. That is not for the customer to look for.
		return fmt.Errorf("%w: order vanished while its session was made", store.ErrUnavailable)
	}
	return err
}

// noteAddress lets the order be found by its address alone; see [Events.ConfirmAddressed]; and
// the account by the e-mail address that the login vouches for, see [Accounts.Find].
// Without the note, the customer has to sign in to see the order, which is no reason to
// fail.
func (s *Shop) noteAddress(ctx context.Context, order book.Order) {
	if _, err := s.store.Claim(ctx, addressOf(order.ID), order.Account); err != nil {
		s.logger.Warn("order is not shown to visitors who are not signed in", "order", order.ID, "error", err)
	}
	if order.Email == "" {
		return
	}
	ref, err := s.contactRef(ctx, order.Email)
	if err == nil {
		_, err = s.store.Claim(ctx, ref, order.Account)
	}
	if err != nil {
		s.logger.Warn("operators cannot find the order by the customer's e-mail address", "order", order.ID, "error", err)
	}
}

// checkoutError tells what the customer can mend, a refused discount code and a number of
// pieces, from everything else that Dodo refuses (FACTS 1.3).
func checkoutError(err error) error {
	var said *dodo.Error
	if !errors.Is(err, dodo.ErrRejected) || !errors.As(err, &said) {
		return err
	}
	switch {
	case strings.Contains(said.Code, "DISCOUNT"):
		return ErrDiscountCode
	case said.Code == "INVALID_QUANTITY":
		return ErrOnePiece
	}
	return err
}
