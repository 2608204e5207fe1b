package gateway

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/store"
)

// Pending are the account's orders that are waiting to be paid, newest first.
func (s *Shop) Pending(ctx context.Context, account string) ([]book.Order, error) {
	return s.store.Orders(ctx, account, store.OpenOrders)
}

// newestPurchases is of how many orders [Shop.Unfulfilled] looks whether they are.
const newestPurchases = 5

// Unfulfilled are the newest of the account's orders that are paid, and what they bought is not
// there yet. They are shown as open, and have no checkout.
func (s *Shop) Unfulfilled(ctx context.Context, account string) ([]book.Order, error) {
	orders, err := s.store.Orders(ctx, account, store.Purchases)
	if err != nil {
		return nil, err
	}
	var all []book.Order
	looked := 0
	for _, order := range orders {
		if order.State != book.OrderPaid {
			continue
		}
		if looked++; looked > newestPurchases {
			break
		}
		b, err := s.events.fulfilmentOf(ctx, order)
		if err != nil {
			return nil, err
		}
		if !b.complete {
			all = append(all, unfulfilled(order))
		}
	}
	return all, nil
}
