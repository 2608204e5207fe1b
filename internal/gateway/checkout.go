package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dodogate/dodogate/config"
	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
)

// What a checkout can be refused for, besides [ErrTooManyRequests],
// [store.ErrUnavailable], [store.ErrTooManyOrders], [config.ErrReturnTo] and the
// sentinels of package dodo.
var (
	ErrAnonymous      = errors.New("checkout needs a login")
	ErrUnknownProduct = errors.New("no such product")
	ErrChoice         = errors.New("name one of product, credits or plan")
	ErrQuantity       = fmt.Errorf("quantity must be between 1 and %d", config.MaxQuantity)
	ErrDiscountCode   = errors.New("discount code is not accepted")
	ErrNoPublicURL    = errors.New("public_url is not configured and the request's host is not a loopback one")
	ErrKeyRunning     = errors.New("a request with this idempotency key is still running")
	ErrKeyMismatch    = errors.New("the idempotency key was used for another request")
)

// How long a checkout may take, and how long its key is held for it: longer, so
// that two never work on one order at once. An order that has no session by then does
// not count among those that an account may have: the request that made it is gone.
const (
	checkoutDeadline = 15 * time.Second
	keyLease         = 30 * time.Second
	keyKeep          = 48 * time.Hour
	sessionLife      = 24 * time.Hour // FACTS 2.1
	cleanUpDeadline  = 4 * time.Second
)

// Checkout makes an order and a checkout session for it, and returns the order
// with the address to send the customer to.
//
// The order is stored before Dodo is called, so that a repeat under the same key
// goes on with the same order; when Dodo fails the order is dropped and the key
// is free again.
func (s *Shop) Checkout(ctx context.Context, who Identity, req CheckoutRequest) (order *book.Order, err error) {
	defer func() { s.observer.CheckoutEnded(err) }()
	ctx, cancel := context.WithTimeout(ctx, checkoutDeadline)
	defer cancel()
	p, err := s.begin(ctx, &who, &req)
	if err != nil {
		return nil, err
	}
	if p.start != book.Replayed {
		if err := s.openSession(ctx, p); err != nil {
			return nil, err
		}
	}
	return &p.order, nil
}

// purchase is a checkout under way. It is on the heap, because a thousand may wait
// for Dodo at a time and the stack of each is large enough as it is.
type purchase struct {
	order book.Order
	key   book.Key
	start book.Start
	wish  dodo.Checkout // what Dodo is asked for
	call  call          // that asks it
}

// begin makes the order, or finds the one of an earlier request with its key.
func (s *Shop) begin(ctx context.Context, who *Identity, req *CheckoutRequest) (*purchase, error) {
	p := new(purchase)
	if err := s.plan(&p.order, who, req); err != nil {
		return nil, err
	}
	// The first request of an account may be this one, and once it has bought
	// something it is not new any more.
	if _, err := s.accounts.View(ctx, p.order.Account); err != nil {
		return nil, err
	}
	site, err := s.site.own(ctx)
	if err != nil {
		return nil, err
	}
	p.call = callFor(ctx, forCheckout, p.order.Account)
	if req.IdempotencyKey == "" { // with a key it may be a repeat, which needs no call
		if err := s.allow(ctx, p, req); err != nil {
			return nil, err
		}
	}
	if err := s.create(ctx, p, req); err != nil {
		return nil, err
	}
	switch p.start {
	case book.Running:
		return nil, ErrKeyRunning
	case book.Mismatched:
		return nil, ErrKeyMismatch
	case book.Replayed:
		return p, nil
	case book.Created, book.Resumed:
	}
	if req.IdempotencyKey != "" {
		if err := s.allow(ctx, p, req); err != nil {
			s.drop(ctx, p)
			return nil, err
		}
	} else if err := s.afford(p.call, req); err != nil {
		s.drop(ctx, p)
		return nil, err
	}
	s.describe(&p.wish, who, req, &p.order, site)
	if p.wish.NoTrial, err = s.hadTrial(ctx, &p.order); err != nil {
		s.drop(ctx, p)
		return nil, err
	}
	return p, nil
}

// hadTrial reports whether an order is for a product with a trial, and its account has, or had, a
// subscription. A customer who cancels and buys again would have the trial, and what it gives, as
// often as they like.
func (s *Shop) hadTrial(ctx context.Context, order *book.Order) (bool, error) {
	product, _ := s.catalog.Named(order.Product)
	view, err := s.accounts.View(ctx, order.Account)
	if err != nil || product.TrialAgain || !view.Subscribed {
		return false, err
	}
	sold, known := s.sold(ctx, product.ID)
	return known && sold.TrialDays > 0, nil
}

// allow refuses a checkout that may not be made now, or not in addition to what the account has.
func (s *Shop) allow(ctx context.Context, p *purchase, req *CheckoutRequest) error {
	if err := s.afford(p.call, req); err != nil {
		return err
	}
	product, _ := s.catalog.Named(p.order.Product)
	return s.checkSecond(ctx, p.order.Account, product, p.order.Quantity)
}

// afford refuses a checkout that the budget would not let through to Dodo, before
// any work is done for it.
func (s *Shop) afford(c call, req *CheckoutRequest) error {
	err := s.budget.check(c, req.DiscountCode != "")
	s.refusedByBudget(err)
	return err
}
