package dodo

import (
	"context"
	"strings"
	"time"

	dodopayments "github.com/dodopayments/dodopayments-go"
	"github.com/dodopayments/dodopayments-go/option"

	"github.com/dodogate/dodogate/internal/entitlement"
)

// Lists come in pages that are numbered from 0, without a total (FACTS 1.6). They
// are asked for one by one, because the SDK's own paging skips the second.
const pageSize = 100 // the most that there is

// Page is one page of a list. The order is not documented, and items move from
// page to page while others are made. Dodo refuses pages that are very deep
// ([ErrRejected]).
type Page[Item any] struct {
	Items []Item
	Last  bool // no page follows
	Odd   int  // items that do not say what they are, and are not in Items
}

// PaymentSummary says which payment there is. The list knows neither its checkout
// session nor its cart (FACTS 2.5): [Client.Payment] does.
type PaymentSummary struct {
	ID        string
	Status    entitlement.PaymentStatus // empty where the list does not say
	CreatedAt time.Time                 // UTC; zero where the list does not say
	Clues     Clues                     // to whose it is; without the session
}

// SubscriptionSummary says which subscription there is; [Client.Subscription]
// says the rest.
type SubscriptionSummary struct {
	ID        string
	Status    entitlement.SubscriptionStatus // empty where the list does not say
	CreatedAt time.Time                      // UTC; zero where the list does not say
	PeriodEnd time.Time                      // next_billing_date, likewise
	ProductID string                         // likewise
	Quantity  int64                          // 0 where the list does not say
	// CancelAtEnd where the list says it, as CancelSaid tells.
	CancelAtEnd, CancelSaid bool
	Clues                   Clues // to whose it is
}

// Differs reports whether the list says something else than what is known.
func (s SubscriptionSummary) Differs(known entitlement.SubscriptionState) bool {
	return s.Status != known.Status ||
		!s.PeriodEnd.Equal(known.PeriodEnd) ||
		s.ProductID != "" && s.ProductID != known.ProductID ||
		s.Quantity != 0 && s.Quantity != known.Quantity ||
		s.CancelSaid && s.CancelAtEnd != known.CancelAtEnd
}

// PaymentChange says that something happened to a payment: a refund or a dispute
// of it, and how far that is. The payment itself says the rest.
type PaymentChange struct {
	ID        string // of the refund or dispute
	PaymentID string
	Status    string // in lower case; a dispute's without "dispute_"
}

// Payments reads one page of the payments made since, all of them when that is
// zero. Dodo is asked in whole seconds, so one made a moment before may be there.
func (c *Client) Payments(ctx context.Context, since time.Time, page int) (Page[PaymentSummary], error) {
	return c.paymentPage(ctx, dodopayments.PaymentListParams{PageNumber: dodopayments.F(int64(page))}, since)
}

// Charges reads one page of the payments of a subscription that were made since, as
// [Client.Payments] does. The newest come first.
func (c *Client) Charges(ctx context.Context, subscription string, since time.Time) (Page[PaymentSummary], error) {
	if !isWord(subscription, maxID) {
		return Page[PaymentSummary]{}, notAnID("list payments")
	}
	return c.paymentPage(ctx, dodopayments.PaymentListParams{
		PageNumber: dodopayments.F[int64](0), SubscriptionID: dodopayments.F(subscription),
	}, since)
}

// CustomerPayments reads one page of all payments of a customer at Dodo.
func (c *Client) CustomerPayments(ctx context.Context, customerID string, page int) (Page[PaymentSummary], error) {
	return c.paymentPage(ctx, dodopayments.PaymentListParams{
		PageNumber: dodopayments.F(int64(page)), CustomerID: dodopayments.F(customerID),
	}, time.Time{})
}

func (c *Client) paymentPage(ctx context.Context, params dodopayments.PaymentListParams, since time.Time) (Page[PaymentSummary], error) {
	params.PageSize = dodopayments.F[int64](pageSize)
	if !since.IsZero() {
		params.CreatedAtGte = dodopayments.F(wholeSecond(since))
	}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.payments.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list payments", send, func(item *listed, in scope) PaymentSummary {
		hint := in.hint()
		clues := readClues(item, hint)
		clues.SubscriptionID = item.SubscriptionID.get(hint)
		return PaymentSummary{
			ID:        want(&item.PaymentID, in, "payment_id"),
			Status:    entitlement.PaymentStatus(item.Status.get(hint)),
			CreatedAt: item.CreatedAt.get(hint),
			Clues:     clues,
		}
	})
}

