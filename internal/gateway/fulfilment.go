package gateway

import (
	"context"

	"github.com/dodogate/dodogate/internal/book"
	"github.com/dodogate/dodogate/internal/entitlement"
)

// orderFulfilled reads an order. fulfilled reports whether it is paid and what was bought
// has arrived.
func (e *Events) orderFulfilled(ctx context.Context, account, id string) (order book.Order, fulfilled bool, err error) {
	order, err = e.Order(ctx, account, id)
	if err != nil || order.State != book.OrderPaid {
		return order, false, err
	}
	b, err := e.fulfilmentOf(ctx, order)
	return order, err == nil && b.complete, err
}

// subscription is what is known of a subscription; nothing if nobody here has it.
func (e *Events) subscription(ctx context.Context, id string) (entitlement.Subscription, error) {
	ref := entitlement.Ref{Kind: entitlement.KindSubscription, ID: id}
	account, err := e.store.Owner(ctx, ref)
	if err != nil || account == "" {
		return entitlement.Subscription{}, err
	}
	record, err := e.record(ctx, account, ref)
	return record.Subscription, err
}

// fulfilment says how far a paid order is.
type fulfilment struct {
	subscription string // that it bought; empty for none
	complete     bool   // what it bought has arrived
}

// fulfilmentOf reads how far a paid order is. A payment alone does not say what a
// subscription is, so the order is complete only when Dodo has reported the subscription.
func (e *Events) fulfilmentOf(ctx context.Context, order book.Order) (fulfilment, error) {
	record, err := e.record(ctx, order.Account, entitlement.Ref{Kind: entitlement.KindPayment, ID: order.PaymentID})
	if err != nil || record.Payment.Subscription == "" {
		return fulfilment{complete: true}, err
	}
	known, err := e.subscription(ctx, record.Payment.Subscription)
	status := known.State.Status
	return fulfilment{record.Payment.Subscription, status != "" && status != entitlement.SubscriptionPending}, err
}

// unfulfilled is a paid order as its customer sees it before what was bought has arrived. It
// must not be paid again.
func unfulfilled(order book.Order) book.Order {
	order.State, order.CheckoutURL = book.OrderOpen, ""
	return order
}
