package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/dodo"
	"github.com/dodogate/dodogate/internal/store"
)

// create stores the order of a purchase, or finds the order that an earlier request
// with the same key made. A key whose order has ended is free for any request.
func (s *Shop) create(ctx context.Context, p *purchase, req *CheckoutRequest) error {
	wanted := p.order
	attempt := func(key book.Key) (err error) {
		p.key = key
		p.order, p.start, err = s.store.CreateOrder(ctx, wanted, key)
		return err
	}
	key := keyOf(req)
	err := attempt(key)
	if err != nil || key.Hash == "" {
		return err
	}
	if p.start == book.Mismatched {
		if err := attempt(earlierKey(key, &wanted, req)); err != nil {
			return err
		}
	}
	if p.start != book.Replayed && p.start != book.Mismatched {
		return nil
	}
	ended, err := s.ended(ctx, &p.order)
	if err != nil || !ended {
		return err
	}
	key.Ended = p.order.ID
	return attempt(key)
}

// ended reports whether an order has ended without a payment. Dodo is asked first,
// because a webhook may be lost, and nobody should pay for one wish twice.
func (s *Shop) ended(ctx context.Context, order *book.Order) (bool, error) {
	if order.ID == "" || !order.Ended(s.clock()) {
		return false, nil
	}
	now, _, err := s.events.confirm(ctx, order.Account, order.ID)
	switch {
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, dodo.ErrUnavailable):
		return false, err
	case err != nil: // what Dodo does not hand out was hardly paid
		s.logger.Warn("order could not be confirmed before its key was used again", "order", order.ID, "error", err)
	case now.State == book.OrderPaid:
		*order = now
	}
	return order.Ended(s.clock()), nil
}

// keyOf is the idempotency key of a request. Its fingerprint covers what the client
// sent, and nothing that the configuration adds to it: the same request must be a
// repeat after the configuration has changed, too.
func keyOf(req *CheckoutRequest) book.Key {
	key := book.Key{Lease: keyLease, Keep: keyKeep}
	if req.IdempotencyKey != "" {
		key.Hash = digest("checkout", req.IdempotencyKey)
		asked := []string{
			req.Product, strconv.FormatInt(req.Credits, 10), req.Plan,
			strconv.FormatInt(req.Quantity, 10), req.ReturnTo, req.DiscountCode,
		}
		for _, name := range slices.Sorted(maps.Keys(req.Metadata)) {
			asked = append(asked, name, req.Metadata[name])
		}
		key.Fingerprint = digest(asked...)
	}
	return key
}

// earlierKey is the key as earlier versions made it of a request. Stores may hold
// such keys for [keyKeep] after the upgrade.
func earlierKey(key book.Key, order *book.Order, req *CheckoutRequest) book.Key {
	key.Fingerprint = digest(order.Product, strconv.FormatInt(order.Quantity, 10), order.ReturnTo, req.DiscountCode)
	return key
}

// digest is a hash of the parts, each with its length, so that no two lists of
// parts run together.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