// Subscriptions reads one page of all subscriptions.
func (c *Client) Subscriptions(ctx context.Context, page int) (Page[SubscriptionSummary], error) {
	return c.subscriptionPage(ctx, dodopayments.SubscriptionListParams{}, page)
}

// CustomerSubscriptions reads one page of all subscriptions of a customer at Dodo.
func (c *Client) CustomerSubscriptions(ctx context.Context, customerID string, page int) (Page[SubscriptionSummary], error) {
	return c.subscriptionPage(ctx, dodopayments.SubscriptionListParams{CustomerID: dodopayments.F(customerID)}, page)
}

func (c *Client) subscriptionPage(ctx context.Context, params dodopayments.SubscriptionListParams, page int) (Page[SubscriptionSummary], error) {
	params.PageNumber, params.PageSize = dodopayments.F(int64(page)), dodopayments.F[int64](pageSize)
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.subscriptions.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list subscriptions", send, func(item *listed, in scope) SubscriptionSummary {
		hint := in.hint()
		s := SubscriptionSummary{
			ID:        want(&item.SubscriptionID, in, "subscription_id"),
			Status:    entitlement.SubscriptionStatus(item.Status.get(hint)),
			CreatedAt: item.CreatedAt.get(hint),
			PeriodEnd: item.PeriodEnd.get(hint),
			ProductID: item.ProductID.get(hint),
			Quantity:  item.Quantity.get(hint),
			Clues:     readClues(item, hint),
		}
		s.CancelAtEnd, s.CancelSaid = item.CancelAtEnd.look(hint)
		return s
	})
}

// Refunds reads one page of the refunds made since, as [Client.Payments] does.
func (c *Client) Refunds(ctx context.Context, since time.Time, page int) (Page[PaymentChange], error) {
	params := dodopayments.RefundListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	if !since.IsZero() {
		params.CreatedAtGte = dodopayments.F(wholeSecond(since))
	}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.refunds.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list refunds", send, func(item *listed, in scope) PaymentChange {
		return readChange(item, in, want(&item.RefundID, in, "refund_id"), item.Status)
	})
}

// Disputes reads one page of the disputes opened since, as [Client.Payments] does.
func (c *Client) Disputes(ctx context.Context, since time.Time, page int) (Page[PaymentChange], error) {
	params := dodopayments.DisputeListParams{PageNumber: dodopayments.F(int64(page)), PageSize: dodopayments.F[int64](pageSize)}
	if !since.IsZero() {
		params.CreatedAtGte = dodopayments.F(wholeSecond(since))
	}
	send := func(ctx context.Context, raw ...option.RequestOption) error {
		_, err := c.disputes.List(ctx, params, raw...)
		return err
	}
	return readPage(ctx, c, "list disputes", send, func(item *listed, in scope) PaymentChange {
		return readChange(item, in, want(&item.DisputeID, in, "dispute_id"), item.DisputeStatus)
	})
}

func readChange(item *listed, in scope, id string, status word) PaymentChange {
	return PaymentChange{
		ID: id, PaymentID: want(&item.PaymentID, in, "payment_id"),
		Status: strings.TrimPrefix(status.get(in.hint()), "dispute_"),
	}
}

// readPage asks for one page and reads its items, each of which must at least say
// what it is. One that does not must not hide the others; a page of nothing else
// is no list of what was asked for.
func readPage[Item any](ctx context.Context, c *Client, op string, send sender, read func(*listed, scope) Item) (Page[Item], error) {
	answer, items, err := askPage[listed](ctx, c, op, send)
	if err != nil {
		return Page[Item]{}, err
	}
	page := Page[Item]{Last: len(items) < pageSize}
	var first error
	for i := range items {
		own := answer.hint() // the item's faults
		from, own := items[i].get(own)
		item := read(from, own)
		if !own.clear() {
			page.Odd++
			if first == nil {
				first = own.err()
			}
			continue
		}
		page.Items = append(page.Items, item)
	}
	if first != nil && len(page.Items) == 0 {
		return Page[Item]{}, answer.bad("", first)
	}
	return page, nil
}

// askPage asks for one page of a list.
func askPage[T any](ctx context.Context, c *Client, op string, send sender) (reply, []object[T], error) {
	var said page[T]
	answer, err := c.call(ctx, op, send, &said)
	if err != nil {
		return reply{}, nil, err
	}
	if !said.Items.is(answer.scope) {
		answer.refuse("items", "is missing")
	}
	return answer, said.Items.get(answer.scope), answer.err()
}

// wholeSecond is what the SDK writes of a time.
func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
